"""Regrets of strategies over their seeds: means and intervals against scipy, and axes with and without zeros."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from fairdarts.plot import style
from fairdarts.plot.regret import DECADES, draw_regret, regret_figure, regret_info

RANDOM = np.random.default_rng(0)


def falling(seeds: int, evaluations: int = 200) -> np.ndarray:
    """Regrets as a search has them: never more than before, and of few different values."""
    return np.minimum.accumulate(np.round(RANDOM.exponential(2, (seeds, evaluations)), 1), axis=1)


def test_mean_and_interval_are_those_of_scipy():
    values = falling(7)
    curve = regret_info({"a": values}).curves["a"]
    assert curve.mean == pytest.approx(values.mean(axis=0))
    spread = values.std(axis=0) > 0
    low, high = stats.t.interval(0.95, 6, values[:, spread].mean(axis=0), stats.sem(values[:, spread]))
    assert curve.low[spread] == pytest.approx(low)
    assert curve.high[spread] == pytest.approx(high)
    assert curve.low[~spread] == pytest.approx(curve.mean[~spread])
    assert curve.seeds == 7


def test_seeds_without_a_value_are_left_out():
    curve = regret_info({"a": np.array([[3, 1, np.nan], [1, np.nan, np.nan]])}).curves["a"]
    assert curve.mean == pytest.approx([2, 1, np.nan], nan_ok=True)
    assert curve.high - curve.mean == pytest.approx([stats.t.ppf(0.975, 1), np.nan, np.nan], nan_ok=True)


def test_a_logarithmic_axis_has_a_floor_and_data_keep_their_zeros():
    info = regret_info({"a": np.array([[5.0, 0.5, 0.0]]), "b": np.array([[4.0, 1.0, 1.0]])})
    assert info.lowest == 0.5
    ax = regret_figure(info).axes[0]
    assert ax.get_yscale() == "log"
    assert 0.3 < ax.get_ylim()[0] < 0.5
    assert ax.lines[0].get_ydata().tolist() == [5, 0.5, 0]
    assert regret_info({"a": np.array([[1.0, 1e-9]])}).lowest == 10.0**-DECADES
    nowhere = regret_info({"a": np.zeros((3, 4))})
    assert nowhere.lowest is None
    assert regret_figure(nowhere).axes[0].get_yscale() == "linear"


def test_a_linear_axis_is_cut_below_where_the_first_evaluations_would_squeeze_it():
    shares = 100 - np.array([[60, 40, *np.linspace(5, 0, 298)]])
    info = regret_info({"a": shares})
    ax = regret_figure(info, "title", "hypervolume, %", log=False).axes[0]
    assert ax.get_ylim()[0] == info.bottom > 90
    assert ax.get_ylabel() == "hypervolume, %"
    assert ax.get_title(loc="left") == "title"  # one seed has no mean
    assert [text.get_text() for text in ax.figure.legends[0].get_texts()] == ["a"]


def test_steps_are_drawn_only_where_something_changes():
    values = falling(3, 2000)
    line = regret_figure(regret_info({"a": values})).axes[0].lines[0]
    x, y = line.get_xdata(), line.get_ydata()
    assert len(x) < 200
    assert (x[0], x[-1]) == (1, 2000)
    everywhere = y[np.searchsorted(x, np.arange(1, 2001), side="right") - 1]
    assert everywhere == pytest.approx(values.mean(axis=0))


def test_strategies_have_the_series_of_their_place_and_say_their_seeds():
    figure = regret_figure(regret_info({"a": falling(1), "b": falling(4, 50)}), log_x=True)
    ax = figure.axes[0]
    assert [line.get_color() for line in ax.lines] == [style.SERIES[0][0], style.SERIES[1][0]]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a (1 seed)", "b (4 seeds)"]
    assert ax.get_title(loc="left") == "Line: mean of the seeds; band: 95 % interval of the mean (Student's t)"
    assert ax.get_xscale() == "log"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("log", [True, False])
@pytest.mark.parametrize(
    "values",
    [np.zeros((2, 3)), np.full((2, 3), 4.0), [[5.0]], [3.0, 2.0], np.full((2, 3), np.nan), np.empty((2, 0))],
    ids=["zeros", "equal", "one", "a row", "unknown", "none"],
)
def test_whatever_was_measured_can_be_drawn(values, log: bool, tmp_path: Path):
    paths = draw_regret({"a": values, "b": values}, tmp_path, log=log)
    assert [path.name for path in paths] == ["regret.svg", "regret.png"]


def test_the_same_regrets_give_the_same_bytes_and_no_strategy_no_figure(tmp_path: Path):
    curves = {"a": falling(3), "b": falling(3)}
    for one, two in zip(*(draw_regret(curves, tmp_path / name) for name in ("one", "two")), strict=True):
        assert one.read_bytes() == two.read_bytes()
    assert draw_regret({}, tmp_path) == []
