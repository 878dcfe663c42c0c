"""Which class does a network take for which?"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.colors import PowerNorm, to_hex
from matplotlib.figure import Figure

from fairdarts.plot import style

WRITTEN = 25
"""classes, at most, whose names and numbers are written out"""

LONGEST = 24
"""characters of a class's name, at most, that are written: of a longer one beginning and end"""


class ConfusionInfo(NamedTuple):
    """Which images of which class."""

    classes: tuple[str, ...]
    shares: np.ndarray
    """of a true class (row) the share that is taken for a class (column), percent; not a number in an empty row"""
    images: np.ndarray
    """images of every true class"""


def confusion_info(classes: Sequence[str], confusion: np.ndarray) -> ConfusionInfo:
    """Of a table [true classes, predicted classes] that counts images."""
    images = confusion.sum(1)
    with np.errstate(invalid="ignore"):
        shares = 100 * confusion / images[:, None]
    return ConfusionInfo(tuple(classes), shares, images)


def confusion_figure(info: ConfusionInfo) -> Figure:
    """A square a pair of classes, the darker the more; with names and percentages where the classes are few.

    Shades go by the root of the share, so that the few percent which are mistaken can be seen at all.
    """
    count = len(info.classes)
    written = count <= WRITTEN
    names = [name if len(name) <= LONGEST else f"{name[:12]}…{name[13 - LONGEST :]}" for name in info.classes]
    side = max(1.7, 0.42 * count) if written else 5.6
    longest = max(map(len, names)) if written else 2
    figure = Figure(figsize=(side + 1.7 + 0.075 * longest, side + 1.0 + 0.055 * longest), layout="compressed")
    ax = figure.subplots()
    colours, scale = matplotlib.colormaps["Blues"].with_extremes(bad="#DDDDDD"), PowerNorm(0.5, 0, 100)
    borders = np.arange(count + 1) - 0.5
    # Squares that an SVG holds as such where they can be told apart, else one bitmap.
    look = {"edgecolors": "white", "linewidth": 1} if written else {"edgecolors": "none", "linewidth": 0}
    look |= {"norm": scale, "cmap": colours, "rasterized": not written}
    mesh = ax.pcolormesh(borders, borders, info.shares, **look)
    if written:
        for (row, column), share in np.ndenumerate(info.shares):
            text = f"{share:.0f}"
            if text not in ("0", "nan"):
                ink = style.ink_on(to_hex(colours(scale(share))))
                ax.text(column, row, text, ha="center", va="center", fontsize=8, color=ink)
        ax.set_xticks(range(count), names, rotation=45, ha="right", rotation_mode="anchor")
        ax.set_yticks(range(count), names)
    ax.tick_params(length=0, labelsize=8.5)
    ax.set_ylim(count - 0.5, -0.5)  # the first on top
    ax.set_aspect("equal")
    ax.set_xlabel("predicted class", fontsize=9.5)
    ax.set_ylabel("true class (grey: no images)" if (info.images == 0).any() else "true class", fontsize=9.5)
    ax.spines[:].set_visible(False)
    right = float(np.nansum(np.diag(info.shares) * info.images) / info.images.sum())
    ax.set_title(f"{right:.2f} % of {int(info.images.sum()):,} images right", fontsize=10)
    bar = figure.colorbar(mesh, ax=ax, ticks=[0, 1, 5, 10, 25, 50, 75, 100], fraction=0.04, pad=0.02)
    bar.set_label("% of the true class", fontsize=9.5)
    bar.ax.tick_params(labelsize=8.5)
    bar.ax.minorticks_off()
    bar.outline.set_visible(False)
    return figure


def draw_confusion(classes: Sequence[str], confusion: np.ndarray, folder: Path) -> list[Path]:
    """Writes `confusion` into `folder`."""
    return style.save(confusion_figure(confusion_info(classes, confusion)), folder, "confusion")
