"""Matrices of cosines: which are shown, and in which place."""

from pathlib import Path

import numpy as np
import pytest

from fairdarts.plot import similarity

NAMES = ("E3K3", "skip_connect")


def test_the_layer_is_the_mean_of_defined_channels():
    per_channel = np.array([[[1, 0.5], [0.5, 1]], [[1, np.nan], [np.nan, np.nan]], [[1, 0.1], [0.1, np.nan]]])
    info = similarity.layer_info(NAMES, 3, per_channel)
    assert info.panels[""] == pytest.approx(np.array([[1, 0.3], [0.3, 1]]))
    assert info.labels == ("E3 K3", "skip connect")
    figure = similarity.matrices_figure(info, 3, written=True)
    assert [text.get_text() for text in figure.axes[0].texts] == ["1.00", "0.30", "0.30", "1.00"]
    assert figure.axes[0].images[0].get_clim() == (-1, 1)
    assert figure.legends == []


def test_what_no_channel_defines_is_grey_and_said_so():
    info = similarity.layer_info(NAMES, 3, np.array([[[1, np.nan], [np.nan, np.nan]]]))
    assert np.isnan(info.panels[""]).tolist() == [[False, True], [True, True]]
    figure = similarity.matrices_figure(info, 3, written=True)
    assert [text.get_text() for text in figure.axes[0].texts] == ["1.00", "–", "–", "–"]
    assert figure.axes[0].images[0].to_rgba(np.nan)[:3] == pytest.approx([0x9A / 255] * 3)
    assert "undefined" in figure.legends[0].get_texts()[0].get_text()


@pytest.mark.parametrize(("channels", "shown"), [(1, [0]), (5, [0, 1, 2, 3, 4]), (47, list(range(0, 47, 2)))])
def test_channels_are_evenly_spaced(channels: int, shown: list[int]):
    per_channel = np.arange(channels)[:, None, None] / channels * np.ones((2, 2))
    info = similarity.channels_info(NAMES, 0, per_channel)
    assert list(info.panels) == [f"channel {channel}" for channel in shown]
    assert [matrix[0, 0] for matrix in info.panels.values()] == [channel / channels for channel in shown]


def test_every_block_has_its_matrix():
    within, across = np.zeros((2, 3, 3)), np.stack([np.eye(3), -np.eye(3)])
    assert list(similarity.within_info(NAMES, 0, within).panels) == ["E3 K3", "skip connect"]
    info = similarity.across_info(NAMES, 0, across)
    assert info.panels["skip connect"][1, 1] == -1
    assert info.sides == ("channel of the block above", "channel of E3 K3")
    figure = similarity.matrices_figure(info, 2)
    images = [ax.images[0].get_array() for ax in figure.axes[:2]]
    assert np.asarray(images).tolist() == across.tolist()
    assert len(figure.axes) == 3  # one bar of colours for both


def test_four_figures_are_written(tmp_path: Path):
    matrices = np.zeros((2, 4, 4))
    paths = similarity.draw_similarity(NAMES, 7, np.zeros((4, 2, 2)), matrices, matrices, tmp_path)
    names = ("layer7", "channels-layer7", "within-layer7", "across-layer7")
    assert [path.name for path in paths] == [f"similarity-{name}.{kind}" for name in names for kind in ("svg", "png")]
    assert all(path.is_file() for path in paths)
