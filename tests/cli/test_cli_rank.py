"""`fairdarts rank`: what it measures, keeps, tables and refuses."""

import json
import shutil
from math import nan
from pathlib import Path
from random import Random

import pytest
from one_shot import CHAIN, every_path, settings_of
from scipy.stats import kendalltau

from fairdarts.cli import main
from fairdarts.cli.rank_table import _cells
from fairdarts.ranking.report import recipes_told_apart
from fairdarts.ranking.tau import Measured
from fairdarts.reading import dump_yaml
from fairdarts.runtime import checkpoint
from fairdarts.runtime.device import LAYOUTS
from fairdarts.runtime.run import RunDirectory

WORDS = ("--data.images", "96", "--data.image_size", "8", "--data.batch_size", "8", "--watch.paths", "0")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the runs fair-seed0, fair-seed1 and longer-seed0, and bench.csv for their space."""
    folder = tmp_path_factory.mktemp("ranked")
    (folder / "space.yaml").write_text(dump_yaml(CHAIN))
    settings = settings_of(epochs=1).model_copy(update={"space": str(folder / "space.yaml")})
    (folder / "recipe.yaml").write_text(dump_yaml(settings))
    runs = {"fair-seed0": [], "fair-seed1": ["--seed", "1"], "longer-seed0": ["--epochs", "2"]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fairdarts.runs.figures.draw_training", lambda *_: [])
        for name, words in runs.items():
            begin = ["supernet", "--config", str(folder / "recipe.yaml"), "--out", str(folder / name)]
            assert main([*begin, *WORDS, *words]) == 0
    random = Random(0)
    lines = [f"{''.join(map(str, path))},{60 + 30 * random.random()}" for path in every_path(CHAIN)]
    (folder / "bench.csv").write_text("\n".join(["arch,accuracy", *lines]))
    return folder


@pytest.fixture
def here(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it to work in, where nothing is drawn."""
    shutil.copytree(trained, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr("fairdarts.runs.rank.draw_rankings", lambda *_: [])
    return tmp_path / "work"


def fails(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main(["rank", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    return err.splitlines()[-1]


def test_a_run_is_ranked_and_its_ranking_kept(here: Path, capsys):
    words = ["rank", "fair-seed0", "--benchmark", "bench.csv", "--paths", "40"]
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert "fair-seed0: judging 40 architectures by 48 images" in err
    kept = json.loads((here / "fair-seed0" / "ranking-tracked.json").read_text())
    assert (len(kept["score"]), kept["passes"], kept["epochs"], kept["images"]) == (40, 18, 1, 48)
    tau = kendalltau(kept["truth"], kept["score"])[0]
    assert kept["measured"]["kendall"]["value"] == pytest.approx(tau, abs=1e-12)
    assert f"{tau:.3f}" in out.splitlines()[2]
    assert out.startswith("truth bench, accuracy; 40 architectures, 48 held-out images, BatchNorm with remembered stat")
    assert main(["rank", "fair-seed0", "--again"]) == 0
    assert capsys.readouterr().out == out


def test_statistics_of_batches_make_another_ranking(here: Path):
    for statistics in ("tracked", "batch", "2"):
        assert main(["rank", "fair-seed0", "--statistics", statistics, "--paths", "20", "--images", "33"]) == 0
    scores = {
        name: json.loads((here / "fair-seed0" / f"ranking-{name}.json").read_text())["score"]
        for name in ("tracked", "batch", "2")
    }
    assert scores["tracked"] != scores["batch"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_images_have_the_layout_of_the_run_s_settings(here: Path, layouts: set[str], layout: str):
    settings = here / "fair-seed0" / "settings.yaml"
    settings.write_text(settings.read_text().replace("layout: channels_last", f"layout: {layout}"))
    assert main(["rank", "fair-seed0", "--statistics", "2", "--paths", "2"]) == 0
    assert main(["rank", "fair-seed0", "--analyse"]) == 0
    assert layouts == {layout}


def test_seeds_of_one_experiment_are_averaged_and_budgets_are_not(here: Path, capsys):
    runs = ["fair-seed0", "fair-seed1", "longer-seed0"]
    assert main(["rank", *runs, "fair-seed0", "--benchmark", "bench.csv", "--paths", "30"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("tiny")]
    assert [row[1:3] for row in rows] == [["18", "2"], ["36", "1"]]
    assert main(["rank", *runs, "--again", "--json"]) == 0
    brief = json.loads(capsys.readouterr().out)
    assert [entry["run"] for entry in brief] == runs
    assert all("score" not in entry and entry["architectures"] == 30 for entry in brief)


def test_runs_of_one_recipe_under_other_settings_are_told_apart(here: Path):
    text = (here / "fair-seed1" / "settings.yaml").read_text()
    (here / "fair-seed1" / "settings.yaml").write_text(text.replace("lr: 0.1", "lr: 0.2"))
    names = recipes_told_apart([RunDirectory(here / name) for name in ("fair-seed0", "longer-seed0", "fair-seed1")])
    assert names[0] == names[1] != names[2]


def test_a_training_in_mid_epoch_counts_the_passes_of_its_steps(here: Path, capsys):
    run = RunDirectory(here / "fair-seed0")
    state = checkpoint.load(run.last)
    checkpoint.save(run.last, state | {"epoch": 0, "step": 4})
    assert main(["rank", "fair-seed0", "--paths", "5"]) == 0
    assert "after 0 of 1 epochs" in capsys.readouterr().err
    assert json.loads((here / "fair-seed0" / "ranking-tracked.json").read_text())["passes"] == 12


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "rank: no RUN is named"),
        (("fair-seed0", "--statistics", "none"), "--statistics none: should be tracked, batch, or a number"),
        (("fair-seed0", "--column", "x"), "--column x: is a column of --benchmark FILE, which is missing"),
        (("fair-seed0", "--again"), "ranking-tracked.json: no such file"),
        (("fair-seed0", "--again", "--images", "9"), "--images: should be left out with --again"),
        (("fair-seed0", "--analyse", "--benchmark", "bench.csv"), "--benchmark: should be left out with --analyse"),
        (("fair-seed0", "--analyse", "--layer", "9"), "--layer 9: should be from 0 to 3 in space tiny"),
        (("fair-seed0", "--benchmark", "missing.csv"), "missing.csv: No such file"),
        (("fair-seed0", "--paths", "1"), "--paths 1: should be at least 2"),
        ((".",), "not a run directory"),
    ],
)
def test_what_cannot_be_ranked(here: Path, capsys, words: tuple[str, ...], message: str):
    assert message in fails(capsys, *words)


@pytest.mark.parametrize(
    "damage", ["{", "[]", "{}", "[" * 9999, '{"score": []}', '{"measured": {"kendall": {}}}'], ids=range(6)
)
def test_a_damaged_ranking_is_named(here: Path, capsys, damage: str):
    main(["rank", "fair-seed0", "--paths", "5", "--benchmark", "bench.csv"])
    path = here / "fair-seed0" / "ranking-tracked.json"
    whole = json.loads(path.read_text())
    path.write_text(json.dumps(whole | json.loads(damage)) if damage.startswith('{"') else damage)
    assert "ranking-tracked.json: not a ranking" in fails(capsys, "fair-seed0", "--again")


def test_rankings_of_other_architectures_are_not_compared(here: Path, capsys):
    main(["rank", "fair-seed0", "--paths", "5"])
    main(["rank", "fair-seed1", "--paths", "6"])
    assert "ranked by different paths" in fails(capsys, "fair-seed0", "fair-seed1", "--again")


def test_the_choices_of_runs_are_compared(here: Path, capsys, monkeypatch):
    monkeypatch.setattr("fairdarts.runs.analyse.draw_similarity", lambda *_: [])
    assert main(["rank", "--analyse", "fair-seed0", "fair-seed1", "--out", "drawn"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "cosine of choices" in line]
    assert len(lines) == 8
    assert (here / "drawn" / "lemma.svg").is_file()


def test_runs_of_different_spaces_are_told_before_any_is_judged(here: Path, capsys, monkeypatch: pytest.MonkeyPatch):
    space = here / "fair-seed1" / "space.yaml"
    space.write_text(space.read_text().replace("name: tiny", "name: other"))
    monkeypatch.setattr("fairdarts.runs.rank.ranked", lambda *_: pytest.fail("it judges"))
    said = fails(capsys, "fair-seed0", "fair-seed1", "--benchmark", "bench.csv")
    assert "rank: fair-seed1 is of space other, fair-seed0 of tiny: rank them one by one" in said


def test_an_interval_that_cannot_be_told_is_a_dash():
    number = Measured(1.0, nan, nan, 4)
    assert _cells(number) == ("1.000", "–")
    assert _cells(number._replace(low=0.5, high=1.0)) == ("1.000", "0.500 to 1.000")
    assert _cells(number._replace(value=nan, reason="too few")) == ("–", "too few")
