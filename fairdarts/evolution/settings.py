"""What the second stage can be told: the settings of its recipe."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from fairdarts.config import Settings
from fairdarts.evolution.objectives import ACCURACY, QUANTITIES, Limit, Objective, read_limit, read_objective
from fairdarts.oneshot.settings import read_statistics
from fairdarts.runtime.settings import TRUTH, RecipeSettings, TruthSettings, Words

MAY_CHANGE = ("supernet", "root", "device", "models", "budgets", *TRUTH)
"""What a resumed search may be told anew: where its supernet, the images and the truth lie, and which models it ends
with."""


class _Controller(Settings):
    kind: str
    """how it learns"""
    hidden: int = Field(ge=1, le=65536)
    """width of the LSTM and of its input"""
    lr: float = Field(gt=0)
    """Adam's learning rate"""
    entropy: float = Field(ge=0)
    """weight of the entropy bonus, the mean entropy of a choice in nats"""
    baseline: float = Field(ge=0)
    """weight of the baseline's loss, its mean squared error; 0 for a baseline of 0"""
    keep: float = Field(gt=0, lt=1)
    """probability with which the untrained controller keeps a choice of the parent"""


class Reinforce(_Controller):
    """REINFORCE (MoreMNAS): one step along the gradient for a batch."""

    kind: Literal["reinforce"]


class PPO(_Controller):
    """PPO (FairNAS): several steps for a batch, with little to gain far from the policy before them."""

    kind: Literal["ppo"]
    clip: float = Field(gt=0, lt=1)
    """ε, the change of a choice's probability, as a share of it, beyond which nothing is gained"""
    epochs: int = Field(ge=1)
    """passes over a batch, a step each"""


ControllerSettings = Annotated[PPO | Reinforce, Field(discriminator="kind")]


class NSGA2Settings(Settings):
    """NSGA-II with the hierarchical mutation of FairNAS (v1, Table 4); its rivals are the same with other shares."""

    kind: Literal["nsga2"]
    mutation: float = Field(ge=0, le=1)
    """share of the offspring that mutation makes; crossover makes the rest"""
    random: float = Field(ge=0, le=1)
    """p_rm: of mutations, those that draw a choice uniformly"""
    reinforced: float = Field(ge=0, le=1)
    """p_re: of mutations, those by the controller or by cost"""
    prior: float = Field(ge=0, le=1)
    """p_pr: of mutations, those that draw a choice from the prior of its point"""
    by_controller: float = Field(ge=0, le=1)
    """p_M: of reinforced mutations, those by the controller; the rest, p_K−M, draw a choice by its cost"""
    prior_weights: tuple[tuple[Annotated[float, Field(ge=0)], ...], ...] | None = None
    """prior: a weight of every choice of every point; null: how often the population has it, and one more"""
    controller: ControllerSettings | None = None
    """what draws the reinforced mutations"""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if abs(self.random + self.reinforced + self.prior - 1) > 1e-9:
            raise ValueError(f"random {self.random} + reinforced {self.reinforced} + prior {self.prior}: should be 1")
        if self.controller is None and self.mutation * self.reinforced * self.by_controller > 0:
            raise ValueError("controller: is missing, but a share of the mutations is its")
        return self


class RandomSettings(Settings):
    """Uniformly drawn models."""

    kind: Literal["random"]


class MnasNetSettings(Settings):
    """A controller that maximizes accuracy × (cost / target)^weight (arXiv:1807.11626, Eq. 2)."""

    kind: Literal["mnasnet"]
    cost: Literal["madds", "params", "latency"]
    """the cost in its reward"""
    target: float | None = Field(default=None, gt=0)
    """the cost that is asked for; null: the mean over all paths of the space"""
    weight: float = Field(le=0)
    """w: the exponent"""
    controller: ControllerSettings
    """what draws the models"""


class RegularizedSettings(Settings):
    """Regularized (aging) evolution (arXiv:1802.01548, Algorithm 1), of one objective."""

    kind: Literal["regularized"]
    alive: int = Field(ge=1)
    """P: models that are alive; the oldest dies when one is born"""
    sample: int = Field(ge=1)
    """S: of these, how many are drawn to find a parent, the best of them"""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.sample > self.alive:
            raise ValueError(f"sample {self.sample}: should be at most alive {self.alive}")
        return self


StrategySettings = Annotated[
    NSGA2Settings | RandomSettings | MnasNetSettings | RegularizedSettings, Field(discriminator="kind")
]


class JudgeSettings(Settings):
    """How the supernet judges a model."""

    statistics: str | None = None
    """what BatchNorm takes: tracked, its running statistics; batch, those of a batch; 8, those of 8 training batches;
    null: its running statistics, or where it has none, those of the batch"""
    images: int | None = Field(default=None, ge=2)
    """held-out images to judge by; all where it is null"""

    @field_validator("statistics")
    @classmethod
    def _known(cls, word: str | None) -> str | None:
        if word is not None:
            read_statistics(word)
        return word


class EvolveSettings(TruthSettings, RecipeSettings):
    """A search among the models that a trained supernet, or a benchmark's table, can judge."""

    verb: Literal["evolve"] = "evolve"
    supernet: str | None = None
    """run of `fairdarts supernet` whose last checkpoint judges; the verb's RUN says it"""
    space: str | None = None
    """space of the models, where it is not the supernet's: one of the same choices, as a supernet that was made small
    has; of a table, the one that its file is named after"""
    root: str | None = None
    """folder of the images, where it is no longer that of the supernet's training"""
    judge: JudgeSettings = JudgeSettings()
    """how the supernet judges"""
    latency: str | None = None
    """CSV of a latency per choice; null: measured on this machine once, if an objective or a limit needs it"""
    objectives: Words
    """accuracy, madds, params, latency: any of them, with :max or :min where it is not as usual"""
    constraints: Words = ()
    """limits that every model should keep: 'madds <= 400e6'. Models beyond those of cost are never judged"""
    budgets: Words = ()
    """limits, for each of which the most accurate model that keeps it, and the constraints, is told"""
    population: int = Field(ge=2, le=1_000_000)
    """N: models of a generation"""
    generations: int = Field(ge=1)
    """G: generations"""
    models: int = Field(ge=1)
    """K: evenly spaced models of the last front that the search ends with"""
    evolve: StrategySettings
    """how the models of a generation are chosen"""

    @field_validator("objectives")
    @classmethod
    def _objectives(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        if not words:
            raise ValueError(f"none is named: should be some of {', '.join(QUANTITIES)}")
        quantities = [read_objective(word).quantity for word in words]
        for quantity in quantities:
            if quantities.count(quantity) > 1:
                raise ValueError(f"{quantity} stands twice")
        return words

    @field_validator("constraints", "budgets")
    @classmethod
    def _limits(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        for word in words:
            read_limit(word)
        return words

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.evolve.kind == "regularized" and len(self.objectives) > 1:
            raise ValueError(f"objectives: {', '.join(self.objectives)}: regularized evolution has one")
        if self.latency and "latency" not in self.quantities:
            raise ValueError(f"latency: {self.latency}: is of no use, as neither an objective nor a limit is latency")
        return self

    @property
    def wanted(self) -> tuple[Objective, ...]:
        """The objectives."""
        return tuple(map(read_objective, self.objectives))

    @property
    def limits(self) -> tuple[Limit, ...]:
        """The constraints."""
        return tuple(map(read_limit, self.constraints))

    @property
    def classes(self) -> tuple[Limit, ...]:
        """The budgets."""
        return tuple(map(read_limit, self.budgets))

    @property
    def quantities(self) -> set[str]:
        """All that has to be known of a model."""
        wanted = {goal.quantity for goal in self.wanted}
        named = wanted | {limit.quantity for limit in (*self.limits, *self.classes)}
        return named | {ACCURACY} | ({self.evolve.cost} if self.evolve.kind == "mnasnet" else set())
