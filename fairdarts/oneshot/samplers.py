"""Which subnets a supernet step trains: strict fairness and its rivals."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from fairdarts.config import UserError
from fairdarts.oneshot.controlled import Controlled
from fairdarts.oneshot.sampler import Sampler, Step
from fairdarts.oneshot.settings import SamplerSettings
from fairdarts.spaces.gates import Subnet, subnet
from fairdarts.spaces.space import Space


class StrictFair(Sampler):
    """Every choice of every point once a step (FairNAS, Algorithm 1): m paths without replacement, one update.

    Where paths choose inputs, too, all m paths of a step have one topology, that of a path drawn uniformly, and take
    turns at the operations alone ("How to Train Your Super-Net", appendix A.1).

    A point with fewer choices than the largest is filled up with its own (supplementary, "Irregular Search Spaces"):
    the paper draws the surplus once, before the training; here it is drawn anew in every step, and without replacement,
    so that no choice is preferred in the long run, and in a step two choices of a point differ by one at most.
    """

    @property
    def passes(self) -> int:
        return max(self.counts[point] for point in self.operations)

    def draw(self, progress: float) -> Step:
        path = self.path() if self.space.topology else ()
        fixed = {point: [path[point]] * self.passes for point in self.space.topology}
        columns = [fixed.get(point) or self._column(count) for point, count in enumerate(self.counts)]
        return [[subnet(path) for path in zip(*columns, strict=True)]]

    def _column(self, count: int) -> list[int]:
        """The choices of a point, one for each path, in random order."""
        whole, rest = divmod(self.passes, count)
        surplus = torch.randperm(count, generator=self.generator)[:rest] if rest else torch.empty(0, dtype=torch.long)
        column = torch.cat([torch.arange(count).repeat(whole), surplus])
        return column[torch.randperm(self.passes, generator=self.generator)].tolist()


class Uniform(Sampler):
    """One path, each choice as likely as any other of its point (SPOS, arXiv:1904.00420)."""

    passes = 1

    def draw(self, progress: float) -> Step:
        return [[subnet(self.path())]]


class UniformRepeat(Sampler):
    """One path, updated so many times on the batch (EF in FairNAS, section 5.1)."""

    def __init__(self, space: Space, generator: torch.Generator, repeats: int):
        super().__init__(space, generator)
        self.repeats = repeats

    @property
    def passes(self) -> int:
        return self.repeats

    def draw(self, progress: float) -> Step:
        chosen = subnet(self.path())
        return [[chosen] for _ in range(self.repeats)]


class OneShot(Sampler):
    """All choices at once, each left out with a probability that rises (Bender et al., ICML 2018, section 3.2).

    It is r^(1/m) for a point of m choices, times the share of the training that is done, so that at the end a point is
    left without any choice with probability r; it then keeps one, drawn uniformly, as a layer cannot be empty here.
    """

    passes = 1

    def __init__(self, space: Space, generator: torch.Generator, rate: float):
        super().__init__(space, generator)
        self.rate = rate

    def draw(self, progress: float) -> Step:
        return [[tuple(self._kept(count, progress) for count in self.counts)]]

    def _kept(self, count: int, progress: float) -> tuple[int, ...]:
        drawn = torch.rand(count, generator=self.generator)
        one = int(torch.randint(count, (), generator=self.generator))
        kept = (drawn >= progress * self.rate ** (1 / count)).nonzero().flatten().tolist()
        return tuple(kept) or (one,)


class Architecture(Sampler):
    """One path, each stand-alone network as likely as any other (Random-A in arXiv:2003.04276, section 3)."""

    passes = 1

    def draw(self, progress: float) -> Step:
        return [[subnet(self.space.random_distinct(self.below))]]


class OwnSampler(Sampler):
    """A sampler of a user's own: an object of `passes` and `draw(progress)`, made of the space and a generator.

    A path, or a subnet, that it draws has of every decision the number of a choice, or of several. Raises UserError
    naming the sampler where the space has no such path.
    """

    def __init__(self, name: str, make: Callable[..., Any], space: Space, generator: torch.Generator):
        super().__init__(space, generator)
        self.name, self.own = name, make(space, generator)

    @property
    def passes(self) -> int:
        return int(self.own.passes)

    def draw(self, progress: float) -> Step:
        return [[self._subnet(path) for path in update] for update in self.own.draw(progress)]

    def _subnet(self, path: Sequence[Any]) -> Subnet:
        if len(path) != len(self.counts):
            raise UserError(f"sampler '{self.name}': a path of {len(path)} choices, should be {len(self.counts)}")
        chosen = tuple((one,) if isinstance(one, int) else tuple(one) for one in path)
        for point, (active, count) in enumerate(zip(chosen, self.counts, strict=True)):
            if not active or not all(choice in range(count) for choice in active):
                right = f"should be numbers of its choices, 0 to {count - 1}"
                raise UserError(f"sampler '{self.name}': chooses {path[point]!r} at decision {point}, {right}")
        return chosen


SAMPLERS: dict[str, Callable[..., Sampler]] = {
    "strict_fair": StrictFair,
    "uniform": Uniform,
    "uniform_repeat": UniformRepeat,
    "one_shot": OneShot,
    "architecture": Architecture,
    "controller": Controlled,
}
"""`sampler.kind` → sampler(space, generator, and what its settings say besides)"""


def make_sampler(settings: SamplerSettings, space: Space, generator: torch.Generator) -> Sampler:
    """The sampler that settings name."""
    return SAMPLERS[settings.kind](space, generator, **settings.model_dump(exclude={"kind"}))


def tally(counts: Sequence[torch.Tensor], step: Step) -> None:
    """Adds how often a step updates every choice to `counts`, a tensor [choices] for every point."""
    for update in step:
        for chosen in update:
            for updates, indices in zip(counts, chosen, strict=True):
                updates[list(indices)] += 1
