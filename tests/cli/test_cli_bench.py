"""`fairdarts bench`: what it measures, prints and refuses."""

import json
from itertools import count
from pathlib import Path

import pytest
import torch

from fairdarts.cli import bench, main
from fairdarts.differentiable.architect import STEPS


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step takes as many tenths of a second as its number."""
    ticks = (tick for number in count(1) for tick in (0, number / 10))
    monkeypatch.setattr("fairdarts.runs.bench.perf_counter", lambda: next(ticks))


def measured(capsys: pytest.CaptureFixture, *words: object) -> dict:
    capsys.readouterr()
    assert main(["bench", *map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.usefixtures("clock")
def test_times_are_those_after_the_warm_up(tiny_recipe: Path, capsys):
    found = measured(capsys, "--config", tiny_recipe, "--steps", 3)
    assert found["steps_measured"] == 3
    assert found["step_ms"] == 500  # of 400, 500 and 600
    assert found["step_ms_quartiles"] == [450, 550]  # within what was measured, however few steps there are
    assert found["images_per_second"] == 2 * 4 / 0.5
    assert (found["epochs"], found["steps_per_epoch"]) == (3, 4)
    assert found["hours"] == round(3 * 4 * 0.5 / 3600, 4)
    assert (found["recipe"], found["device"], found["threads"]) == ("tiny", "cpu", torch.get_num_threads())


def test_settings_are_the_recipes_and_the_command_lines(tiny_recipe: Path, capsys):
    words = ["--architect.kind", "single_level", "--epochs", 7, "--data.batch_size", 2, "--data.train_portion", 1]
    found = measured(capsys, "--config", tiny_recipe, "--steps", 2, *words)
    assert (found["epochs"], found["steps_per_epoch"]) == (7, 16)
    one, all_of_it = found["step_ms"] / 1000, found["hours"] * 3600
    assert found["images_per_second"] == pytest.approx(2 / one, rel=0.01)  # no held-out batch
    assert all_of_it == pytest.approx(7 * 16 * one, abs=0.2)


def test_a_measurement_reads_as_lines_and_leaves_nothing(tiny_recipe: Path, tmp_path: Path, capsys):
    before = sorted(tmp_path.rglob("*"))
    assert main(["bench", "--config", str(tiny_recipe), "--steps", "2"]) == 0
    out, err = capsys.readouterr()
    lines = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert list(lines) == ["recipe", "step", "images", "memory", "search"]
    assert lines["recipe"].startswith("tiny on cpu, 1 thread, torch ")
    assert lines["search"].startswith("3 epochs of 4 steps: about ")
    assert err == "measuring 2 steps of tiny, after 3 to warm up\n"
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(("hours", "text"), [(0.25, "15.0 minutes"), (1.5, "90.0 minutes"), (1234.56, "1,234.6 hours")])
def test_durations_are_told_in_what_one_counts_in(hours: float, text: str):
    assert bench.duration(hours) == text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--config", "fairnas-macro"], "is a recipe of `fairdarts supernet`, not of `fairdarts search`"),
        ([], "bench: the first word should be a RECIPE; "),
        (["--config", "RECIPE", "--steps", "1"], "bench: --steps 1: should be at least 2"),
        (["--config", "RECIPE", "--steps", "few"], "bench: argument --steps: invalid int value: 'few'"),
        (["--config", "no-such"], "no-such"),
        (
            ["--config", "RECIPE", "--data.batch", "3"],
            "--data.batch: is neither an option nor a setting (did you mean '--data.batch_size'",
        ),
        (["--config", "RECIPE", "--data.batch_size", "30"], "data.batch_size: 30: should be at most 16"),
        (["--config", "RECIPE", "--data.kind", "folder", "--data.root", "gone"], "data.root: gone: no such folder"),
    ],
)
def test_mistakes_are_told_in_a_line(tiny_recipe: Path, capsys, words: list[str], message: str):
    assert main(["bench", *(str(tiny_recipe) if word == "RECIPE" else word for word in words)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err.splitlines()[-1]
    assert err.splitlines()[-1].startswith("fairdarts: ")
    assert "Traceback" not in err


def test_memory_that_does_not_suffice_is_told_in_a_line(tiny_recipe: Path, capsys, monkeypatch):
    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.\nMuch more.")

    monkeypatch.setitem(STEPS, "first_order", fail)
    assert main(["bench", "--config", str(tiny_recipe)]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("fairdarts: out of memory: take --compute.memory")
