"""Candidates whose weights stop training once they fit the training images alone (OLES, "Operation-Level Early Stopping
for Robustifying Differentiable NAS", NeurIPS 2023)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fairdarts.differentiable.components import FreezingSettings
from fairdarts.supernet.supernet import Supernet

Gradients = Sequence[Tensor | None]
"""of all weights; None where one took no part"""


@dataclass(frozen=True, eq=False)
class Freezing:
    """How well the gradients of every candidate agree, and which candidates are frozen.

    The gradients of a candidate's weights of a training and of a held-out batch, each as one vector, have a cosine; GM
    is its mean over M steps. Where that is below the threshold, the weights stay for the rest of the search, or of its
    stage; α goes on.
    Every instance of a candidate, cell by cell, is judged alone.

    The released code compares training gradients g with g + g', as they are still there when the held-out ones g' are
    added: its cosines are near 0.7 where those of g and g' are near 0, and its threshold is for such ones (`against:
    sum`). It differs in more, which is not followed: g is that of the step before, clipped; a cosine is the mean of
    those at all positions of a filter, and over the tensors of a candidate; M + 1 of them are divided by M; and only
    separable and dilated convolutions are judged.
    """

    settings: FreezingSettings
    groups: tuple[tuple[int, ...], ...]
    """of every candidate that has weights, which of the supernet's they are; those it shares are of the first one"""
    sums: Tensor
    """of cosines, since a candidate was judged last [candidates]"""
    counts: Tensor
    """how many those are: less than the steps where a candidate does not run in both passes [candidates]"""
    frozen: Tensor
    """whether a candidate is frozen, on the CPU [candidates]"""
    since: Tensor
    """steps since the last judgement, a scalar on the CPU"""

    def rested(self, train: Gradients, held_out: Gradients | None) -> list[Tensor | None]:
        """A step's training gradients without those of weights that are frozen, once the held-out gradients at the same
        weights, if there are any, have been compared with them."""
        if held_out is not None:
            self._compare(train, held_out)
        resting = {weight for candidate in self.frozen.nonzero() for weight in self.groups[candidate]}
        return [None if number in resting else gradient for number, gradient in enumerate(train)]

    def _compare(self, train: Gradients, held_out: Gradients) -> None:
        """Adds the cosines of a step; judges in every M-th one, whoever has M of them."""
        pairs = {}
        for candidate in (~self.frozen).nonzero().flatten().tolist():
            one, other = (whole(side, self.groups[candidate]) for side in (train, held_out))
            if one is not None and other is not None:
                pairs[candidate] = one, other
        if pairs:
            found, there = cosines([*pairs.values()], self.settings.against == "sum")
            at = torch.tensor([*pairs], device=found.device)
            self.sums.index_add_(0, at, found)
            self.counts.index_add_(0, at, there.to(self.counts.dtype))
        self.since.add_(1)
        if self.since == self.settings.steps:  # not in every step, as a GPU would be waited for
            self.since.zero_()
            done = self.counts >= self.settings.steps
            self.frozen.logical_or_((done & (self.sums / self.counts < self.settings.threshold)).cpu())
            for kept in (self.sums, self.counts):
                kept.masked_fill_(done, 0)

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        return {name: getattr(self, name) for name in ("sums", "counts", "frozen", "since")}

    def restore(self, state: dict[str, Any]) -> None:
        """Puts back what `state` gave."""
        for name, value in state.items():
            getattr(self, name).copy_(value)


def whole(gradients: Gradients, group: Sequence[int]) -> Tensor | None:
    """The gradient of a candidate as one vector; None where it did not run."""
    own = [gradients[weight] for weight in group]
    there = [gradient.flatten() for gradient in own if gradient is not None]
    return torch.cat(there) if len(there) == len(own) else None


def cosines(pairs: Sequence[tuple[Tensor, Tensor]], summed: bool) -> tuple[Tensor, Tensor]:
    """The cosine of every pair of vectors, or (`summed`) of its first with its sum; and whether there is one: of a
    vector of zeros, as a gate of zero makes its candidate's gradient, there is none, and 0 is given."""
    lengths = torch.tensor([len(one) for one, _ in pairs], device=pairs[0][0].device)
    one, other = (torch.cat(side) for side in zip(*pairs, strict=True))
    dot, of_one, of_other = (
        torch.segment_reduce(product, "sum", lengths=lengths) for product in (one * other, one * one, other * other)
    )
    there = (of_one > 0) & (of_other > 0)
    if summed:
        dot, of_other = of_one + dot, (of_one + 2 * dot + of_other).clamp_min(torch.finfo(dot.dtype).tiny)
    return (dot / (of_one.sqrt() * of_other.sqrt())).masked_fill(~there, 0), there


def candidates_of(supernet: Supernet) -> Iterator[nn.Module]:
    """Every instance of every candidate, stage by stage."""
    for stage in supernet.stages:
        for own in getattr(stage, "candidates", ()):
            yield from own if isinstance(own, nn.ModuleList) else (own,)


def make_freezing(settings: FreezingSettings, supernet: Supernet, weights: Sequence[Tensor]) -> Freezing:
    """The state of a search that begins; `weights` are all of the supernet's, in the order of the gradients to come."""
    numbers = {id(weight): number for number, weight in enumerate(weights)}
    groups = []
    for candidate in candidates_of(supernet):
        own = [numbers.pop(id(weight)) for weight in candidate.parameters() if id(weight) in numbers]
        if own:
            groups.append(tuple(own))
    sums = weights[0].new_zeros(len(groups))
    frozen = torch.zeros(len(groups), dtype=torch.bool)
    return Freezing(settings, tuple(groups), sums, torch.zeros_like(sums), frozen, torch.zeros((), dtype=torch.int64))
