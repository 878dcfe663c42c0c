"""What a run is asked to be: its kind, its recipe, what is laid over it, its images. It loads no torch."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from fairdarts.checking import check
from fairdarts.config import Settings, UserError
from fairdarts.data.settings import kind_of
from fairdarts.differentiable import settings as differentiable
from fairdarts.evolution import settings as evolution
from fairdarts.oneshot import settings as oneshot
from fairdarts.options import Words
from fairdarts.runs.recipe import Recipe, laid_over, over
from fairdarts.runtime.run import SETTINGS, RunDirectory, read_settings
from fairdarts.segmentation.settings import SegmentSettings
from fairdarts.training import settings as training


class Kind(NamedTuple):
    """A kind of run."""

    verb: str
    what: str
    """what it is called: a search, a training"""
    model: type[Settings]
    """its settings"""
    may_change: tuple[str, ...]
    """dotted keys that a resumed run may be told anew"""
    usual: str = ""
    """the recipe where none is named; empty where one has to be, or where it depends on the genotype"""


SEARCH = Kind("search", "search", differentiable.SearchSettings, differentiable.MAY_CHANGE)
SUPERNET = Kind("supernet", "training", oneshot.TrainingSettings, oneshot.MAY_CHANGE)
EVOLVE = Kind("evolve", "search", evolution.EvolveSettings, evolution.MAY_CHANGE, "moremnas")  # that of FairNAS
TRAIN = Kind("train", "training", training.TrainSettings, training.MAY_CHANGE)
SEGMENT = Kind("segment", "training", SegmentSettings, training.MAY_CHANGE, "segment-voc")
KINDS = {kind.verb: kind for kind in (SEARCH, SUPERNET, EVOLVE, TRAIN, SEGMENT)}
"""verb → the kind of its runs"""

DEFAULTS = {
    ("cell", "cifar"): "train-darts-cifar10",
    ("cell", "imagenet"): "train-darts-imagenet",
    ("chain", "cifar"): "train-chain-cifar10",
    ("chain", "imagenet"): "train-mnasnet-imagenet",
    ("nasbench201", "cifar"): "train-nasbench201-cifar10",
}
"""of trainings: (kind of space, whose size the network has) → the recipe where none is named"""
EXCITED = "train-mnasnet-se-imagenet"
"""of trainings: the recipe, where none is named, of networks with squeeze-and-excitation"""
WARM_UP = 3
"""steps before `bench` measures: caches, kernels and optimizer states come with the first, graphs with the second"""
WHICH = (
    "kind",
    "root",
    "test_root",
    "white",
    "range",
    "mean",
    "std",
    "flip",
    "image_size",
    "in_memory",
    "images",
    "classes",
)
"""the settings that say which images there are, where a kind of data has them"""
PATHS = 200
"""architectures to `rank`, at most, as "How to Train Your Super-Net" does (arXiv:2003.04276, section 3)"""


class Request(NamedTuple):
    """What is asked for: a new run by a recipe, or (resume) one that goes on."""

    recipe: Recipe | None = None
    settings: Mapping[str, Any] = {}
    """laid over it, by dotted key"""
    data: Any = None
    """the images, where they are not those that the settings name"""
    out: str | Path | None = None
    resume: str | Path | None = None
    genotype: Any = None
    """of a training: what is trained"""
    fit: bool = False
    """of a training: whether settings for CIFAR's images are made to fit others, as where they are handed over"""

    @property
    def laid(self) -> Mapping[str, Any]:
        """The settings, and those that say that the images are handed over. Raises UserError where they say others."""
        handed = words_for(self.data)
        for key in ("data", "data.kind", "data.root") if handed else ():
            if key in self.settings:
                what = f"{self.settings[key]!r}, but data= says the images"
                raise UserError(f"settings: {key}: {what}: leave one of them out")
        return over(self.settings, handed)


def words_for(data: Any) -> dict[str, Any]:
    """The settings, by dotted key, that say that a run sees the images which it is handed: a folder or a file by its
    place, all else as it is; none where it is handed none."""
    if data is None:
        return {}
    if isinstance(data, str | os.PathLike):
        return {"data.kind": kind_of(Path(data)), "data.root": os.fspath(data)}
    return {"data.kind": "given", "data.number": None, "data.fingerprint": None}  # those of this run, not a recipe's


def which_images(data: Mapping[str, Any]) -> dict[str, Any]:
    """The settings, by dotted key, that say which images there are, of all those of a section `data`."""
    return {f"data.{key}": data[key] for key in WHICH if data.get(key) is not None}


def resumed_settings(kind: Kind, run: RunDirectory, settings: Mapping[str, Any]) -> Any:
    """The run's own settings. Raises UserError where others are asked for that would change what it computes."""
    path = run.path / SETTINGS
    if run.verb != kind.verb:
        raise UserError(f"{run.path}: is a run of `fairdarts {run.verb}`, which resumes it")
    content = read_settings(path)
    begun = check(kind.model, content, path)
    asked = laid_over(kind.model, content, path, settings)
    for key in settings:
        before, after = value_of(begun, key), value_of(asked, key)
        if before != after and key not in kind.may_change:
            advice = f"a resumed {kind.what} keeps its settings; leave the option out, or start a new one"
            says = "the command line says" if isinstance(settings, Words) else "the settings say"
            raise UserError(f"{path}: {key}: {before}, but {says} {after}: {advice}")
    return asked


def value_of(settings: Settings, key: str) -> Any:
    """The value of a dotted key."""
    value: Any = settings
    for part in key.split("."):
        value = getattr(value, part, None)
    return value


def check_steps(steps: int) -> None:
    """Raises UserError where so few steps tell `bench` no quartiles."""
    if steps < 2:
        raise UserError(f"bench: --steps {steps}: should be at least 2")
