"""`fairdarts report` and `fairdarts study`, on searches of a second."""

import base64
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch

from fairdarts.checking import check
from fairdarts.cli import main
from fairdarts.cost.count import count
from fairdarts.differentiable.settings import SearchSettings
from fairdarts.genotype import ChainGenotype
from fairdarts.networks.blueprint import build
from fairdarts.networks.zoo import load_genotype
from fairdarts.reading import read_yaml
from fairdarts.runtime.run import create
from fairdarts.spaces.chain import ChainStage
from fairdarts.spaces.space import load_space


@pytest.fixture(autouse=True)
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder of its own, and without the figures of runs, which take longer than their searches."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fairdarts.runs.figures.figures_of", lambda *_: [])
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
    methods = [row for row in page.rows if re.fullmatch(r"w\d+", row[0]) and len(row) == 10]
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
