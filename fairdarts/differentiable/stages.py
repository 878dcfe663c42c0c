"""The stages of a search: what each is told, and which epochs are its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import Field

from fairdarts.config import Settings

if TYPE_CHECKING:
    from fairdarts.differentiable.settings import SearchSettings


OF_SUPERNET = ("cells", "channels", "partial")
"""what a stage may have of its own in the place of the supernet's"""


class StageSettings(Settings):
    """A stage of a search whose weights begin anew in each (P-DARTS, arXiv:1904.12760; DrNAS, arXiv:2006.10355)."""

    share: float = Field(default=1, gt=0)
    """its share of the epochs, beside the shares of the other stages"""
    keep: int | None = Field(default=None, ge=1)
    """how many candidates of a point go into it, those of the largest gates; null: all that are left"""
    alphas: Literal["fresh", "kept"] = "fresh"
    """α at its beginning: drawn anew, or as the stage before leaves it"""
    cells: int | None = Field(default=None, ge=1, le=1000)
    """supernet.cells of this stage; null: as they are"""
    channels: int | None = Field(default=None, ge=2, le=4096)
    """supernet.channels of this stage; null: as they are"""
    partial: int | None = Field(default=None, ge=1)
    """supernet.partial of this stage; null: as it is"""
    dropout: float | None = Field(default=None, ge=0, lt=1)
    """dropout.rate of this stage; null: as it is"""


class Stage(NamedTuple):
    """A stage of a search."""

    number: int
    """from 0"""
    first: int
    """its first epoch, from 0"""
    settings: SearchSettings
    """of a search that had this stage alone"""


def lengths(epochs: int, stages: Sequence[StageSettings]) -> list[int]:
    """How many epochs every stage has; all of them are those of the only one where there are none."""
    shares = [stage.share for stage in stages] or [1.0]
    ends = [round(epochs * sum(shares[: number + 1]) / sum(shares)) for number in range(len(shares))]
    return [end - begin for begin, end in zip([0, *ends], ends, strict=False)]


def stages_of(settings: SearchSettings) -> list[Stage]:
    """The stages of a search; one, which is the whole of it, where it is told none."""
    if not settings.stages:
        return [Stage(0, 0, settings)]
    found, first = [], 0
    for number, epochs in enumerate(lengths(settings.epochs, settings.stages)):
        found.append(Stage(number, first, _alone(settings, settings.stages[number], epochs)))
        first += epochs
    return found


def _alone(settings: SearchSettings, stage: StageSettings, epochs: int) -> SearchSettings:
    size = {key: value for key in OF_SUPERNET if (value := getattr(stage, key)) is not None}
    told: dict[str, Any] = {"epochs": epochs, "stages": (), "supernet": settings.supernet.model_copy(update=size)}
    if settings.dropout and stage.dropout is not None:
        told["dropout"] = settings.dropout.model_copy(update={"rate": stage.dropout}) if stage.dropout else None
    return settings.model_copy(update=told)


def stage_at(settings: SearchSettings, epoch: int) -> Stage:
    """The stage of an epoch, counted from 0; behind the last one, the last stage."""
    return next(stage for stage in reversed(stages_of(settings)) if stage.first <= epoch)


def trains_on_held_out(settings: SearchSettings, epoch: int) -> bool:
    """Whether the steps of an epoch, counted from 0, look at held-out batches; those of a warm-up do not."""
    warm = epoch - stage_at(settings, epoch).first < settings.architect.warmup
    return settings.architect.kind != "single_level" and not warm


def held_out_batches(settings: SearchSettings, step: int, steps: int) -> int:
    """How many held-out batches a search has looked at before a step, of epochs of so many steps."""
    epoch, within = divmod(step, steps)
    whole = sum(trains_on_held_out(settings, before) for before in range(epoch))
    return whole * steps + within * trains_on_held_out(settings, epoch)


def check_stages(settings: SearchSettings) -> None:
    """Raises ValueError where stages, epochs and the rest of the settings do not go together."""
    found, warmup = lengths(settings.epochs, settings.stages), settings.architect.warmup
    if not all(found):
        raise ValueError(
            f"epochs {settings.epochs}: should be more, so that every one of the {len(found)} stages has some"
        )
    if warmup >= min(found):
        below = f"the {min(found)} epochs of a stage" if settings.stages else f"epochs {settings.epochs}"
        raise ValueError(f"architect.warmup {warmup}: should be below {below}, so that α is trained")
    if settings.stages and settings.stopping.kind != "never":
        raise ValueError(
            f"stopping.kind {settings.stopping.kind}: a search of stages goes through all; should be never"
        )
    for key in OF_SUPERNET:
        value, default = getattr(settings.supernet, key), type(settings.supernet).model_fields[key].default
        if value != default and settings.stages and all(getattr(stage, key) for stage in settings.stages):
            raise ValueError(f"supernet.{key} {value}: every stage has {key} of its own: change those, or leave it out")
    kept: int | None = None
    for number, stage in enumerate(settings.stages):
        place = f"stages.{number}"
        if number == 0 and (stage.keep is not None or stage.alphas == "kept"):
            key, value = ("keep", stage.keep) if stage.keep is not None else ("alphas", stage.alphas)
            raise ValueError(f"{place}.{key} {value}: nothing goes before the first stage; leave it out")
        if stage.keep is not None and stage.keep > (kept or stage.keep):
            raise ValueError(f"{place}.keep {stage.keep}: should be at most {kept}, which the stage before has")
        if stage.dropout is not None and settings.dropout is None:
            raise ValueError(f"{place}.dropout {stage.dropout}: should come with a section dropout, whose rate it is")
        kept = stage.keep or kept
