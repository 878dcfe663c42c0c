"""Who watches a run: progress, trackers, plots of one's own."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from fairdarts.config import UserError

if TYPE_CHECKING:
    from fairdarts.runs.result import Run

T = TypeVar("T")


class Callback:
    """Watches a run; nothing it does changes a number. Override what you need.

    Of several processes the first one's callbacks watch.
    """

    def note(self, text: str) -> None:
        """Something worth knowing, in one line."""

    def begin(self, run: "Run") -> None:
        """Before the first step, of a resumed run too."""

    def step(self, epoch: int, step: int, steps: int, *seen: Any) -> None:
        """After every step: epoch and step count from 1; `seen` are sums over the epoch's steps so far, and of a search
        α. To read a number of them waits for the device."""

    def epoch(self, record: dict[str, Any]) -> None:
        """After every epoch, or generation, once it is saved: its record, as metrics.jsonl holds it."""

    def end(self, run: "Run") -> None:
        """Once nothing runs any more: finished, stopped or failed, as `run.state` says."""

    def track(self, items: Iterable[T], total: float | None, what: str) -> Iterable[T]:
        """The items themselves, as something goes through them that takes a while, such as "judging"."""
        return items


Watches = Callback | Callable[[dict[str, Any]], None]
"""a Callback, or a function of an epoch's record"""


class _Records(Callback):
    def __init__(self, function: Callable[[dict[str, Any]], None]):
        self.function = function

    def epoch(self, record: dict[str, Any]) -> None:
        self.function(record)


class Callbacks(Callback):
    """Several callbacks as one; silent in all processes but the first."""

    def __init__(self, callbacks: Sequence[Watches] | Watches = ()):
        """Raises UserError where one is neither a Callback nor a function."""
        several: Any = callbacks if isinstance(callbacks, list | tuple) else [callbacks]
        for one in several:
            if isinstance(one, type) or not (isinstance(one, Callback) or callable(one)):
                should = "should be a fairdarts.Callback, a function of an epoch's record, or a list of them"
                raise UserError(f"callbacks: {one!r}: {should}")
        self._members = [one if isinstance(one, Callback) else _Records(one) for one in several]
        self._begun: list[Callback] = []

    @property
    def members(self) -> list[Callback]:
        # without torch, whose import takes a second, there are no others
        distributed = sys.modules.get("fairdarts.runtime.distributed")
        return self._members if distributed is None or distributed.rank() == 0 else []

    def note(self, text: str) -> None:
        for member in self.members:
            member.note(text)

    def begin(self, run: "Run") -> None:
        for member in self.members:
            member.begin(run)
            self._begun.append(member)

    def step(self, epoch: int, step: int, steps: int, *seen: Any) -> None:
        for member in self.members:
            member.step(epoch, step, steps, *seen)

    def epoch(self, record: dict[str, Any]) -> None:
        for member in self.members:
            member.epoch(record)

    def end(self, run: "Run") -> None:
        """Tells all that have begun, even where one of them fails."""
        with ExitStack() as stack:
            for member in self._begun:
                stack.callback(member.end, run)
            self._begun.clear()

    def track(self, items: Iterable[T], total: float | None, what: str) -> Iterable[T]:
        for member in self.members:
            items = member.track(items, total, what)
        return items


@contextmanager
def watching(run: "Run", watch: Callbacks) -> Iterator[None]:
    """Within it the run is at work: its callbacks are told that it begins, and however it ends."""
    from fairdarts.runtime import distributed

    try:
        with distributed.together():
            watch.begin(run)
        yield
    finally:
        watch.end(run)
