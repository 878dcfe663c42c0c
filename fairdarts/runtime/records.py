"""How a run's log stays whole: it holds what the checkpoint says, whatever a crash or a power cut left of it."""

import json
import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from fairdarts.config import Notice, UserError
from fairdarts.runtime import checkpoint
from fairdarts.runtime.checkpoint import BadState
from fairdarts.runtime.run import RunDirectory

Record = dict[str, Any]
LOST = "; a checkpoint of version 0.1 has no copy of them: put the log back as it was, or begin a new run"


def state_of_records(records: Sequence[Record]) -> dict[str, str]:
    """What a checkpoint holds of the records until then."""
    return {"records": json.dumps(list(records))}


def kept_records(run: RunDirectory, state: dict[str, Any], last: int, first: int = 1) -> list[Record]:
    """The records of a run from unit `first` to unit `last`, that of its checkpoint `state`, each once.

    They are those that the checkpoint holds; a checkpoint of version 0.1 holds none, and then they are those of the
    log. From now on the log has these alone: later ones are dropped, to be written again. Where it lacked some of them,
    had some twice or was damaged, a Notice says so. Raises BadState where they cannot be told.
    """
    records = _stored(state, run) if "records" in state else _of_log(run, last)
    if [record.get(run.unit) for record in records] != list(range(first, last + 1)):
        then = f"should hold the records of {run.unit}s {first} to {last}, as the checkpoint is of then"
        raise BadState(f"{run.metrics}: {then}{LOST if 'records' not in state else ''}")
    _settle(run, records)
    return records


def mend(run: RunDirectory) -> None:
    """Makes the log of a run that is to go on, or has ended, hold what its checkpoint says of it, if that says it."""
    with suppress(BadState):  # who needs the checkpoint will say so
        if run.last.is_file() and "records" in (state := checkpoint.load(run.last)):
            _settle(run, _stored(state, run))


def _settle(run: RunDirectory, records: Sequence[Record]) -> None:
    """Puts the records in the place of all that the log holds; a Notice says where it was not whole."""
    last = records[-1][run.unit] if records else 0
    try:
        before = [record for record in run.records() if record[run.unit] <= last]
    except UserError:
        before = None
    if json.dumps(before) != json.dumps(records):
        problem = f"did not hold every {run.unit} until {last} once"
        warnings.warn(f"{run.metrics}: {problem}; written again from what is known of them", Notice, stacklevel=3)
    run.rewrite(records)


def _of_log(run: RunDirectory, last: int) -> list[Record]:
    """The records of the log until unit `last`, each once."""
    try:
        known = {record[run.unit]: record for record in reversed(run.records())}  # of two the first is kept
    except UserError as error:
        raise BadState(f"{error}{LOST}") from None
    return [known[unit] for unit in sorted(known) if unit <= last]


def _stored(state: dict[str, Any], run: RunDirectory) -> list[Record]:
    try:
        records = json.loads(state["records"])
        if not all(isinstance(record, dict) for record in records):
            raise ValueError("not records")
        return records
    except (ValueError, TypeError, RecursionError):
        raise BadState(f"{run.last}: does not hold the records of its run") from None
