"""What do the models look like that a search found? A row a model, as FairNAS (arXiv:1907.01845v1), Fig. 7."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch, Patch

from fairdarts.genotype import SKIP
from fairdarts.plot import style
from fairdarts.plot.points import choice_points
from fairdarts.plot.settings import USUAL
from fairdarts.spaces.chain import ChainSpace
from fairdarts.spaces.nasbench201 import Bench201Space

DrawnModel = tuple[str, Sequence[str], str]
"""name, the choice of every choice point, and its numbers as they are to be read"""

# Inches.
_HEIGHT, _PITCH, _BETWEEN, _GAP = 0.36, 0.46, 0.05, 0.2  # of a box; of a row; between boxes; between stages
_HALVED = {"color": "#BBBBBB", "linewidth": 3}
"""where the resolution halves: grey thick lines, as in the paper"""


class FoundInfo(NamedTuple):
    """Models of one space."""

    models: tuple[DrawnModel, ...]
    texts: tuple[tuple[str, ...], ...]
    """of each model, what stands in its boxes"""
    columns: "Columns"
    choices: tuple[str, ...]
    """of the whole space"""


def found_info(models: Sequence[DrawnModel], space: ChainSpace | Bench201Space) -> FoundInfo:
    """The layers of a chain, a stage a group; or the edges of NAS-Bench-201's cell, those into a node a group."""
    columns = COLUMNS[space.kind](space)
    skips = ["skip,\n1×1" if at in columns.convolved else _lines(SKIP) for at in range(len(columns.labels))]
    texts = []
    for _, path, _ in models:
        texts.append(tuple(skip if name == SKIP else _lines(name) for name, skip in zip(path, skips, strict=True)))
    choices = tuple(dict.fromkeys(name for names in space.choices for name in names))
    return FoundInfo(tuple(models), tuple(texts), columns, choices)


class Columns(NamedTuple):
    """The choice points of a space, from left to right."""

    axis: str
    """what they are"""
    labels: tuple[str, ...]
    groups: tuple[tuple[range, str, bool], ...]
    """those that belong together, what they share, and whether the resolution is halved before them"""
    convolved: frozenset[int] = frozenset()
    """those whose skip is a 1×1 convolution, as they change the shape"""


def _layers(space: ChainSpace) -> Columns:
    points = choice_points(space)
    halved = (stage.stride == 2 for stage in space.stages)
    groups = tuple(zip(points.groups, points.notes, halved, strict=True))
    changing = frozenset(at for at, layer in enumerate(space.layers) if not layer.keeps_shape)
    return Columns(points.axis, points.labels, groups, changing)


def _edges(space: Bench201Space) -> Columns:
    labels = tuple(f"{source}→{node}" for node, source in space.edges)
    into = enumerate(choice_points(space).groups, start=1)
    return Columns("edge (input → node)", labels, tuple((group, f"into\nnode {node}", False) for node, group in into))


COLUMNS: dict[str, Callable[[Any], Columns]] = {"chain": _layers, "nasbench201": _edges}
"""kind of space → its columns, of all whose paths choose operations alone"""


def _lines(name: str) -> str:
    """A choice's label in two lines, if it has two words."""
    return "\n".join(style.label(name).rsplit(" ", 1))


def found_figure(info: FoundInfo, title: str = "") -> Figure:
    """A box a choice, from left to right as data flows; at the right of a row its model."""
    width = 0.15 + 0.064 * max(len(line) for name in info.choices for line in _lines(name).split("\n"))
    lefts = {}  # column → where its boxes begin
    for number, (group, _, _) in enumerate(info.columns.groups):
        lefts |= {column: (width + _BETWEEN) * column + _GAP * number for column in group}
    right, bottom = max(lefts.values()) + width, _PITCH * len(info.models) - (_PITCH - _HEIGHT)
    words = max((len(line) for name, _, numbers in info.models for line in (name, *numbers.split("\n"))), default=0)
    size = (right + 0.073 * words + 0.5, bottom + 1.2 + 0.25 * bool(title))
    figure = Figure(figsize=size, layout="constrained")
    ax = figure.subplots()
    for row, (model, texts) in enumerate(zip(info.models, info.texts, strict=True)):
        _row(ax, _PITCH * row, model, texts, tuple(lefts.values()), width)
    for group, note, halved in info.columns.groups:
        middle = (lefts[group.start] + lefts[group.stop - 1] + width) / 2
        above = {"xytext": (0, 4), "textcoords": "offset points", "ha": "center", "annotation_clip": False}
        ax.annotate(note, (middle, 0), fontsize=8, color="#666666", **above)
        if halved:
            before = lefts[group.start] - (_GAP + _BETWEEN) / 2
            ax.plot([before, before], [0, bottom], **_HALVED, solid_capstyle="butt", clip_on=False)
    ax.set_xticks([left + width / 2 for left in lefts.values()], info.columns.labels, fontsize=8.5)
    ax.set_xlabel(info.columns.axis, fontsize=9.5)
    ax.set_yticks([])
    ax.set_xlim(-_GAP, right)
    ax.set_ylim(bottom, 0)  # the first on top
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    if title:
        figure.suptitle(title, fontsize=10, x=0.01, ha="left")
    legend = {style.label(name): Patch(color=style.colour(name)) for name in info.choices}
    if any(halved for _, _, halved in info.columns.groups):
        legend["stride 2"] = Line2D([], [], **_HALVED)
    style.legend_below(figure, list(legend.values()), list(legend))
    return figure


def _row(ax: Axes, top: float, model: DrawnModel, texts: Sequence[str], lefts: Sequence[float], width: float) -> None:
    name, path, numbers = model
    middle = top + _HEIGHT / 2
    for choice, text, left in zip(path, texts, lefts, strict=True):
        fill = style.colour(choice)
        shape = {"boxstyle": "round,pad=0,rounding_size=0.05", "facecolor": fill, "edgecolor": "none"}
        ax.add_patch(FancyBboxPatch((left, top), width, _HEIGHT, **shape))
        look = {"ha": "center", "va": "center", "fontsize": 8, "linespacing": 1}
        ax.text(left + width / 2, middle, text, color=style.ink_on(fill), **look)
    look = {"xytext": (10, 0), "textcoords": "offset points", "annotation_clip": False, "color": style.INK}
    beside = (lefts[-1] + width, middle)
    ax.annotate(name, beside, va="bottom", fontsize=9, fontweight="bold", **look)
    ax.annotate(numbers, beside, va="top", fontsize=8.5, **look)


def draw_found(
    models: Sequence[DrawnModel],
    space: ChainSpace | Bench201Space,
    folder: Path,
    title: str = "",
    name: str = "found",
    formats: Sequence[str] = USUAL,
) -> list[Path]:
    """Writes the models as `name` into `folder`, in every format, and gives the paths; none of no model."""
    return style.save(found_figure(found_info(models, space), title), folder, name, formats) if models else []
