"""What a study of recipes has found, against a table made by hand: from runs made by hand, and from one that is run."""

import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from fairdarts.checking import check
from fairdarts.cli import main
from fairdarts.config import Notice, UserError
from fairdarts.genotype import SKIP
from fairdarts.reading import dump_yaml, read_yaml
from fairdarts.runs.recipe import settings_of
from fairdarts.runs.request import SEARCH
from fairdarts.runs.study import compared
from fairdarts.runs.study.form import RecipeStudy
from fairdarts.spaces.space import load_space

SPACE = load_space("nasbench201")
CONV = "nor_conv_3x3"
COLUMNS = ("cifar10_test200", "cifar100_test200")


def truth_of(path: tuple[int, ...]) -> float:
    """90 less 10 points for every skip connection."""
    return 90.0 - 10 * path.count(SPACE.candidates.index(SKIP))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """All cells of skip connections and 3×3 convolutions: 64."""
    chosen = [SPACE.candidates.index(name) for name in (SKIP, CONV)]
    rows = [f'"{list(path)}",{truth_of(path)},{truth_of(path) / 2}' for path in product(chosen, repeat=6)]
    (tmp_path / "bench.csv").write_text("\n".join([f"arch,{','.join(COLUMNS)}", *rows]) + "\n")
    return tmp_path / "bench.csv"


def record(epoch: int, skips: int, **others: Any) -> dict[str, Any]:
    """A record of a search whose first `skips` edges are skip connections, the others convolutions."""
    names = [SKIP] * skips + [CONV] * (6 - skips)
    gates = [[0.9 if name == best else 0.025 for name in SPACE.candidates] for best in names]
    dominant = {name: names.count(name) for name in SPACE.candidates}
    return {"epoch": epoch, "gates": {"edges": gates}, "dominant": {"edges": dominant}, **others}


def made(folder: Path, name: str, records: list[dict[str, Any]], **changes: Any) -> None:
    """A search that is finished."""
    path = folder / name
    (path / "genotypes").mkdir(parents=True)
    laid = {"epochs": len(records) - 1, "seed": int(name[-1]), **changes}
    settings, _ = settings_of(SEARCH.model, "darts-nasbench201-small", laid)
    (path / "settings.yaml").write_text(dump_yaml(settings))
    (path / "space.yaml").write_text(dump_yaml(SPACE))
    (path / "metrics.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records))
    edges = SPACE.genotype_of((0,) * 6, name, "tests")
    (path / "genotypes" / "final.yaml").write_text(str(edges) + "\n")


def study_of(table: Path, **others: Any) -> RecipeStudy:
    content = {"name": "s", "source": "tests", "benchmark": str(table), "seeds": [0, 1]}
    content["runs"] = [{"name": "darts", "config": "darts-nasbench201-small"}]
    return check(RecipeStudy, content | others, "study")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two searches of three epochs: skip connections 0, 2, 3, 5 and 0, 1, 1, 1."""
    rates = [{}, *({"valid_accuracy": value / 10, "eigenvalue": value} for value in (1, 2, 4))]
    for seed, counts in enumerate([(0, 2, 3, 5), (0, 1, 1, 1)]):
        records = [record(at, count, **rates[at]) for at, count in enumerate(counts)]
        made(tmp_path / "runs", f"darts-seed{seed}", records)
    return tmp_path / "runs"


def test_what_is_found_is_held_against_the_table(table, folder):
    found = compared.compare(study_of(table), folder)
    (row,) = found.rows
    assert [seed.truth for seed in row.seeds] == [
        {"cifar10_test200": 40.0, "cifar100_test200": 20.0},
        {"cifar10_test200": 80.0, "cifar100_test200": 40.0},
    ]
    assert [seed.regret["cifar10_test200"] for seed in row.seeds] == [50.0, 10.0]
    assert [(seed.skips, seed.kept, seed.accuracy) for seed in row.seeds] == [(5, 3, 40.0), (1, 3, 40.0)]
    assert row.seeds[0].epochs == {
        "epoch": [0, 1, 2, 3],
        "truth": [90.0, 70.0, 60.0, 40.0],
        "skips": [0, 2, 3, 5],
        "accuracy": [None, 10.0, 20.0, 40.0],
        "eigenvalue": [None, 1, 2, 4],
    }
    assert row.seeds[0].correlation == pytest.approx(-1)
    assert row.seeds[1].correlation is None
    assert (row.truth("cifar10_test200").mean, row.truth("cifar10_test200").n) == (60.0, 2)
    whole = found.table
    assert (whole.file, whole.architectures, whole.best["cifar10_test200"]) == ("bench.csv", 64, 90.0)
    assert whole.mean["cifar10_test200"] == pytest.approx(60.0)  # three of six edges skip, on average
    assert whole.deviation["cifar10_test200"] == pytest.approx(10 * 1.5**0.5)
    assert found.missing == ()


def test_rows_are_judged_on_the_runs_of_another(table, folder):
    rules = [
        {"name": "plus", "of": "darts", "stopping": {"kind": "skips", "limit": 3}},
        {"name": "robust", "of": "darts", "stopping": {"kind": "eigenvalue", "window": 1, "ratio": 0.6}},
        {"name": "edges", "of": "darts", "derive": {"method": "threshold", "threshold": 0.95}},
    ]
    _, plus, robust, edges = compared.compare(study_of(table, stopped=rules), folder).rows
    assert [(seed.kept, seed.skips) for seed in plus.seeds] == [(2, 3), (3, 1)]
    assert plus.seeds[0].ended == "3 skip connections are dominant in the cell after epoch 2"
    assert (plus.seeds[0].epochs["truth"], plus.seeds[1].ended) == ([90.0, 70.0, 60.0], "")
    assert [seed.kept for seed in robust.seeds] == [1, 1]  # 1 / 2 is below 0.6 at epoch 2, and one epoch back is kept
    assert robust.truth("cifar10_test200").mean == 75.0
    assert (robust.of, robust.rule) == ("darts", "stopped by eigenvalue, window 1, ratio 0.6")
    assert edges.rule == "derived by threshold, threshold 0.95"
    assert [seed.truth["cifar10_test200"] for seed in edges.seeds] == [None, None]  # no gate reaches it: all edges none
    assert (edges.truth("cifar10_test200").n, edges.truth("cifar10_test200").of) == (0, 2)


def test_what_is_not_done_is_counted(table, folder, tmp_path):
    (folder / "darts-seed1" / "genotypes" / "final.yaml").unlink()
    with pytest.warns(Notice, match="s: 1 of 2 runs are not done yet"):
        compared.conclude(study_of(table), folder, tmp_path / "page.html")
    content = json.loads((folder / "results.json").read_text())
    assert content["missing"] == ["darts-seed1"]
    assert content["rows"][0]["summary"]["truth"]["cifar10_test200"] == {
        "n": 1, "of": 1, "mean": 40.0, "deviation": None, "low": None, "high": None,
    }  # fmt: skip
    assert {path.stem for path in (folder / "figures").iterdir()} == {
        "final", "final-cifar100_test200", "truth", "skips", "eigenvalue", "supernet",
    }  # fmt: skip
    assert "Not done yet: darts-seed1." in (tmp_path / "page.html").read_text()
    with pytest.raises(UserError, match="none of its runs is done yet"):
        compared.conclude(study_of(table), tmp_path)


def test_a_study_without_a_benchmark_has_what_there_is(folder):
    study = check(RecipeStudy, study_of(folder).model_dump() | {"benchmark": None}, "study")
    assert compared.conclude(study, folder).page is None
    content = json.loads((folder / "results.json").read_text())
    assert (content["table"], content["rows"][0]["summary"]["truth"]) == (None, {})
    assert content["rows"][0]["summary"]["skips"]["mean"] == 3.0
    assert "truth" not in content["rows"][0]["seeds"][0]["epochs"]


def test_a_study_ends_with_its_table_and_so_does_its_report(table, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("search.log_epoch", "supernet.log_training"):
        monkeypatch.setattr(f"fairdarts.runs.{name}", lambda *_: None)
    monkeypatch.setattr("fairdarts.runs.study.compared.draw_comparison", lambda *_: [])
    for name in ("draw_run", "draw_training", "draw_parts"):
        monkeypatch.setattr(f"fairdarts.runs.figures.{name}", lambda *_: [])
    rows = ["".join(map(str, path)) + f",{truth_of(path)}" for path in product(range(5), repeat=6)]
    table.write_text("\n".join(["arch,cifar10_test200", *rows]) + "\n")
    content = {"name": "s", "source": "tests", "benchmark": ["none.csv", "bench.csv"], "seeds": [0]}
    content["shared"] = {"epochs": 1, "supernet.channels": 4, "data.batch_size": 256}
    watch = {"watch.paths": 3, "watch.images": 64}
    content["runs"] = [
        {"name": "darts", "config": "darts-nasbench201-small"},
        {"name": "spos", "config": "supernet-nasbench201-small", "changes": watch},
    ]
    content["published"] = [{"name": "paper", "source": "Table 2", "numbers": {"cifar10_test200": "93.23 ± 0.18"}}]
    Path("study.yaml").write_text(yaml.safe_dump(content))
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["study", "study.yaml", "--benchmarks", "."]) == 0
    shown = capsys.readouterr().out
    results = json.loads(Path("runs/s/results.json").read_text())
    darts, spos = results["rows"]
    records = [json.loads(line) for line in Path("runs/s/darts-seed0/metrics.jsonl").read_text().splitlines()]
    assert darts["seeds"][0]["epochs"]["truth"] == [one["truth"]["cifar10_test200"] for one in records]
    assert spos["seeds"][0]["epochs"]["epoch"] == [1]
    assert (spos["verb"], len(spos["seeds"][0]["epochs"]["passes"])) == ("supernet", 1)
    assert "trained" not in results  # no cell of it is
    assert results["published"][0]["numbers"] == {"cifar10_test200": [93.23, 0.18]}
    assert str(tmp_path) not in json.dumps(results)
    lines = [line.split()[0] for line in shown.splitlines() if line.strip()]
    assert lines[-6:] == ["darts", "spos", "paper", "random,", "best", "runs/s/report.html"]
    assert main(["report", "runs/s"]) == 0
    assert capsys.readouterr().out == shown
    assert read_yaml(Path("runs/s/study.yaml"))["benchmark"] == str(tmp_path / "bench.csv")
    assert (Path("runs/s/darts-seed0/figures/truth.png")).is_file()
    assert (Path("runs/s/spos-seed0/figures/truth.png")).is_file()
