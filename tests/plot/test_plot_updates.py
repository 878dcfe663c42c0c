"""How evenly choices were updated, on counts small enough to check by hand."""

import numpy as np
import pytest

from fairdarts.plot.updates import updates_figure, updates_info


def dots(figure) -> np.ndarray:
    """Heights of all dots."""
    return np.concatenate([line.get_ydata() for line in figure.axes[0].lines if line.get_label().startswith("choice")])


def test_strict_fairness_shows_as_zero():
    info = updates_info({"epoch": 2, "updates": [[312] * 3] * 8})
    assert info.counts == (936,) * 8
    assert all((own == 0).all() for own in info.deviations)
    assert info.uniform == pytest.approx((np.sqrt(936 * 2 / 9),) * 8)
    figure = updates_figure(info)
    assert dots(figure).tolist() == [0] * 24
    assert (
        figure.axes[0].get_title(loc="left")
        == "After epoch 2, n = 936 updates of a choice point: all its choices alike"
    )


def test_deviations_are_from_the_mean_of_the_choice_point():
    info = updates_info({"epoch": 1, "updates": [[5, 1, 3], [4, 6]]})
    assert [own.tolist() for own in info.deviations] == [[2, -2, 0], [-1, 1]]
    assert info.uniform == pytest.approx((np.sqrt(9 * 2 / 9), np.sqrt(10 * 1 / 4)))
    figure = updates_figure(info)
    assert sorted(dots(figure)) == [-2, -1, 0, 1, 2]
    assert [bar.get_height() / 2 for bar in figure.axes[0].patches] == pytest.approx(info.uniform)
    assert "n = 9 to 10 updates" in figure.axes[0].get_title(loc="left")
    assert "at most 2 off" in figure.axes[0].get_title(loc="left")


def test_dots_of_a_choice_point_stand_side_by_side_in_its_column():
    figure = updates_figure(updates_info({"epoch": 1, "updates": [[3] * 6] * 2}))
    places = np.asarray([line.get_xdata() for line in figure.axes[0].lines if line.get_label().startswith("choice")])
    assert len(np.unique(places)) == 12
    assert np.round(places).tolist() == [[0, 1]] * 6
