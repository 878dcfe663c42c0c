"""What the truth says of a search: its best, its front, generation by generation, and that no search sees it."""

from pathlib import Path

import numpy as np
import pytest
from one_shot import CHAIN, every_path
from runs import same
from second_stage import accuracy_of, judge, problem_of, settings_of, truth_of

from fairdarts.evolution.archive import Archive
from fairdarts.evolution.loop import evolve
from fairdarts.evolution.objectives import read_limit
from fairdarts.evolution.truth import Column, front_by, held_against, table_of
from fairdarts.runtime import checkpoint
from fairdarts.runtime.run import RunDirectory, create
from fairdarts.runtime.stop import Stop
from fairdarts.spaces.gates import SinglePath

TIMES = ("seconds", "evaluations_per_second")
TOLD = ("truth", "regret", "truth_within", "regret_within", "front_truth")
WITHIN = "madds <= 60000"


def by(truth: dict[SinglePath, float]) -> Column:
    return Column(truth, truth.get)


def wrong(paths: list[SinglePath]) -> list[float]:
    """A judge that likes the worst."""
    return [100 - accuracy for accuracy in judge(paths)]


def test_all_that_was_evaluated_has_no_regret() -> None:
    archive = Archive(problem_of())
    archive.add(every_path(CHAIN), judge(every_path(CHAIN)), 1)
    about = held_against({"a": by(truth_of())}, archive.problem, [read_limit(WITHIN)])
    told = about(archive)
    assert told["truth"] == {"a": max(truth_of().values())}
    assert told["regret"] == {"a": 0}
    assert told["regret_within"] == {WITHIN: {"a": 0}}
    assert told["front_truth"]["a"]["hypervolume"] == pytest.approx(1)
    assert told["front_truth"]["a"]["known"] == len(archive.front())


def test_a_judge_that_errs_has_regret_and_less_hypervolume() -> None:
    archive, paths = Archive(problem_of()), every_path(CHAIN)
    archive.add(paths, wrong(paths), 1)
    other = {path: accuracy / 2 for path, accuracy in truth_of().items()}
    told = held_against({"a": by(truth_of()), "half": by(other)}, archive.problem, ())(archive)
    accuracies, front = judge(paths), judge([paths[place] for place in archive.front()])
    assert told["truth"] == {"a": min(accuracies), "half": min(accuracies) / 2}
    lost = max(accuracies) - min(accuracies)
    assert told["regret"] == {"a": pytest.approx(lost, abs=1e-6), "half": pytest.approx(lost / 2, abs=1e-6)}
    assert "truth_within" not in told
    assert told["front_truth"]["a"]["mean"] == pytest.approx(np.mean(front))
    assert told["front_truth"]["a"]["best"] == max(front)
    assert told["front_truth"]["a"]["hypervolume"] < 1
    judged = front_by(archive, by(truth_of()))
    assert judged.values["accuracy"].tolist() == judge(judged.paths)


def test_what_the_table_does_not_know_is_left_out_and_what_it_knows_otherwise_is_not() -> None:
    archive = Archive(problem_of())
    paths = archive.problem.fresh(30, (), np.random.default_rng(0))
    archive.add(paths, judge(paths), 1)
    best = paths[archive.best_within(None)]
    truth = truth_of()
    del truth[best]
    columns = {"lacks": by(truth), "isomorphic": Column(truth, lambda path: truth.get(path, 12.5))}
    told = held_against(columns, archive.problem, ())(archive)
    assert told["truth"] == {"lacks": None, "isomorphic": 12.5}
    assert told["regret"] == {"lacks": None, "isomorphic": pytest.approx(max(truth.values()) - 12.5, abs=1e-6)}
    fronts = told["front_truth"]
    assert fronts["lacks"]["known"] == len(archive.front()) - 1 == fronts["isomorphic"]["known"] - 1


def test_before_any_model_keeps_the_limits_nothing_is_known() -> None:
    archive = Archive(problem_of(limits=("accuracy >= 101",)))
    paths = every_path(CHAIN)[:5]
    archive.add(paths, judge(paths), 1)
    told = held_against({"a": by(truth_of())}, archive.problem, ())(archive)
    assert (told["truth"], told["regret"]) == ({"a": None}, {"a": None})
    assert told["front_truth"]["a"] == {"known": 0, "mean": None, "best": None, "hypervolume": 0}


def test_a_table_is_within_the_limits_and_bounds_what_can_be() -> None:
    truth = truth_of()
    table = table_of(problem_of(limits=("params <= 1000",)), truth)
    assert 0 < len(table) < len(truth)
    assert (table.values["params"] <= 1000).all()
    assert table.problem.box[0][0] == -max(truth.values())
    assert table.problem.box[1][0] == -min(truth.values())


def test_what_a_benchmark_has_beyond_the_space_cannot_be_found() -> None:
    beyond = {(9,) * len(CHAIN.choices): 99.9}
    table = table_of(problem_of(), truth_of() | beyond)
    assert table.paths == every_path(CHAIN)
    assert len(table_of(problem_of(), beyond)) == 0


def searched(path: Path, told: bool, generations: int = 5, resume: bool = False) -> RunDirectory:
    settings = settings_of(budgets=WITHIN)
    problem = problem_of()
    about = held_against({"a": by(truth_of())}, problem, settings.classes) if told else None
    run = RunDirectory(path) if resume else create(path, settings, CHAIN)
    short = settings.model_copy(update={"generations": generations})
    evolve(short, problem, wrong, run, {}, lambda _: None, Stop(), resume, about)
    return run


def without(run: RunDirectory, *keys: str) -> list[dict]:
    return [{key: value for key, value in record.items() if key not in keys} for record in run.records()]


def test_no_search_sees_the_truth(tmp_path: Path) -> None:
    one, other = searched(tmp_path / "told", True), searched(tmp_path / "not", False)
    assert without(one, *TOLD, *TIMES) == without(other, *TIMES)
    assert all(set(TOLD) <= record.keys() for record in one.records())
    states = [checkpoint.load(run.last) for run in (one, other)]
    assert same(*({key: value for key, value in state.items() if key != "records"} for state in states))


def test_every_record_tells_of_the_best_until_then(tmp_path: Path) -> None:
    run, whole = searched(tmp_path / "run", True), table_of(problem_of(), truth_of())
    best = whole.values["accuracy"][whole.values["madds"] <= 60000].max()
    archive = Archive(whole.problem)
    archive.restore(checkpoint.load(run.last)["archive"])
    madds = archive.values["madds"]
    for record in run.records():
        so_far = archive.paths[: record["evaluations"]]
        assert record["truth"] == {"a": min(map(accuracy_of, so_far))}  # the judge likes the worst
        cheap = [accuracy_of(path) for path, cost in zip(so_far, madds, strict=False) if cost <= 60000]
        assert record["truth_within"] == {WITHIN: {"a": min(cheap)}}
        assert record["regret_within"][WITHIN]["a"] == pytest.approx(best - min(cheap), abs=1e-6)


@pytest.mark.parametrize("told_before", [True, False])
def test_a_resumed_search_has_told_all_generations(tmp_path: Path, told_before: bool) -> None:
    whole, cut = searched(tmp_path / "whole", True), searched(tmp_path / "cut", told_before, generations=2)
    searched(tmp_path / "cut", True, resume=True)
    assert without(cut, *TIMES) == without(whole, *TIMES)
    last = searched(tmp_path / "late", False)
    searched(tmp_path / "late", True, resume=True)  # of one that is finished nothing is left to do but this
    assert without(last, *TIMES) == without(whole, *TIMES)
