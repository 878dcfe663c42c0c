"""What tests of whole trainings share: tiny ones, who watches them, and whether two are the same."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from one_shot import CHAIN, CLASSES, settings_of
from runs import Watch, metrics, same

from fairdarts.data.sources import open_source
from fairdarts.oneshot.samplers import make_sampler, tally
from fairdarts.oneshot.settings import TrainingSettings
from fairdarts.oneshot.train import train
from fairdarts.runtime import checkpoint
from fairdarts.runtime.run import RunDirectory, create, open_run
from fairdarts.runtime.seed import PATHS, fold
from fairdarts.spaces.space import Space

STEPS_AN_EPOCH, EPOCHS = 4, 3
LAST = STEPS_AN_EPOCH * EPOCHS
TINY = {
    "epochs": EPOCHS,
    "data.images": 32,
    "data.image_size": 8,
    "data.classes": CLASSES,
    "data.batch_size": 4,
    "watch.paths": 3,
    "watch.images": 5,
}
SAMPLERS: dict[str, dict[str, Any]] = {
    "strict_fair": {"kind": "strict_fair"},
    "uniform": {"kind": "uniform"},
    "uniform_repeat": {"kind": "uniform_repeat", "repeats": 2},
    "one_shot": {"kind": "one_shot", "rate": 0.5},
    "architecture": {"kind": "architecture"},
}
CONTROLLER: dict[str, Any] = {
    "kind": "controller",
    "hidden": 8,
    "lstm_layers": 2,
    "temperature": 5,
    "bound": 2.5,
    "lr": 0.01,
    "betas": [0, 0.999],
    "eps": 1e-3,
    "entropy": 1e-3,
    "decay": 0.9,
    "updates": 2,
    "paths": 3,
}
"""one that learns, whose records say so"""


Go = Callable[..., TrainingSettings]


def trained(
    path: Path,
    watch: Watch | None = None,
    resume: bool = False,
    sampler: str = "strict_fair",
    space: Space = CHAIN,
    spoil: Callable | None = None,
    **overrides: Any,
) -> TrainingSettings:
    """Trains into a run directory, or goes on with it, under a watch and changed settings, which it gives."""
    settings, watch = (
        settings_of((SAMPLERS | {"controller": CONTROLLER})[sampler], **(TINY | overrides)),
        watch or Watch(),
    )
    source = open_source(settings.data)
    source = source._replace(dataset=spoil(source.dataset)) if spoil else source
    place = open_run(path) if resume else create(path, settings, space)
    train(settings, space, source, place, watch, watch.stop, resume)
    return settings


Whole = Callable[..., Path]


def assert_same_training(one: Path, other: Path) -> None:
    assert metrics(one) == metrics(other)
    assert same(checkpoint.load(RunDirectory(one).last), checkpoint.load(RunDirectory(other).last))
    files = [{path.relative_to(run) for path in run.rglob("*") if path.is_file()} for run in (one, other)]
    assert files[0] == files[1]


def updates_of(settings: TrainingSettings, space: Space, steps: int) -> list[list[int]]:
    """How often the seed's paths update every choice in so many steps of a training."""
    generator = torch.Generator().manual_seed(fold(settings.seed, PATHS))
    sampler, counts = make_sampler(settings.sampler, space, generator), [torch.zeros(len(c)) for c in space.choices]
    for number in range(steps):
        tally(counts, sampler.draw(number / LAST))
    return [own.tolist() for own in counts]
