"""Fronts of several searches in one figure: which panels, series and points there are."""

from pathlib import Path

import numpy as np
import pytest

from fairdarts.plot import style
from fairdarts.plot.fronts import draw_fronts, fronts_figure, fronts_info
from fairdarts.plot.projection import EVALUATIONS, Evolved


def made(name: str, accuracy: list[float], front: list[bool] | None = None, **costs: list[float]) -> Evolved:
    """A search whose costs are objectives, in millions, with the models of its front."""
    count = len(accuracy)
    values = {"accuracy": np.asarray(accuracy, dtype=float)}
    values |= {cost: 1e6 * np.asarray(own, dtype=float) for cost, own in costs.items()}
    every = np.ones(count, dtype=bool)
    chosen = every if front is None else np.asarray(front)
    return Evolved(name, {"accuracy": True} | dict.fromkeys(costs, False), values, np.ones(count), chosen)


A = made("evolution", [70, 80, 75, 60], [True, True, True, False], madds=[1, 3, 4, 5], params=[3, 2, 1, 1])
B = made("random", [65, 78], madds=[2, 3])
TRUTH = made("truth", [72, 85, 50], [True, True, False], madds=[1, 2, 3], params=[2, 4, 4])


def test_there_is_a_panel_a_cost_with_the_searches_that_know_it():
    info = fronts_info([A, B], TRUTH)
    assert info.names == ("evolution", "random")
    assert [list(panel.fronts) for panel in info.panels] == [[0, 1], [0]]
    madds, params = info.panels
    assert madds.fronts[0].line.tolist() == [[1, 70], [3, 80]]
    assert madds.fronts[0].rings.tolist() == [[1, 70], [3, 80], [4, 75]]
    assert madds.fronts[1].line.tolist() == [[2, 65], [3, 78]]
    assert params.fronts[0].line.tolist() == [[1, 75], [2, 80]]
    assert [panel.truth.tolist() for panel in info.panels] == [[[1, 72], [2, 85]], [[2, 72], [4, 85]]]


def test_a_search_keeps_its_series_and_the_true_front_stands_behind():
    figure = fronts_figure(fronts_info([B, A], TRUTH), "title")
    assert [ax.get_xlabel() for ax in figure.axes] == ["multiply-adds, M", "parameters, M"]
    assert figure.axes[0].get_ylabel() == "accuracy, %"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["random", "evolution", "true front"]
    assert figure.get_suptitle() == "title"
    truth, *lines = figure.axes[1].lines
    assert {line.get_color() for line in lines} == {style.SERIES[1][0]}  # B knows no parameters
    assert truth.get_zorder() < min(line.get_zorder() for line in lines)
    assert {line.get_drawstyle() for line in figure.axes[0].lines} == {"steps-post"}


def test_searches_of_accuracy_alone_are_compared_over_their_evaluations():
    info = fronts_info([made("one", [70, 60, 80, 75]), made("two", [72, 71])], TRUTH)
    (panel,) = info.panels
    assert panel.truth is None
    assert {own.cost for own in panel.fronts.values()} == {EVALUATIONS}
    assert panel.fronts[0].line.tolist() == [[1, 70], [3, 80], [4, 80]]
    # Beside searches that have costs, what they know of those counts.
    assert [list(own.fronts) for own in fronts_info([A, made("one", [70])]).panels] == [[0], [0]]


def test_models_far_below_the_others_are_counted():
    accuracy = [10, *np.linspace(90, 93, 30)]
    info = fronts_info([made("one", accuracy, madds=list(range(31)))])
    assert info.note == f"1 model below {info.bottom:.1f} not shown"
    figure = fronts_figure(info)
    assert figure.get_suptitle() == info.note
    assert figure.axes[0].get_ylim()[0] == info.bottom > 89
    assert fronts_info([A]).bottom is None


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "search",
    [
        made("run", [90.0], madds=[1]),
        made("run", [90.0] * 3, madds=[2] * 3),
        made("run", [np.nan] * 2, madds=[1, 2]),
        made("run", [90.0, 91.0], [False, False], madds=[1, 2]),
        made("run", []),
        made("run", [90.0]),
    ],
    ids=["one", "equal", "unknown", "no front", "none", "accuracy alone"],
)
def test_whatever_was_found_can_be_drawn(search: Evolved, tmp_path: Path):
    paths = draw_fronts([search, B], tmp_path, truth=search)
    assert [path.name for path in paths] == ["fronts.svg", "fronts.png"]
    assert all(path.is_file() for path in draw_fronts([search], tmp_path, name="alone"))


def test_the_same_fronts_give_the_same_bytes_and_no_search_no_figure(tmp_path: Path):
    for one, two in zip(*(draw_fronts([A, B], tmp_path / name, TRUTH) for name in ("one", "two")), strict=True):
        assert one.read_bytes() == two.read_bytes()
    assert draw_fronts([], tmp_path) == []
