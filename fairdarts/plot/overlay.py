"""Which classes does a network see where? Images with the true and the predicted classes laid over them."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from fairdarts.data.masks import PALETTE
from fairdarts.data.settings import IGNORED
from fairdarts.plot import style
from fairdarts.runtime.checkpoint import write_atomically

PLAIN = np.round(255 * np.asarray(matplotlib.colormaps["tab20"].colors)).astype(np.uint8)
"""colours [20, 3] of classes that are not VOC's, from its first one on and over again"""
SHARE = 0.55
"""of a class's colour in what is seen; the rest is the image's"""
WIDTH = 3.4
"""of an image, inches"""


class OverlayInfo(NamedTuple):
    """What is drawn."""

    columns: tuple[str, ...]
    """what an image of a row is"""
    rows: tuple[tuple[np.ndarray, ...], ...]
    """an image, and the true and the predicted classes laid over it, each [H, W, 3], uint8"""
    present: tuple[int, ...]
    """classes that are seen"""
    labels: tuple[str, ...]
    """what is written of each"""
    colours: tuple[tuple[int, int, int], ...]
    """of each, red, green and blue"""


def palette_of(classes: Sequence[str]) -> np.ndarray:
    """The colour [256, 3] of every class: VOC's, which are for few objects on a background, where the first is one."""
    return PALETTE if classes[0] == "background" else PLAIN[np.arange(256) % len(PLAIN)]


def overlay(image: np.ndarray, mask: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """The image [H, W, 3] in the colours of the classes [H, W] of its pixels; as it is where they are ignored, or a
    background, which is black."""
    mixed = np.round((1 - SHARE) * image + SHARE * palette[mask]).astype(np.uint8)
    plain = (mask == IGNORED) | ~palette[mask].any(-1)
    return np.where(plain[..., None], image, mixed)


def overlay_info(
    images: Sequence[np.ndarray],
    truths: Sequence[np.ndarray] | None,
    predictions: Sequence[np.ndarray],
    classes: Sequence[str],
    ious: Sequence[float | None] | None,
) -> OverlayInfo:
    """Of images [H, W, 3] and the classes [H, W] of their pixels, the true ones where they are known.

    `ious` are shares, one of each class, None where there is none of it.
    """
    masks = {} if truths is None else {"truth": truths}
    masks["prediction" if ious is None else "prediction (below: IoU of the classes, %)"] = predictions
    palette = palette_of(classes)
    of_images = zip(images, *masks.values(), strict=True)
    rows = tuple((image, *(overlay(image, mask, palette) for mask in seen)) for image, *seen in of_images)
    seen = set().union(*(np.unique(mask).tolist() for column in masks.values() for mask in column))
    present = tuple(sorted(seen - {IGNORED}))
    known = [None] * len(classes) if ious is None else ious
    shares = ["" if iou is None else f" {100 * iou:.1f}" for iou in known]
    labels = tuple(classes[number] + shares[number] for number in present)
    return OverlayInfo(("image", *masks), rows, present, labels, tuple(map(tuple, palette[list(present)].tolist())))


def overlay_figure(info: OverlayInfo) -> Figure:
    """A row for each image, and a legend of the classes that are seen."""
    heights = [WIDTH * image.shape[0] / image.shape[1] for image, *_ in info.rows]
    columns = len(info.columns)
    figure = Figure(figsize=(WIDTH * columns + 0.2, sum(heights) + 0.08 * len(heights) + 0.55), layout="compressed")
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.04, wspace=0, hspace=0)
    grid = figure.subplots(len(heights), columns, squeeze=False, height_ratios=heights)
    for axes, row in zip(grid, info.rows, strict=True):
        for ax, image in zip(axes, row, strict=True):
            ax.imshow(image)
            ax.set_axis_off()
    for ax, title in zip(grid[0], info.columns, strict=True):
        ax.set_title(title, fontsize=10)
    patches = [Patch(facecolor=np.asarray(colour) / 255, edgecolor=style.FAINT) for colour in info.colours]
    style.legend_below(figure, patches, info.labels)
    return figure


def draw_overlay(info: OverlayInfo, folder: Path, name: str = "overlay") -> list[Path]:
    """Writes `folder`/`name`.png, as it is made of photographs."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.png"
    write_atomically(path, style.rendered(overlay_figure(info), "png"))
    return [path]
