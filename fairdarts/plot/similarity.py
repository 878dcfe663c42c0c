"""How alike are the feature maps of a layer's choice blocks? As FairNAS (arXiv:1907.01845v1), Fig. 2, 9, 12 and 14.

Everywhere: m blocks, C channels; numbers are cosines from −1 to 1, not a number where a feature map is all zero.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Patch

from fairdarts.plot import style

CHANNELS = 24
"""channels that are shown at most: the paper's first layer has as many"""
COLOURS = matplotlib.colormaps["RdBu_r"].with_extremes(bad="#9A9A9A")
"""grey for what is undefined: a diverging map is white in its middle"""


class MatricesInfo(NamedTuple):
    """Matrices side by side."""

    title: str
    panels: dict[str, np.ndarray]
    """title → matrix [rows, columns]"""
    labels: tuple[str, ...]
    """of rows and columns alike; empty where they are channels by number"""
    across: int
    """panels in a row"""
    sides: tuple[str, str] = ("", "")
    """what columns and rows are"""


def layer_info(names: Sequence[str], layer: int, per_channel: np.ndarray) -> MatricesInfo:
    """Mean over the channels that are defined, of per_channel [C, m, m]."""
    defined = np.isfinite(per_channel).sum(axis=0)
    mean = np.divide(np.nansum(per_channel, axis=0), defined, out=np.full(defined.shape, np.nan), where=defined > 0)
    title = f"Layer {layer}: cosine between blocks, mean of {len(per_channel)} channels"
    return MatricesInfo(title, {"": mean}, _labels(names), 1)


def channels_info(names: Sequence[str], layer: int, per_channel: np.ndarray) -> MatricesInfo:
    """Every channel of per_channel [C, m, m], or CHANNELS of them, evenly spaced."""
    total = len(per_channel)
    shown = np.unique(np.linspace(0, total - 1, min(total, CHANNELS)).round().astype(int))
    which = f"{len(shown)} of {total} channels" if len(shown) < total else f"all {total} channels"
    panels = {f"channel {channel}": per_channel[channel] for channel in shown.tolist()}
    return MatricesInfo(f"Layer {layer}: cosine between blocks, {which}", panels, _labels(names), 6)


def within_info(names: Sequence[str], layer: int, within: np.ndarray) -> MatricesInfo:
    """Channels of a block against one another, within [m, C, C]."""
    panels = dict(zip(_labels(names), within, strict=True))
    title, sides = f"Layer {layer}: cosine between the channels of a block", ("channel", "channel")
    return MatricesInfo(title, panels, (), math.ceil(len(names) ** 0.5), sides)


def across_info(names: Sequence[str], layer: int, across: np.ndarray) -> MatricesInfo:
    """Channels of the first block (rows) against those of every block (columns), across [m, C, C]."""
    panels = dict(zip(_labels(names), across, strict=True))
    sides = ("channel of the block above", f"channel of {_labels(names)[0]}")
    title = f"Layer {layer}: cosine between channels of {_labels(names)[0]} and of every block"
    return MatricesInfo(title, panels, (), math.ceil(len(names) ** 0.5), sides)


def matrices_figure(info: MatricesInfo, side: float, written: bool = False) -> Figure:
    """All matrices on one scale from −1 to 1, a panel `side` inches wide; `written` puts numbers into the squares."""
    across = min(info.across, len(info.panels))
    figure, axes = style.panels(len(info.panels), across, (side + 0.9 / across, side + 0.2))  # and room for the bar
    for number, (ax, (title, matrix)) in enumerate(zip(axes, info.panels.items(), strict=True)):
        mesh = _panel(ax, matrix, written)
        ax.set_title(title, fontsize=9, pad=3)
        below, left = number + across >= len(axes), number % across == 0
        if info.labels:
            places = range(len(info.labels))
            ax.set_xticks(places, info.labels if below else [], rotation=90, fontsize=8)
            ax.set_yticks(places, info.labels if left else [], fontsize=8)
        else:
            ax.tick_params(labelsize=8, labelbottom=below, labelleft=left)
    figure.supxlabel(info.sides[0], fontsize=9.5)
    figure.supylabel(info.sides[1], fontsize=9.5)
    figure.suptitle(info.title, fontsize=10.5)
    figure.colorbar(mesh, ax=axes, label="cosine", shrink=0.9, aspect=30, pad=0.02).outline.set_visible(False)
    if any(np.isnan(matrix).any() for matrix in info.panels.values()):
        grey = Patch(facecolor=to_hex(COLOURS.get_bad()), label="undefined: a feature map is zero")
        figure.legend(handles=[grey], loc="outside lower right", fontsize=8.5, frameon=False)
    return figure


def _labels(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(style.label(name) for name in names)


def _panel(ax: Axes, matrix: np.ndarray, written: bool) -> AxesImage:
    # Without interpolation an SVG shows sharp squares too, and holds no path for each of thousands.
    mesh = ax.imshow(matrix, vmin=-1, vmax=1, cmap=COLOURS, interpolation="none")
    for (row, column), value in np.ndenumerate(matrix if written else np.empty((0, 0))):
        text = f"{value:.2f}" if np.isfinite(value) else "–"
        ink = style.ink_on(to_hex(mesh.to_rgba(value)))
        ax.text(column, row, text, ha="center", va="center", fontsize=9, color=ink)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return mesh


def draw_similarity(
    names: Sequence[str], layer: int, per_channel: np.ndarray, across: np.ndarray, within: np.ndarray, folder: Path
) -> list[Path]:
    """Writes four figures of a layer K into `folder`: `similarity-layerK`, `similarity-channels-layerK`,
    `similarity-within-layerK` and `similarity-across-layerK`.

    names: of the m blocks. per_channel [C, m, m]: between blocks on the same channel. across [m, C, C]: between
    channels of block 0 (rows) and those of block j. within [m, C, C]: between channels of a block.
    """
    info = layer_info(names, layer, per_channel)
    size = max(4.4, 1.2 + 0.55 * len(names))
    paths = style.save(matrices_figure(info, size, written=True), folder, f"similarity-layer{layer}")
    for name, info, size in (
        ("channels", channels_info(names, layer, per_channel), max(1.45, 0.2 * len(names))),
        ("within", within_info(names, layer, within), 2.5),
        ("across", across_info(names, layer, across), 2.5),
    ):
        paths += style.save(matrices_figure(info, size), folder, f"similarity-{name}-layer{layer}")
    return paths
