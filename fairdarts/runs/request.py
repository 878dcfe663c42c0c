"""What a run is asked to be: its kind, its recipe, what is laid over it, its images. It loads no torch."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from fairdarts.config import Settings
from fairdarts.data.settings import kind_of
from fairdarts.differentiable import settings as differentiable
from fairdarts.evolution import settings as evolution
from fairdarts.oneshot import settings as oneshot
from fairdarts.runs.recipe import Recipe, over
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


SEARCH = Kind("search", "search", differentiable.SearchSettings, differentiable.MAY_CHANGE)
SUPERNET = Kind("supernet", "training", oneshot.TrainingSettings, oneshot.MAY_CHANGE)
EVOLVE = Kind("evolve", "search", evolution.EvolveSettings, evolution.MAY_CHANGE)
TRAIN = Kind("train", "training", training.TrainSettings, training.MAY_CHANGE)
SEGMENT = Kind("segment", "training", SegmentSettings, training.MAY_CHANGE)
KINDS = {kind.verb: kind for kind in (SEARCH, SUPERNET, EVOLVE, TRAIN, SEGMENT)}
"""verb → the kind of its runs"""


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

    @property
    def laid(self) -> Mapping[str, Any]:
        """The settings, and those that say that the images are handed over."""
        return over(self.settings, words_for(self.data))


def words_for(data: Any) -> dict[str, Any]:
    """The settings, by dotted key, that say that a run sees the images which it is handed: a folder or a file by its
    place, all else as it is; none where it is handed none."""
    if data is None:
        return {}
    if isinstance(data, str | os.PathLike):
        return {"data.kind": kind_of(Path(data)), "data.root": os.fspath(data)}
    return {"data.kind": "given"}
