"""The running statistics of BatchNorms after the passes of a step that are not all run, or not all by one process.

A BatchNorm of momentum p that sees statistics s₁, …, sₘ one after another holds (1 − p)ᵐ r + Σ p (1 − p)ᵐ⁻ᵏ sₖ, so
that a pass counts for how many passes through the same BatchNorm follow it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from fairdarts.supernet.supernet import tracked_norms


def running_stats(norm: _BatchNorm) -> tuple[Tensor, Tensor]:
    """Running mean and variance, each [C], of a BatchNorm that tracks them."""
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None
    assert variance is not None
    return mean, variance


def _seen(norm: _BatchNorm) -> Tensor:
    """The number of batches [] that a BatchNorm has tracked."""
    count = norm.num_batches_tracked
    assert count is not None
    return count


def _momentum(norm: _BatchNorm) -> float:
    assert norm.momentum is not None, "a plain average over all batches cannot be shared out"
    return norm.momentum


@contextmanager
def repeated(module: nn.Module, times: int) -> Iterator[None]:
    """Within it, one pass moves the BatchNorms of a module as `times` equal ones would."""
    within = [(norm, _momentum(norm)) for norm in tracked_norms([module])]
    for norm, momentum in within:
        norm.momentum = 1 - (1 - momentum) ** times
    try:
        yield
    finally:
        for norm, momentum in within:
            norm.momentum = momentum
            _seen(norm).add_(times - 1)


class SharedStats:
    """The running statistics over several passes, of which this process runs some, and others the rest."""

    def __init__(self, passes: Sequence[Sequence[_BatchNorm]]):
        """Of every pass its BatchNorms that track statistics, each once a pass."""
        self.passes = passes
        self.uses: dict[_BatchNorm, list[int]] = {}
        for number, within in enumerate(passes):
            for norm in within:
                self.uses.setdefault(norm, []).append(number)
        self.before = {norm: [buffer.clone() for buffer in running_stats(norm)] for norm in self.uses}
        self.added = {norm: [torch.zeros_like(buffer) for buffer in running_stats(norm)] for norm in self.uses}
        self.count = {norm: _seen(norm).clone() for norm in self.uses}

    def take(self, number: int) -> None:
        """Notes what a pass has added, and puts the BatchNorms back to where they were before all passes."""
        for norm in self.passes[number]:
            keep = 1 - _momentum(norm)
            weight = keep ** sum(use > number for use in self.uses[norm])
            for added, buffer, before in zip(self.added[norm], running_stats(norm), self.before[norm], strict=True):
                added += weight * (buffer - keep * before)
                buffer.copy_(before)

    @property
    def taken(self) -> list[Tensor]:
        """What to sum over the processes, in place, before `put_back`."""
        return [added for both in self.added.values() for added in both]

    def put_back(self) -> None:
        """Leaves the BatchNorms as if this process had run all passes in their order."""
        for norm, uses in self.uses.items():
            keep = (1 - _momentum(norm)) ** len(uses)
            for added, buffer, before in zip(self.added[norm], running_stats(norm), self.before[norm], strict=True):
                buffer.copy_(keep * before + added)
            _seen(norm).copy_(self.count[norm] + len(uses))
