"""A search in stages: which candidates go on, what begins anew, and that a stop anywhere changes nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from runs import Watch, metrics, same

from fairdarts.checking import check
from fairdarts.config import UserError
from fairdarts.data.sources import open_source
from fairdarts.differentiable import loop
from fairdarts.differentiable.learner import Learner
from fairdarts.differentiable.loop import learning_rate, search
from fairdarts.differentiable.progression import survivors
from fairdarts.differentiable.settings import SearchSettings
from fairdarts.differentiable.setup import check_fit, make_learner
from fairdarts.differentiable.stages import StageSettings, held_out_batches, lengths, stage_at, stages_of
from fairdarts.genotype import read
from fairdarts.reading import read_yaml
from fairdarts.runtime import checkpoint
from fairdarts.runtime.run import RunDirectory, create, open_run
from fairdarts.runtime.stop import Interrupted
from fairdarts.spaces.space import load_space

STEPS_AN_EPOCH, EPOCHS = 4, 4
STAGES = "[{cells: 2}, {cells: 3, keep: 2}]"
STAGED = {
    "epochs": "4",
    "stages": STAGES,
    "relaxation": "softmax",
    "derive.method": "argmax",
    "architect.warmup": "1",
    "architect.initial_std": "0.1",
}
"""two stages of two epochs, in the first of which α stays as it is"""
THRICE = {**STAGED, "epochs": "3", "architect.warmup": "0", "stages": "[{}, {keep: 2, cells: 3}, {keep: 1}]"}

Go = Callable[..., Any]


def settings_of(recipe: Path, **changes: str) -> SearchSettings:
    return check(SearchSettings, read_yaml(recipe), recipe, STAGED | changes)


@pytest.fixture
def go(tiny_recipe: Path) -> Go:
    """Searches in stages into a run directory of a name, or goes on with it."""

    def run(name: str, watch: Watch | None = None, resume: bool = False, **changes: str) -> Any:
        settings = settings_of(tiny_recipe, **changes)
        path, space, source = tiny_recipe.parent / name, load_space(settings.space), open_source(settings.data)
        watch = watch or Watch()
        place = open_run(path) if resume else create(path, settings, space)
        return search(settings, space, source, place, watch, watch.stop, resume)

    return run


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[Learner]:
    """The learners of all stages that begin, in the order of their making."""
    made: list[Learner] = []

    def noted(*args: Any) -> Learner:
        made.append(make_learner(*args))
        return made[-1]

    monkeypatch.setattr(loop, "make_learner", noted)
    return made


def assert_same_search(one: Path, other: Path) -> None:
    assert metrics(one) == metrics(other)
    assert same(checkpoint.load(RunDirectory(one).last), checkpoint.load(RunDirectory(other).last))
    found, expected = (read(path / "genotypes" / "final.yaml") for path in (one, other))
    assert (found.normal, found.reduce) == (expected.normal, expected.reduce)


def test_the_candidates_of_the_largest_gates_survive():
    gates = {"normal": [[0.5, 0.2, 0.3], [0.25, 0.5, 0.25], [0.4, 0.6, 0.0]]}
    first = survivors(gates, None, 2)
    assert first["normal"].tolist() == [[True, False, True], [True, True, False], [True, True, False]]
    later = survivors({"normal": [[0.0, 1.0, 0.0]] * 3}, first, 1)  # the middle one is not there in the first point
    assert later["normal"].tolist() == [[True, False, False], [False, True, False], [False, True, False]]
    assert survivors(gates, first, 3)["normal"].tolist() == first["normal"].tolist()


def test_stages_share_the_epochs():
    assert lengths(75, [StageSettings()] * 3) == [25, 25, 25]
    assert lengths(10, [StageSettings(share=1), StageSettings(share=4)]) == [2, 8]
    assert lengths(8, [StageSettings()] * 3) == [3, 2, 3]
    assert lengths(50, []) == [50]


def test_a_stage_is_told_what_is_its_own(tiny_recipe: Path):
    dropout = {"unit": "element", "rate": 0.5, "schedule": "falling", "operations": "[skip_connect]"}
    told = {f"dropout.{key}": str(value) for key, value in dropout.items()}
    stages = "[{dropout: 0}, {channels: 6, dropout: 0.25}, {}]"
    settings = settings_of(tiny_recipe, epochs="9", stages=stages, **told)
    first, second, third = stages_of(settings)
    assert [stage.first for stage in (first, second, third)] == [0, 3, 6]
    assert [stage_at(settings, epoch).number for epoch in range(10)] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 2]
    assert first.settings.dropout is None
    assert second.settings.dropout.rate == 0.25
    assert third.settings == settings.model_copy(update={"epochs": 3, "stages": ()})
    assert second.settings.supernet.channels == 6


def test_held_out_batches_wait_in_every_warm_up(tiny_recipe: Path):
    settings = settings_of(tiny_recipe)
    assert [held_out_batches(settings, step, 4) for step in range(17)] == [0] * 5 + [1, 2, 3] + [4] * 5 + [5, 6, 7, 8]


def test_what_died_never_runs_and_never_returns(go: Go, tmp_path: Path, begun: list[Learner]):
    genotype = go("run", **THRICE)
    records = metrics(tmp_path / "run")
    assert [record["stage"] for record in records] == [1, 1, 2, 3]
    for part in ("normal", "reduce"):
        start, one, two, three = (np.asarray(record["gates"][part]) for record in records)
        assert [(gates > 0).sum(1).tolist() for gates in (start, one, two, three)] == [[n] * 5 for n in (3, 3, 2, 1)]
        assert not two[np.arange(5), one.argmin(1)].any()  # the smallest gate of each point
        assert np.all((two > 0) >= (three > 0))
        assert np.all((three > 0).argmax(1) == two.argmax(1))
        for op, node, source in getattr(genotype, part):
            names = load_space(str(tmp_path / "tiny-space.yaml"))
            assert three[names.edges.index((node, source)), names.candidates.index(op)] == 1
    assert [len(learner.supernet.stages) for learner in begun] == [2, 3, 2]


def test_dead_candidates_do_not_run(go: Go, tmp_path: Path, begun: list[Learner], tiny_recipe: Path):
    """Neither a weight of theirs nor a running statistic moves; of all others every one does."""
    stages = "[{}, {keep: 1}]"
    go("run", stages=stages)
    gates = metrics(tmp_path / "run")[2]["gates"]
    before = make_learner(*_parts(tiny_recipe, stages=stages), stage=1).supernet
    for kind, old, new in zip(("normal", "reduce"), before.stages, begun[1].supernet.stages, strict=True):
        for row in range(5):
            start, end = (stage.candidates[row][2].state_dict() for stage in (old, new))
            moved = [not torch.equal(start[name], end[name]) for name in start]
            assert moved == [np.argmax(gates[kind][row]) == 2] * len(moved)
            assert moved
    assert {np.argmax(row) == 2 for part in gates.values() for row in part} == {True, False}


def test_weights_and_alpha_begin_anew(go: Go, tmp_path: Path, begun: list[Learner], tiny_recipe: Path):
    go("run", **{"stages": "[{}, {}]"})
    fresh = [make_learner(*_parts(tiny_recipe, stages="[{}, {}]"), stage=stage) for stage in (0, 1)]
    plain = make_learner(*_parts(tiny_recipe, stages="[]"))
    for name, alpha in fresh[1].alphas.items():
        assert not torch.equal(alpha, fresh[0].alphas[name])
        assert torch.equal(plain.alphas[name], fresh[0].alphas[name])
        recorded = metrics(tmp_path / "run")[3]["alphas"][name]  # of the epoch in which α stays as it is
        assert recorded == alpha.tolist()
    assert not torch.equal(fresh[1].weights[0], fresh[0].weights[0])
    assert torch.equal(plain.weights[0], fresh[0].weights[0])


def _parts(recipe: Path, **changes: str) -> tuple[Any, ...]:
    settings = settings_of(recipe, **changes)
    return settings, load_space(settings.space), open_source(settings.data), torch.device("cpu")


def test_alpha_may_be_kept(go: Go, tmp_path: Path):
    go("run", stages="[{}, {alphas: kept, keep: 2}]")
    records = metrics(tmp_path / "run")
    assert records[3]["alphas"] == records[2]["alphas"]
    assert records[3]["gates"] != records[2]["gates"]


def test_the_learning_rate_and_the_strength_begin_again(go: Go, tmp_path: Path):
    go("run")
    rates = [record["lr"] for record in metrics(tmp_path / "run")[1:]]
    assert rates == [learning_rate(epoch, 2, 0.1, 0.001) for epoch in (0, 1, 0, 1)]


def test_one_stage_is_a_search_without(go: Go, tmp_path: Path):
    go("one", stages="[{}]")
    go("none", stages="[]")
    one, none = metrics(tmp_path / "one"), metrics(tmp_path / "none")
    assert [{**record, "stage": 1} for record in none] == one


KINDS = ["first_order", "second_order", "single_level"]


@pytest.mark.parametrize("alphas", ["fresh", "kept"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_search_stopped_anywhere_is_as_if_it_never_was(go: Go, tmp_path: Path, kind: str, alphas: str):
    """Within a stage, at its border and in its warm-up, and behind that."""
    changes = {"architect.kind": kind, "stages": f"[{{cells: 2}}, {{cells: 3, keep: 2, alphas: {alphas}}}]"}
    go("whole", **changes)
    for number, at in enumerate(({"step": 6}, {"epoch": 2}, {"step": 9}, {"step": 12}, {"step": 14})):
        with pytest.raises(Interrupted):
            go("stopped", Watch(**at), resume=number > 0, **changes)
    go("stopped", resume=True, **changes)
    assert_same_search(tmp_path / "stopped", tmp_path / "whole")


def test_a_search_killed_between_two_stages_goes_on(go: Go, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Its checkpoint is of the stage before: the next one has not begun."""
    go("whole")

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(loop, "advanced", killed)
        with pytest.raises(KeyboardInterrupt):
            go("killed")
    assert "stage" not in checkpoint.load(RunDirectory(tmp_path / "killed").last)
    go("killed", resume=True)
    assert_same_search(tmp_path / "killed", tmp_path / "whole")


def test_the_curvature_is_measured_in_every_stage(go: Go, tmp_path: Path):
    go("run", curvature="true")
    assert all(np.isfinite(record["eigenvalue"]) for record in metrics(tmp_path / "run")[1:])


@pytest.mark.parametrize("relaxation", ["sigmoid", "sparsemax", "dirichlet"])
def test_every_relaxation_has_stages(go: Go, tmp_path: Path, relaxation: str):
    go("run", relaxation=relaxation)
    last = metrics(tmp_path / "run")[-1]
    assert all((np.asarray(gates) > 0).sum(1).max() <= 2 for gates in last["gates"].values())
    assert np.isfinite(last["train_loss"])


COMPONENTS = {
    "gumbel": {"sampling.kind": "gumbel", "sampling.hard": "true", "sampling.temperature": "[2, 1]"},
    "binary": {"sampling.kind": "binary"},
    "uniform": {"sampling.kind": "uniform"},
    "dirichlet": {"sampling.kind": "dirichlet", "relaxation": "dirichlet"},
    "edges": {"edges": "softmax", "derive.threshold": "null"},
    "exponentiated": {"architect.optimizer": "exponentiated"}
    | dict.fromkeys(("architect.betas", "architect.weight_decay"), "null"),
    "freezing": {"freezing.threshold": "-1", "freezing.steps": "2"},
    "penalties": {
        "penalties": "[{form: beta_decay, weight: 1, schedule: rising}, {form: entropy, weight: 1, schedule: falling}]"
    },
    "auxiliary": {"auxiliary.weight": "1", "auxiliary.schedule": "falling"},
    "perturbation": {
        "perturbation.kind": "adversarial",
        "perturbation.radius": "[0.1, 0.1]",
        "perturbation.steps": "1",
    },
    "noise": {
        "noise.on": "gate",
        "noise.std": "1",
        "noise.distribution": "gaussian",
        "noise.operations": "skip_connect",
    },
}
COMPONENTS["noise"]["noise.schedule"] = "constant"


@pytest.mark.parametrize("component", COMPONENTS)
def test_every_component_leaves_the_dead_out(go: Go, tmp_path: Path, begun: list[Learner], component: str):
    """But for the auxiliary skip connection, which is no candidate, their weights stay as they are drawn."""
    changes = {**COMPONENTS[component], "epochs": "2", "architect.warmup": "0", "stages": "[{}, {keep: 1}]"}
    go("run", **changes)
    gates, learner = metrics(tmp_path / "run")[2]["gates"], begun[1]
    assert all((np.asarray(rows) > 0).sum(1).tolist() == [1] * 5 for rows in gates.values())
    trained = {id(weight) for weight, state in learner.weight_optimizer.state.items() if "momentum_buffer" in state}
    for kind, cell in zip(("normal", "reduce"), learner.supernet.stages, strict=True):
        for row, operations in enumerate(cell.candidates):
            ran = {id(weight) in trained for weight in operations[2].parameters()}
            assert ran == {gates[kind][row][2] > 0}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": "1", "architect.warmup": "0"}, r"epochs 1: should be more, so that every one of the 2 stages has"),
        ({"architect.warmup": "2"}, r"architect\.warmup 2: should be below the 2 epochs of a stage, so that α is"),
        ({"stages": "[{keep: 2}, {}]"}, r"stages\.0\.keep 2: nothing goes before the first stage; leave it out"),
        ({"stages": "[{alphas: kept}, {}]"}, r"stages\.0\.alphas kept: nothing goes before the first stage"),
        ({"epochs": "6", "stages": "[{}, {keep: 1}, {keep: 2}]"}, r"stages\.2\.keep 2: should be at most 1, which the"),
        (
            {"supernet.cells": "2"},
            r"supernet\.cells 2: every stage has cells of its own: change those, or leave it out",
        ),
        ({"stages": "[{}, {dropout: 0.1}]"}, r"stages\.1\.dropout 0\.1: should come with a section dropout"),
        (
            {"stopping.kind": "skips", "stopping.limit": "2"},
            r"stopping\.kind skips: a search of stages goes through all",
        ),
        ({"stages": "[{}, {keep: 4}]"}, r"stages\.1\.keep: 4: should be at most 3, the candidates in space tiny"),
        (
            {"stages": "[{}, {keep: 1}]", "derive.max_skips": "2"},
            r"stages\.1\.keep: 1: should be at least 2, as the genotype may not have skip_connect",
        ),
        ({"stages": "[{}, {partial: 7}]"}, r"stages\.1\.partial: 7: should be one of 1, which"),
        ({"stages": "[{}, {}]", "supernet.partial": "7"}, r"^supernet\.partial: 7: should be one of 1, which"),
        ({"stages": "[{}, {cells: 1}]"}, r"cells: 1: all of them are reduction cells in tiny"),
        ({"stages": "[{}, {kep: 1}]"}, r"stages\.1\.kep: unknown key"),
        ({"stages": "[{}, {keep: 0}]"}, r"stages\.1\.keep: 0: should be greater than or equal to 1"),
    ],
)
def test_what_does_not_go_together_is_refused_in_a_line(tiny_recipe: Path, changes: dict[str, str], message: str):
    def checked() -> None:
        settings = settings_of(tiny_recipe, **changes)
        check_fit(settings, load_space(settings.space), open_source(settings.data))

    with pytest.raises(UserError, match=message) as error:
        checked()
    assert "\n" not in str(error.value)
