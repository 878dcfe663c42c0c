"""What a search can be told: the settings of a recipe."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from fairdarts.config import Settings
from fairdarts.data.settings import DataSettings
from fairdarts.differentiable.components import (
    AuxiliarySettings,
    FreezingSettings,
    PenaltySettings,
    PerturbationSettings,
    SamplingSettings,
)
from fairdarts.differentiable.composed import conflict
from fairdarts.differentiable.stages import StageSettings, check_stages
from fairdarts.differentiable.stopping import Never, StoppingSettings
from fairdarts.networks.settings import AS_NAMED, NetworkSettings
from fairdarts.noise import DropoutSettings, NoiseSettings
from fairdarts.own import PartName
from fairdarts.runtime.settings import TRUTH, Compute, RunSettings
from fairdarts.supernet.settings import SupernetSettings

MAY_CHANGE = (
    "data.root",
    "data.workers",
    "save_minutes",
    "compute.memory",
    "compute.accumulate",
    "compute.native",
    *TRUTH,
)
"""What a resumed search may be told anew: where its images lie, how it is served and kept, not what it computes. As the
number of processes, `accumulate` decides which images BatchNorm sees together, and how its running averages move."""
GATES = "none"
"""the relaxation of a file that holds gates already"""


class DenseSupernetSettings(SupernetSettings):
    """The supernet, where it is not as its space says."""

    tied: ClassVar[bool] = True
    affine: bool = False
    """whether the BatchNorms of choices, and of what stands between cells, have weights"""


class ComputeSettings(Compute):
    """How the supernet is computed: what a step costs, not what it means."""

    memory: Literal["none", "recompute", "checkpoint"] = "none"
    """what is computed again, not kept for the backward pass: little, insides of operations (CPU), cells or layers"""
    batch_norm: Literal["averaged", "synchronized"] = "averaged"
    """of several processes: each by its own images, their statistics averaged, or all by all images (CUDA)"""
    compile: Literal["none", "default", "reduce-overhead"] = "none"
    """torch.compile of the cells on CUDA: its mode; reduce-overhead runs them as CUDA graphs"""

    @model_validator(mode="after")
    def _compiled_once(self) -> Self:
        if self.compile != "none" and self.memory != "none":
            raise ValueError(f"compile {self.compile} goes with memory none only, not {self.memory}")
        return self


class WeightSettings(Settings):
    """SGD for the weights, its learning rate on a cosine over the epochs."""

    lr: float = Field(gt=0)
    """learning rate of the first epoch"""
    lr_min: float = Field(ge=0)
    """learning rate that the cosine ends at"""
    momentum: float = Field(ge=0, lt=1)
    """momentum"""
    nesterov: bool = False
    """whether the momentum is Nesterov's"""
    weight_decay: float = Field(ge=0)
    """weight decay"""
    clip: float = Field(gt=0)
    """largest norm of the gradient"""

    @model_validator(mode="after")
    def _moved(self) -> Self:
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov true needs a momentum above 0")
        return self


class ArchitectSettings(Settings):
    """How α learns: from held-out batches (bi-level) or from the training batches (single level)."""

    kind: Literal["first_order", "second_order", "single_level"]
    """bi-level with first- or second-order gradients, or single level"""
    optimizer: Literal["adam", "exponentiated"] = "adam"
    """Adam, or exponentiated gradient of softmax gates (GAEA, arXiv:2004.07802)"""
    hessian: Literal["finite_difference", "exact"] = "finite_difference"
    """second order: how the mixed second derivatives are had; exact takes several times the memory"""
    lr: float = Field(gt=0)
    """learning rate of α, or under exponentiated gradient of the gates"""
    betas: tuple[float, float] | None = None
    """Adam's decay rates; exponentiated gradient has none"""
    weight_decay: float | None = Field(default=None, ge=0)
    """Adam's weight decay; exponentiated gradient has none"""
    initial_std: float = Field(ge=0)
    """standard deviation of α at the start; 0 is the fair start"""
    warmup: int = Field(default=0, ge=0)
    """first epochs, of every stage if there are several, in which the weights train and α stays as it is"""

    @field_validator("betas")
    @classmethod
    def _rates(cls, betas: tuple[float, float] | None) -> tuple[float, float] | None:
        if betas and not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"{list(betas)}: should be from 0 to below 1")
        return betas

    @model_validator(mode="after")
    def _adams(self) -> Self:
        for key, such in (("betas", "[0.5, 0.999]"), ("weight_decay", "1.0e-3")):
            value = getattr(self, key)
            if self.optimizer == "adam" and value is None:
                raise ValueError(f"optimizer adam needs {key}, such as {such}")
            if self.optimizer != "adam" and value:
                raise ValueError(f"{key} is of no use to optimizer {self.optimizer}; should be null")
        return self


class ZeroOneSettings(Settings):
    """The zero-one loss."""

    form: Annotated[str, PartName("loss", "squared", "absolute")]
    """L₀₋₁ of eq. 7, or the control L′₀₋₁ of eq. 9"""
    weight: float = Field(ge=0)
    """w₀₋₁; 0 leaves the loss out"""


class DeriveSettings(Settings):
    """How the genotype is derived."""

    method: Annotated[str, PartName("derivation", "argmax", "threshold", "edge")]
    """how gates become a genotype"""
    threshold: float | None = Field(default=None, gt=0, le=1)
    """σ that an operation must reach; for threshold and edge"""
    max_skips: int | None = Field(default=None, ge=0)
    """most skip connections of a cell; any number where it is null; not for chains and NAS-Bench-201"""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.method in ("threshold", "edge") and self.threshold is None:
            raise ValueError(f"method {self.method} needs a threshold, such as 0.85")
        return self


class ChooseSettings(Settings):
    """The end of a search by its supernet: the best of networks drawn from the gates (SETN, arXiv:1910.05733)."""

    networks: int = Field(ge=1, le=1_000_000)
    """networks that are drawn, each point's candidate in proportion to its gates, and judged on the held-out images"""


class CostSettings(Settings):
    """What the derived network should cost, as the loss of α has it: pressed towards a target while it is searched."""

    quantity: Literal["madds", "params", "latency"]
    """multiply-adds of an image, parameters, or milliseconds of an image"""
    target: float = Field(gt=0, allow_inf_nan=False)
    """what the network should cost, such as 20e6"""
    form: Literal["weighted", "power", "hinge", "lagrange"] = "lagrange"
    """how the expected cost C enters the loss L, with target T and weight w: L + w C/T; L (C/T)^w;
    L + w max(0, C/T − 1); or L + λ (C/T − 1), whose λ is learnt by dual ascent, so that the target is met: every epoch
    adds w times the mean of C/T − 1 to it, and 5w (C/T − 1)² damps that"""
    weight: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """w"""
    latency: str | None = None
    """CSV of a latency per choice; null: measured on this machine once, if the quantity is latency"""
    network: NetworkSettings = AS_NAMED
    """the network that is counted, where it is not as its space says: its size, its cells and channels"""

    @model_validator(mode="after")
    def _measured(self) -> Self:
        if self.latency and self.quantity != "latency":
            raise ValueError(f"latency: {self.latency}: is of no use, as the quantity is {self.quantity}")
        return self


class SearchSettings(RunSettings):
    """A complete search. Shipped recipes and a run's settings.yaml are files of this form."""

    verb: Literal["search"] = "search"
    data: DataSettings
    """the images"""
    supernet: DenseSupernetSettings = DenseSupernetSettings()
    """the supernet's size, and how its candidates run"""
    compute: ComputeSettings = ComputeSettings()
    """memory, precision, layout"""
    relaxation: Annotated[str, PartName("relaxation", "softmax", "sigmoid", "sparsemax", "dirichlet")]
    """how α becomes gates"""
    edges: Literal["softmax"] | None = None
    """how weights β of the edges into a node, which learn as α, become shares of what arrives there (edge normalization
    of PC-DARTS); null: what they give is added up as it is"""
    sampling: SamplingSettings | None = None
    """how the gates of a pass are drawn; null: all candidates run under the gates themselves"""
    weights: WeightSettings
    """optimizer of the weights"""
    architect: ArchitectSettings
    """optimizer of α"""
    zero_one: ZeroOneSettings
    """the loss that pushes gates to zero or one"""
    penalties: tuple[PenaltySettings, ...] = ()
    """further losses of α, each {form, weight, schedule}: beta_decay, entropy, l1, dirichlet_kl or one of your own"""
    cost: CostSettings | None = None
    """what the derived network should cost; nothing is asked of it where it is null"""
    noise: NoiseSettings | None = None
    """noise on some operations"""
    dropout: DropoutSettings | None = None
    """dropout behind some operations"""
    auxiliary: AuxiliarySettings | None = None
    """a skip connection beside the candidates, which fades"""
    perturbation: PerturbationSettings | None = None
    """gates that are moved before the weights train under them, at random or towards a higher training loss"""
    freezing: FreezingSettings | None = None
    """when candidates stop training; never where it is null"""
    stages: tuple[StageSettings, ...] = ()
    """parts of the search, in each of which the weights begin anew and all that changes over the epochs starts again:
    with fewer candidates, more cells, another dropout, such as [{cells: 5}, {cells: 11, keep: 3}], each {share, keep,
    alphas, cells, channels, partial, dropout} (docs/methods.md); none: one search"""
    stopping: StoppingSettings = Never(kind="never")
    """when the search ends before its last epoch"""
    curvature: bool = False
    """log the largest eigenvalue of the held-out loss's Hessian in α after every epoch, as stopping by it does"""
    derive: DeriveSettings
    """derivation"""
    choose: ChooseSettings | None = None
    """how the final genotype is chosen by the supernet itself; null: it is derived, as that of every epoch"""

    @model_validator(mode="after")
    def _in_stages(self) -> Self:
        check_stages(self)
        return self

    @model_validator(mode="after")
    def _held_out(self) -> Self:
        if self.architect.kind != "single_level" and not self.data.holds_out:
            raise ValueError("data.train_portion 1.0 leaves no images to train α on: bi-level search needs some")
        if self.choose and not self.data.holds_out:
            raise ValueError("data.train_portion 1.0 leaves no images to choose a network by: leave choose out")
        if self.choose and self.derive.max_skips is not None:
            rule = f"derive.max_skips {self.derive.max_skips}"
            raise ValueError(f"{rule}: binds what is derived, not networks that are drawn: leave it or choose out")
        if self.measures_curvature and not self.data.holds_out:
            raise ValueError("data.train_portion 1.0 leaves no images to measure the curvature on")
        return self

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if problem := conflict(self):
            raise ValueError(problem)
        return self

    @property
    def measures_curvature(self) -> bool:
        """Whether every epoch ends with the Hessian's largest eigenvalue."""
        return self.curvature or self.stopping.kind == "eigenvalue"
