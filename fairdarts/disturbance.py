"""What disturbs a search on purpose: noise on α or on what operations give, and dropout of the latter.

Every number is drawn from a generator of its own, whose seed follows from the search's seed, the step, the pass and the
place in the supernet. So a resumed search draws what it would have drawn, a cell that is computed again to save memory
sees the same noise, and the undisturbed part of a search draws as it does without.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from fairdarts.noise import SCHEDULES, DropoutSettings, NoiseSettings
from fairdarts.relaxation import Matrices
from fairdarts.runtime.seed import fold
from fairdarts.spaces.gates import Part


class Disturbance(NamedTuple):
    """What disturbs one pass of a supernet."""

    noise: NoiseSettings | None
    dropout: DropoutSettings | None
    seed: int
    """of this pass"""
    done: float
    """share of the epochs that are done"""
    shard: int = 0
    """which part of the batch this is; noise on α is the same for all of them"""

    def of_alphas(self, alphas: Matrices, parts: Mapping[str, Part]) -> Matrices:
        """α [choice points, candidates] of every part of the space, with its noise added."""
        if self.noise is None or self.noise.on != "gate":
            return alphas
        disturbed = {}
        for number, (part, alpha) in enumerate(alphas.items()):
            known = parts[part].candidates
            columns = [known.index(name) for name in self.noise.operations if name in known]
            noise = torch.zeros_like(alpha)
            noise[:, columns] = self._drawn(self.noise, alpha.new_empty(len(alpha), len(columns)), number)
            disturbed[part] = alpha + noise
        return disturbed

    def touches(self, name: str) -> bool:
        """Whether an operation's output is disturbed."""
        noisy = self.noise is not None and self.noise.on == "output" and name in self.noise.operations
        return noisy or (self.dropout is not None and name in self.dropout.operations)

    def of_output(self, x: Tensor, name: str, block: int, edge: int, column: int) -> Tensor:
        """x [B, C, H, W] of an operation, disturbed."""
        if self.dropout is not None and name in self.dropout.operations:
            keep = 1 - self.dropout.rate * SCHEDULES[self.dropout.schedule](self.done)
            kept = _pixels(x) if self.dropout.unit == "element" else x.new_empty(len(x), 1, 1, 1)
            kept.bernoulli_(keep, generator=self._generator(x, block, edge, column, 0, *self._part())).div_(keep)
            x = x * kept.permute(0, 3, 1, 2)
        if self.noise is not None and self.noise.on == "output" and name in self.noise.operations:
            x = x + self._drawn(self.noise, _pixels(x), block, edge, column, 1, *self._part()).permute(0, 3, 1, 2)
        return x

    def _part(self) -> tuple[int, ...]:
        return (self.shard,) if self.shard else ()

    def _drawn(self, noise: NoiseSettings, empty: Tensor, *place: int) -> Tensor:
        """A tensor filled with noise."""
        std, generator = noise.std * SCHEDULES[noise.schedule](self.done), self._generator(empty, *place)
        if noise.distribution == "uniform":
            return empty.uniform_(-math.sqrt(3) * std, math.sqrt(3) * std, generator=generator)
        return empty.normal_(0, std, generator=generator)

    def _generator(self, like: Tensor, *place: int) -> torch.Generator:
        return torch.Generator(like.device).manual_seed(fold(self.seed, *place))


def _pixels(x: Tensor) -> Tensor:
    """An empty tensor [B, H, W, C] for x [B, C, H, W]: filled in one order, whatever the layout of x."""
    batch, channels, height, width = x.shape
    return x.new_empty(batch, height, width, channels)
