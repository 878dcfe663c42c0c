"""Which class is taken for which, drawn."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from fairdarts.plot import confusion

NAMES = ("ant", "bee", "cat")
COUNTS = np.array([[8, 1, 1], [4, 12, 0], [0, 0, 20]])
EMPTY = np.array([[8, 2, 0], [0, 0, 0], [3, 0, 9]])


def drawn(classes, counts: np.ndarray) -> Figure:
    figure = confusion.confusion_figure(confusion.confusion_info(classes, counts))
    figure.draw_without_rendering()
    return figure


def written(figure: Figure) -> dict[tuple[int, int], str]:
    """(true class, predicted class) → the number in its square."""
    return {tuple(int(at) for at in reversed(text.get_position())): text.get_text() for text in figure.axes[0].texts}


def ticks(figure: Figure) -> list[list[str]]:
    ax = figure.axes[0]
    return [[text.get_text() for text in own.get_ticklabels()] for own in (ax.xaxis, ax.yaxis)]


def test_shares_are_percent_of_the_true_class():
    info = confusion.confusion_info(NAMES, COUNTS)
    assert info.classes == NAMES
    assert info.shares.tolist() == [[80, 10, 10], [25, 75, 0], [0, 0, 100]]
    assert info.images.tolist() == [10, 16, 20]


def test_a_class_without_images_has_no_shares():
    with np.errstate(all="raise", invalid="warn"):
        info = confusion.confusion_info(NAMES, EMPTY)
    assert np.isnan(info.shares[1]).all()
    assert info.shares[[0, 2]].tolist() == [[80, 20, 0], [25, 0, 75]]
    assert info.images.tolist() == [10, 0, 12]


def test_few_classes_have_names_and_numbers():
    figure = drawn(NAMES, COUNTS)
    assert written(figure) == {
        (0, 0): "80", (0, 1): "10", (0, 2): "10", (1, 0): "25", (1, 1): "75", (2, 2): "100",
    }  # fmt: skip
    assert ticks(figure) == [list(NAMES), list(NAMES)]
    ax = figure.axes[0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "true class")
    assert ax.get_title() == "86.96 % of 46 images right"
    low, high = ax.get_ylim()
    assert low > high  # the first class is on top


def test_a_class_without_images_is_grey_and_not_counted():
    figure = drawn(NAMES, EMPTY)
    assert written(figure) == {(0, 0): "80", (0, 1): "20", (2, 0): "25", (2, 2): "75"}
    ax = figure.axes[0]
    assert ax.get_ylabel() == "true class (grey: no images)"
    assert ax.get_title() == "77.27 % of 22 images right"
    colours = ax.collections[0].get_facecolors().reshape(3, 3, 4)
    assert colours[1, :, :3] == pytest.approx(0xDD / 255)
    assert (colours[[0, 2]][:, :, :3].min(-1) != colours[[0, 2]][:, :, :3].max(-1)).all()  # all others are blue


@pytest.mark.parametrize(("wrong", "expected"), [(4, None), (5, None), (6, "1"), (14, "1"), (16, "2")])
def test_no_square_says_0(wrong: int, expected: str | None):
    figure = drawn(("ant", "bee"), np.array([[1000 - wrong, wrong], [0, 7]]))
    assert written(figure).get((0, 1)) == expected


def test_the_more_the_darker_and_text_can_be_read_on_it():
    counts = np.array([[100 - share, share] for share in (1, 5)])
    figure = drawn(("ant", "bee"), counts)
    mesh = figure.axes[0].collections[0]
    light = {share: mesh.to_rgba(share)[:3] for share in (0, 1, 5, 25, 50, 100)}
    shades = [sum(rgb) for rgb in light.values()]
    assert shades == sorted(shades, reverse=True)
    assert shades[0] - shades[2] > 0.3  # five percent are to be seen
    inks = {text.get_text(): text.get_color() for text in figure.axes[0].texts}
    assert inks["99"] == "white"
    assert inks["5"] != "white"


@pytest.mark.parametrize("count", [confusion.WRITTEN, confusion.WRITTEN + 1, 40])
def test_of_many_classes_numbers_stand_for_names(count: int):
    names = [f"class {number}" for number in range(count)]
    figure = drawn(names, np.eye(count, dtype=int) * 3)
    few = count <= confusion.WRITTEN
    assert len(written(figure)) == (count if few else 0)
    assert (ticks(figure)[1] == names) == few
    assert figure.axes[0].collections[0].get_rasterized() != few
    assert figure.axes[0].collections[0].get_array().shape == (count, count)
    if not few:
        assert all(at == round(at) for at in figure.axes[0].get_xticks())
        assert max(figure.get_size_inches()) < 8


def test_long_names_keep_their_beginning_and_end():
    names = [f"a very long class name with number {number}" for number in range(3)]
    figure = drawn(names, COUNTS)
    assert ticks(figure)[0] == [f"a very long …th number {number}" for number in range(3)]
    assert {len(name) for name in ticks(figure)[0]} == {confusion.LONGEST}


@pytest.mark.parametrize(
    ("count", "name"), [(2, "{}"), (2, "a very long class name {}"), (25, "a very long class name {}"), (40, "{}")]
)
def test_nothing_is_cut_off(count: int, name: str):
    figure = drawn([name.format(number) for number in range(count)], np.eye(count, dtype=int))
    width, height = figure.get_size_inches()
    for ax in figure.axes:
        box = ax.get_tightbbox().transformed(figure.dpi_scale_trans.inverted())
        assert min(box.x0, box.y0) > -0.02
        assert (box.x1 < width + 0.02, box.y1 < height + 0.02) == (True, True)


def test_a_figure_is_written(tmp_path: Path):
    names = [path.name for path in confusion.draw_confusion(NAMES, COUNTS, tmp_path)]
    assert names == ["confusion.svg", "confusion.png"]
