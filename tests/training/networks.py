"""What tests of whole trainings share: a tiny one, who watches it, and whether two are the same."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from runs import Watch, metrics, same
from torch import nn

from fairdarts.checking import check
from fairdarts.data.sources import open_source
from fairdarts.networks.zoo import load_genotype
from fairdarts.runtime import checkpoint
from fairdarts.runtime.run import RunDirectory, create, open_run
from fairdarts.training.classify import classification, judging_images
from fairdarts.training.loop import train
from fairdarts.training.settings import TrainSettings

STEPS_AN_EPOCH, EPOCHS = 3, 3
TINY = {
    "name": "tiny",
    "source": "tests",
    "device": "cpu",
    "epochs": EPOCHS,
    "data": {
        "kind": "fake",
        "images": 24,
        "image_size": 8,
        "classes": 3,
        "batch_size": 4,
        "train_portion": 0.5,
        "cutout": 2,
        "workers": 0,
    },
    "network": {"cells": 3, "channels": 2},
    "drop_path": 0.4,
    "optimizer": {"kind": "sgd", "lr": 0.05, "momentum": 0.9, "weight_decay": 3e-4, "clip": 5},
    "schedule": {"kind": "cosine", "unit": "epoch"},
}


def settings_of(**overrides: Any) -> TrainSettings:
    """The tiny training under changed settings, as dotted keys."""
    return check(TrainSettings, TINY, "tiny.yaml", {key.replace("__", "."): str(v) for key, v in overrides.items()})


def halve(network: nn.Module) -> None:
    """Weights to begin with that are no fresh ones."""
    for weight in network.parameters():
        weight.data.mul_(0.5)


def trained(
    path: Path,
    watch: Watch | None = None,
    resume: bool = False,
    genotype: str = "fairdarts-a",
    initialize: Callable[[nn.Module], object] | None = None,
    **overrides: Any,
) -> dict[str, Any]:
    """Trains into a run directory, or goes on with it; gives the results."""
    settings, watch = settings_of(**overrides), watch or Watch()
    architecture, space = load_genotype(genotype)
    run, source = open_run(path) if resume else create(path, settings, space), open_source(settings.data)
    judges = judging_images(settings, source)
    task = classification(settings, architecture, space, source, judges)
    return train(settings, task, run, watch, watch.stop, resume, initialize)


def assert_same_training(one: Path, other: Path) -> None:
    assert metrics(one) == metrics(other)
    for name in ("last.pt", "best.pt"):
        states = [checkpoint.load(run / "checkpoints" / name) for run in (one, other)]
        about = [state.pop("about") for state in states]
        assert same(*states), name
        assert about[0] == about[1]
    results = [(run / "results.json").read_text() for run in (one, other)]
    assert results[0] == results[1]
    assert RunDirectory(one).records()
