"""`fairdarts.rank` and `fairdarts.analyse`: what the verb gives, as objects and without a word."""

import json
import shutil
from math import isnan
from pathlib import Path

import pytest
from second_stage import accuracy_of, make_supernet_runs, truth_of

import fairdarts
from fairdarts.cli import main
from fairdarts.config import UserError
from fairdarts.runs.analyse import analyse
from fairdarts.runs.callbacks import Callback
from fairdarts.runs.rank import draw, rank


class Notes(Callback):
    """Keeps what it is told, and what takes a while."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, text: str) -> None:
        self.texts.append(text)

    def track(self, items, total, what):
        self.texts.append(f"{what} {total}")
        return items


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ranked")
    make_supernet_runs(folder, "net", "other")
    return folder


@pytest.fixture
def here(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(trained, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def test_a_ranking_is_what_the_verb_measures_and_nothing_is_printed(here: Path, capfd, monkeypatch):
    notes = Notes()
    ranking = rank("net", benchmark="tiny.csv", paths=20, images=32, statistics="batch", callbacks=notes)
    assert capfd.readouterr() == ("", "")
    assert notes.texts == ["net: judging 20 architectures by 32 images", "judging 4"]
    kept = Path("net/ranking-batch.json")
    own = kept.read_bytes()
    assert json.loads(own) == ranking.content
    monkeypatch.setattr("fairdarts.runs.rank.draw_rankings", lambda *_: [])
    words = ["--paths", "20", "--images", "32", "--statistics", "batch", "--json"]
    assert main(["rank", "net", "--benchmark", "tiny.csv", *words]) == 0
    assert kept.read_bytes() == own
    (told,) = json.loads(capfd.readouterr().out)
    assert ranking.facts == told
    assert ranking.measured["kendall"].value == told["measured"]["kendall"]["value"]
    assert ranking.flat()["measured.kendall.low"] == told["measured"]["kendall"]["low"]
    assert (len(ranking.paths), len(ranking.score), len(ranking.truth)) == (20, 20, 20)
    assert f"τ {told['measured']['kendall']['value']:.3f}>" in repr(ranking)
    at = ranking.score.index(max(ranking.score))
    truth = accuracy_of(ranking.paths[at])
    regret = pytest.approx(max(truth_of().values()) - truth, abs=1e-6)
    assert ranking.best == {"path": [*ranking.paths[at]], "score": max(ranking.score), "truth": truth, "regret": regret}


def test_one_run_gives_one_ranking_and_several_give_a_list(here: Path):
    alone = rank(fairdarts.open_run("net"), paths=5)
    both = rank(["net", Path("other"), "net"], paths=5)
    assert [ranking.content["run"] for ranking in both] == ["net", "other"]
    assert both[0].content == alone.content
    assert (alone.measured, alone.truth, alone.best) == ({}, [], {})
    assert [ranking.content for ranking in rank(["net", "other"], again=True)] == [one.content for one in both]


def test_a_measure_that_makes_no_sense_is_nan(here: Path):
    measured = rank("net", benchmark="tiny.csv", paths=2).measured
    without = [number for number in measured.values() if isnan(number.value)]
    assert without
    assert all(number.reason for number in without)


def test_rankings_are_drawn_where_one_says(here: Path):
    rankings = rank(["net", "other"], benchmark="tiny.csv", paths=10, images=16)
    drawn = rankings[0].figures("one") + draw(rankings, Path("both"))
    assert {path.parent.name for path in drawn} == {"one", "both"}
    assert all(path.is_file() for path in drawn)


def test_choices_of_runs_are_compared(here: Path, capfd, monkeypatch):
    monkeypatch.setattr("fairdarts.runs.analyse.draw_similarity", lambda *_: [])
    found = analyse("net", out="drawn")
    assert capfd.readouterr() == ("", "")
    assert [path.suffix for path in found.figures if path.stem == "lemma"] == [".svg", ".png"]
    (cosines,) = found.likeness.values()
    assert main(["rank", "net", "--analyse", "--out", "drawn"]) == 0
    lines = [line for line in capfd.readouterr().out.splitlines() if line.startswith("net")]
    assert lines == [f"net  layer {number:>2}  cosine of choices {one:.3f}" for number, one in enumerate(cosines)]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"statistics": "none"}, "none: should be tracked, batch, or a number"),
        ({"paths": 1}, "1: should be at least 2"),
        ({"again": True, "images": 9}, "images: should be left out"),
        ({"column": "x"}, "column x: is a column of"),
        ({"benchmark": "missing.csv"}, "missing.csv: No such file"),
        ({"runs": []}, "no RUN is named"),
        ({"runs": "nowhere"}, "nowhere: not a run directory"),
    ],
)
def test_what_cannot_be_ranked(here: Path, asked: dict, message: str):
    with pytest.raises(UserError, match=message):
        rank(**{"runs": "net", **asked})
