"""Every space with every maker of gates: each pair of the table in docs/architecture.md trains, derives, draws, builds.

A pair that the table has no mark for is refused, in one line, with the reason that stands below the table.
"""

import re
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

from fairdarts.checking import check
from fairdarts.config import UserError
from fairdarts.data.sources import FAKE_STATISTICS, Source
from fairdarts.differentiable import setup
from fairdarts.differentiable.architect import STEPS
from fairdarts.differentiable.derive import check_kind, check_rule, derive
from fairdarts.differentiable.learner import Batch
from fairdarts.differentiable.settings import SearchSettings
from fairdarts.genotype import Genotype
from fairdarts.networks.blueprint import build
from fairdarts.oneshot import train as oneshot
from fairdarts.oneshot.samplers import make_sampler
from fairdarts.oneshot.settings import TrainingSettings
from fairdarts.oneshot.step import supernet_step
from fairdarts.plot.drawing import graphs_of
from fairdarts.relaxation import gate_matrices
from fairdarts.resources import names
from fairdarts.spaces.cell import Size
from fairdarts.spaces.space import Space, check_genotype, load_space

PAGE = Path(__file__).parents[1] / "docs" / "architecture.md"
CLASSES = 3
MAKERS = {
    "softmax": {"relaxation": "softmax", "architect": "first_order", "derive": {"method": "argmax"}},
    "sigmoid": {
        "relaxation": "sigmoid",
        "architect": "single_level",
        "derive": {"method": "threshold", "threshold": 0.5},
    },
    "second order": {"relaxation": "softmax", "architect": "second_order", "derive": {"method": "argmax"}},
    "strict_fair": {"kind": "strict_fair"},
    "uniform": {"kind": "uniform"},
    "uniform_repeat": {"kind": "uniform_repeat", "repeats": 2},
    "one_shot": {"kind": "one_shot", "rate": 0.1},
    "architecture": {"kind": "architecture"},
    "controller": {
        "kind": "controller",
        "hidden": 4,
        "lstm_layers": 1,
        "bound": 2.5,
        "lr": 0.01,
        "betas": [0, 0.999],
        "eps": 1e-3,
        "entropy": 1e-4,
        "decay": 0.9,
        "updates": 1,
        "paths": 2,
    },
}
"""column of the table → a relaxation and its step, or a sampler"""
SMALL: dict[str, Any] = {
    "cell": lambda space: {"nodes": 2, "supernet": Size(cells=3, channels=4)},
    "chain": lambda space: {
        "stages": tuple(own.model_copy(update={"channels": 8, "layers": 1}) for own in space.stages[:3])
    },
    "nasbench101": lambda space: {"channels": 8, "stacks": 2, "cells": 1},
    "nasbench201": lambda space: {"channels": 4, "cells": 1},
}
"""kind → what makes a space of it small; its candidates stay"""


def table() -> dict[tuple[str, str], bool]:
    """(space, maker) → whether the page says that they go together."""
    rows = [
        [cell.strip() for cell in line.strip("| \n").split("|")]
        for line in PAGE.read_text("utf-8").split("\n")
        if "|" in line
    ]
    start = next(number for number, row in enumerate(rows) if row[0] == "space" and row[1:] == list(MAKERS))
    found = {}
    for spaces, *marks in rows[start + 2 :]:
        if len(marks) != len(MAKERS):
            break
        for space in re.findall("`([^`]+)`", spaces):
            found |= {(space, maker): mark == "✓" for maker, mark in zip(MAKERS, marks, strict=True)}
    return found


TABLE = table()


def batch(seed: int) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(4, 3, 8, 8, generator=generator), torch.randint(CLASSES, (4,), generator=generator)


def source_of() -> Source:
    return Source(None, tuple(map(str, range(CLASSES))), 8, *FAKE_STATISTICS)


def found_by_gradients(space: Space, maker: dict[str, Any]) -> Genotype:
    """The genotype after a step of a search."""
    check_kind(space, f"space: {space.name}")
    content = {
        "name": "pair",
        "source": "tests",
        "space": space.name,
        "epochs": 1,
        "data": {"kind": "fake", "batch_size": 4, "train_portion": 0.5, "cutout": 0, "workers": 0},
        "relaxation": maker["relaxation"],
        "weights": {"lr": 0.1, "lr_min": 0, "momentum": 0.9, "weight_decay": 0, "clip": 5},
        "architect": {
            "kind": maker["architect"],
            "lr": 1.0,
            "betas": [0.5, 0.9],
            "weight_decay": 0,
            "initial_std": 0.1,
        },
        "zero_one": {"form": "squared", "weight": 1},
        "derive": maker["derive"],
    }
    settings = check(SearchSettings, content, "pair")
    check_rule(settings.derive, space, "derive.")
    learner = setup.make_learner(settings, space, source_of(), torch.device("cpu"))
    before = {part: alpha.detach().clone() for part, alpha in learner.alphas.items()}
    weights = [weight.detach().clone() for weight in learner.weights]
    STEPS[maker["architect"]](learner, batch(1), batch(2))
    assert not any(torch.equal(before[part], alpha) for part, alpha in learner.alphas.items())
    assert not all(torch.equal(one, other) for one, other in zip(weights, learner.weights, strict=True))
    rule = settings.derive
    return derive(
        gate_matrices(learner.alphas, settings.relaxation), space, rule.method, rule.threshold, "pair", "tests"
    )


def found_by_paths(space: Space, maker: dict[str, Any]) -> Genotype:
    """The genotype of a path that the supernet gives finite logits for, after a step of a one-shot training."""
    oneshot.check_sampler(maker["kind"], space)
    content = {
        "name": "pair",
        "source": "tests",
        "space": space.name,
        "epochs": 1,
        "data": {"kind": "fake", "batch_size": 4, "train_portion": 0.5, "cutout": 0, "workers": 0},
        "sampler": maker,
        "weights": {"lr": 0.1, "lr_min": 0, "momentum": 0.9, "weight_decay": 0},
    }
    settings = check(TrainingSettings, content, "pair")
    learner = oneshot.make_learner(settings, space, source_of(), torch.device("cpu"))
    before = [weight.detach().clone() for weight in learner.weights]
    drawn = make_sampler(settings.sampler, space, torch.Generator().manual_seed(1)).draw(0.5)
    supernet_step(learner, drawn, batch(1))
    assert not all(torch.equal(one, other) for one, other in zip(before, learner.weights, strict=True))
    path = space.random_path(Random(2).randrange)
    gates = space.gates(tuple((choice,) for choice in path))
    assert learner.supernet.eval()(batch(2)[0], gates).isfinite().all()
    return space.genotype_of(path, "pair", "tests")


def test_the_table_has_every_shipped_space():
    assert {space for space, _ in TABLE} == set(names("search_spaces"))


@pytest.mark.parametrize(("space", "maker"), TABLE, ids=lambda own: own.replace(" ", "_"))
def test_a_pair_works_or_is_refused(space: str, maker: str):
    own = load_space(space)
    own = own.model_copy(update=SMALL[own.kind](own))
    find = found_by_gradients if "relaxation" in MAKERS[maker] else found_by_paths
    if not TABLE[space, maker]:
        with pytest.raises(UserError) as refused:
            find(own, MAKERS[maker])
        assert space in str(refused.value)
        assert "\n" not in str(refused.value)
        return
    genotype = check_genotype(find(own, MAKERS[maker]), own, "pair")
    assert all("digraph" in graph.source for graph in graphs_of(genotype, own).values())
    if maker == "sigmoid" and genotype.empty_cells and own.kind == "cell":
        return  # too few gates reached the threshold, which a search says; nothing makes a network of it
    network = build(genotype, own, classes=CLASSES).eval()
    image = own.network.image if own.kind == "chain" else 32
    assert network(torch.randn(2, 3, image, image)).shape[-1] == CLASSES
