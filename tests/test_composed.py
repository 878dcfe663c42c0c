"""Components of a differentiable search go together in any way, or are refused in one line: 200 random combinations.

Each that is not refused is built, takes steps in all of its stages, and goes on alike after its state has been put into
a fresh learner.
"""

import re
from collections.abc import Iterator
from copy import deepcopy
from functools import partial
from random import Random
from typing import Any

import pytest
import torch
from test_combinations import SMALL, batch, source_of

from fairdarts.checking import check
from fairdarts.config import UserError
from fairdarts.cost.counted import Counted
from fairdarts.differentiable import setup
from fairdarts.differentiable.architect import STEPS, warm_up
from fairdarts.differentiable.derive import check_kind, check_rule, derive
from fairdarts.differentiable.gates import recorded
from fairdarts.differentiable.learner import Learner, StepIndex
from fairdarts.differentiable.progression import advanced, with_alive
from fairdarts.differentiable.settings import SearchSettings
from fairdarts.differentiable.stages import stages_of
from fairdarts.differentiable.state import put_back, state_of
from fairdarts.runs.callbacks import Callbacks
from fairdarts.runs.cost import costs_of
from fairdarts.runtime.shape import Shape
from fairdarts.spaces.space import Space, load_space

CHUNKS, EACH = 20, 10
SPACES = ("s1", "s1", "s1", "nasbench201", "nasbench201", "nasbench201", "s2-small", "nasbench201-noskip")
FEW = ("max_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_3x3")
"""candidates of s1, for the time it takes"""
AXES: dict[str, list[Any]] = {
    "relaxation": ["softmax", "softmax", "sigmoid", "sparsemax", "dirichlet"],
    "sampling": [
        None,
        None,
        {"kind": "gumbel", "hard": False, "temperature": [5, 0.1]},
        {"kind": "gumbel", "hard": True, "temperature": [5, 0.1], "cooling": "exponential"},
        {"kind": "binary"},
        {"kind": "uniform"},
    ],
    "edges": [*3 * [None], "softmax"],
    "noise": [
        None,
        None,
        {"on": "gate", "distribution": "uniform", "std": 0.1, "schedule": "cosine", "operations": ["skip_connect"]},
    ],
    "dropout": [None, None, {"unit": "image", "rate": 0.2, "schedule": "falling", "operations": ["skip_connect"]}],
    "auxiliary": [None, None, {"weight": 1, "schedule": "falling"}],
    "perturbation": [
        None,
        None,
        {"kind": "random", "radius": [0.1, 0.3]},
        {"kind": "adversarial", "radius": [0.1, 0.3], "steps": 1},
    ],
    "penalties": [
        *5 * [[]],
        [{"form": "beta_decay", "weight": 1, "schedule": "rising"}],
        [{"form": "entropy", "weight": 0.1}],
        [{"form": "entropy", "weight": -0.1}, {"form": "l1", "weight": 0.1}],
        [{"form": "dirichlet_kl", "weight": 0.1}],
    ],
    "freezing": [*4 * [None], {"threshold": 0.9, "steps": 1}],
    "stages": [[], [], [{}, {"keep": 3}], [{}, {"keep": 3, "alphas": "kept"}]],
    "cost": [None, None, {"quantity": "params", "target": 1e4}],
    "kind": ["first_order", "first_order", "first_order", "second_order", "single_level"],
    "optimizer": [*6 * ["adam"], "exponentiated"],
    "warmup": [0, 0, 1],
    "supernet": [{}, {}, {"partial": 2}, {"path_dropout": 0.2}],
    "memory": ["none", "recompute", "checkpoint"],
    "form": ["squared", "absolute"],
    "method": [*6 * [{"method": "argmax"}], {"method": "threshold", "threshold": 0.3}],
}
"""component → what is drawn of it; what changes nothing stands there more than once, so that most combinations go"""


def drawn(seed: int) -> tuple[str, dict[str, Any]]:
    """A space and settings."""
    chance = Random(seed)
    got = {name: chance.choice(options) for name, options in AXES.items()}
    if got["relaxation"] == "dirichlet" or chance.random() < 0.05:
        got["sampling"] = chance.choice([None, {"kind": "dirichlet"}])
    adam = {"betas": [0.5, 0.9], "weight_decay": 1e-3} if got["optimizer"] == "adam" else {}
    architect = {key: got[key] for key in ("kind", "optimizer", "warmup")} | adam
    same = ("relaxation", "sampling", "edges", "noise", "dropout", "auxiliary", "perturbation", "penalties", "freezing")
    return chance.choice(SPACES), {
        "name": "composed",
        "source": "tests",
        "epochs": 4 if got["stages"] else 2,
        "data": {"kind": "fake", "batch_size": 4, "train_portion": 0.5, "cutout": 0, "workers": 0},
        "weights": {"lr": 0.1, "lr_min": 0, "momentum": 0.9, "weight_decay": 1e-3, "clip": 5},
        "architect": architect | {"lr": 0.1, "initial_std": 0.1},
        "zero_one": {"form": got["form"], "weight": 1},
        "compute": {"memory": got["memory"]},
        "derive": got["method"],
        **{key: got[key] for key in (*same, "stages", "cost", "supernet")},
    }


def built(name: str, content: dict[str, Any]) -> tuple[SearchSettings, Space, Counted | None]:
    """Settings and space, with what networks cost. Raises UserError where they do not go together."""
    space = load_space(name)
    space = space.model_copy(update=SMALL[space.kind](space) | ({"candidates": FEW} if name == "s1" else {}))
    settings = check(SearchSettings, content | {"space": name}, "composed")
    check_kind(space, name)
    setup.check_composed(settings, space)
    check_rule(settings.derive, space, "derive.")
    return settings, space, costs_of(settings, space, Shape(8, 3, 3), Callbacks(())) if settings.cost else None


def refusal(name: str, content: dict[str, Any]) -> str | None:
    """What is said of settings that do not go together."""
    try:
        built(name, content)
    except UserError as error:
        return str(error)
    return None


def steps(learner: Learner, first: int, epochs: range) -> None:
    """A step in each of some epochs of a stage."""
    learner.supernet.train()
    for epoch in epochs:
        torch.manual_seed(first + epoch)
        take = warm_up if epoch < learner.settings.architect.warmup else STEPS[learner.settings.architect.kind]
        take(learner, batch(2 * epoch), batch(2 * epoch + 1), StepIndex(epoch, first + epoch))


def by_stages(settings: SearchSettings, space: Space, costs: Counted | None) -> Iterator[tuple[Learner, Learner]]:
    """At the end of every stage the learner of a search, and one that went on from its state in the stage's middle."""
    learner: Learner | None = None
    for stage in stages_of(settings):
        make = partial(setup.make_learner, settings, space, source_of(), torch.device("cpu"), costs, stage=stage.number)
        if learner is None:
            learner = make()
        else:
            learner = advanced(learner, settings.stages[stage.number], recorded(learner, learner.alphas), make)
        half = stage.settings.epochs // 2
        steps(learner, stage.first, range(half))
        other = with_alive(make(), learner.alive)
        put_back(other, deepcopy(state_of(learner)))
        for own in (learner, other):
            steps(own, stage.first, range(half, stage.settings.epochs))
        yield learner, other


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_random_combinations_run_and_resume_or_are_refused_in_a_line(chunk: int):
    refused = 0
    for seed in range(chunk * EACH, (chunk + 1) * EACH):
        name, content = drawn(seed)
        if reason := refusal(name, content):
            assert re.fullmatch(r"\S[^\n]*: [^\n]*", reason), reason
            refused += 1
            continue
        settings, space, costs = built(name, content)
        for one, other in by_stages(settings, space, costs):
            for part, alpha in one.alphas.items():
                assert alpha.isfinite().all(), (seed, part)
                assert torch.equal(alpha, other.alphas[part]), (seed, part)
            pairs = zip(one.supernet.state_dict().values(), other.supernet.state_dict().values(), strict=True)
            assert all(torch.equal(*pair) for pair in pairs), seed
        rule = settings.derive
        derive(recorded(one, one.alphas), space, rule.method, rule.threshold, "composed", "tests")
    assert refused < EACH  # each chunk runs some
