"""The form of the zero-one losses, against their equations."""

import numpy as np
import pytest

from fairdarts.differentiable.losses import ZERO_ONE
from fairdarts.plot.zero_one import draw_zero_one, zero_one_figure, zero_one_info


def test_the_curves_are_equations_7_and_9_and_their_derivatives():
    info = zero_one_info()
    away, sigmoid = info.z - 0.5, 1 / (1 + np.exp(-info.alpha))
    np.testing.assert_allclose(info.losses["squared"], -(away**2), atol=1e-15)
    np.testing.assert_allclose(info.losses["absolute"], -np.abs(away), atol=1e-15)
    np.testing.assert_allclose(info.by_gate["squared"], -2 * away, atol=1e-15)
    np.testing.assert_allclose(info.by_gate["absolute"], -np.sign(away))
    slope = sigmoid * (1 - sigmoid)
    np.testing.assert_allclose(info.by_alpha["squared"], -2 * (sigmoid - 0.5) * slope, atol=1e-15)
    np.testing.assert_allclose(info.by_alpha["absolute"], -np.sign(info.alpha) * slope)


def test_only_a_gradient_that_leaps_has_a_gap():
    figure = zero_one_figure(zero_one_info())
    gaps = [[int(np.isnan(line.get_ydata()).sum()) for line in ax.lines[:2]] for ax in figure.axes]
    assert gaps == [[0, 0], [0, 1], [0, 1]]


def test_a_loss_of_a_users_own_is_shown_by_its_name(monkeypatch):
    monkeypatch.setitem(ZERO_ONE, "mine", lambda z: z.mean())
    info = zero_one_info()
    assert info.by_gate["mine"] == pytest.approx(1)
    assert zero_one_figure(info).legends[0].get_texts()[-1].get_text() == "mine"


def test_it_is_written(tmp_path):
    assert [path.name for path in draw_zero_one(tmp_path, ["svg"])] == ["zero-one.svg"]
