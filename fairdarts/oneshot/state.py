"""What the rest of a training depends on, and how it is put back."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from fairdarts.oneshot.samplers import Sampler
from fairdarts.oneshot.step import Learner
from fairdarts.runtime import checkpoint, distributed
from fairdarts.runtime.checkpoint import BadState
from fairdarts.runtime.finite import check_finite
from fairdarts.runtime.position import Position, check_identity
from fairdarts.runtime.records import kept_records, state_of_records
from fairdarts.runtime.run import Run
from fairdarts.supernet.supernet import Supernet


def state_of(
    learner: Learner,
    sampler: Sampler,
    updates: Sequence[Tensor],
    identity: dict[str, str],
    sums: Tensor,
    at: Position,
    records: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    """All that the rest of a training depends on; the loader needs no more than the position."""
    return {
        "identity": identity,
        **at.state(),
        **state_of_records(records),
        "sums": sums,
        "supernet": learner.supernet.state_dict(),
        "optimizer": learner.optimizer.state_dict(),
        "sampler": sampler.generator.get_state(),
        "updates": list(updates),
    }


def restored(
    learner: Learner,
    sampler: Sampler,
    updates: Sequence[Tensor],
    identity: dict[str, str],
    sums: Tensor,
    at: Position,
    run: Run,
) -> list[dict[str, Any]]:
    """Puts the last checkpoint of a run back, in place; gives the records until then, to the first process.

    The first process reads, and all get what it read. Raises BadState where the state is that of another training, or
    is not whole, or records are missing or damaged.
    """
    reads = distributed.rank() == 0
    with distributed.together():
        state = checkpoint.load(run.last) if reads else None
    state = distributed.shared_state(state)
    with distributed.together():
        check_identity(state, identity, run)
        try:
            learner.supernet.load_state_dict(state["supernet"])
            learner.optimizer.load_state_dict(state["optimizer"])
            sampler.generator.set_state(state["sampler"])
            for own, saved in zip(updates, state["updates"], strict=True):
                own.copy_(saved)
            sums.copy_(state["sums"])
            at.restore(state)
        except (AttributeError, KeyError, TypeError, ValueError, RuntimeError):
            raise BadState(f"{run.last}: does not fit the run's settings.yaml and space.yaml") from None
        return kept_records(run, state, at.epoch) if reads else []


def load_weights(supernet: Supernet, run: Run) -> tuple[int, int]:
    """Puts the weights of a run's last checkpoint into a supernet of its space; gives the epochs that they have seen,
    and the steps of the next one.

    Raises BadState where the checkpoint is not whole, or that of something else; UserError where a weight is not
    finite.
    """
    state = checkpoint.load(run.last)
    try:
        supernet.load_state_dict(state["supernet"])
        found = int(state["epoch"]), int(state["step"])
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError):
        raise BadState(f"{run.last}: not the checkpoint of a supernet of the run's space.yaml") from None
    check_finite(state["supernet"], run.path)
    return found
