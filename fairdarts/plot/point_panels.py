"""Where do the panels of choice points stand? A row holds the edges of a node, a column those of an input; layers run
on."""

from collections.abc import Sequence

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fairdarts.plot import style
from fairdarts.plot.points import Points


def point_panels(points: Points, title: str, gates: str) -> tuple[Figure, list[Axes]]:
    """A figure with a panel over the epochs for every choice point, all on one scale; `gates` is what their height is.

    Room for a legend is left beside them, where `legend_of_panels` finds none between them.
    """
    rows, columns = _shape(points)
    beside = not _corners(points)
    figure = Figure(figsize=(0.6 + 1.9 * columns + 1.6 * beside, 0.9 + 1.45 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for ax in grid.flat:
        ax.set_visible(False)
    axes = [grid[place] for place in points.places]
    for ax, place, name in zip(axes, points.places, points.titles, strict=True):
        ax.set_visible(True)
        ax.set_title(name, fontsize=9, pad=3)
        style.tidy(ax)
        ax.tick_params(labelsize=8, labelbottom=(place[0] + 1, place[1]) not in points.places)
        ax.xaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    figure.supxlabel("epoch", fontsize=10)
    figure.supylabel(gates, fontsize=10)
    figure.suptitle(f"{title}, by {points.axis}", x=0.01, ha="left")
    return figure, axes


def legend_of_panels(figure: Figure, points: Points, handles: Sequence[Artist]) -> None:
    """The legend of a figure of `point_panels`, where there is room for it."""
    figure.legend(handles=handles, loc=[*_corners(points), "outside right center"][0], fontsize=10, frameon=False)


def _shape(points: Points) -> tuple[int, int]:
    rows, columns = (max(place[side] for place in points.places) + 1 for side in (0, 1))
    return rows, columns


def _corners(points: Points) -> list[str]:
    """Above the panels of three nodes or more, and behind the last layer, there may be room for the legend."""
    rows, columns = _shape(points)
    corners = {"upper right": (0, columns - 1), "lower right": (rows - 1, columns - 1)}
    return [name for name, place in corners.items() if place not in points.places and rows > 2]
