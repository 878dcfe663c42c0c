"""The frame of all that trains epoch by epoch: go on or begin, hand out batches, save, stop when asked, keep a record.

if resumes(run, resume):
    records += …                    # of the last checkpoint
else:
    begin(run, records, state)
for batches in epochs(settings, run, at, records, state, steps, draw, observer.epoch, stop):
    for batch in batches:
        …                           # a step
    means = means_of(sums, SUMS, steps)
    check_converging(…)
    records.append({"epoch": …} | means | at.finish_epoch(images))
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from torch import Tensor

from fairdarts.config import UserError
from fairdarts.runtime import checkpoint, distributed
from fairdarts.runtime.checkpoint import BadState
from fairdarts.runtime.finite import all_finite
from fairdarts.runtime.position import Position
from fairdarts.runtime.records import Record
from fairdarts.runtime.run import RunDirectory
from fairdarts.runtime.settings import EpochSettings
from fairdarts.runtime.stop import Diverged, Interrupted, Stop

SAVE, FAILED = 1, 1000
"""What a process asks of all before a step, besides the number of a signal"""

GiveState = Callable[[], dict[str, Any]]
"""Gives all that the rest of a run depends on, which its checkpoint holds"""

Batch = TypeVar("Batch")


class Observer(Protocol):
    """Who watches a training; nothing it does changes a number."""

    def step(self, epoch: int, step: int, steps: int, sums: Tensor) -> None:
        """After every step: epoch and step count from 1, `sums` are those over the epoch's steps so far."""

    def epoch(self, record: Record) -> None:
        """After every epoch, once it is saved: its record, as metrics.jsonl holds it."""


def resumes(run: RunDirectory, resume: bool) -> bool:
    """Whether a run that is to be resumed has a checkpoint to go on from; all processes get what the first one sees.

    A run that was killed before its first checkpoint begins anew. Raises BadState where epochs are recorded, but their
    checkpoint is gone.
    """
    found = False
    with distributed.together():
        if resume and distributed.rank() == 0:
            found = run.last.is_file()
            done = 0 if found else max((record[run.unit] for record in run.records()), default=0)
            if done:
                advice = "put it back, or begin a new run with another --out"
                raise BadState(
                    f"{run.last}: no such checkpoint, but {run.metrics} tells of {run.unit} {done}; {advice}"
                )
    return bool(distributed.shared(found))


def begin(run: RunDirectory, records: Sequence[Record], state: GiveState) -> None:
    """Makes these the records of a run that begins, and writes its first checkpoint."""
    distributed.first(run.rewrite, records)
    save(run, state)


def save(run: RunDirectory, state: GiveState) -> None:
    """Writes the checkpoint of a run; all processes wait for the first one, which does it."""
    distributed.first(lambda: checkpoint.save(run.last, state()))


def epochs(
    settings: EpochSettings,
    run: RunDirectory,
    at: Position,
    records: list[Record],
    state: GiveState,
    steps: int,
    draw: Callable[[], Batch],
    tell: Callable[[Record], None],
    stop: Stop,
) -> Iterator[Iterator[Batch]]:
    """Yields the batches of every epoch that is left. Who takes them moves `at` to the next epoch, and appends its
    record, which is then logged, saved and told to `tell`.

    `draw` gives the batch of a step. Before a step all processes save together where that is due. Raises Interrupted
    once any of them was asked to stop, and UserError where one cannot draw, the state saved.
    """
    saved = at.clock = time.monotonic()
    distributed.first(run.clear_divergence)

    def batches() -> Iterator[Batch]:
        nonlocal saved
        while at.step < steps:
            begun, problem = time.monotonic(), None
            try:
                batch = draw()
            except UserError as error:  # an image could not be read: nothing of this step has happened yet
                problem = error
            at.loading += time.monotonic() - begun
            due = distributed.rank() == 0 and at.step > 0 and begun - saved >= settings.save_minutes * 60
            asked = distributed.highest(FAILED if problem else stop.signal or (SAVE if due else 0))
            if asked:
                save(run, state)
                saved = time.monotonic()
                if asked == FAILED:
                    distributed.agree(problem)
                if asked != SAVE:
                    raise Interrupted(asked)
            yield batch
            at.step += 1

    while at.epoch < settings.epochs:
        yield batches()
        at.clock = time.monotonic()  # what was measured after the epoch is no part of the next one's time
        distributed.first(run.log, records[-1])
        save(run, state)
        saved = time.monotonic()
        tell(records[-1])


def means_of(sums: Tensor, names: Sequence[str], steps: int) -> dict[str, float]:
    """The means of an epoch's sums over its steps, by name; the sums begin anew, at 0."""
    means = dict(zip(names, (sums / steps).tolist(), strict=True))
    sums.zero_()
    return means


def check_converging(
    run: RunDirectory, loss: float, tensors: Iterable[Tensor], problem: str | Callable[[], str]
) -> None:
    """Raises Diverged where the loss, or a number of the tensors, is not finite in any process; the run says so, too.

    `problem` is what is said behind "the loss is" or "the weights are", or gives the whole sentence.
    """
    sound = math.isfinite(loss)
    found = None
    if not (sound and all_finite(tensors)):
        what = "the weights are" if sound else "the loss is"
        found = Diverged(f"{run.path}: {f'{what} {problem}' if isinstance(problem, str) else problem()}")
    if distributed.highest(int(found is not None)):
        distributed.first(run.note_divergence, str(found or "the loss of another process is no longer finite"))
    distributed.agree(found)


def check_processes(run: RunDirectory, epoch: int, tensors: Sequence[Tensor], what: str) -> None:
    """Raises UserError where the processes do not hold the same tensors, which the message calls `what`."""
    alike = distributed.agree_on(tensors)
    with distributed.together():
        if not alike:
            raise UserError(f"{run.path}: after epoch {epoch} the processes hold different {what}")
