"""What the training of a one-shot supernet can be told: the settings of its recipe."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, GetCoreSchemaHandler, SerializeAsAny, ValidatorFunctionWrapHandler, model_validator
from pydantic_core import CoreSchema
from pydantic_core.core_schema import no_info_wrap_validator_function

from fairdarts.config import Settings
from fairdarts.data.settings import DataSettings
from fairdarts.own import PartName
from fairdarts.runtime.settings import TRUTH, Compute, RunSettings
from fairdarts.supernet.settings import SupernetSettings

MAY_CHANGE = (
    "data.root",
    "data.workers",
    "save_minutes",
    "compute.accumulate",
    "compute.parallel",
    "compute.native",
    *TRUTH,
)
"""What a resumed training may be told anew: where its images lie and how the work is shared out, not what it computes.
As the number of processes, `accumulate` decides which images BatchNorm sees together, and what dropout drops."""


Statistics = Literal["tracked", "batch"] | int
"""What a BatchNorm takes: its running statistics of the training, the statistics of the batch that it sees, or the mean
of those of so many training batches on this very path."""


def read_statistics(word: str) -> Statistics:
    """`tracked`, `batch`, or a number of batches. Raises ValueError saying what would be right."""
    if word in ("tracked", "batch"):
        return "tracked" if word == "tracked" else "batch"
    if word.isascii() and word.isdigit() and int(word) > 0:
        return int(word)
    raise ValueError(f"{word}: should be tracked, batch, or a number of batches such as 8")


class StrictFairSettings(Settings):
    """Every choice of every point once a step."""

    kind: Literal["strict_fair"]


class UniformSettings(Settings):
    """One path a step, uniformly (SPOS)."""

    kind: Literal["uniform"]


class UniformRepeatSettings(Settings):
    """One path a step, uniformly, updated several times on the batch (EF)."""

    kind: Literal["uniform_repeat"]
    repeats: int = Field(ge=1)
    """k, updates of the path"""


class OneShotSettings(Settings):
    """All choices a step, some of them dropped."""

    kind: Literal["one_shot"]
    rate: float = Field(ge=0, lt=1)
    """r, the probability at the end of the training that all choices of a point are dropped; each is with r^(1/m)"""


class ArchitectureSettings(Settings):
    """One path a step, uniformly over distinct architectures (Random-A)."""

    kind: Literal["architecture"]


class ControllerSettings(Settings):
    """One path a step, from a controller that learns by REINFORCE after every epoch (ENAS)."""

    kind: Literal["controller"]
    hidden: int = Field(ge=1, le=65536)
    """width of the LSTM and of its input"""
    lstm_layers: int = Field(ge=1, le=16)
    """layers of the LSTM"""
    temperature: float = Field(default=1.0, gt=0)
    """what logits are divided by before their tanh"""
    bound: float = Field(gt=0)
    """what the tanh of logits is multiplied by, so that none is larger"""
    lr: float = Field(gt=0)
    """Adam's learning rate"""
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]]
    """Adam's decay rates"""
    eps: float = Field(gt=0)
    """Adam's ε"""
    entropy: float = Field(ge=0)
    """weight of a path's entropy in nats, beside its accuracy from 0 to 1"""
    decay: float = Field(ge=0, lt=1)
    """decay of the moving average of rewards, which is the baseline"""
    updates: int = Field(ge=1)
    """updates of the controller after every epoch"""
    paths: int = Field(ge=1)
    """paths that an update learns from, judged on the same held-out batch"""


SamplerSettings = Annotated[
    StrictFairSettings
    | UniformSettings
    | UniformRepeatSettings
    | OneShotSettings
    | ArchitectureSettings
    | ControllerSettings,
    Field(discriminator="kind"),
]


class OwnSamplerSettings(Settings):
    """A sampler of a user's own."""

    kind: Annotated[str, PartName("sampler")]


class _OrOwn(PartName):
    """A mark of the sampler's section: its kind may be one of the user's own as well, which its union does not list."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_wrap_validator_function(self.read, handler(source))

    def read(self, content: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        """The section, of its own kind."""
        named = isinstance(content, dict) and content.get("kind") in self.names()
        return OwnSamplerSettings.model_validate(content) if named else handler(content)


class SharedCompute(Compute):
    """How a step is computed: what it costs, not what it means."""

    parallel: Literal["data", "path"] = "data"
    """what several processes share out: the images of a batch, or the paths of a strictly fair step"""
    compile: Literal["none", "default", "reduce-overhead"] = "none"
    """torch.compile of the choices on CUDA, each by itself: its mode; reduce-overhead runs them as CUDA graphs"""


class SgdSettings(Settings):
    """SGD, its learning rate on a cosine over the steps, after a warm-up."""

    lr: float = Field(gt=0)
    """learning rate that the cosine begins at"""
    lr_min: float = Field(ge=0)
    """learning rate that it ends at"""
    warmup_epochs: float = Field(default=0.0, ge=0)
    """epochs, or a part of one, over which the learning rate rises to lr; they belong to the training's epochs"""
    momentum: float = Field(ge=0, lt=1)
    """momentum"""
    weight_decay: float = Field(ge=0)
    """weight decay, of the weights that a step trains"""
    shared_gradient: Literal["sum", "mean"] = "sum"
    """what stem, tail and other weights that several paths of a step run get from these paths"""


class WatchSettings(Settings):
    """What is measured after every epoch: the accuracy of some paths on held-out images."""

    paths: int = Field(default=10, ge=0, le=1_000_000)
    """number of paths, the same after every epoch, or drawn from the controller as it then is; 0 for none"""
    images: int = Field(default=1000, ge=1)
    """held-out images, at most"""


class TrainingSettings(RunSettings):
    """A complete training of a supernet. Shipped recipes and a run's settings.yaml are files of this form."""

    verb: Literal["supernet"] = "supernet"
    data: DataSettings
    """the images"""
    compute: SharedCompute = SharedCompute()
    """precision, layout, what processes share"""
    supernet: SupernetSettings = SupernetSettings()
    """how architectures become networks of shared weights"""
    sampler: Annotated[SerializeAsAny[SamplerSettings], _OrOwn("sampler")]
    """which paths a step trains"""
    weights: SgdSettings
    """optimizer of the weights"""
    watch: WatchSettings = WatchSettings()
    """what is measured after every epoch"""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.watch.paths and not self.data.holds_out:
            raise ValueError("data.train_portion 1.0 leaves no images to watch paths on: set watch.paths 0")
        if self.sampler.kind == "controller" and not self.data.holds_out:
            raise ValueError("data.train_portion 1.0 leaves no images to reward the controller's paths on")
        if self.truth and not self.watch.paths:
            raise ValueError("truth is told of the best of the watched paths: set watch.paths above 0")
        if self.compute.parallel == "path" and self.sampler.kind != "strict_fair":
            raise ValueError(f"compute.parallel path shares out several paths a step; {self.sampler.kind} has one")
        if self.weights.warmup_epochs > self.epochs:
            warmup = f"weights.warmup_epochs {self.weights.warmup_epochs}"
            raise ValueError(f"{warmup}: should be at most the {self.epochs} epochs")
        return self
