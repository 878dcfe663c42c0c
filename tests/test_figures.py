"""README's figures of the digits search are what today's program draws of it, and `make search` still finds it."""

import json
import re
from pathlib import Path

import pytest

from fairdarts.cli import main
from fairdarts.genotype import Genotype, read
from fairdarts.plot import style
from fairdarts.plot.drawing import graphs_of
from fairdarts.plot.heatmap import heatmap_figure, heatmap_info
from fairdarts.spaces.space import load_space

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "docs" / "figures"
REMAKE = "CONTRIBUTING.md, 'The figures of README', says how docs/figures/digits* are made again"
S1 = load_space("s1")


def kept() -> tuple[Genotype, dict]:
    """The genotype and the last record of the search that the figures are of."""
    return read(FIGURES / "digits.yaml"), json.loads((FIGURES / "digits.json").read_text())


def test_the_drawn_cell_is_that_of_the_kept_genotype_as_it_is_drawn_now():
    genotype, _ = kept()
    source = graphs_of(genotype, S1, f"{genotype.name}: ")["normal"].source
    svg = (FIGURES / "digits-normal.svg").read_text().replace("&#45;", "-").replace("&gt;", ">")
    arrows = re.findall(r"^\t+(\S+) -> (\S+) \[(?!style=invis)", source, re.M)
    assert sorted(f"{start}->{end}".replace('"', "") for start, end in arrows) == sorted(
        re.findall(r"<title>(\S+->\S+)</title>", svg)
    ), REMAKE
    texts = "".join(re.findall(r"<text.*?>(.*?)</text>", svg))
    for label in [*re.findall(r'label="([^"]+)"', source), f"{genotype.name}: normal cell", "0: c", "1: c"]:
        assert label in texts, REMAKE
    for colour in re.findall(r'fillcolor="(#\w+)"', source):
        assert colour.lower() in svg.lower(), REMAKE


@pytest.mark.usefixtures("rendered")
def test_the_heatmap_shows_the_kept_gates_as_it_is_drawn_now(tmp_path: Path):
    _, record = kept()
    style.save(heatmap_figure(heatmap_info([record], S1)), tmp_path, "now")
    texts = [
        re.findall("<!-- (.*?) -->", path.read_text())
        for path in (tmp_path / "now.svg", FIGURES / "digits-heatmap.svg")
    ]
    assert len(texts[0]) > 2 * 14 * 7
    assert texts[0] == texts[1], REMAKE


def test_the_kept_search_is_of_the_versions_that_make_installs():
    """Another torch may search to other gates: the figures are then to be made again."""
    made = json.loads((FIGURES / "digits-versions.json").read_text())
    pinned = dict(re.findall(r"^(\S+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.M))
    for name in ("torch", "numpy"):
        assert made[name].partition("+")[0] == pinned[name], REMAKE


@pytest.mark.slow
def test_the_search_of_make_finds_the_kept_genotype(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """On the versions of constraints.txt; on a kind of CPU with other vector instructions it may find another."""
    monkeypatch.chdir(tmp_path)
    assert main(["search", "--config", "fairdarts-s1-digits", "--out", "fairdarts-s1-digits-seed0"]) == 0
    genotype, record = kept()
    assert read(Path("fairdarts-s1-digits-seed0/genotypes/final.yaml")) == genotype, REMAKE
    last = json.loads(Path("fairdarts-s1-digits-seed0/metrics.jsonl").read_text().splitlines()[-1])
    for part, rows in record["gates"].items():
        for own, now in zip(rows, last["gates"][part], strict=True):
            assert now == pytest.approx(own, abs=0.005), REMAKE
