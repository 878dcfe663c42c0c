"""What a search ends with."""

import csv
import io

import numpy as np
import pytest
from one_shot import BENCH, CHAIN
from second_stage import accuracy_of, judge, problem_of

from fairdarts.evolution.archive import Archive
from fairdarts.evolution.objectives import read_limit
from fairdarts.evolution.result import best_of, judged_alike, models_csv, models_of
from fairdarts.ranking.benchmarks import read_benchmark


def archive_of(count: int = 30, limits: tuple[str, ...] = (), seed: int = 0) -> Archive:
    """So many paths as the truth judges them."""
    archive = Archive(problem_of(limits=limits))
    paths = archive.problem.fresh(count, (), np.random.default_rng(seed))
    archive.add(paths, judge(paths), 1)
    return archive


def test_models_are_of_the_front_and_the_best_within_budgets() -> None:
    archive = archive_of()
    middle = float(np.median(archive.values["madds"]))
    budgets = [read_limit(f"madds <= {middle}"), read_limit("params >= 0"), read_limit("madds <= 1")]
    models = {model.name: model for model in models_of(archive, 3, budgets)}
    assert list(models) == ["front-1", "front-2", "front-3", "best-1", "best-2"]  # nothing has a multiply-add at most
    front = {archive.paths[place] for place in archive.front()}
    assert {models[f"front-{number}"].path for number in (1, 2, 3)} <= front
    values = archive.values
    assert models["front-1"].values["accuracy"] == values["accuracy"].max() == models["best-2"].values["accuracy"]
    assert models["best-1"].values["accuracy"] == values["accuracy"][values["madds"] <= middle].max()
    assert models["best-1"].budget == f"madds <= {middle:g}"
    assert [model.name for model in models_of(archive, 2, ())] == ["front-1", "front-2", "best"]


def test_of_equally_accurate_models_the_best_is_the_cheapest() -> None:
    archive = Archive(problem_of())
    paths = archive.problem.fresh(20, (), np.random.default_rng(3))
    archive.add(paths, [25.0] * 20, 1)
    madds, params = archive.values["madds"], archive.values["params"]
    cheapest = min(range(20), key=lambda place: (madds[place], params[place]))
    assert archive.best_within(None) == cheapest != 0
    models = {model.name: model for model in models_of(archive, 3, ())}
    assert models["best"].path == models["front-1"].path == best_of(archive).path == paths[cheapest]
    bounded = read_limit(f"madds >= {np.median(madds)}")
    assert madds[archive.best_within(bounded)] == madds[madds >= np.median(madds)].min()


def test_of_equally_accurate_models_the_best_is_that_which_the_objectives_prefer() -> None:
    archive = Archive(problem_of(objectives=("accuracy", "params:max")))
    archive.add(archive.problem.fresh(20, (), np.random.default_rng(3)), [25.0] * 20, 1)
    assert archive.values["params"][archive.best_within(None)] == archive.values["params"].max()
    assert archive.best_within(None) in archive.front()


def test_a_judge_that_does_not_decide_is_told_of() -> None:
    archive = Archive(problem_of())
    paths = archive.problem.fresh(20, (), np.random.default_rng(3))
    archive.add(paths, [100 * 7 / 24] * 20, 1)
    (said,) = judged_alike(archive, [read_limit("madds <= 1e9")])
    assert said.startswith("all 20 models are judged alike, at 29.17 %: the supernet tells none from another")
    some = Archive(problem_of())
    some.add(paths, [30.0, 50.0, 50.0, *[20.0] * 17], 1)
    within = read_limit(f"params <= {np.sort(some.values['params'])[2]}")
    lines = judged_alike(some, [within])
    assert lines[0] == "2 of 20 models share the highest accuracy, 50.00 %: cost decides"
    alone = Archive(problem_of())
    alone.add(paths, [30.0, *np.arange(19.0)], 1)
    assert judged_alike(alone, ()) == []


def test_a_limit_on_accuracy_holds_for_what_is_found() -> None:
    archive = archive_of(limits=("accuracy >= 70",))
    assert min(archive.values["accuracy"]) < 70
    assert all(model.values["accuracy"] >= 70 for model in models_of(archive, 9, ()))
    nothing = archive_of(limits=("accuracy >= 101",))
    assert models_of(nothing, 3, ()) == []
    assert nothing.hypervolume() == 0


@pytest.mark.parametrize("space", [CHAIN, BENCH], ids=lambda space: space.name)
def test_models_csv_is_a_benchmark(space, tmp_path) -> None:
    archive = Archive(problem_of(space))
    paths = archive.problem.fresh(20, (), np.random.default_rng(0))
    archive.add(paths, [60 + number for number in range(20)], 3)
    (tmp_path / "models.csv").write_text(models_csv(archive))
    rows = list(csv.DictReader(io.StringIO(models_csv(archive))))
    assert [int(row["front"]) for row in rows] == [int(place in archive.front()) for place in range(20)]
    assert {row["generation"] for row in rows} == {"3"}
    assert [int(row["madds"]) for row in rows] == archive.values["madds"].tolist()
    read = read_benchmark(tmp_path / "models.csv", space.choices, space.name)
    assert read.truth == dict(zip(paths, range(60, 80), strict=True))
    assert rows[0]["arch"] == space.arch(paths[0])


def test_an_archive_refuses_a_path_twice() -> None:
    archive = archive_of(5)
    with pytest.raises(ValueError, match="evaluated twice"):
        archive.add(archive.paths[:1], [50.0], 2)


def test_costs_and_accuracies_come_back_from_a_checkpoint() -> None:
    archive, other = archive_of(), Archive(problem_of())
    other.restore(archive.state())
    assert other.paths == archive.paths
    assert other.generation.tolist() == archive.generation.tolist()
    assert all(np.array_equal(own, other.values[name]) for name, own in archive.values.items())
    assert accuracy_of(other.paths[0]) == other.values["accuracy"][0]
