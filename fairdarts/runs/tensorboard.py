"""The TensorBoard events that every run leaves, beside what its callbacks see."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fairdarts.config import UserError
from fairdarts.runs.callbacks import Callback, Callbacks
from fairdarts.runtime import distributed
from fairdarts.runtime.run import RunDirectory

Log = Callable[[Any, dict[str, Any]], None]
"""writes a record to a SummaryWriter"""


class _Logged(Callback):
    """A run's callbacks, and its writer."""

    def __init__(self, watch: Callbacks, writer: Any, log: Log):
        self.step, self.watch, self.writer, self.log = watch.step, watch, writer, log  # type: ignore[method-assign]

    def epoch(self, record: dict[str, Any]) -> None:
        self.watch.epoch(record)
        self.log(self.writer, record)
        self.writer.flush()


@contextmanager
def logged(run: RunDirectory, watch: Callbacks, log: Log, purge: int | None) -> Iterator[Callback]:
    """What a run tells of its steps and epochs; the first process also writes them for TensorBoard.

    What an interrupted run wrote from step `purge` on is hidden.
    """
    if distributed.rank() > 0:
        yield Callback()
        return
    with tensorboard(run, purge) as writer:
        yield _Logged(watch, writer, log)


@contextmanager
def tensorboard(run: RunDirectory, purge: int | None) -> Iterator[Any]:
    """A `SummaryWriter` of a run; what an interrupted one wrote from step `purge` on is hidden.

    Raises UserError naming the folder where it cannot write.
    """
    from torch.utils.tensorboard import SummaryWriter  # takes a second to import, and only a run needs it

    folder, usual = run.path / "tensorboard", threading.excepthook

    def tell(problem: Any) -> None:  # that of its thread it raises once more here
        if not type(problem.thread).__module__.startswith("tensorboard."):
            usual(problem)

    threading.excepthook = tell
    try:
        with SummaryWriter(folder, purge_step=purge) as writer:
            yield writer
    except OSError as error:
        if error.filename is not None:
            raise
        raise UserError(f"{folder}: cannot be written: {error.strerror}") from None
    finally:
        threading.excepthook = usual
