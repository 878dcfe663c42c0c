"""benchmarks/targets.py and fit.py: what they tell is what was measured, and the pages show it."""

import importlib
import json
from pathlib import Path

import pytest

from fairdarts.evolution.objectives import read_limit

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")


@pytest.mark.parametrize(("name", "page"), [("targets", "cost"), ("fit", "fit")])
def test_the_page_shows_the_committed_result(name: str, page: str):
    result = json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())
    program = importlib.import_module(name)
    assert program.table(result) in (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")


def test_networks_stand_by_their_cost_with_the_error_of_their_accuracy():
    program = importlib.import_module("targets")
    rows = [{"method": "a", "derived": cost, "top1": top1, "images": 400} for cost, top1 in ((3e6, 0.5), (1e6, 0.2))]
    info = program.targets_info({"rows": rows})
    assert (info.costs["a"].tolist(), info.accuracies["a"].tolist()) == ([1e6, 3e6], [20, 50])
    [axes] = program.targets_figure(info).axes
    _, _, (bars,) = axes.containers[0]
    (low, high), _ = ([y for _, y in segment] for segment in bars.get_segments())
    assert (high - low) / 2 == pytest.approx(2)  # percent: the root of 0.2 · 0.8 / 400


def test_the_mobilenet_is_the_widest_within_the_budget():
    program = importlib.import_module("fit")
    width = program.widest("params <= 1e6", 10, 32)
    costs = [program.cost_of(width + step, 10, 32).params for step in (0, 0.05)]
    assert costs[0] <= read_limit("params <= 1e6").bound < costs[1]
