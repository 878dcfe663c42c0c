"""What all processes of a run do before every step: fetch a batch, save when it is time, stop when asked."""

import time
from collections.abc import Callable
from typing import TypeVar

from fairdarts.config import UserError
from fairdarts.runtime import distributed
from fairdarts.runtime.position import Position
from fairdarts.runtime.stop import Interrupted, Stop

SAVE, FAILED = 1, 1000
"""What a process asks of all before a step, besides the number of a signal"""

T = TypeVar("T")


class Pace:
    """Keeps the checkpoints of a run at most so many minutes apart."""

    def __init__(self, minutes: float, at: Position, stop: Stop, save: Callable[[], None]):
        self.minutes, self.at, self.stop, self._save = minutes, at, stop, save
        self.saved = at.clock = time.monotonic()

    def save(self) -> None:
        """Saves, in all processes together."""
        self._save()
        self.saved = time.monotonic()

    def fetch(self, draw: Callable[[], T]) -> T:
        """What `draw` gives for the next step.

        Raises Interrupted once any process was asked to stop, and UserError where any cannot draw, the state saved.
        """
        begun, drawn, problem = time.monotonic(), None, None
        try:
            drawn = draw()
        except UserError as error:  # an image could not be read: nothing of this step has happened yet
            problem = error
        self.at.loading += time.monotonic() - begun
        due = distributed.rank() == 0 and self.at.step > 0 and begun - self.saved >= self.minutes * 60
        asked = distributed.highest(FAILED if problem else self.stop.signal or (SAVE if due else 0))
        if asked:
            self.save()
            if asked == FAILED:
                distributed.agree(problem)
            if asked != SAVE:
                raise Interrupted(asked)
        return drawn
