"""What is a study? The form of its file: recipes, or spaces and in each of them factors with their settings."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from fairdarts import resources
from fairdarts.checking import check
from fairdarts.config import Settings, nearest
from fairdarts.reading import read_yaml
from fairdarts.runs.study.rows import NAME, PublishedRow, StoppedRow

Value = bool | int | float | str | list[str] | None

STUDY = "study.yaml"
"""the study in the folder of its runs"""
RESULTS = "results.json"
"""what came of it, there"""
BEST = "best"
"""`keep` where the setting of highest final performance is kept"""
BASELINE = "baseline"
"""label of what earlier factors kept, where none of a factor's own settings is that"""


class Study(Settings):
    """What studies of recipes and studies of factors have alike."""

    name: str = Field(pattern=NAME)
    """name of the study"""
    source: str
    """the experiment it follows"""
    deviations: tuple[str, ...] = ()
    """where it departs from its source"""
    seeds: tuple[int, ...] = Field(min_length=1)
    """all that it runs is run with each of them"""
    shared: dict[str, Value] = Field(default={})
    """settings by dotted key, laid over every recipe"""

    @field_validator("seeds", "spaces", "runs", "random", check_fields=False)
    @classmethod
    def _told_apart(cls, listed: tuple[Any, ...]) -> tuple[Any, ...]:
        names = [getattr(entry, "name", entry) for entry in listed]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"{name} stands twice" if isinstance(name, int) else f"the name '{name}' stands twice")
        return listed


class StudyTraining(Settings):
    """How the cells of a study are trained: a recipe, and what is changed in it."""

    config: str | dict[str, Any]
    """a shipped recipe or a YAML file, or what such a file holds"""
    changes: dict[str, Value] = Field(default={})
    """settings by dotted key, laid over the recipe"""

    @field_validator("config", mode="before")
    @classmethod
    def _named_or_held(cls, config: Any) -> str | dict[str, Any]:
        if not isinstance(config, str | Path | Mapping):
            raise ValueError("should name a recipe, or be what a recipe holds")
        return dict(config) if isinstance(config, Mapping) else str(config)


class StudyRun(StudyTraining):
    """One line of a study: a recipe, and what is changed in it and in what is shared."""

    name: str = Field(pattern=NAME)
    """what its runs are called"""


class RandomCells(Settings):
    """One line of a study that trains its cells: cells drawn at random, one pair a seed, as `fairdarts zoo sample` does
    (FairDARTS, arXiv:1911.12126, Table 3)."""

    name: str = Field(pattern=NAME)
    """what its trainings are called"""
    space: str = "s1"
    """the space of cells to draw from"""
    skips: int | None = Field(default=None, ge=0)
    """skip connections of the normal cell; any number where it is null"""
    madds: float = Field(default=0.0, ge=0)
    """fewest multiply-adds of the network, in millions, counted as the authors of FairDARTS count"""
    network: Literal["cifar", "imagenet"] = "cifar"
    """the size of network that they are counted of, which need not be the one that is trained"""


class RecipeStudy(Study):
    """Recipes × seeds."""

    benchmark: str | tuple[str, ...] | None = None
    """file of true accuracies, in the folder that --benchmarks names, or several, of which the first that lies there
    is: what every run has found is held against it"""
    runs: tuple[StudyRun, ...] = Field(min_length=1)
    """the recipes, of `fairdarts search` or `fairdarts supernet`"""
    random: tuple[RandomCells, ...] = ()
    """random cells to train beside those that are found"""
    stopped: tuple[StoppedRow, ...] = ()
    """rows that are not run, but judged on the runs of another row"""
    published: tuple[PublishedRow, ...] = ()
    """what papers print, shown beside"""
    train: StudyTraining | None = None
    """the recipe of `fairdarts train` by which every cell is trained; null where the runs end with what they find"""

    @property
    def files(self) -> tuple[str, ...]:
        """Those that may be the file of the truth."""
        return (self.benchmark,) if isinstance(self.benchmark, str) else self.benchmark or ()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.benchmark is not None and not (self.files and all(self.files)):
            raise ValueError("benchmark: should name a file, or a list of files")
        rows: tuple[Any, ...] = (*self.runs, *self.random, *self.stopped, *self.published)
        names = [row.name for row in rows]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"the name '{name}' stands twice")
        runs = [run.name for run in self.runs]
        for row in self.stopped:
            if row.of not in runs:
                raise ValueError(f"stopped: {row.name}: of: '{row.of}' is no row of runs{nearest(row.of, runs)}")
        return self


class Setting(Settings):
    """One setting of a factor."""

    label: str = Field(min_length=1)
    """what figures and tables call it"""
    changes: dict[str, Value] = Field(default={})
    """what it changes, by dotted key"""


class Factor(Settings):
    """What is varied, all else being equal."""

    name: str = Field(pattern=NAME)
    """what its runs are called"""
    title: str
    """what figures and tables call it"""
    group: Literal["protocol", "sampling", "low-fidelity", "implementation"]
    """the group of factors that it belongs to ("How to Train Your Super-Net", arXiv:2003.04276, Table 1)"""
    keep: str | None = None
    """which of its settings later factors begin with: best (by the truth of the 3 highest ranked), a label, or none"""
    settings: tuple[Setting, ...] = Field(min_length=1)
    """each runs with every seed"""

    @model_validator(mode="after")
    def _told_apart(self) -> Self:
        labels = [setting.label for setting in self.settings]
        slugs = [slug(label) for label in labels]
        for setting, name in zip(self.settings, slugs, strict=True):
            if not name:
                raise ValueError(f"settings: the label '{setting.label}' has no letter or digit to name its runs by")
            if slugs.count(name) > 1:
                alike = ", ".join(f"'{label}'" for label in labels if slug(label) == name)
                raise ValueError(f"settings: of factor {self.name}, the labels {alike} name the same runs")
            if name == BASELINE and setting.changes:
                raise ValueError(f"settings: the label '{BASELINE}' is for what changes nothing")
        if self.keep not in (None, BEST, *labels):
            known = nearest(str(self.keep), (BEST, *labels))
            raise ValueError(f"keep: '{self.keep}' is no setting of factor {self.name}{known}")
        return self


class SpaceStudy(Settings):
    """The factors of one search space, in their order."""

    name: str = Field(pattern=NAME)
    """what the folder of its runs is called"""
    title: str | None = None
    """what figures and tables call it; its name where it is null"""
    config: str
    """the recipe of `fairdarts supernet` that the first factor begins with"""
    benchmark: str | tuple[str, ...]
    """file of the truth, in the folder that --benchmarks names, or several, of which the first that lies there is"""
    column: str | None = None
    """its column of truth; what is the file's default where it is null"""
    changes: dict[str, Value] = Field(default={})
    """settings by dotted key, laid over the recipe and over what is shared"""
    factors: tuple[Factor, ...] = Field(min_length=1)
    """one after the other"""

    @property
    def files(self) -> tuple[str, ...]:
        """Those that may be the file of the truth."""
        return (self.benchmark,) if isinstance(self.benchmark, str) else self.benchmark

    @model_validator(mode="after")
    def _told_apart(self) -> Self:
        if not all(self.files) or not self.files:
            raise ValueError("benchmark: should name a file, or a list of files")
        names = [run for factor in self.factors for run in _runs(factor)]
        for factor in self.factors:
            for run in _runs(factor):
                if names.count(run) > 1:
                    raise ValueError(f"factors: two settings would name their runs {run}; rename factor {factor.name}")
        return self


class FactorStudy(Study):
    """What the training of supernets depends on: spaces × factors × settings × seeds."""

    architectures: int = Field(default=200, ge=2, le=1_000_000)
    """architectures that every supernet ranks, at most; the same ones for all runs of a space"""
    images: int | None = Field(default=None, ge=2)
    """held-out images to judge by; all where it is null"""
    spaces: tuple[SpaceStudy, ...] = Field(min_length=1)
    """one after the other"""


def read_study(study: str | Path | Mapping[str, Any]) -> tuple[Study, str]:
    """A study of either kind, of a shipped name, from a YAML file or from what such a file holds; and where it stands,
    for messages. Raises UserError."""
    if isinstance(study, Mapping):
        content, place = dict(study), "study"
    else:
        path = resources.find("studies", str(study))
        content, place = read_yaml(path), str(path)
    form: type[Study] = FactorStudy if "spaces" in content else RecipeStudy
    return check(form, content, place), place


def slug(label: str) -> str:
    """A label as the name of a directory may hold it."""
    return re.sub(r"[^\w.+]+", "-", label).strip("-.")


def texts(changes: Mapping[str, Any]) -> dict[str, str]:
    """Settings by dotted key, as the command line writes them."""
    return {key: value if isinstance(value, str) else json.dumps(value, default=str) for key, value in changes.items()}


def _runs(factor: Factor) -> list[str]:
    """What the runs of a factor may be called, but for the seed."""
    labels = dict.fromkeys(slug(setting.label) for setting in factor.settings)
    return [f"{factor.name}-{label}" for label in labels | {BASELINE: None}]
