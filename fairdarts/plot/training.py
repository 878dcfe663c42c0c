"""What does the training of a stand-alone network look like? Loss, accuracy and learning rate over the epochs."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fairdarts.plot import style
from fairdarts.plot.measured import column
from fairdarts.plot.settings import USUAL

TRAINED, JUDGED, FIRST_FIVE = "#F79A02", "#1486F9", "#000050"
"""colours: training images, images that judge, the same within the first five or by pixels"""
JUDGED_BY = {
    ("top1", "top5"): ("judged images", "judged, top-5"),
    ("miou", "accuracy"): ("judged images (accuracy: mean IoU)", "judged, pixels right"),
}
"""what images that judge say of a classifier, and of a segmentation network → what the curves are called"""


class NetworkInfo(NamedTuple):
    """What a training measured, epoch after epoch [epochs]; not a number where an epoch lacks it. Shares in percent."""

    epochs: np.ndarray
    train_loss: np.ndarray
    valid_loss: np.ndarray
    train_accuracy: np.ndarray
    judged: np.ndarray
    """what the best epoch is chosen by: top-1, or mean IoU"""
    judged_beside: np.ndarray
    """top-5, or the share of pixels that are right"""
    names: tuple[str, str]
    """what the two are called"""
    lr: np.ndarray


def network_info(records: Sequence[dict]) -> NetworkInfo:
    """Of the records of metrics.jsonl, at least one."""
    kinds = [keys for keys in JUDGED_BY if any(f"valid_{keys[0]}" in record for record in records)]
    keys = kinds[0] if kinds else next(iter(JUDGED_BY))
    shares = (100 * column(records, name) for name in ("train_accuracy", *(f"valid_{key}" for key in keys)))
    epochs = np.asarray([record["epoch"] for record in records])
    losses = (column(records, name) for name in ("train_loss", "valid_loss"))
    return NetworkInfo(epochs, *losses, *shares, JUDGED_BY[keys], column(records, "lr"))


def network_figure(info: NetworkInfo) -> Figure:
    """A panel for loss, accuracy and learning rate each; the best epoch is marked."""
    figure, (losses, accuracies, rates) = style.panels(3, 3, (3.6, 3.2))
    marker = "o" if len(info.epochs) < 40 else None
    look = {"linewidth": 1.7, "marker": marker, "markersize": 3}
    losses.plot(info.epochs, info.train_loss, color=TRAINED, label="training images (loss: as minimized)", **look)
    accuracies.plot(info.epochs, info.train_accuracy, color=TRAINED, **look)
    seen = ~np.isnan(info.judged)  # not every epoch need be judged
    if seen.any():
        name, beside = info.names
        losses.plot(info.epochs[seen], info.valid_loss[seen], color=JUDGED, label=name, **look)
        accuracies.plot(info.epochs[seen], info.judged[seen], color=JUDGED, **look)
        accuracies.plot(info.epochs[seen], info.judged_beside[seen], color=FIRST_FIVE, label=beside, **look)
        best = int(np.nanargmax(info.judged))
        marked = f"best: {info.judged[best]:.2f} % in epoch {info.epochs[best]}"
        ring = {"marker": "o", "linestyle": "none", "markersize": 8, "mfc": "none", "color": style.INK}
        accuracies.plot(info.epochs[best], info.judged[best], **ring, label=marked)
    rates.plot(info.epochs, info.lr, color=style.INK, **look)
    for ax, title in ((losses, "loss"), (accuracies, "accuracy, %"), (rates, "learning rate")):
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6, steps=[1, 2, 5, 10], min_n_ticks=1))
        style.tidy(ax, "epoch", title)
    rates.set_ylim(bottom=0)
    entries = [ax.get_legend_handles_labels() for ax in (losses, accuracies)]
    style.legend_below(figure, *(first + second for first, second in zip(*entries, strict=True)))
    return figure


def draw_network_training(records: Sequence[dict], folder: Path, formats: Sequence[str] = USUAL) -> list[Path]:
    """Writes `training` into `folder`; nothing where there is no record yet."""
    return style.save(network_figure(network_info(records)), folder, "training", formats) if records else []
