"""How a run shows its progress: a live bar on a terminal, one line an epoch elsewhere; always on stderr."""

import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from fairdarts.config import plain
from fairdarts.evolution.objectives import amount
from fairdarts.runs.callbacks import Callback

if TYPE_CHECKING:
    from rich.progress import Progress
    from torch import Tensor

    from fairdarts.relaxation import Matrices
    from fairdarts.runs.result import Run

REFRESH_SECONDS = 0.2  # reading a number waits for the device, so it is done this often and no more

T = TypeVar("T")


class Shown(NamedTuple):
    """What is shown of a run."""

    numbers: Callable[..., str] | None
    """of a step: of its number in its epoch, and what the run tells of it; None where no bar is drawn"""
    line: Callable[[dict[str, Any]], str]
    """of an epoch's record"""


class ProgressBar(Callback):
    """Shows epoch, step, numbers and time left on a terminal or in a notebook, and a line an epoch."""

    def __init__(self) -> None:
        from rich.console import Console  # here, as verbs name this class before they know that they will run

        self.console = Console(stderr=True)
        notebook = self.console.is_jupyter and find_spec("ipywidgets") is not None
        self.live = self.console.is_terminal or notebook
        self.bar: Progress | None = None
        self.run: Run | None = None
        self.shown: Shown | None = None

    def note(self, text: str) -> None:
        with suppress(OSError):  # a run does not end because nobody can hear it
            print(plain(text), file=sys.stderr, flush=True)

    def begin(self, run: "Run") -> None:
        self.run, self.shown = run, SHOWN[run.verb](run) if run.verb in SHOWN else None
        self.drawn = 0.0
        self.first: int | None = None
        if (
            not self.live or self.shown is None or self.shown.numbers is None
        ):  # a bar that was never shown would end in an empty line
            return
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self.bar = Progress(
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            BarColumn(bar_width=None),
            TextColumn("step {task.fields[step]}/{task.fields[steps]}  {task.fields[numbers]}"),
            TimeRemainingColumn(compact=True),
            TextColumn("left"),
            console=self.console,
            transient=True,
            expand=True,
        )
        fields = {"epoch": 0, "epochs": run.settings.epochs, "step": 0, "steps": 0, "numbers": ""}
        self.task = self.bar.add_task("run", total=None, **fields)
        self.bar.start()

    def step(self, epoch: int, step: int, steps: int, *seen: Any) -> None:
        if self.bar is None or self.run is None or self.shown is None or self.shown.numbers is None:
            return
        done = (epoch - 1) * steps + step
        if self.first is None:  # a resumed run does not begin at 1
            self.first = done - 1
            self.bar.reset(self.task, total=steps * self.run.settings.epochs - self.first)
        if time.monotonic() - self.drawn < REFRESH_SECONDS:
            return
        self.drawn = time.monotonic()
        numbers = self.shown.numbers(step, *seen)
        self.bar.update(self.task, completed=done - self.first, epoch=epoch, step=step, steps=steps, numbers=numbers)

    def epoch(self, record: dict[str, Any]) -> None:
        if self.shown is not None:
            with suppress(OSError):
                self.console.print(self.shown.line(record), highlight=False, soft_wrap=True)

    def end(self, run: "Run") -> None:
        if self.bar is not None:
            self.bar.stop()
        self.bar = None

    def track(self, items: Iterable[T], total: float | None, what: str) -> Iterable[T]:
        if not self.live:
            return items
        from rich.progress import track

        return track(items, what, total, console=self.console, transient=True)


def _timed(run: "Run", record: dict[str, Any], numbers: str) -> str:
    """The line of an epoch: its number, what it says, and how long it took."""
    waited = record["loading_seconds"] / max(record["seconds"], 1e-9)
    speed = f"{record['images_per_second']:,.0f} images/s" + (f", {waited:.0%} waiting" if waited >= 0.1 else "")
    return f"epoch {record['epoch']:>3}/{run.settings.epochs}  {numbers}  {record['seconds']:.1f} s  {speed}"


def _true(record: dict[str, Any]) -> str:
    """'  truth 93.50 %', by the first column; nothing where a run is told no truth."""
    if "truth" not in record:
        return ""
    accuracy = next(iter(record["truth"].values()))
    return "  truth unknown" if accuracy is None else f"  truth {accuracy:5.2f} %"


def _cost(record: dict[str, Any]) -> str:
    """'  expected 21.3 M madds, derived 19.8 M madds'; nothing where a search asks for no cost."""
    if (cost := record.get("cost")) is None:
        return ""
    quantity, derived = cost["quantity"], cost["derived"]
    found = "no network" if derived is None else amount(derived, quantity)
    return f"  expected {amount(cost['expected'], quantity)}, derived {found}"


def _of_search(run: "Run") -> Shown:
    """Loss, accuracy and dominant operations."""
    from fairdarts.differentiable.architect import SUMS
    from fairdarts.differentiable.derive import dominant
    from fairdarts.differentiable.edges import edge_shares
    from fairdarts.relaxation import gate_matrices

    settings, space = run.settings, run.space

    def numbers(step: int, sums: "Tensor", alphas: "Matrices") -> str:
        rule = settings.derive
        gates = gate_matrices({part: alphas[part] for part in space.parts}, settings.relaxation)
        if shares := edge_shares(alphas, space):
            gates = {part: matrix * shares[part].numpy(force=True)[:, None] for part, matrix in gates.items()}
        counts = (dominant(matrix, space, part, rule.method, rule.threshold) for part, matrix in gates.items())
        count = sum(sum(count.values()) for count in counts)
        means = dict(zip(SUMS, (sums / step).tolist(), strict=True))
        return f"loss {means['train_loss']:.3f}  accuracy {means['train_accuracy']:.1%}  {count} dominant "

    def line(record: dict[str, Any]) -> str:
        held_out = f"  held-out {record['valid_accuracy']:6.1%}" if "valid_accuracy" in record else ""
        counts = " + ".join(str(sum(record["dominant"][part].values())) for part in space.parts)
        seen = f"loss {record['train_loss']:.4f}  accuracy {record['train_accuracy']:6.1%}{held_out}"
        return _timed(run, record, f"{seen}  dominant {counts}{_cost(record)}{_true(record)}")

    return Shown(numbers, line)


def _of_training(run: "Run", key: str, judged: str) -> Shown:
    """Loss and accuracy; `judged` is how a record that has the key says what the network is worth."""

    def of_step(step: int, sums: "Tensor") -> str:
        loss, accuracy = (sums / step).tolist()
        return f"loss {loss:.3f}  accuracy {accuracy:.1%} "

    def line(record: dict[str, Any]) -> str:
        seen = f"  {judged.format(**record)}" if key in record else ""
        numbers = f"loss {record['train_loss']:.4f}  accuracy {record['train_accuracy']:6.1%}{seen}{_true(record)}"
        return _timed(run, record, numbers)

    return Shown(of_step, line)


def _of_evolution(run: "Run") -> Shown:
    """What a generation has come to."""
    all_of = run.settings.generations

    def best(limit: str, accuracy: float | None) -> str:
        found = "none" if accuracy is None else f"{accuracy:.2f} %"
        return f"{found} ({limit})" if limit else found

    def line(record: dict[str, Any]) -> str:
        done, many = record["generation"], record["evaluations"]
        shown = ", ".join(best(name, accuracy) for name, accuracy in record["best"].items())
        left = timedelta(seconds=round((all_of - done) * record["seconds"]))
        return (
            f"generation {done:>{len(str(all_of))}}/{all_of}  {many:,} model{'s' if many != 1 else ''}  "
            f"front {record['front']}  hypervolume {record['hypervolume']:.4f}  best {shown}{_true(record)}  "
            f"{record['evaluations_per_second']:,.1f} models/s" + (f"  {left} left" if done < all_of else "")
        )

    return Shown(None, line)


SHOWN: dict[str, "Callable[[Run], Shown]"] = {
    "search": _of_search,
    "evolve": _of_evolution,
    "supernet": lambda run: _of_training(run, "watched", "paths {watched_mean:4.1f} ± {watched_std:.1f} %"),
    "train": lambda run: _of_training(run, "valid_loss", "top-1 {valid_top1:6.2%}  top-5 {valid_top5:6.2%}"),
    "segment": lambda run: _of_training(run, "valid_loss", "mean IoU {valid_miou:6.2%}  pixels {valid_accuracy:6.2%}"),
}
"""verb → what is shown of its runs"""
