"""`fairdarts report` and `fairdarts study`, on searches of a second."""

import base64
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from fairdarts.cli import main, study
from fairdarts.config import UserError, check, read_yaml
from fairdarts.cost.count import count
from fairdarts.genotype import ChainGenotype
from fairdarts.networks.blueprint import build
from fairdarts.networks.zoo import load_genotype
from fairdarts.resources import find, names
from fairdarts.runtime.run import create
from fairdarts.search.settings import SearchSettings
from fairdarts.spaces.chain import ChainStage
from fairdarts.spaces.space import load_space


@pytest.fixture(autouse=True)
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder of its own, and without the figures of runs, which take longer than their searches."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fairdarts.cli.search.figures_of", lambda *_: [])
    monkeypatch.setattr("fairdarts.runs.search.log_epoch", lambda *_: None)


class Page(HTMLParser):
    """Texts of cells and headings, and what would be fetched."""

    def __init__(self, path: Path):
        super().__init__()
        self.open, self.texts, self.sources, self.rows = [], [], [], []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "img"):
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        self.sources += [value for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1].append(data)
        self.texts.append(data)


def searched(recipe: Path, name: str, *words: str) -> Path:
    assert main(["search", "--config", str(recipe), "--out", name, "--epochs", "2", *words]) == 0
    return Path(name)


def test_a_page_of_one_run_stands_alone(tiny_recipe: Path, capsys):
    run = searched(tiny_recipe, "one <b>", "--curvature", "true")
    capsys.readouterr()
    assert main(["report", str(run)]) == 0
    assert capsys.readouterr().out == f"{run / 'report.html'}\n"
    page = Page(run / "report.html")
    assert all(source.startswith("data:image/svg+xml;base64,") for source in page.sources)
    text = " ".join(page.texts)
    for heading in ("Curves", "Dominant operations", "Gates", "settings"):
        assert heading in page.texts
    assert "one <b>" in page.texts
    assert "weight_decay: 0.0003" in text
    assert "Comparison" not in page.texts
    assert page.rows[1][:2] == ["one <b>", "2"]
    assert "eigenvalue" in next(row for row in page.rows if row[0] == "epoch" and "train loss" in row)
    gates = [row for row in page.rows if row[0] == "(2, 1) skip connect"]
    assert [(len(row), row[1]) for row in gates] == [(4, "0.500")] * 2


def test_several_runs_are_compared_by_method(tiny_recipe: Path, capsys):
    for weight in ("0", "5", "10"):
        for seed in ("0", "1"):
            words = ("--zero_one.weight", weight, "--seed", seed, "--architect.initial_std", "0.1")
            searched(tiny_recipe, f"runs/w{weight}-seed{seed}", *words)
    assert main(["report", "runs", "--out", "pages/all.html"]) == 0
    page = Page(Path("pages/all.html"))
    assert {"Comparison", "Methods", "Weight of the zero-one loss"} <= set(page.texts)
    methods = [row for row in page.rows if re.fullmatch(r"w\d+", row[0]) and len(row) == 8]
    assert [(row[0], row[1]) for row in methods] == [("w0", "2"), ("w10", "2"), ("w5", "2")]
    sweep = [row for row in page.rows if len(row) == 2 and row[0] in ("0.0", "5.0", "10.0")]
    assert len(sweep) == 6
    assert "Curves" not in page.texts


@pytest.mark.parametrize(
    ("path", "said"), [("gone", "gone: neither a run directory nor a folder of them"), (".", "neither")]
)
def test_what_is_no_run_is_named(path: str, said: str, capsys):
    assert main(["report", path]) == 2
    assert said in capsys.readouterr().err


def test_an_unfinished_run_says_how_far_it_is(tiny_recipe: Path):
    run = searched(tiny_recipe, "part")
    (run / "genotypes" / "final.yaml").unlink()
    assert main(["report", "part"]) == 0
    assert "It is at epoch 2 of 2." in " ".join(Page(run / "report.html").texts)


def test_a_chain_is_drawn_and_counted_in_its_own_network(tiny_recipe: Path):
    space = load_space("s2-small").model_copy(update={"stages": (ChainStage(channels=4, layers=2, stride=1),)})
    settings = check(SearchSettings, read_yaml(tiny_recipe), tiny_recipe)
    run = create(Path("chain"), settings, space)
    for epoch in (0, 1):
        gates = np.full(next(iter(space.parts.values())).shape, 0.5 + epoch / 10).tolist()
        run.log({"epoch": epoch, "gates": {"layers": gates}, "dominant": {"layers": {"E3K3": 2}}})
    note = "no choice of layer 1 reaches 0.9, so it is removed"
    said = {"name": "chain", "space": "s2-small", "source": "tests"}
    run.write_genotype(ChainGenotype(**said, notes=(note,), layers=(("E3K3",), ())), "final")
    assert main(["report", "chain"]) == 0
    page = Page(run.path / "report.html")
    assert note in page.texts
    with torch.device("meta"):
        cost = count(build(load_genotype("chain")[0], space), image=64)
    told = f"{cost.params / 1e6:.2f} M parameters, {cost.madds / 1e6:.1f} M multiply-adds for 64×64 images."
    assert told in " ".join(page.texts)
    if shutil.which("dot"):
        drawing = base64.b64decode(page.sources[0].partition("base64,")[2]).decode()
        assert ">IBE3 K3<" in drawing
        assert ">removed<" in drawing


# study


@pytest.fixture
def small_study(tiny_recipe: Path, tmp_path: Path) -> Path:
    content = {
        "name": "small",
        "source": "tests",
        "seeds": [0, 1],
        "shared": {"epochs": 1, "noise": None, "zero_one.weight": 3},
        "runs": [
            {"name": "fair", "config": str(tiny_recipe)},
            {"name": "soft", "config": str(tiny_recipe), "changes": {"relaxation": "softmax", "zero_one.weight": 0}},
        ],
    }
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_a_study_runs_every_recipe_with_every_seed_and_skips_what_is_done(small_study: Path, capsys, monkeypatch):
    assert main(["study", str(small_study), "--weights.lr", "0.05"]) == 0
    out, err = capsys.readouterr()
    folder = Path("runs/small")
    assert sorted(path.name for path in folder.glob("[!.]*") if path.is_dir()) == [
        "fair-seed0", "fair-seed1", "soft-seed0", "soft-seed1",
    ]  # fmt: skip
    own = [
        check(SearchSettings, read_yaml(folder / name / "settings.yaml"), "") for name in ("fair-seed1", "soft-seed0")
    ]
    assert [(one.seed, one.relaxation, one.zero_one.weight) for one in own] == [(1, "sigmoid", 3), (0, "softmax", 0)]
    assert [(one.epochs, one.weights.lr) for one in own] == [(1, 0.05)] * 2
    assert out == f"{folder / 'report.html'}\n"
    assert "small: 4 of 4 runs are done" in err
    assert Page(folder / "report.html").rows
    monkeypatch.setattr(study, "search", lambda words, alone: pytest.fail(f"{words} again"))
    assert main(["study", str(small_study), "--weights.lr", "0.05"]) == 0
    assert main(["study", str(small_study), "--epochs", "2"]) == 2
    assert "epochs: 1, but the command line says 2" in capsys.readouterr().err


def test_a_study_that_was_stopped_goes_on(small_study: Path, tiny_recipe: Path, monkeypatch, capsys):
    words = ["--relaxation", "softmax", "--epochs", "1", "--zero_one.weight", "0"]
    assert main(["search", "--config", str(tiny_recipe), "--out", "other", *words]) == 0
    begun_settings = Path("other/settings.yaml").read_text()
    begun = []

    def search(words: list[str], alone: bool, then=study.search) -> int:
        begun.append(words)
        return 143 if len(begun) == 2 else then(words, alone)

    monkeypatch.setattr(study, "search", search)
    assert main(["study", str(small_study)]) == 143
    assert len(begun) == 2
    path = Path("runs/small/soft-seed0")
    path.mkdir()
    (path / "settings.yaml").write_text(begun_settings)
    monkeypatch.setattr(study, "search", lambda words, alone: begun.append(words) or 0)
    main(["study", str(small_study)])
    assert begun[2] == [
        "--resume",
        str(path),
        "--epochs=1",
        "--noise=null",
        "--zero_one.weight=0",
        "--relaxation=softmax",
    ]
    assert [Path(words[1]).name for words in begun[3:]] == ["fair-seed1", "soft-seed1"]


def test_ranks_share_the_runs(small_study: Path, monkeypatch):
    shares = []
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", "1")
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        monkeypatch.setenv("WORLD_SIZE", "2")
        monkeypatch.setattr(study, "search", lambda words, alone: shares[-1].append(Path(words[1]).name) or 0)
        shares.append([])
        assert main(["study", str(small_study)]) == 0
    assert sorted(shares[0] + shares[1]) == ["fair-seed0", "fair-seed1", "soft-seed0", "soft-seed1"]
    assert len(shares[0]) == len(shares[1])


def test_a_damaged_run_in_a_folder_hides_no_others(tiny_recipe: Path, capsys):
    whole, damaged = (searched(tiny_recipe, f"runs/{name}") for name in ("whole", "damaged"))
    (damaged / "metrics.jsonl").write_text("{\n")
    capsys.readouterr()
    assert main(["report", "runs"]) == 0
    assert "left out: runs/damaged/metrics.jsonl, line 1: not JSON" in capsys.readouterr().err
    assert "whole" in Page(Path("runs/report.html")).texts
    assert main(["report", str(damaged)]) == 2  # asked for by name
    shutil.rmtree(whole)
    assert main(["report", "runs"]) == 2
    assert "runs: none of its runs can be read" in capsys.readouterr().err


def test_a_lone_word_on_processes_is_refused(small_study: Path, monkeypatch, capsys):
    """As schedulers leave it behind: half of the runs would be skipped without a word."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    for words in (["study", str(small_study)], ["search", "--config", "fairdarts-s1-digits"]):
        assert main(words) == 2
        assert "WORLD_SIZE is 2, but RANK is not set: start with torchrun" in capsys.readouterr().err


def test_a_run_that_fails_does_not_keep_the_others_from_running(small_study: Path, monkeypatch, capsys):
    def search(words: list[str], alone: bool, then=study.search) -> int:
        status = then(words, alone)
        if "soft-seed0" in words[1]:
            Path(words[1], "genotypes/final.yaml").unlink()
            raise UserError("the loss is no longer finite")
        return status

    monkeypatch.setattr(study, "search", search)
    assert main(["study", str(small_study)]) == 2
    err = capsys.readouterr().err
    assert "soft-seed0: the loss is no longer finite" in err
    assert "small: 3 of 4 runs are done" in err
    assert "1 of its runs failed: soft-seed0" in err.splitlines()[-1]


def test_a_mistake_in_a_study_is_named_at_once(small_study: Path, capsys):
    assert main(["study", str(small_study), "--epoch", "3"]) == 2
    assert "--epoch: unknown key (did you mean 'epochs'?)" in capsys.readouterr().err
    assert main(["study", str(small_study), "--seed", "3"]) == 2
    assert "seed: a study's seeds stand in its file" in capsys.readouterr().err
    assert not Path("runs").exists()
    twice = read_yaml(small_study)
    twice["runs"][1]["name"] = "fair"
    Path("twice.yaml").write_text(yaml.safe_dump(twice))
    assert main(["study", "twice.yaml"]) == 2
    assert "runs: the name 'fair' stands twice" in capsys.readouterr().err
    twice["runs"][1] |= {"name": "later", "changes": {"weights.lrr": 1}}
    Path("twice.yaml").write_text(yaml.safe_dump(twice))
    assert main(["study", "twice.yaml"]) == 2
    assert "weights.lrr: unknown key" in capsys.readouterr().err
    assert not Path("runs").exists()
    small_study.write_text(yaml.safe_dump(read_yaml(small_study) | {"seeds": []}))
    assert main(["study", str(small_study)]) == 2
    assert f"{small_study}: seeds" in capsys.readouterr().err
    evolution = read_yaml(small_study) | {"seeds": [0], "runs": [{"name": "x", "config": "moremnas"}]}
    small_study.write_text(yaml.safe_dump(evolution))
    assert main(["study", str(small_study)]) == 2
    assert "moremnas: is a recipe of `fairdarts evolve`, which a study does not run" in capsys.readouterr().err
    assert main(["study", "colapse"]) == 2
    assert "did you mean 'collapse'?" in capsys.readouterr().err


@pytest.mark.parametrize("name", [name for name in names("studies") if "runs" in read_yaml(find("studies", name))])
def test_shipped_studies_name_recipes_and_settings_that_there_are(name: str):
    path = find("studies", name)
    settings = check(study.StudySettings, read_yaml(path), path)
    assert settings.name == name
    for job in study.jobs_of(settings, Path("runs"), {}):
        study.check_job(job)
