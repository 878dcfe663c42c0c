"""Pages of supernets, evolutionary searches and trainings, alone and mixed, from runs of a second."""

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml
from one_shot import CHAIN, every_path
from one_shot import settings_of as training_of
from second_stage import accuracy_of, settings_of

from fairdarts.cli import main
from fairdarts.reading import dump_yaml
from fairdarts.runtime.run import RunDirectory

WORDS = ("--data.images", "96", "--data.image_size", "8", "--data.batch_size", "8", "--watch.paths", "3")
NETWORK = {
    "name": "tiny-training",
    "source": "tests",
    "device": "cpu",
    "epochs": 2,
    "data": {"kind": "fake", "images": 48, "image_size": 8, "batch_size": 8, "cutout": 0, "workers": 0},
    "network": {"cells": 3, "channels": 2},
    "optimizer": {"kind": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 3e-4},
    "schedule": {"kind": "cosine"},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs: fair-seed0 (ranked) and fair-seed1, found by the former, trained."""
    folder = tmp_path_factory.mktemp("told")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for place in ("runs.figures.draw_training", "runs.rank.draw_rankings", "cli.evolve_show.draw_search"):
            patch.setattr(f"fairdarts.{place}", lambda *_: [])
        patch.setattr("fairdarts.runs.figures.draw_network_training", lambda *_: [])
        Path("tiny.yaml").write_text(dump_yaml(CHAIN))
        Path("recipe.yaml").write_text(dump_yaml(training_of().model_copy(update={"space": "tiny.yaml"})))
        Path("nsga2.yaml").write_text(dump_yaml(settings_of()))
        Path("train.yaml").write_text(yaml.safe_dump(NETWORK | {"data": NETWORK["data"] | {"train_portion": 0.5}}))
        truth = [f"{''.join(map(str, path))},{accuracy_of(path)}" for path in every_path(CHAIN)]
        Path("tiny.csv").write_text("\n".join(["arch,accuracy", *truth]))
        for seed in ("0", "1"):
            words = ["--config", "recipe.yaml", "--out", f"runs/fair-seed{seed}", "--seed", seed, *WORDS]
            assert main(["supernet", *words]) == 0
        assert main(["rank", "runs/fair-seed0", "--benchmark", "tiny.csv", "--paths", "30"]) == 0
        words = ["--config", "nsga2.yaml", "--out", "runs/found", "--judge.images", "32", "--generations", "2"]
        words += ["--truth", "tiny.csv"]
        patch.setattr("fairdarts.cli.evolve_show.draw_truth", lambda *_: [])
        assert main(["evolve", "runs/fair-seed0", *words]) == 0
        assert main(["train", "fairdarts-a", "--config", "train.yaml", "--out", "runs/trained"]) == 0
    return folder / "runs"


@pytest.fixture
def runs(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, in a folder to work in."""
    shutil.copytree(made, tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    return Path("runs")


def told(path: Path) -> tuple[str, list[str], list[list[str]]]:
    """The text of a page, its headings, and the cells of its rows; it fetches nothing."""
    text = path.read_text()
    sources = re.findall(r'(?:src|href)="(.*?)"', text)
    assert all(source.startswith("data:image/svg+xml;base64,") for source in sources)
    rows = [re.findall(r"<t[hd]>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", text)]
    return text, re.findall(r"<h[123].*?>(.*?)</h[123]>", text), rows


def row(rows: list[list[str]], name: str) -> list[str]:
    return next(cells for cells in rows if cells[0] == name)


def test_a_supernet_is_told_by_its_updates_its_training_and_its_ranking(runs: Path, capsys):
    assert main(["report", "runs/fair-seed0"]) == 0
    assert capsys.readouterr().out == "runs/fair-seed0/report.html\n"
    text, headings, rows = told(runs / "fair-seed0/report.html")
    assert headings == ["fair-seed0", "fair-seed0", "Training", "Updates of every choice", "Ranking"]
    last = RunDirectory(runs / "fair-seed0").records()[-1]
    own = row(rows, "fair-seed0")
    assert own[1:7] == ["tiny", "strict fair", "1", f"{last['passes']:,}", f"{last['updates_mean'][0]:,.0f}", "0.0"]
    assert own[8] == f"{last['watched_mean']:.1f} ± {last['watched_std']:.1f} %"
    kendall = json.loads((runs / "fair-seed0/ranking-tracked.json").read_text())["measured"]["kendall"]
    cell = row(rows, "τ")[1]
    assert cell.startswith(f"{kendall['value']:.2f} [" if kendall["value"] is not None else "– (")
    assert row(rows, "truth")[1] == "tiny, accuracy"
    updates = rows.index(["choice point", "choice 0", "choice 1", "choice 2"])
    counts = [[str(point), *map(str, own)] for point, own in enumerate(last["updates"])]
    assert rows[updates + 1 : updates + 5] == counts
    assert "sampler:" in text


def test_without_a_ranking_a_page_says_how_there_is_one(runs: Path):
    assert main(["report", "runs/fair-seed1"]) == 0
    text, headings, _ = told(runs / "fair-seed1/report.html")
    assert "Ranking" not in headings
    assert "`fairdarts rank RUN --benchmark FILE` makes one" in text


def test_an_evolutionary_search_is_told_by_its_models_front_and_hypervolume(runs: Path):
    assert main(["report", "runs/found", "--out", "page.html"]) == 0
    _, headings, rows = told(Path("page.html"))
    sections = ["Models found", "All that was evaluated", "Hypervolume", "Against the truth"]
    assert headings == ["found", "found", *sections]
    last = RunDirectory(runs / "found").records()[-1]
    counts = ["2", str(last["evaluations"]), str(last["front"]), f"{last['hypervolume']:.4f}"]
    assert row(rows, "found")[1:] == [
        "runs/fair-seed0", "accuracy, madds, params", *counts, f"{last['best']['']:.2f} %"
    ]  # fmt: skip
    assert row(rows, "front-1")[1] == row(rows, "best")[1]
    assert [cells[0] for cells in rows if len(cells) == 5] == ["generation", "1", "2"]
    truth, regret = (f"{last[key]['accuracy']:.2f}" for key in ("truth", "regret"))
    (own,) = [cells for cells in rows if cells[:3] == ["2", str(last["evaluations"]), "accuracy"]]
    assert own[3:5] == [f"{truth} %", regret]


def test_a_judge_that_tells_no_models_apart_is_told_of_on_the_page(runs: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("fairdarts.oneshot.evaluate.Evaluator.__call__", lambda _, paths: [25.0] * len(paths))
    monkeypatch.setattr("fairdarts.cli.evolve_show.draw_search", lambda *_: [])
    shutil.copy(runs.parent / "runs/found/settings.yaml", "again.yaml")
    words = ["--config", "again.yaml", "--truth", "null", "--out", "alike"]
    assert main(["evolve", "runs/fair-seed0", *words]) == 0
    assert main(["report", "alike"]) == 0
    assert "<li>all 16 models are judged alike, at 25.00 %" in told(Path("alike/report.html"))[0]


def test_a_training_is_told_by_its_results(runs: Path):
    assert main(["report", "runs/trained"]) == 0
    _, headings, rows = told(runs / "trained/report.html")
    assert headings[:3] == ["trained", "trained", "Training"]
    results = json.loads((runs / "trained/results.json").read_text())
    own = row(rows, "trained")
    assert own[1:3] == ["fairdarts-a", "2"]
    assert own[4] == f"{results['images']} {results['on']} images"
    assert own[5].startswith(f"top-1 {100 * results['last']['top1']:.2f} %, top-5 ")
    assert own[6].endswith("(epoch {}) ∗".format(results["best"]["epoch"]))  # the held-out images chose it


def test_mixed_runs_stand_kind_by_kind(runs: Path, capsys):
    (runs / "broken").mkdir()
    (runs / "broken" / "settings.yaml").write_text((runs / "fair-seed0/settings.yaml").read_text())
    (runs / "broken" / "metrics.jsonl").write_text("{\n")
    capsys.readouterr()
    assert main(["report", "runs"]) == 0
    assert "left out: runs/broken" in capsys.readouterr().err
    text, headings, rows = told(runs / "report.html")
    assert headings[0] == "runs: 2 supernets, 1 evolutionary search, 1 training"
    kinds = [heading for heading in headings if re.match(r"\d ", heading)]
    assert kinds == ["2 supernets", "1 evolutionary search", "1 training"]
    assert headings.index("2 supernets") < headings.index("Comparison") < headings.index("fair-seed1")
    assert {"fair-seed0", "fair-seed1", "found", "trained"} <= {cells[0] for cells in rows}
    assert text.count("<h1") == 4


def test_a_run_that_has_not_come_to_its_end_says_how_far_it_is(runs: Path):
    for name, unit in (("fair-seed0", "epochs: 1"), ("trained", "epochs: 2"), ("found", "generations: 2")):
        path = runs / name / "settings.yaml"
        path.write_text(path.read_text().replace(unit, unit.split()[0] + " 9"))
        for last in ("results.json", "genotypes/final.yaml"):
            if name == "found" or last == "results.json":
                (runs / name / last).unlink(missing_ok=True)
        assert main(["report", str(runs / name)]) == 0
        text = (runs / name / "report.html").read_text()
        assert f"It is at {unit.split('s:')[0]} {unit.split()[1]} of 9." in text


def test_a_run_that_diverged_says_so(runs: Path):
    RunDirectory(runs / "fair-seed0").note_divergence("the loss is no longer finite")
    assert main(["report", str(runs / "fair-seed0")]) == 0
    assert "It diverged after epoch 1 of 1." in (runs / "fair-seed0" / "report.html").read_text()


def test_a_run_without_a_record_is_named(runs: Path, capsys):
    (runs / "fair-seed0" / "metrics.jsonl").unlink()
    assert main(["report", "runs/fair-seed0"]) == 2
    assert "metrics.jsonl: no epoch is done yet" in capsys.readouterr().err
