"""Classes laid over images."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from fairdarts.data.masks import PALETTE
from fairdarts.plot import overlay

NAMES = ("background", "bird", "cat")
SIZES = [(12, 16), (16, 12)]
RNG = np.random.default_rng(0)
IMAGES = [RNG.integers(0, 256, (*size, 3), dtype=np.uint8) for size in SIZES]
TRUTHS = [np.zeros(size, np.uint8) for size in SIZES]
TRUTHS[0][2:5, 3:7] = 2
TRUTHS[0][9:] = 255
PREDICTIONS = [np.zeros(size, np.int64) for size in SIZES]
PREDICTIONS[0][2:5, 4:8] = 2


def info(truths=TRUTHS, ious=None, predictions=PREDICTIONS) -> overlay.OverlayInfo:
    return overlay.overlay_info(IMAGES, truths, predictions, NAMES, ious)


def drawn(of: overlay.OverlayInfo) -> Figure:
    figure = overlay.overlay_figure(of)
    figure.draw_without_rendering()
    return figure


def test_a_class_tints_its_pixels():
    image = np.full((1, 3, 3), 100, np.uint8)
    mixed = overlay.overlay(image, np.array([[0, 2, 255]]), PALETTE)
    assert mixed.dtype == np.uint8
    assert mixed[0].tolist() == [[100] * 3, [45, 115, 45], [100] * 3]  # 0.45 · 100 + 0.55 · (0, 128, 0)


def test_a_row_is_image_truth_and_prediction():
    own = info()
    assert own.columns == ("image", "truth", "prediction")
    for row, image, truth, prediction in zip(own.rows, IMAGES, TRUTHS, PREDICTIONS, strict=True):
        expected = (image, overlay.overlay(image, truth, PALETTE), overlay.overlay(image, prediction, PALETTE))
        assert all(np.array_equal(ours, theirs) for ours, theirs in zip(row, expected, strict=True))
    truth = own.rows[0][1]
    assert np.array_equal(truth[9:], IMAGES[0][9:])  # what is ignored looks as it is
    assert np.array_equal(own.rows[0][2][9:], IMAGES[0][9:])  # so does VOC's background
    assert not np.array_equal(truth[2:5, 3:7], IMAGES[0][2:5, 3:7])


def test_only_the_classes_that_are_seen_are_named():
    assert (info().present, info().labels) == ((0, 2), ("background", "cat"))
    seen = info(truths=[np.full(size, 255, np.uint8) for size in SIZES], predictions=[np.ones(s, int) for s in SIZES])
    assert (seen.present, seen.labels) == ((1,), ("bird",))


def test_classes_without_a_background_are_all_told_apart():
    assert overlay.palette_of(NAMES) is PALETTE
    names = [f"c{number}" for number in range(20)]
    colours = overlay.palette_of(names)[:20].astype(int)
    apart = [np.abs(one - other).sum() for number, one in enumerate(colours) for other in colours[:number]]
    assert min(apart) > 30
    own = overlay.overlay_info(IMAGES, TRUTHS, PREDICTIONS, ("sky", "bird", "cat"), None)
    assert own.colours == (tuple(colours[0].tolist()), tuple(colours[2].tolist()))


def test_ious_stand_with_the_classes():
    own = info(ious=[0.9876, 0.5, None])
    assert own.labels == ("background 98.8", "cat")
    assert own.columns[-1] == "prediction (below: IoU of the classes, %)"


def test_truth_need_not_be_known():
    own = info(truths=None)
    assert own.columns == ("image", "prediction")
    assert [len(row) for row in own.rows] == [2, 2]
    assert len(drawn(own).axes) == 4


def test_images_keep_their_shape_and_fill_the_figure():
    figure = drawn(info())
    width, _ = figure.get_size_inches()
    boxes = [ax.get_window_extent().transformed(figure.dpi_scale_trans.inverted()) for ax in figure.axes]
    for number, box in enumerate(boxes):
        height, own = SIZES[number // 3]
        assert box.height / box.width == pytest.approx(height / own, rel=0.02)
    assert sum(box.width for box in boxes[:3]) > 0.95 * width
    legend = figure.legends[0]
    assert [text.get_text() for text in legend.get_texts()] == ["background", "cat"]
    colours = [patch.get_facecolor()[:3] for patch in legend.get_patches()]
    assert np.allclose(colours, PALETTE[[0, 2]] / 255)


@pytest.mark.parametrize("count", [1, 5])
def test_nothing_is_cut_off(count: int):
    figure = drawn(overlay.overlay_info(IMAGES[:1] * count, TRUTHS[:1] * count, PREDICTIONS[:1] * count, NAMES, None))
    width, height = figure.get_size_inches()
    boxes = [part.get_tightbbox() for part in (*figure.axes, figure.legends[0])]
    for box in (box.transformed(figure.dpi_scale_trans.inverted()) for box in boxes):
        assert min(box.x0, box.y0) > -0.005
        assert (box.x1 < width + 0.005, box.y1 < height + 0.005) == (True, True)


def test_a_picture_is_written(tmp_path: Path):
    info = overlay.overlay_info(IMAGES, TRUTHS, PREDICTIONS, NAMES, None)
    paths = overlay.draw_overlay(info, tmp_path / "figures", "seen")
    assert paths == [tmp_path / "figures" / "seen.png"]
    with Image.open(paths[0]) as image:
        assert image.width == round(150 * (3 * overlay.WIDTH + 0.2))
