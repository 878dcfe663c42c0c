"""A search from begin to end: the budget, what it records, and how it goes on where it stopped."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from one_shot import CHAIN, every_path
from runs import same
from second_stage import STRATEGIES, judge, problem_of, settings_of

from fairdarts.config import Notice, UserError
from fairdarts.evolution.archive import Archive
from fairdarts.evolution.loop import Search, check_fit, evolve
from fairdarts.evolution.problem import Problem
from fairdarts.evolution.settings import EvolveSettings
from fairdarts.runtime import checkpoint
from fairdarts.runtime.checkpoint import BadState
from fairdarts.runtime.run import RunDirectory, create
from fairdarts.runtime.stop import Diverged, Interrupted, Stop, catch_signals

IDENTITY = {"supernet: weights": "abc"}
TIMES = ("seconds", "evaluations_per_second")


def problem_for(settings: EvolveSettings, *limits: str) -> Problem:
    return problem_of(objectives=settings.objectives, limits=limits)


def run_at(path: Path, settings: EvolveSettings) -> RunDirectory:
    return create(path, settings, CHAIN)


def searched(
    run: RunDirectory, settings: EvolveSettings, judging: Any = judge, resume: bool = False, stop: Stop | None = None
) -> Archive:
    return evolve(settings, problem_for(settings), judging, run, IDENTITY, lambda _: None, stop or Stop(), resume)


def records(run: RunDirectory) -> list[dict]:
    return [{key: value for key, value in record.items() if key not in TIMES} for record in run.records()]


@pytest.mark.parametrize("kind", STRATEGIES)
def test_a_search_evaluates_its_budget_and_no_path_twice(kind: str, tmp_path: Path) -> None:
    asked = []
    settings = settings_of(kind)
    archive = searched(
        run_at(tmp_path / "run", settings), settings, lambda paths: (asked.extend(paths), judge(paths))[1]
    )
    assert len(asked) == len(set(asked)) == len(archive) == 40
    assert archive.generation.tolist() == [1 + number // 8 for number in range(40)]
    assert archive.values["accuracy"].tolist() == judge(archive.paths)


@pytest.mark.parametrize("kind", STRATEGIES)
def test_the_same_seed_finds_the_same_front_and_another_seed_another(kind: str) -> None:
    def found(seed: int) -> list:
        search = Search(settings_of(kind, seed=seed), problem_for(settings_of(kind)))
        for _ in range(4):
            search.advance(judge)
        return search.archive.paths

    assert found(0) == found(0)
    assert found(0) != found(1)


@pytest.mark.parametrize("kind", STRATEGIES)
@pytest.mark.parametrize("after", [1, 2, 4])
def test_a_search_that_was_killed_goes_on_to_the_same_bits(kind: str, after: int, tmp_path: Path) -> None:
    settings = settings_of(kind)
    whole = run_at(tmp_path / "whole", settings)
    searched(whole, settings)

    class Killed(Exception):
        pass

    killed = run_at(tmp_path / "killed", settings)
    done = 0

    def failing(paths: list) -> list[float]:
        nonlocal done
        done += len(paths)
        if done > 8 * after + 3:
            raise Killed
        return judge(paths)

    with pytest.raises(Killed):
        searched(killed, settings, failing)
    assert [record["generation"] for record in killed.records()] == list(range(1, after + 1))
    with killed.metrics.open("a") as file:
        file.write('{"generation": ')  # a torn line
    searched(killed, settings, resume=True)
    assert records(killed) == records(whole)
    assert same(checkpoint.load(killed.last), checkpoint.load(whole.last))


def test_a_signal_stops_before_the_next_judgement_and_nothing_is_lost(tmp_path: Path) -> None:
    settings = settings_of()
    run, whole = run_at(tmp_path / "run", settings), run_at(tmp_path / "whole", settings)
    searched(whole, settings)

    def interrupting(paths: list) -> list[float]:
        if len(run.records()) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return judge(paths)

    with catch_signals() as stop, pytest.raises(Interrupted):
        searched(run, settings, interrupting, stop=stop)
    assert len(run.records()) == 3
    searched(run, settings, resume=True)
    assert same(checkpoint.load(run.last), checkpoint.load(whole.last))


def test_hypervolume_never_falls_and_the_best_never_worsens(tmp_path: Path) -> None:
    settings = settings_of("random", budgets="params <= 1000, madds <= 60000")
    run = run_at(tmp_path / "run", settings)
    searched(run, settings)
    found = run.records()
    volumes = [record["hypervolume"] for record in found]
    assert volumes == sorted(volumes)
    assert 0 < volumes[0] < volumes[-1] < 1
    for limit in ("params <= 1000", "madds <= 60000"):
        best = [record["best"][limit] for record in found if record["best"][limit] is not None]
        assert best == sorted(best)
        assert best
    assert [record["evaluations"] for record in found] == [8, 16, 24, 32, 40]


def test_a_search_ends_when_every_path_is_known(tmp_path: Path) -> None:
    settings = settings_of("nsga2", generations=99)
    run = run_at(tmp_path / "run", settings)
    archive = searched(run, settings)
    assert sorted(archive.paths) == every_path(CHAIN)
    assert [record["generation"] for record in run.records()] == list(range(1, 12))
    assert run.records()[-1]["evaluations"] == 81
    searched(run, settings, resume=True)  # and may be continued without harm
    assert len(run.records()) == 11


def test_another_supernet_is_refused(tmp_path: Path) -> None:
    settings = settings_of()
    run = run_at(tmp_path / "run", settings)
    searched(run, settings)
    with pytest.raises(BadState, match="supernet: weights: abc when the run began, other now"):
        evolve(
            settings, problem_for(settings), judge, run, {"supernet: weights": "other"}, lambda _: None, Stop(), True
        )


@pytest.mark.parametrize("damage", ["cut", "strategy"])
def test_a_damaged_run_is_refused(damage: str, tmp_path: Path) -> None:
    settings = settings_of()
    run = run_at(tmp_path / "run", settings)
    searched(run, settings)
    if damage == "cut":
        run.last.write_bytes(run.last.read_bytes()[:1000])
    else:
        torch.save({**checkpoint.load(run.last), "strategy": {}}, run.last)
    with pytest.raises(BadState, match=r"last.pt: "):
        searched(run, settings, resume=True)


def test_lost_records_are_written_again_from_the_checkpoint(tmp_path: Path) -> None:
    settings = settings_of()
    run = run_at(tmp_path / "run", settings)
    searched(run, settings)
    before = run.metrics.read_text()
    run.metrics.write_text("".join(before.splitlines(keepends=True)[1:]))
    with pytest.warns(Notice, match=r"metrics.jsonl: did not hold every generation until 5 once"):
        searched(run, settings, resume=True)
    assert run.metrics.read_text() == before


def test_a_search_whose_controller_diverges_says_so_in_its_run(tmp_path: Path) -> None:
    settings = settings_of("mnasnet", **{"evolve.controller.lr": 1e20})
    run = run_at(tmp_path / "run", settings)
    assert (run.verb, run.state) == ("evolve", "new")
    for resume in (False, True):
        with pytest.raises(Diverged, match=r"no longer finite; lower evolve.controller.lr"):
            searched(run, settings, resume=resume)
        assert run.state == "diverged"
    assert "lower evolve.controller.lr" in (run.divergence or "")


def test_a_search_whose_checkpoint_is_gone_is_refused(tmp_path: Path) -> None:
    settings = settings_of()
    run = run_at(tmp_path / "run", settings)
    searched(run, settings)
    before = run.metrics.read_text()
    run.last.unlink()
    with pytest.raises(BadState, match=r"last.pt: no such checkpoint"):
        searched(run, settings, resume=True)
    assert run.metrics.read_text() == before


def test_limits_and_priors_are_checked_before_anything_runs() -> None:
    settings = settings_of()
    with pytest.raises(UserError, match="no model keeps it"):
        check_fit(settings, problem_for(settings, "madds <= 1"))
    wrong = settings_of(**{"evolve.prior_weights": "[[1, 1], [1, 1]]"})
    with pytest.raises(
        UserError, match=r"evolve.prior_weights: should hold, of the points of tiny, 3, 3, 3, 3 weights"
    ):
        check_fit(wrong, problem_for(wrong))


def test_the_users_prior_decides_what_it_draws() -> None:
    only = "[[0, 0, 1], [0, 0, 1], [0, 0, 1], [0, 0, 1]]"
    shares = {"mutation": 1, "random": 0, "reinforced": 0, "prior": 1, "by_controller": 0}
    words = {f"evolve.{key}": value for key, value in shares.items()} | {"evolve.prior_weights": only}
    search = Search(settings_of(**words), problem_of())
    search.advance(judge)
    search.advance(judge)
    before = {*search.archive.paths}
    search.advance(judge)
    for path in search.archive.paths[16:]:
        parents = [own for own in before if sum(map(int.__ne__, own, path)) == 1]
        changes = [new for own in parents for old, new in zip(own, path, strict=True) if old != new]
        assert 2 in changes or search.strategy.made["fresh"]
