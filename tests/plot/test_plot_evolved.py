"""All models of an evolutionary search: what is drawn of them, and what is left out of the picture."""

from pathlib import Path

import numpy as np
import pytest
from searches import made, nondominated, small

from fairdarts.plot.evolved import MANY, draw_evolved, evolved_figure, evolved_info
from fairdarts.plot.projection import EVALUATIONS, Evolved


def test_with_accuracy_alone_the_line_is_the_best_so_far():
    info = evolved_info(made(maximized={"accuracy": True}))
    (own,) = info.projections
    assert own.cost == EVALUATIONS
    assert own.x.tolist() == list(range(1, 61))
    best = np.maximum.accumulate(own.y)
    steps = own.line[np.searchsorted(own.line[:, 0], own.x, side="right") - 1, 1]
    assert steps.tolist() == best.tolist()
    assert own.line[-1].tolist() == [60, best[-1]]


def test_unknown_accuracies_are_left_out_and_counted():
    info = evolved_info(small([np.nan, 80, 90], [1, 2, 3], maximized={"accuracy": True}))
    assert info.projections[0].x.tolist() == [2, 3]  # of all evaluations
    assert info.projections[0].line.tolist() == [[2, 80], [3, 90], [3, 90]]
    assert info.notes == ("run: 3 models in 1 generation, 3 on the front", "1 model of unknown accuracy left out")


def test_there_is_a_panel_a_cost_and_one_a_budget():
    search = made(maximized={"accuracy": True, "params": False})
    budgets = [("madds", 5e6), ("params", 2e6), ("params", 3e6), ("latency", 7)]
    info = evolved_info(search, budgets)
    assert [own.cost for own in info.projections] == ["params", "madds"]
    assert info.limits == ((2, 3), (5,))
    axes = evolved_figure(info).axes
    assert [ax.get_xlabel() for ax in axes[:2]] == ["parameters, M", "multiply-adds, M"]
    assert [ax.get_ylabel() for ax in axes] == ["accuracy, %", "", "generation"]
    assert [text.get_text() for text in axes[0].texts] == ["≤ 2", "≤ 3"]
    assert axes[0].lines[-1].get_xdata()[0] == 3


def test_without_accuracy_the_first_objective_stands_upwards():
    search = made(maximized={"madds": False, "params": False})
    search.values.pop("accuracy")
    own = evolved_info(search).projections[0]
    assert (own.gain, own.cost) == ("madds", "params")
    signed = -np.stack([own.x, own.y], axis=1)
    assert own.line.tolist() == np.unique(-signed[nondominated(signed)], axis=0).tolist()


def test_the_latest_generation_is_drawn_last_in_the_brightest_colour():
    search = small([80, 81, 82], [5, 6, 7], generation=np.array([3, 1, 2]))
    dots = evolved_figure(evolved_info(search)).axes[0].collections[0]
    assert dots.get_offsets()[:, 0].tolist() == [6, 7, 5]
    luminance = dots.get_facecolors()[:, :3] @ [0.21, 0.72, 0.07]
    assert (np.diff(luminance) > 0.1).all()


def test_models_that_are_not_shown_are_counted():
    accuracy = [*np.linspace(90, 93, 99), 10.0]
    info = evolved_info(small(accuracy, list(range(1, 101))))
    assert info.notes[1] == f"1 model below {info.bottom:.1f} not shown"
    low, high = evolved_figure(info).axes[0].get_ylim()
    assert low == info.bottom
    assert 93 < high < 94


def test_many_models_are_a_picture_in_the_svg(tmp_path: Path):
    accuracy, madds = np.random.default_rng(0).normal(80, 4, (2, 12_800))
    search = small(accuracy, madds, front=accuracy > 92)
    for models, rasterized in ((search, True), (made(MANY), False)):
        dots = evolved_figure(evolved_info(models)).axes[0].collections[0]
        assert dots.get_rasterized() == rasterized
    svg, png = draw_evolved(search, tmp_path, name="search")
    assert [path.name for path in (svg, png)] == ["search.svg", "search.png"]
    assert svg.stat().st_size < 1_000_000


def test_the_same_models_give_the_same_bytes(tmp_path: Path):
    for one, two in zip(*(draw_evolved(made(1200), tmp_path / name) for name in ("one", "two")), strict=True):
        assert one.read_bytes() == two.read_bytes()


NOTHING = np.zeros(2, dtype=bool)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("maximized", [{"accuracy": True}, {"accuracy": True, "madds": False}])
@pytest.mark.parametrize(
    "search",
    [
        small([90], [1]),
        small([90] * 4, [5] * 4),
        small([np.nan] * 3, [1, 2, 3]),
        small([90, 91], [1, 2], front=NOTHING),
        small([], []),
    ],
    ids=["one", "equal", "unknown", "no front", "none"],
)
def test_whatever_was_found_can_be_drawn(search: Evolved, maximized: dict[str, bool], tmp_path: Path):
    paths = draw_evolved(search._replace(maximized=maximized), tmp_path, [("madds", 2e6)])
    assert all(path.is_file() for path in paths)
