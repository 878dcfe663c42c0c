"""How a run shows its progress: a live bar on a terminal, one line an epoch elsewhere; always on stderr."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from fairdarts.config import UserError
from fairdarts.relaxation import Matrices, gate_matrices
from fairdarts.runtime import distributed
from fairdarts.runtime.run import Run
from fairdarts.runtime.settings import EpochSettings
from fairdarts.search.architect import SUMS
from fairdarts.search.derive import dominant
from fairdarts.search.settings import SearchSettings
from fairdarts.spaces.space import Space

REFRESH_SECONDS = 0.2  # reading a number waits for the device, so it is done this often and no more


class RunProgress:
    """An observer of a run: epoch, step, numbers, time left."""

    def __init__(self, epochs: int, numbers: Callable[..., str], line: Callable[[dict[str, Any]], str]):
        """`numbers` makes the text of a step, of the step's number in its epoch and what the run tells of it; `line`
        that of an epoch, of its record."""
        self.epochs, self.numbers, self.line = epochs, numbers, line
        self.console = Console(stderr=True)
        self.bar = Progress(
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            BarColumn(bar_width=None),
            TextColumn("step {task.fields[step]}/{task.fields[steps]}  {task.fields[numbers]}"),
            TimeRemainingColumn(compact=True),
            TextColumn("left"),
            console=self.console,
            transient=True,
            expand=True,
            disable=not self.console.is_terminal,
        )
        fields = {"epoch": 0, "epochs": epochs, "step": 0, "steps": 0, "numbers": ""}
        self.task = self.bar.add_task("run", total=None, **fields)
        self.shown = 0.0
        self.first: int | None = None
        """global number of the first step seen: a resumed run does not begin at 1"""

    def __enter__(self) -> Self:
        if not self.bar.disable:
            self.bar.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if not self.bar.disable:  # a bar that was never shown would end in an empty line
            self.bar.stop()

    def step(self, epoch: int, step: int, steps: int, *seen: Any) -> None:
        done = (epoch - 1) * steps + step
        if self.first is None:
            self.first = done - 1
            self.bar.reset(self.task, total=steps * self.epochs - self.first)
        if time.monotonic() - self.shown < REFRESH_SECONDS or self.bar.disable:
            return
        self.shown = time.monotonic()
        numbers = self.numbers(step, *seen)
        self.bar.update(self.task, completed=done - self.first, epoch=epoch, step=step, steps=steps, numbers=numbers)

    def epoch(self, record: dict[str, Any]) -> None:
        waited = record["loading_seconds"] / max(record["seconds"], 1e-9)
        speed = f"  {record['images_per_second']:,.0f} images/s" + (f", {waited:.0%} waiting" if waited >= 0.1 else "")
        line = f"epoch {record['epoch']:>3}/{self.epochs}  {self.line(record)}  {record['seconds']:.1f} s{speed}"
        with suppress(OSError):  # a run does not end because nobody can hear it
            self.console.print(line, highlight=False, soft_wrap=True)


class Watcher:
    """Shows a run on the terminal and in TensorBoard; `log` writes a record to the writer."""

    def __init__(self, progress: RunProgress, writer: Any, log: Callable[[Any, dict[str, Any]], None]):
        self.step, self.progress, self.writer, self.log = progress.step, progress, writer, log

    def epoch(self, record: dict[str, Any]) -> None:
        self.progress.epoch(record)
        self.log(self.writer, record)
        self.writer.flush()


@contextmanager
def tensorboard(run: Run, purge: int | None) -> Iterator[Any]:
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


class Silence:
    """Shows nothing: what watches in all processes but the first."""

    def step(self, *_: Any) -> None: ...

    def epoch(self, record: dict[str, Any]) -> None: ...


@contextmanager
def watched(
    run: Run, progress: RunProgress, log: Callable[[Any, dict[str, Any]], None], purge: int | None
) -> Iterator[Watcher | Silence]:
    """The observer of a run, in the first process a Watcher; see `tensorboard` for `purge`."""
    if distributed.rank() > 0:
        yield Silence()
        return
    with tensorboard(run, purge) as writer, progress:
        yield Watcher(progress, writer, log)


def search_progress(settings: SearchSettings, space: Space) -> RunProgress:
    """Loss, accuracy and dominant operations of a search."""

    def numbers(step: int, sums: Tensor, alphas: Matrices) -> str:
        rule = settings.derive
        gates = gate_matrices(alphas, settings.relaxation)
        counts = (dominant(matrix, space, part, rule.method, rule.threshold) for part, matrix in gates.items())
        count = sum(sum(count.values()) for count in counts)
        means = dict(zip(SUMS, (sums / step).tolist(), strict=True))
        return f"loss {means['train_loss']:.3f}  accuracy {means['train_accuracy']:.1%}  {count} dominant "

    def line(record: dict[str, Any]) -> str:
        held_out = f"  held-out {record['valid_accuracy']:6.1%}" if "valid_accuracy" in record else ""
        counts = " + ".join(str(sum(record["dominant"][part].values())) for part in space.parts)
        return f"loss {record['train_loss']:.4f}  accuracy {record['train_accuracy']:6.1%}{held_out}  dominant {counts}"

    return RunProgress(settings.epochs, numbers, line)


def training_progress(settings: EpochSettings, key: str, judged: str) -> RunProgress:
    """Loss and accuracy of a training; `judged` is how a record that has the key says what the network is worth."""

    def numbers(step: int, sums: Tensor) -> str:
        loss, accuracy = (sums / step).tolist()
        return f"loss {loss:.3f}  accuracy {accuracy:.1%} "

    def line(record: dict[str, Any]) -> str:
        seen = f"  {judged.format(**record)}" if key in record else ""
        return f"loss {record['train_loss']:.4f}  accuracy {record['train_accuracy']:6.1%}{seen}"

    return RunProgress(settings.epochs, numbers, line)
