"""What a differentiable search is composed of besides relaxation and architect: settings of single components."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator

from fairdarts.config import Settings
from fairdarts.noise import SCHEDULES
from fairdarts.own import PartName


class Gumbel(Settings):
    """Samples of the Gumbel-softmax distribution (SNAS, arXiv:1812.09926; GDAS, arXiv:1910.04465)."""

    kind: Literal["gumbel"]
    """gumbel | binary | uniform | dirichlet"""
    hard: bool
    """whether one candidate of a point runs, under a straight-through gate of 1 (GDAS), or all of them (SNAS)"""
    temperature: tuple[float, float]
    """τ of the first and of the last epoch"""
    cooling: Literal["linear", "exponential"] = "linear"
    """how τ changes in between"""

    @field_validator("temperature")
    @classmethod
    def _above_zero(cls, temperature: tuple[float, float]) -> tuple[float, float]:
        if not all(0 < tau < float("inf") for tau in temperature):
            raise ValueError(f"{list(temperature)}: should be two numbers above 0, such as [10, 0.1]")
        return temperature


class Binary(Settings):
    """Binary gates (ProxylessNAS, arXiv:1812.00332): weights train on one candidate of a point, α on two."""

    kind: Literal["binary"]
    """gumbel | binary | uniform | dirichlet"""


class Uniform(Settings):
    """Paths that are drawn uniformly to train the weights (SETN, arXiv:1910.05733); α sees all candidates."""

    kind: Literal["uniform"]
    """gumbel | binary | uniform | dirichlet"""


class Dirichlet(Settings):
    """Samples of the Dirichlet distribution whose mean the relaxation dirichlet gives (DrNAS, arXiv:2006.10355)."""

    kind: Literal["dirichlet"]
    """gumbel | binary | uniform | dirichlet"""


SamplingSettings = Annotated[Gumbel | Binary | Uniform | Dirichlet, Field(discriminator="kind")]


class AuxiliarySettings(Settings):
    """A skip connection beside the candidates, whose weight is not learnt and fades (DARTS−, arXiv:2009.01027)."""

    weight: float = Field(gt=0)
    """its weight at full strength"""
    schedule: Annotated[str, PartName("schedule", *SCHEDULES)]
    """strength over the epochs"""


class FreezingSettings(Settings):
    """Candidates that are frozen one by one, once the gradients of training and held-out images disagree (OLES)."""

    threshold: float = Field(ge=-1, le=1)
    """the mean cosine of a candidate's gradients below which its weights stop training"""
    steps: int = Field(ge=1)
    """M: cosines of a mean, one a step"""
    against: Literal["held_out", "sum"] = "held_out"
    """what a gradient of training images is compared with: that of held-out images, as the paper defines it, or the sum
    of both, as its released code does"""


class PenaltySettings(Settings):
    """A loss of α beside that of the batch: β-decay (β-DARTS, arXiv:2203.01665), the entropy of gates (DA²S,
    arXiv:2007.03154), their sum, or a divergence of Dirichlet distributions (DrNAS, arXiv:2006.10355)."""

    form: Annotated[str, PartName("penalty", "beta_decay", "entropy", "l1", "dirichlet_kl")]
    """what is penalized"""
    weight: float
    """its weight at full strength; below zero it is a reward"""
    schedule: Annotated[str, PartName("schedule", *SCHEDULES)] = "constant"
    """strength over the epochs"""


def _grows(radius: tuple[float, float]) -> tuple[float, float]:
    if not (min(radius) >= 0 and 0 < max(radius) <= 1):
        right = "two numbers from 0 to 1, as gates are, and not both 0, such as [0.03, 0.3]"
        raise ValueError(f"{list(radius)}: should be {right}")
    return radius


class RandomPerturbation(Settings):
    """Gates that are moved at random before the weights train under them (SDARTS-RS, arXiv:2002.05283)."""

    kind: Literal["random"]
    """random | adversarial"""
    radius: Annotated[tuple[float, float], AfterValidator(_grows)]
    """ε, how far a gate is moved at most: in the first epoch, and what it grows to linearly"""


class AdversarialPerturbation(Settings):
    """Gates that are moved to where the training loss is higher (SDARTS-ADV)."""

    kind: Literal["adversarial"]
    """random | adversarial"""
    radius: Annotated[tuple[float, float], AfterValidator(_grows)]
    """ε, how far a gate is moved at most: in the first epoch, and what it grows to linearly"""
    steps: int = Field(default=7, ge=1)
    """steps of gradient ascent"""


PerturbationSettings = Annotated[RandomPerturbation | AdversarialPerturbation, Field(discriminator="kind")]
