"""What a supernet is told: at every choice point, which candidates run, and with which weights."""

from typing import NamedTuple

from torch import Tensor

Path = tuple[int, ...]
"""of every decision, the index of its choice"""

Subnet = tuple[tuple[int, ...], ...]
"""of every decision, the indices of its active choices: one each in a path"""


class Gate(NamedTuple):
    """What is active at one choice point."""

    active: tuple[int, ...]
    """the candidates that run, in rising order; none of them: nothing arrives from there"""
    weights: Tensor | float | None = None
    """what each output is multiplied by [active], or all of them; None: the output as it is, of several their mean"""


Gates = tuple[Gate, ...]
"""of every choice point"""


class Part(NamedTuple):
    """Choice points that have the same candidates: they share a matrix of α."""

    points: tuple[int, ...]
    """their numbers, in the order of the matrix' rows"""
    candidates: tuple[str, ...]
    """in the order of its columns"""

    @property
    def shape(self) -> tuple[int, int]:
        """[points, candidates]"""
        return len(self.points), len(self.candidates)


def subnet(path: Path) -> Subnet:
    """The subnet of a path alone."""
    return tuple((index,) for index in path)
