"""What a search step updates, and where in a search it stands."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from fairdarts.differentiable.freezing import Freezing
from fairdarts.differentiable.price import Price
from fairdarts.differentiable.settings import SearchSettings
from fairdarts.relaxation import Matrices
from fairdarts.supernet.supernet import Supernet

Batch = tuple[Tensor, Tensor]
"""images [B, C, H, W] and labels [B]"""


@dataclass(frozen=True)
class Learner:
    """All that a step updates."""

    settings: SearchSettings
    supernet: Supernet
    alphas: Matrices
    """α of every part; and where edges have weights, β of every part beside it (see `edges.beta_of`)"""
    weight_optimizer: torch.optim.SGD
    alpha_optimizer: torch.optim.Optimizer
    price: Price | None = None
    """what the gates cost, where the search asks for it"""
    class_weights: Tensor | None = None
    """what the loss of an image of every class is multiplied by [classes]; None for 1"""
    alive: Matrices | None = None
    """part → which of its candidates are still there, booleans [points, candidates]; None: all of them"""
    stage: int = 0
    """which stage of the search it is of, from 0; `settings` are those of the stage"""
    freezing: Freezing | None = None
    """which candidates no longer train, where the search asks for it"""

    @property
    def weights(self) -> list[Tensor]:
        """The supernet's parameters, as their optimizer lists them: to ask its thousands of modules takes a while."""
        return self.weight_optimizer.param_groups[0]["params"]


class StepIndex(NamedTuple):
    """The place of a step in a search, on which depends what disturbs it and what it draws."""

    epoch: int
    """from 0; of its stage"""
    step: int
    """of the whole search, from 0"""


START = StepIndex(0, 0)
