"""`fairdarts.study`: what the verb does, from Python."""

import json
import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml
from runs import metrics, same
from studies import RATES, factor, factor_study

import fairdarts
from fairdarts.cli import main
from fairdarts.config import UserError
from fairdarts.reading import read_yaml


@pytest.fixture(autouse=True)
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder of its own, and without figures."""
    monkeypatch.chdir(tmp_path)
    for part in ("runs.figures.figures_of", "runs.figures.draw_training", "runs.study.results.draw_factors"):
        monkeypatch.setattr(f"fairdarts.{part}", lambda *_: [])
    for part in ("runs.search.log_epoch", "runs.supernet.log_training"):
        monkeypatch.setattr(f"fairdarts.{part}", lambda *_: None)


@pytest.fixture
def content(tiny_recipe: Path) -> dict[str, Any]:
    """Two recipes, the second of which is no file."""
    soft = read_yaml(tiny_recipe) | {"relaxation": "softmax", "zero_one": {"form": "squared", "weight": 0}}
    runs = [{"name": "fair", "config": str(tiny_recipe)}, {"name": "soft", "config": soft}]
    return {"name": "small", "source": "tests", "seeds": [0], "shared": {"epochs": 1}, "runs": runs}


class Noted(fairdarts.Callback):
    """What is said, begins and ends, in its order."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def note(self, text: str) -> None:
        self.told.append(text)

    def begin(self, run: fairdarts.Run) -> None:
        self.told.append(f"begin {run.path.name}")

    def end(self, run: fairdarts.Run) -> None:
        self.told.append(f"end {run.path.name}")


def same_run(one: Path, other: Path) -> bool:
    """Whether two runs were told and have found the same, bit for bit."""
    texts = [(path / "settings.yaml").read_text() for path in (one, other)]
    states = [torch.load(path / "checkpoints" / "last.pt", weights_only=True) for path in (one, other)]
    return texts[0] == texts[1] and same(*states) and metrics(one) == metrics(other)


def test_it_gives_what_the_verb_gives_and_prints_nothing(content, monkeypatch, capsys):
    monkeypatch.setattr("fairdarts.runs.study.results.StudyResult.report", lambda _: "a page")
    Path("study.yaml").write_text(yaml.safe_dump(content))
    assert main(["study", "study.yaml", "--weights.lr", "0.05"]) == 0
    capsys.readouterr()
    done = fairdarts.study(content, "other", settings={"weights.lr": 0.05})
    assert capsys.readouterr() == ("", "")
    assert (done.folder, done.whole, done.failed) == (Path("other"), True, [])
    assert [run.path.name for run in done.runs] == ["fair-seed0", "soft-seed0"]
    assert [run.settings.relaxation for run in done.runs] == ["sigmoid", "softmax"]
    for run in done.runs:
        assert same_run(run.path, Path("runs/small") / run.path.name)
        assert run.genotype == fairdarts.open_run(Path("runs/small") / run.path.name).genotype
    assert [row["name"] for row in done.results["rows"]] == ["fair", "soft"]
    Path("other/results.json").unlink()
    with pytest.raises(UserError, match=r"other: has no results\.json yet"):
        _ = done.results


def test_recipes_are_told_of_by_the_report_of_their_folder(content, monkeypatch):
    told = []
    module = SimpleNamespace(report=lambda *asked: told.append(asked) or "page.html")
    monkeypatch.setitem(sys.modules, "fairdarts.runs.report", module)
    assert fairdarts.study(content).report("page.html") == Path("page.html")
    assert told == [([Path("runs/small")], "page.html")]


def test_it_says_what_it_is_about_to_run_before_the_first_run_begins(content):
    first, second = Noted(), Noted()
    fairdarts.study({**content, "runs": content["runs"][:1]}, "runs/small", callbacks=first)
    fairdarts.study(content, callbacks=second)
    assert first.told[0] == "small: 1 run, 0 of them done, in runs/small; to run: fair-seed0"
    assert second.told[:2] == [
        "small: 2 runs, 1 of them done, in runs/small; to run: soft-seed0",
        "small: run 2 of 2: soft-seed0",
    ]
    assert [line for line in second.told if line.startswith(("begin", "end"))] == ["begin soft-seed0", "end soft-seed0"]
    assert second.told[-1] == "small: 2 of 2 runs are done, in runs/small"


def test_a_recipe_that_has_changed_is_not_passed_over(content):
    fairdarts.study(content)
    content["runs"][1]["config"]["derive"]["threshold"] = 0.7
    with pytest.raises(UserError, match=r"soft-seed0/settings.yaml: derive.threshold: 0.6, but the study says 0.7"):
        fairdarts.study(content)


def test_two_studies_in_one_folder_share_its_runs(content):
    class Joined(Noted):
        """As its first run begins, another study begins in the folder."""

        def begin(self, run: fairdarts.Run) -> None:
            super().begin(run)
            self.other = Noted()
            self.found = fairdarts.study(content, callbacks=self.other)

    one = Joined()
    done = fairdarts.study(content, callbacks=one)
    assert [line for line in one.told if line.startswith("begin")] == ["begin fair-seed0"]
    assert [line for line in one.other.told if line.startswith("begin")] == ["begin soft-seed0"]
    assert any("run 1 of 2: runs/small/fair-seed0: process" in line for line in one.other.told)
    assert one.other.told[-1].endswith("1 of 2 runs are done, in runs/small; other processes are at 1 of them")
    assert (one.found.whole, done.whole) == (False, True)
    assert [run.state for run in done.runs] == ["finished", "finished"]


def test_one_that_was_stopped_goes_on_to_the_same_bits(content):
    class Stops(fairdarts.Callback):
        def step(self, epoch: int, step: int, *_: Any) -> None:
            if step == 2:
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        fairdarts.study(content, callbacks=Stops())
    assert fairdarts.open_run("runs/small/fair-seed0").state == "stopped"
    assert not Path("runs/small/soft-seed0").exists()
    for run in fairdarts.study(content).runs:
        assert same_run(run.path, fairdarts.study(content, "whole").folder / run.path.name)


def test_a_run_that_fails_is_told_of_once_all_others_have_run(content):
    def fails(record: dict[str, Any]) -> None:
        if len(list(Path("runs/small").glob("*-seed0"))) == 1:
            raise UserError("no more room")

    noted = Noted()
    with pytest.raises(UserError, match=r"^small: 1 of its runs failed: fair-seed0$"):
        fairdarts.study(content, callbacks=[noted, fails])
    assert "fair-seed0: no more room" in noted.told
    assert fairdarts.open_run("runs/small/soft-seed0").state == "finished"


@pytest.mark.parametrize(
    ("change", "settings", "message"),
    [
        ({}, {"weights.lrr": 1}, r"^settings: weights.lrr: unknown key \(did you mean 'lr'\?\)$"),
        ({}, {"lr": 1, "weights": {"momentum": 2}}, r"^settings: lr: is no setting .*\?\); weights.momentum: '2'"),
        ({}, {"plugins": ["my.py"]}, r"^settings: plugins: stands in recipes; should be fairdarts.load_plugin\(FILE\)"),
        ({}, {"seed": 3}, "seed: a study's seeds stand in its file"),
        ({"runs": [{"name": "x", "config": 3}]}, {}, "study: runs.0.config: should name a recipe, or be what"),
        ({"runs": [{"name": "x", "config": {"epochs": 1}}]}, {}, "recipe: verb: is missing"),
        ({"seeds": []}, {}, "study: seeds: "),
    ],
)
def test_a_mistake_is_named_before_anything_runs(content, change, settings, message):
    with pytest.raises(UserError, match=message):
        fairdarts.study({**content, **change}, settings=settings)
    assert not Path("runs").exists()


def test_a_study_of_factors_gives_what_the_verb_gives(monkeypatch, capsys):
    monkeypatch.setattr("fairdarts.runs.study.results.page", lambda *told: repr(told))
    content = factor_study() | {"seeds": [0]}
    content["spaces"][0]["factors"] = [factor("rate", RATES[:2], "best"), factor("batch", [{"label": "32"}])]
    with pytest.raises(UserError, match=r"--benchmarks FOLDER is missing, the folder of bench\.csv"):
        fairdarts.study(content)
    Path("study.yaml").write_text(yaml.safe_dump(content))
    assert main(["study", "study.yaml", "--benchmarks", ".", "--weights.momentum", "0.5"]) == 0
    capsys.readouterr()
    noted = Noted()
    done = fairdarts.study(content, "other", ".", settings={"weights.momentum": 0.5}, callbacks=noted)
    assert capsys.readouterr() == ("", "")
    names = "bench/rate-0.01-seed0, bench/rate-0.025-seed0"
    assert noted.told[:3] == [
        f"tiny: 2 runs, 0 of them done, in other; to run: {names}",
        "bench: rate: 0.01, 0.025: 2 runs, 0 of them done; the best is kept",
        "bench: batch: 32: 0 runs, 0 of them done; begins with the best of earlier factors, which is not known yet",
    ]
    assert done.results == json.loads(Path("runs/tiny/results.json").read_text())
    assert len(done.runs) == 2
    for run in done.runs:
        assert same_run(run.path, Path("runs/tiny/bench") / run.path.name)
    assert done.report("page.html") == Path("page.html")
    assert Path("page.html").read_text() == Path("runs/tiny/report.html").read_text()
    again = Noted()
    assert fairdarts.study(content, "other", ".", settings={"weights.momentum": 0.5}, callbacks=again).whole
    assert again.told[0] == "tiny: 2 runs, 2 of them done, in other"
    assert not any(line.startswith("begin") for line in again.told)
