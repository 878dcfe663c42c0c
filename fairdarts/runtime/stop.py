"""How a run ends before its time: Ctrl-C or SIGTERM is noted, and obeyed at the next step boundary."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from fairdarts.config import UserError


class Diverged(UserError):
    """The loss is no longer a number: a new run with other settings may help, a resumed one cannot."""


class Stop:
    """Whether a stop was asked for, and by which signal."""

    signal: int | None = None


class Interrupted(KeyboardInterrupt):
    """The run saved its state and stopped, since a signal asked it to."""

    def __init__(self, signal_number: int):
        super().__init__(signal.Signals(signal_number).name)
        self.signal = signal_number


@contextmanager
def catch_signals(patient: bool = False) -> Iterator[Stop]:
    """Within it, the first SIGINT or SIGTERM is noted in the Stop; a second one ends the process as usual.

    A patient process only notes them all: torchrun hands on a signal that its processes have had already. Signals reach
    the main thread alone: in another one nothing is caught.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def note(number: int, _frame: object) -> None:
        stop.signal = stop.signal or number
        if patient:
            return
        for caught, handler in before.items():
            signal.signal(caught, handler)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
