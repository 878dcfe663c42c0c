"""What the training of a stand-alone network can be told: the settings of its recipe."""

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from fairdarts.config import Settings
from fairdarts.data.settings import DataSettings
from fairdarts.networks.settings import NetworkSettings
from fairdarts.runtime.settings import Compute, EpochSettings

MAY_CHANGE = ("data.root", "data.workers", "save_minutes", "compute.accumulate", "compute.compile", "compute.native")
"""What a resumed training may be told anew: where its images lie and how a step is computed, not what it computes"""


class _Descent(Settings):
    lr: float = Field(gt=0)
    """learning rate that the schedule begins at"""
    momentum: float = Field(ge=0, lt=1)
    """momentum"""
    weight_decay: float = Field(ge=0)
    """weight decay"""
    decay_all: bool = True
    """whether it holds for BatchNorm and biases, too"""
    clip: float | None = Field(default=None, gt=0)
    """largest norm of the gradient; null for no clipping"""


class SgdSettings(_Descent):
    """SGD with momentum."""

    kind: Literal["sgd"]
    nesterov: bool = False
    """Nesterov's momentum"""


class RmspropSettings(_Descent):
    """RMSprop with momentum."""

    kind: Literal["rmsprop"]
    alpha: float = Field(ge=0, lt=1)
    """decay of the mean of squared gradients"""
    eps: float = Field(gt=0)
    """what is added to its root"""


OptimizerSettings = Annotated[SgdSettings | RmspropSettings, Field(discriminator="kind")]


class _Schedule(Settings):
    warmup_epochs: float = Field(default=0.0, ge=0)
    """epochs, or a part of one, over which the learning rate rises to lr; they belong to the training's epochs"""


class _Falling(_Schedule):
    lr_min: float = Field(default=0.0, ge=0)
    """learning rate at the end"""
    unit: Literal["epoch", "step"] = "step"
    """how often the learning rate changes"""


class CosineSettings(_Falling):
    """Half a cosine."""

    kind: Literal["cosine"]


class LinearSettings(_Falling):
    """A straight line."""

    kind: Literal["linear"]


class PolySettings(_Falling):
    """A power of the share of the training that is left."""

    kind: Literal["poly"]
    power: float = Field(gt=0)
    """that power; 1 is a straight line"""


class ExponentialSettings(_Schedule):
    """Multiplied by a factor every so many epochs."""

    kind: Literal["exponential"]
    factor: float = Field(gt=0, lt=1)
    """what the learning rate is multiplied with"""
    every: float = Field(gt=0)
    """epochs between two such steps, counted from the first epoch on"""


ScheduleSettings = Annotated[
    CosineSettings | LinearSettings | PolySettings | ExponentialSettings, Field(discriminator="kind")
]


class LossSettings(Settings):
    """What is minimized."""

    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """share of a label that is spread over all classes"""
    auxiliary: float = Field(default=0.0, ge=0)
    """weight of the auxiliary head's loss in a network of cells; 0 for no such head"""


class TrainCompute(Compute):
    """How a step is computed: what it costs, not what it means."""

    compile: Literal["none", "default", "reduce-overhead", "max-autotune"] = "none"
    """torch.compile of every cell or layer on CUDA: its mode; reduce-overhead runs them as CUDA graphs"""


class NetworkTraining(EpochSettings):
    """What every training of a stand-alone network can be told."""

    if TYPE_CHECKING:  # a field of every such training, which stands behind the others in its file
        data: Any
    judge_every: int = Field(default=1, ge=1)
    """epochs between two judgements; the last epoch is judged anyway"""
    network: NetworkSettings = NetworkSettings()
    """how the genotype's network is built"""
    init_from: str | None = Field(default=None, min_length=1)
    """weights to begin with: a run, a checkpoint or a file; null for fresh ones"""
    batch_norm_momentum: float = Field(default=0.1, gt=0, le=1)
    """weight of a batch in BatchNorm's running statistics"""
    optimizer: OptimizerSettings
    """what updates the weights"""
    schedule: ScheduleSettings
    """the learning rate over the epochs"""
    ema: float | None = Field(default=None, gt=0, lt=1)
    """decay of the exponential moving average of weights and BatchNorm statistics that is judged; null for none"""
    compute: TrainCompute = TrainCompute()
    """precision, layout, memory, compilation"""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.schedule.warmup_epochs > self.epochs:
            warmup = f"schedule.warmup_epochs {self.schedule.warmup_epochs}"
            raise ValueError(f"{warmup}: should be at most {self.epochs}, the number of epochs")
        if (lr_min := getattr(self.schedule, "lr_min", 0)) > self.optimizer.lr:
            raise ValueError(f"schedule.lr_min {lr_min}: should be at most optimizer.lr {self.optimizer.lr}")
        if getattr(self.optimizer, "nesterov", False) and not self.optimizer.momentum:
            raise ValueError("optimizer.nesterov: needs a momentum above 0")
        return self


class TrainSettings(NetworkTraining):
    """A complete training of a classifier. Shipped recipes and a run's settings.yaml are files of this form."""

    verb: Literal["train"] = "train"
    data: DataSettings
    """the images"""
    drop_path: float = Field(default=0.0, ge=0, lt=1)
    """probability of drop path in a network of cells at the end, to which it rises linearly from 0, epoch by epoch"""
    loss: LossSettings = LossSettings()
    """what is minimized"""
