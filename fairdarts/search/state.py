"""What the rest of a search depends on, and how it is put back."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fairdarts.config import UserError
from fairdarts.runtime import checkpoint, distributed
from fairdarts.runtime.checkpoint import BadState
from fairdarts.runtime.position import Position, check_identity
from fairdarts.runtime.records import kept_records, state_of_records
from fairdarts.runtime.run import Run
from fairdarts.search.architect import Learner
from fairdarts.search.derive import check_records
from fairdarts.spaces.space import Space
from fairdarts.supernet.names import current_names


def state_of(
    learner: Learner, identity: dict[str, str], sums: Tensor, at: Position, records: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """All that the rest of a search depends on; the loaders need no more than the position."""
    return {
        "identity": identity,
        **at.state(),
        **state_of_records(records),
        "sums": sums,
        "supernet": learner.supernet.state_dict(),
        "alphas": {part: alpha.detach() for part, alpha in learner.alphas.items()},
        "weight_optimizer": learner.weight_optimizer.state_dict(),
        "alpha_optimizer": learner.alpha_optimizer.state_dict(),
        "rng": torch.get_rng_state(),
        "cuda_rng": torch.cuda.get_rng_state() if sums.is_cuda else None,
    }


def restored(
    learner: Learner, identity: dict[str, str], sums: Tensor, at: Position, run: Run, space: Space
) -> list[dict[str, Any]]:
    """Puts the last checkpoint of a run into the learner, in place, and its position into `at`; gives the records.

    The first process reads, and all get what it read. Raises BadState where the state is that of another search, or is
    not whole, or records are missing or damaged.
    """
    reads = distributed.rank() == 0
    with distributed.together():
        state = checkpoint.load(run.last) if reads else None
    state = distributed.shared_state(state)
    records = []
    with distributed.together():
        check_identity(state, identity, run)
        try:
            learner.supernet.load_state_dict(current_names(state["supernet"]))
            for part, alpha in learner.alphas.items():
                alpha.data.copy_(state["alphas"][part])  # the optimizer holds these very tensors
            learner.weight_optimizer.load_state_dict(state["weight_optimizer"])
            learner.alpha_optimizer.load_state_dict(state["alpha_optimizer"])
            sums.copy_(state["sums"])
            torch.set_rng_state(state["rng"])
            if sums.is_cuda and state["cuda_rng"] is not None:
                torch.cuda.set_rng_state(state["cuda_rng"])
            at.restore(state)
        except (AttributeError, KeyError, TypeError, ValueError, RuntimeError):
            raise BadState(f"{run.last}: does not fit the run's settings.yaml and space.yaml") from None
        if reads:
            records = _records(run, state, at.epoch, space)
    return distributed.shared(records)


def _records(run: Run, state: dict[str, Any], epoch: int, space: Space) -> list[dict[str, Any]]:
    """The records up to an epoch; later ones are dropped. Raises BadState where they are not whole."""
    records = kept_records(run, state, epoch, first=0)
    try:
        return list(check_records(records, space, str(run.metrics)))
    except UserError as error:
        raise BadState(str(error)) from None
