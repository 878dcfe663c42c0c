"""What every run can be told."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from fairdarts.config import Settings, UserError

TRUTH = ("truth", "truth_columns")
"""What a resumed run may be told anew, too: where its truth lies"""


def _listed(value: Any) -> Any:
    """`accuracy,madds` as a list; what is none already stays as it is."""
    if not isinstance(value, str):
        return value
    return [part.strip() for part in value.strip("[]").split(",") if part.strip()]


Words = Annotated[tuple[str, ...], BeforeValidator(_listed)]
"""A list, or words with commas between them."""


class Compute(Settings):
    """What a step costs, not what it means."""

    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """of the weights' work, by autocast; all else stays in float32. auto: bfloat16 on CUDA, float32 on the CPU"""
    layout: Literal["channels_last", "contiguous"] = "channels_last"
    """of images and weights in memory; on the CPU a mixed cell trains in channels_last in any case"""
    accumulate: int = Field(default=1, ge=1)
    """parts in which a process goes through its share of a batch, one after another: less memory, and BatchNorm sees
    the parts"""
    native: Literal["auto", "never"] = "auto"
    """auto: where the CPU trains, kernels of the library's own, compiled once if there is a C++ compiler; never:
    torch's, which differ by rounding"""


class Described(Settings):
    """Settings whose file may say in a line what they are: `about`, which stays the file's."""

    @model_validator(mode="before")
    @classmethod
    def _of_the_file(cls, content: Any) -> Any:
        return (
            {key: value for key, value in content.items() if key != "about"} if isinstance(content, dict) else content
        )


class RecipeSettings(Described):
    """What stands at the head of every recipe."""

    verb: str
    """the verb of `fairdarts` that the recipe is for"""
    name: str
    """name of the recipe"""
    source: str
    """the experiment it follows"""
    deviations: tuple[str, ...] = ()
    """where it departs from its source, or chooses between text and released code"""
    plugins: tuple[str, ...] = ()
    """Python files with parts of one's own, relative to the recipe: loaded where somebody names the recipe"""
    seed: int = Field(default=0, ge=0)
    """decides all that is drawn: initial weights, α, paths, the order of images and their augmentation"""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """where to run"""
    threads: int | None = Field(default=None, ge=1, le=1024)
    """CPU threads, which decide the last bits of a result; torch's default where it is null"""


class EpochSettings(RecipeSettings):
    """What all can be told that trains epoch by epoch."""

    epochs: int = Field(ge=1)
    """passes over the images that train the weights"""
    save_minutes: float = Field(default=10.0, ge=0)
    """minutes between checkpoints within an epoch; one is written after every epoch anyway"""


class TruthSettings(Settings):
    """What is known of the architectures of a space, which no run learns from: it is told beside what it finds."""

    truth: str | None = None
    """file of true accuracies of the space's architectures, a benchmark's or any CSV, which are recorded of what is
    found; as data.root relative to where the command runs"""
    truth_columns: Words = ()
    """its columns, the first being the one to choose by; none: those of NAS-Bench-201 that it has, or its usual one"""

    @model_validator(mode="after")
    def _columns_of_a_file(self) -> Self:
        if self.truth_columns and not self.truth:
            raise ValueError(f"truth_columns {','.join(self.truth_columns)}: are those of a file: set truth, too")
        return self


class RunSettings(TruthSettings, EpochSettings):
    """What searches and trainings of supernets can be told."""

    space: str
    """search space: a shipped name or a YAML file"""


def check_threads(threads: int | None) -> None:
    """Raises UserError where no machine has so many CPU threads."""
    if threads is not None and not 1 <= threads <= 1024:
        raise UserError(f"threads: {threads}: should be from 1 to 1024")
