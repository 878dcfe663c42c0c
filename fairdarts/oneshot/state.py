"""What the rest of a training depends on besides its position and records, and how it is put back."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from fairdarts.oneshot.sampler import Sampler
from fairdarts.oneshot.step import Learner
from fairdarts.runtime import checkpoint
from fairdarts.runtime.checkpoint import BadState
from fairdarts.runtime.finite import check_finite
from fairdarts.runtime.run import RunDirectory
from fairdarts.supernet.supernet import Supernet


def state_of(learner: Learner, sampler: Sampler, updates: Sequence[Tensor]) -> dict[str, Any]:
    """What a checkpoint holds of the learner, of the paths to come, and of how often each choice was updated."""
    return {
        "supernet": learner.supernet.state_dict(),
        "optimizer": learner.optimizer.state_dict(),
        "sampler": sampler.state(),
        "updates": list(updates),
    }


def put_back(learner: Learner, sampler: Sampler, updates: Sequence[Tensor], state: dict[str, Any]) -> None:
    """Puts what `state_of` gave back, in place."""
    learner.supernet.load_state_dict(state["supernet"])
    learner.optimizer.load_state_dict(state["optimizer"])
    sampler.restore(state["sampler"])
    for count, saved in zip(updates, state["updates"], strict=True):
        count.copy_(saved)


def load_weights(supernet: Supernet, run: RunDirectory) -> tuple[int, int]:
    """Puts the weights of a run's last checkpoint into a supernet of its space; gives the epochs that they have seen,
    and the steps of the next one.

    Raises BadState where the checkpoint is not whole, or that of something else; UserError where a weight is not
    finite.
    """
    state = checkpoint.load(run.last)
    try:
        supernet.load_state_dict(state["supernet"])
        position = int(state["epoch"]), int(state["step"])
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError):
        raise BadState(f"{run.last}: not the checkpoint of a supernet of the run's space.yaml") from None
    check_finite(state["supernet"], run.path)
    return position
