"""The curves of f(m, n), by numbers that can be counted by hand."""

from pathlib import Path

import numpy as np
import pytest

from fairdarts.plot.lemma import draw_lemma, lemma_figure, lemma_info


def test_points_stand_where_m_divides_n():
    info = lemma_info((2, 3), trials=12)
    assert list(info.exact[2]) == [2, 4, 6, 8, 10, 12]
    assert list(info.exact[3]) == [3, 6, 9, 12]
    assert info.exact[2][2] == pytest.approx(1 / 2)
    assert info.exact[2][4] == pytest.approx(6 / 16)
    assert info.exact[3][3] == pytest.approx(6 / 27)


def test_the_asymptote_is_as_printed():
    line = lemma_info((2,), trials=50).asymptote[2]
    assert list(line) == list(range(2, 51))
    assert line[50] == pytest.approx(np.sqrt(2 * 2 / (2 * np.pi * 50)))


def test_the_figure_has_an_even_and_a_logarithmic_panel():
    figure = lemma_figure(lemma_info((2, 6)))
    assert [ax.get_yscale() for ax in figure.axes] == ["linear", "log"]
    assert figure.axes[0].lines[1].get_ydata()[9] < 0.2  # f(2, 20), as the paper says
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[:2] == ["m = 2", "m = 6"]


def test_two_files_are_written(tmp_path: Path):
    paths = draw_lemma((1, 2), tmp_path)
    assert [path.name for path in paths] == ["lemma.svg", "lemma.png"]
    assert all(path.is_file() for path in paths)
