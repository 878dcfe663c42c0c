"""The gates under which a supernet runs: of every choice point, which candidates are active and with which weight."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

SinglePath = tuple[int, ...]
"""of every decision, the index of its choice"""
Subnet = tuple[tuple[int, ...], ...]
"""of every decision, the indices of its active choices: one each in a path"""


class Gate(NamedTuple):
    """What is active at one choice point."""

    active: tuple[int, ...]
    """indices of the candidates that run; none: nothing arrives from this point, but a layer of a chain has one"""
    weights: Tensor | float | None = None
    """a tensor [active] holds the weight of each output, and a gradient flows through it; a number is that of all;
    None leaves an output as it is, and takes the mean of several"""
    scale: Tensor | None = None
    """a scalar by which all that leaves the point is multiplied; what `weights` weigh already has it, but what passes
    by the candidates (supernet.partial) does not; None for 1"""
    idle: int = 0
    """how many of the active ones, at the end, have a weight of zero: they run for its gradient alone"""


Gates = tuple[Gate, ...]
"""one for each choice point"""


class Part(NamedTuple):
    """Choice points with the same list of candidates: α of a part is a matrix [points, candidates]."""

    points: tuple[int, ...]
    """numbers of the choice points, in the order of the rows of α"""
    candidates: tuple[str, ...]
    """names of the candidates, in the order of the columns of α"""

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of α: [points, candidates]."""
        return len(self.points), len(self.candidates)


def subnet(path: SinglePath) -> Subnet:
    """The subnet of a path alone."""
    return tuple((choice,) for choice in path)


def only_path(chosen: Subnet) -> SinglePath:
    """The path of a subnet that is no more than one. Raises ValueError where a decision has not one active choice."""
    return tuple(choice for (choice,) in chosen)
