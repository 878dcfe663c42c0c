"""The form of all samplers, which make the steps of a supernet's training.

A sampler's `draw(progress)` gives one step, made on one batch of images: a list of updates of the weights, each a list
of the subnets whose gradients it sums. `progress` is the share of the training that is done, 0 to 1. All chance comes
from one generator, in `sampler.generator`. What a resumed training needs is `state()`; most samplers learn nothing, and
have no more than the generator's.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch

from fairdarts.spaces.gates import SinglePath, Subnet
from fairdarts.spaces.space import Space

Step = list[list[Subnet]]

Judge = Callable[[Sequence[SinglePath]], list[float]]
"""Gives the accuracy of paths in percent, each time on the next batch of held-out images"""


class Sampler(ABC):
    """Draws steps for a space."""

    def __init__(self, space: Space, generator: torch.Generator):
        self.space, self.generator = space, generator
        self.counts = [len(names) for names in space.choices]
        self.operations = space.operation_points

    @property
    @abstractmethod
    def passes(self) -> int:
        """Forward and backward passes of a step."""

    @abstractmethod
    def draw(self, progress: float) -> Step: ...

    @property
    def batches(self) -> int:
        """Held-out batches that it learns from after an epoch: none, but where a sampler learns."""
        return 0

    @property
    def learnt(self) -> list[torch.Tensor]:
        """What it learns, which all processes should hold alike."""
        return []

    def learn(self, judge: Judge) -> dict[str, Any]:
        """Learns after an epoch from what paths are worth, and gives what the epoch's record says of it.

        It asks `judge` as often as `batches` says.
        """
        return {}

    def promising(self, count: int, generator: torch.Generator) -> list[SinglePath] | None:
        """So many paths of those that it has come to prefer; None where it prefers none."""
        return None

    def state(self) -> Any:
        """All that later steps depend on."""
        return self.generator.get_state()

    def restore(self, state: Any) -> None:
        """Puts a state back."""
        self.generator.set_state(state)

    def path(self) -> SinglePath:
        """A path, each as likely as any other."""
        return self.space.random_path(self.below)

    def below(self, count: int) -> int:
        """A number from 0 to below `count`, each as likely as any other."""
        return int(torch.randint(count, (), generator=self.generator))
