"""What a supernet is made of between stem and tail: stages, which run what their gates say."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import torch.nn.functional as F
from torch import Tensor, nn

from fairdarts.disturbance import Disturbance
from fairdarts.spaces.gates import Gate, Gates


class Stage(Protocol):
    """A module that runs under gates. What it takes and gives is up to the kind of space: an image, or a pair."""

    points: tuple[int, ...]
    """the numbers of the choice points that it reads; none where it is fixed"""

    def __call__(self, x: Any, gates: Gates, disturbance: Disturbance | None = None, index: int = 0) -> Any:
        """The output under the gates of its own points. `index` is its number, by which a disturbance knows its
        place."""

    def active(self, gates: Gates) -> Iterator[nn.Module]:
        """The modules that run under the gates of its own points."""

    def compile(self, *, mode: str, dynamic: bool) -> None:
        """Compiles it in place, as every module can be."""


class SupernetParts(NamedTuple):
    """A supernet's modules in their order."""

    stem: nn.Module
    stages: Sequence[nn.Module]
    tail: nn.Module


class Fixed(nn.Module):
    """A stage without choices."""

    points: tuple[int, ...] = ()

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module

    def forward(self, x: Tensor, gates: Gates = (), disturbance: Disturbance | None = None, index: int = 0) -> Tensor:
        return self.module(x)

    def active(self, gates: Gates = ()) -> Iterator[nn.Module]:
        """The module itself."""
        yield self.module


class Node:
    """The value of a cell's node [B, C, H, W], and what the edges that leave it share."""

    def __init__(self, value: Tensor):
        self.value = value
        self._found: dict[Any, Tensor] = {}

    @property
    def rectified(self) -> Tensor:
        """ReLU(value)"""
        return self.once(F.relu, lambda: F.relu(self.value))  # a cached_property has a lock, which does not compile

    def once(self, key: object, compute: Callable[[], Tensor]) -> Tensor:
        """What `compute` gives, which is asked once for every key."""
        if key not in self._found:
            self._found[key] = compute()
        return self._found[key]


def total(terms: Sequence[Tensor]) -> Tensor:
    """The sum of one or more tensors of one shape."""
    whole = terms[0]
    for term in terms[1:]:
        whole = whole + term
    return whole


def weighted(outputs: Sequence[Tensor], gate: Gate) -> Tensor:
    """What a choice point gives under a gate whose weights are not a tensor; an active candidate without an output, as
    `none`, counts as zeros."""
    whole = total(outputs)
    if gate.weights is not None:
        return whole * gate.weights
    return whole / len(gate.active) if len(gate.active) > 1 else whole
