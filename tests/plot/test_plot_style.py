"""Colours and labels of operations."""

import re

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from fairdarts.config import UserError
from fairdarts.ops.cell import OPS
from fairdarts.plot import style
from fairdarts.plot.settings import FORMATS, checked_formats
from fairdarts.spaces.space import load_space

SIGHT = {
    "normal": np.eye(3),
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "tritanopia": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}
"""linear RGB as it is seen: Machado, Oliveira and Fernandes (2009), severity 1"""
XYZ = np.array([[0.4125, 0.3576, 0.1804], [0.2127, 0.7152, 0.0722], [0.0193, 0.1192, 0.9503]])
"""of linear sRGB"""


def cielab(colours: list[str], sight: str) -> np.ndarray:
    """Colours #RRGGBB as they are seen, in CIELAB [colours, 3]."""
    levels = np.array([[int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)] for colour in colours])
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.transpose(SIGHT[sight]), 0, 1) @ XYZ.T / XYZ.sum(1)
    f = np.where(seen > (6 / 29) ** 3, np.cbrt(seen), seen / 3 * (29 / 6) ** 2 + 4 / 29)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


def test_every_operation_has_a_colour_of_its_own():
    assert set(style.COLOURS) >= {*OPS, *load_space("s2").candidates, *load_space("nasbench201").candidates}
    assert len(set(style.COLOURS.values())) == len(style.COLOURS)


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize(("space", "least"), [("darts", 26), ("nasnet", 26), ("s2", 30), ("nasbench201", 28)])
def test_colours_of_a_space_lie_apart_for_every_eye(space: str, least: float, sight: str):
    seen = cielab([style.colour(op) for op in load_space(space).candidates], sight)
    distances = np.linalg.norm(seen[:, None] - seen, axis=2)
    assert distances[np.triu_indices(len(seen), 1)].min() > least


def test_bottlenecks_of_a_larger_kernel_are_darker():
    for expansion in ("E3", "E6"):
        light = cielab([style.COLOURS[expansion + kernel] for kernel in ("K3", "K5", "K7")], "normal")[:, 0]
        assert light[0] > light[1] + 15 > light[2] + 30


def test_an_unknown_operation_has_a_colour_fixed_by_its_name():
    assert style.colour("conv_9x1_1x9") == "#3B9B76"  # equal in every process
    assert style.colour("conv_9x1_1x9") != style.colour("conv_1x1")
    assert re.fullmatch("#[0-9A-F]{6}", style.colour("conv_1x1"))


@pytest.mark.parametrize(
    ("op", "text"),
    [
        ("sep_conv_3x3", "sep conv 3×3"),
        ("none", "none"),
        ("max_pool", "max pool"),
        ("conv_7x1_1x7", "conv 7×1 1×7"),
        ("E3K5", "E3 K5"),
        ("E12K11", "E12 K11"),
    ],
)
def test_labels_are_readable(op, text):
    assert style.label(op) == text


@pytest.mark.parametrize(("background", "ink"), [("#000000", "white"), ("#FFFFFF", style.INK), ("#F79A02", style.INK)])
def test_ink_stands_out(background, ink):
    assert style.ink_on(background) == ink


@pytest.mark.parametrize(("count", "labelled"), [(1, {0}), (2, {0, 1}), (4, {1, 2, 3}), (6, {3, 4, 5})])
def test_the_lowest_panel_of_every_column_has_labels(count: int, labelled: set[int]):
    figure, axes = style.panels(count, 3, (3, 2), sharex=True)
    assert len(axes) == count == sum(ax.get_visible() for ax in figure.axes)
    assert {number for number, ax in enumerate(axes) if ax.xaxis.get_tick_params()["labelbottom"]} == labelled


@pytest.mark.parametrize("sight", SIGHT)
def test_colours_of_series_lie_apart_for_every_eye(sight: str):
    seen = cielab([colour for colour, _ in style.SERIES], sight)
    assert np.linalg.norm(seen[:, None] - seen, axis=2)[np.triu_indices(len(seen), 1)].min() > 30
    assert len({marker for _, marker in style.SERIES}) == len(style.SERIES)


def test_twice_as_many_series_as_colours_look_different():
    looks = [tuple(style.series(number).values()) for number in range(2 * len(style.SERIES))]
    assert len(set(looks)) == len(looks)
    assert style.series(2 * len(style.SERIES)) == style.series(0)


def test_a_figure_is_written_in_every_format_alike_each_time(tmp_path):
    starts = {"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF"}
    assert set(starts) == set(FORMATS)
    figure = Figure(figsize=(1, 1))
    figure.subplots().plot([0, 1])
    for kind, path in zip(FORMATS, style.save(figure, tmp_path, "one", FORMATS), strict=True):
        content = path.read_bytes()
        assert content.startswith(starts[kind])
        assert content == style.rendered(figure, kind)
        assert b"CreationDate" not in content
    assert [path.suffix for path in style.save(figure, tmp_path, "two")] == [".svg", ".png"]


def test_formats_are_one_or_several_and_known():
    assert checked_formats("pdf", "formats") == ["pdf"]
    assert checked_formats(["pdf", "svg", "pdf"], "formats") == ["pdf", "svg"]
    with pytest.raises(UserError, match="formats: 'pfd' is not a format of figures"):
        checked_formats(["svg", "pfd"], "formats")
    with pytest.raises(UserError, match="formats: names no format; should be some of svg, png, pdf"):
        checked_formats([], "formats")


@pytest.mark.parametrize(("count", "length"), [(1, 10), (3, 30), (15, 24), (4, 50)])
def test_a_legend_below_fits_into_the_figure(count: int, length: int):
    figure = Figure(figsize=(6.6, 3.4), layout="constrained")
    lines = [figure.subplots().plot([0, 1])[0] for _ in range(count)]
    style.legend_below(figure, lines, ["m" + "a" * (length - 1)] * count)
    FigureCanvasAgg(figure).draw()
    box, page = figure.legends[0].get_window_extent(), figure.bbox
    assert box.x0 >= page.x0
    assert box.x1 <= page.x1
    assert box.y0 >= page.y0
