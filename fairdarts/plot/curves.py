"""How do loss, accuracy and curvature move while a search runs?"""

from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fairdarts.plot import style

PANELS = {
    "loss": {"train_loss": "training", "valid_loss": "held out"},
    "accuracy": {"train_accuracy": "training", "valid_accuracy": "held out"},
    "largest eigenvalue of the Hessian": {"eigenvalue": "held out"},
}
"""title → what a record measures of it, and its label"""


class CurvesInfo(NamedTuple):
    """What a search measured, epoch after epoch."""

    epochs: tuple[int, ...]
    values: dict[str, tuple[float, ...]]
    """by the name a record has for it; not a number where an epoch lacks it"""


def curves_info(records: list[dict]) -> CurvesInfo:
    """Of all records after epoch 0, which measures nothing."""
    trained = [record for record in records if "train_loss" in record]
    names = [name for panel in PANELS.values() for name in panel if any(name in record for record in trained)]
    values = {name: tuple(float(record.get(name, np.nan)) for record in trained) for name in names}
    return CurvesInfo(tuple(record["epoch"] for record in trained), values)


def curves_figure(info: CurvesInfo) -> Figure:
    """A panel for each of what was measured."""
    panels = {title: labels for title, labels in PANELS.items() if labels.keys() & info.values.keys()}
    figure = Figure(figsize=(3.6 * len(panels) + 0.2, 2.7), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(panels)))
    for ax, (title, labels) in zip(axes, panels.items(), strict=True):
        for (name, label), colour in zip(labels.items(), ("#001C6A", "#F79A02"), strict=False):
            if name in info.values:
                ax.plot(info.epochs, info.values[name], color=colour, label=label, marker="o", markersize=3)
        ax.set_title(title, fontsize=10)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6, min_n_ticks=1))
        style.tidy(ax, "epoch")
        if len(labels) > 1:
            ax.legend(frameon=False, fontsize=9)
    return figure
