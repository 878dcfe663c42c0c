"""What `fairdarts fit` is asked for. It loads no torch."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from fairdarts.checking import check
from fairdarts.config import Settings, UserError
from fairdarts.evolution.objectives import Limit, read_bound
from fairdarts.reading import read_yaml
from fairdarts.runs.recipe import laid_over
from fairdarts.runtime.shape import TrainingSize

PLAN = "fit.yaml"
"""the file of a fit's folder that says what was asked, seen and chosen"""

BEGUN = {"images", "space.yaml", "latency.csv"}
"""what may lie in it before the plan"""

MAY_CHANGE = {"threads", "hours"}
"""what may be told anew when it goes on; the hours decide the epochs of a training that has not begun"""


class FitOptions(Settings):
    """What may be told besides the images, the budget and the time."""

    image_size: TrainingSize | None = None
    """height and width that the network sees, in pixels; chosen by the images and the budget where it is null"""
    test: float = Field(default=0.2, gt=0, lt=1)
    """share of every class that judges the model, where the folder has no test set"""
    flip: bool | None = None
    """whether a mirrored image keeps its class; null: yes of images with colours, no of gray ones"""
    seed: int = Field(default=0, ge=0)
    """decides every random number"""
    threads: int | None = Field(default=None, ge=1)
    """CPU threads; torch's where it is null"""


class FitSettings(FitOptions):
    """A model from a folder of images."""

    verb: Literal["fit"] = "fit"
    root: str
    """class folders of images: root/CLASS/IMAGE, or root/train/CLASS/IMAGE with root/test or root/val"""
    budget: str
    """what the network may cost: 'madds <= 20e6' (multiply-adds of an image), params, or latency in ms here"""
    hours: float = Field(default=1.0, gt=0, le=10_000)
    """how long all of it may take"""

    @field_validator("budget")
    @classmethod
    def _bounds(cls, text: str) -> str:
        read_bound(text)
        return text

    @property
    def limit(self) -> Limit:
        """The budget."""
        return read_bound(self.budget)


def read_asked(
    root: str | Path, budget: str | None, hours: float | None, folder: Path, settings: Mapping[str, Any]
) -> FitSettings:
    """What is asked for; of a folder that there is already, the same as before. Raises UserError naming what is wrong
    or other than before."""
    told = {"root": str(root), "budget": budget, "hours": hours}
    told = {key: value for key, value in told.items() if value is not None}
    place = folder / PLAN
    if place.is_file():
        before = check(FitSettings, read_yaml(place).get("asked") or {}, place)
        asked: FitSettings = laid_over(FitSettings, before.model_dump() | told, "fit", settings)
        asked = asked.model_copy(update={"root": before.root} if _same(asked.root, before.root) else {})
        for key in FitSettings.model_fields.keys() - MAY_CHANGE:
            if getattr(asked, key) != getattr(before, key):
                change = f"{getattr(before, key)} when it began, {getattr(asked, key)} now"
                raise UserError(f"{folder}: {key}: {change}; name another --out")
        return asked
    if folder.exists() and {entry.name for entry in folder.iterdir()} - BEGUN:
        raise UserError(f"{folder}: is there already, and no folder of a fit; name another --out")
    if budget is None:
        raise UserError("fit: --budget is missing: what the network may cost, such as 'madds <= 20e6'")
    return laid_over(FitSettings, told, "fit", settings)


def _same(one: str, other: str) -> bool:
    """Whether two names are of one folder."""
    return Path(one).resolve() == Path(other).resolve()
