"""What a network is added up from: modules, each at its place."""

from collections.abc import Callable, Hashable
from typing import NamedTuple

from torch import nn

from fairdarts.runtime.shape import Size


class Part(NamedTuple):
    """A module at its place, build(*arguments) for an input [channels, *size]. Equal parts cost the same."""

    build: Callable[..., nn.Module]
    arguments: tuple[Hashable, ...]
    channels: int
    size: Size


class Parts(NamedTuple):
    """All that a space's networks are made of. A part that a network has several times stands there as often."""

    fixed: tuple[Part, ...]
    """what every network has"""
    choices: tuple[tuple[tuple[Part, ...], ...], ...]
    """what a candidate of a choice point adds [points][candidates]"""

    @property
    def distinct(self) -> tuple[Part, ...]:
        """Every part once."""
        added = (part for point in self.choices for parts in point for part in parts)
        return tuple(dict.fromkeys((*self.fixed, *added)))
