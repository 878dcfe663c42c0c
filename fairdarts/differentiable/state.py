"""What the rest of a search depends on besides its position and records, and how it is put back."""

from typing import Any

import torch

from fairdarts.differentiable.learner import Learner
from fairdarts.supernet.names import current_names


def state_of(learner: Learner) -> dict[str, Any]:
    """What a checkpoint holds of the learner, and of torch's generators."""
    return {
        "supernet": learner.supernet.state_dict(),
        "alphas": {part: alpha.detach() for part, alpha in learner.alphas.items()},
        "weight_optimizer": learner.weight_optimizer.state_dict(),
        "alpha_optimizer": learner.alpha_optimizer.state_dict(),
        "rng": torch.get_rng_state(),
        "cuda_rng": torch.cuda.get_rng_state() if learner.weights[0].is_cuda else None,
        **({"multiplier": learner.price.multiplier} if learner.price else {}),
        **({"freezing": learner.freezing.state()} if learner.freezing else {}),
        **({"stage": learner.stage, "alive": learner.alive} if learner.stage else {}),
    }


def put_back(learner: Learner, state: dict[str, Any]) -> None:
    """Puts what `state_of` gave into a learner of its stage and candidates, in place, and into torch's generators."""
    learner.supernet.load_state_dict(current_names(state["supernet"]))
    for part, alpha in learner.alphas.items():
        alpha.data.copy_(state["alphas"][part])  # the optimizer holds these very tensors
    learner.weight_optimizer.load_state_dict(state["weight_optimizer"])
    learner.alpha_optimizer.load_state_dict(state["alpha_optimizer"])
    if learner.price:
        learner.price.multiplier.copy_(state["multiplier"])
    if learner.freezing:
        learner.freezing.restore(state["freezing"])
    torch.set_rng_state(state["rng"])
    if learner.weights[0].is_cuda and state["cuda_rng"] is not None:
        torch.cuda.set_rng_state(state["cuda_rng"])
