"""What the checkpoints of all trainings hold alike, and how a run goes on from its last one."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from fairdarts.runtime import checkpoint, distributed
from fairdarts.runtime.checkpoint import BadState
from fairdarts.runtime.position import Position, check_identity
from fairdarts.runtime.records import Record, kept_records, state_of_records
from fairdarts.runtime.run import RunDirectory


def common_state(identity: dict[str, str], sums: Tensor, at: Position, records: list[Record]) -> dict[str, Any]:
    """What the rest of a training depends on besides networks, optimizers and generators; a loader needs no more."""
    return {"identity": identity, **at.state(), **state_of_records(records), "sums": sums}


def restored(
    run: RunDirectory,
    identity: dict[str, str],
    sums: Tensor,
    at: Position,
    put_back: Callable[[dict[str, Any]], None],
    first: int = 1,
) -> list[Record]:
    """Puts the last checkpoint of a run back, in place; gives the records until then, that of epoch `first` the first.

    `put_back` is given the checkpoint, for what `common_state` does not hold. The first process reads, and all get what
    it read. Raises BadState where the state is that of another run, or is not whole, or records are missing or damaged.
    """
    state = distributed.shared_state(distributed.first(checkpoint.load, run.last))
    with distributed.together():
        check_identity(state, identity, run)
        try:
            put_back(state)
            sums.copy_(state["sums"])
            at.restore(state)
        except (AttributeError, LookupError, TypeError, ValueError, RuntimeError):
            raise BadState(f"{run.last}: does not fit the run's settings.yaml and space.yaml") from None
    return distributed.shared(distributed.first(kept_records, run, state, at.epoch, first))
