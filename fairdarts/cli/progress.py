"""How a search shows its progress: a live bar on a terminal, one line an epoch elsewhere; always on stderr."""

import time
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from fairdarts.relaxation import Gates, gate_matrices
from fairdarts.search.architect import SUMS
from fairdarts.search.derive import dominant
from fairdarts.search.settings import SearchSettings
from fairdarts.spaces.space import Space

REFRESH_SECONDS = 0.2  # reading a number waits for the device, so it is done this often and no more


class SearchProgress:
    """An observer of a search: epoch, step, loss, accuracy, dominant operations, time left."""

    def __init__(self, settings: SearchSettings, space: Space):
        self.settings, self.space = settings, space
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
        fields = {"epoch": 0, "epochs": settings.epochs, "step": 0, "steps": 0, "numbers": ""}
        self.task = self.bar.add_task("search", total=None, **fields)
        self.shown = 0.0
        self.first: int | None = None
        """global number of the first step seen: a resumed search does not begin at 1"""

    def __enter__(self) -> Self:
        if not self.bar.disable:
            self.bar.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if not self.bar.disable:  # a bar that was never shown would end in an empty line
            self.bar.stop()

    def step(self, epoch: int, step: int, steps: int, sums: Tensor, alphas: Gates) -> None:
        done = (epoch - 1) * steps + step
        if self.first is None:
            self.first = done - 1
            self.bar.reset(self.task, total=steps * self.settings.epochs - self.first)
        if time.monotonic() - self.shown < REFRESH_SECONDS or self.bar.disable:
            return
        self.shown = time.monotonic()
        rule = self.settings.derive
        gates = gate_matrices(alphas, self.settings.relaxation)
        count = sum(sum(dominant(own, self.space, rule.method, rule.threshold).values()) for own in gates.values())
        means = dict(zip(SUMS, (sums / step).tolist(), strict=True))
        numbers = f"loss {means['train_loss']:.3f}  accuracy {means['train_accuracy']:.1%}  {count} dominant "
        self.bar.update(self.task, completed=done - self.first, epoch=epoch, step=step, steps=steps, numbers=numbers)

    def epoch(self, record: dict[str, Any]) -> None:
        held_out = f"  held-out {record['valid_accuracy']:6.1%}" if "valid_accuracy" in record else ""
        waited = record["loading_seconds"] / max(record["seconds"], 1e-9)
        speed = f"  {record['images_per_second']:,.0f} images/s" + (f", {waited:.0%} waiting" if waited >= 0.1 else "")
        counts = " + ".join(str(sum(record["dominant"][part].values())) for part in self.space.parts)
        self.console.print(
            f"epoch {record['epoch']:>3}/{self.settings.epochs}  loss {record['train_loss']:.4f}  "
            f"accuracy {record['train_accuracy']:6.1%}{held_out}  dominant {counts}  {record['seconds']:.1f} s{speed}",
            highlight=False,
            soft_wrap=True,
        )
