"""What tests of segmentation networks share: a tiny training."""

from pathlib import Path
from typing import Any

from photographs import recipe
from runs import Watch

from fairdarts.checking import check
from fairdarts.genotype import Genotype
from fairdarts.runtime.run import create, open_run
from fairdarts.segmentation.images import open_pairs
from fairdarts.segmentation.settings import SegmentSettings
from fairdarts.segmentation.task import initialize, segmentation
from fairdarts.spaces.space import Space, load_space
from fairdarts.training.loop import train


def small() -> tuple[Genotype, Space]:
    """A chain of layers whose features have stride 8."""
    space = load_space("s2-small")
    return space.genotype_of((1,) * len(space.choices), "small", ""), space


def settings_of(root: Path, **overrides: Any) -> SegmentSettings:
    """The tiny training on pictures of `root`, under changed settings, as dotted keys."""
    words = {key.replace("__", "."): str(value) for key, value in overrides.items()}
    return check(SegmentSettings, recipe(root), "tiny.yaml", words)


def segmented(root: Path, path: Path, watch: Watch | None = None, resume: bool = False, **overrides: Any) -> dict:
    """Trains into a run directory, or goes on with it; gives the results."""
    settings, watch, (genotype, space) = settings_of(root, **overrides), watch or Watch(), small()
    run = open_run(path) if resume else create(path, settings, space)
    data = settings.data
    pairs = (open_pairs(data, data.train, "train"), open_pairs(data, data.val, "val") if data.val else None)
    task = segmentation(settings, genotype, space, *pairs)
    begin = (lambda network: initialize(network, settings, genotype, None)) if settings.init_from else None
    return train(settings, task, run, watch, watch.stop, resume, begin)
