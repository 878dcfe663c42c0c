"""What does the training of one-shot supernets look like? As FairNAS (arXiv:1907.01845v1), Fig. 1, top."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from fairdarts.plot import style
from fairdarts.plot.measured import column
from fairdarts.plot.settings import USUAL
from fairdarts.plot.updates import updates_figure, updates_info

WATCHED, TRAINED = "#1486F9", "#F79A02"
"""colours"""
SHADED = 6
"""lines that have their spread behind them, at most; of more, each would hide the others"""


class TrainingInfo(NamedTuple):
    """What one training measured, epoch after epoch; not a number where an epoch lacks it."""

    epochs: np.ndarray
    """[epochs], from 1"""
    watched: np.ndarray
    """accuracy of the watched paths on held-out images, percent [epochs, paths]; no path where none was watched"""
    mean: np.ndarray
    """of the watched paths, percent [epochs]"""
    deviation: np.ndarray
    """standard deviation between them, percentage points [epochs]"""
    train_accuracy: np.ndarray
    """percent [epochs]"""
    train_loss: np.ndarray
    """[epochs]"""
    lr: np.ndarray
    """[epochs]"""


class TrainingsInfo(NamedTuple):
    """The accuracy of watched paths in several trainings: for every line its points, an epoch each."""

    seeds: dict[str, int]
    """line → trainings that it is of"""
    epochs: dict[str, np.ndarray]
    """line → epochs [points]"""
    passes: dict[str, np.ndarray]
    """line → batches passed forward and backward until then [points]"""
    mean: dict[str, np.ndarray]
    """line → mean over paths and seeds, percent [points]"""
    deviation: dict[str, np.ndarray]
    """line → standard deviation over all paths of all seeds, percentage points [points]"""


def training_info(records: Sequence[dict]) -> TrainingInfo:
    """Of the records of metrics.jsonl, at least one."""
    paths = max(len(record.get("watched", ())) for record in records)
    watched = [record.get("watched") or [np.nan] * paths for record in records]
    epochs = np.asarray([record["epoch"] for record in records])
    watched = np.asarray(watched, dtype=float).reshape(len(records), paths)
    spread = (column(records, name) for name in ("watched_mean", "watched_std"))
    accuracy, loss, lr = (column(records, name) for name in ("train_accuracy", "train_loss", "lr"))
    return TrainingInfo(epochs, watched, *spread, 100 * accuracy, loss, lr)


def trainings_info(named: Sequence[tuple[str, Sequence[dict]]]) -> TrainingsInfo:
    """Of the records of several runs, each with its recipe; epochs that watched no path are left out.

    Seeds of a recipe make one line where they are as many epochs far: others have had another learning rate.
    """
    watched = [(recipe, [record for record in records if "watched_mean" in record]) for recipe, records in named]
    watched = [(recipe, records) for recipe, records in watched if records]
    lengths: dict[str, set[int]] = {}
    for recipe, records in watched:
        lengths.setdefault(recipe, set()).add(records[-1]["epoch"])
    lines: dict[str, list[Sequence[dict]]] = {}
    for recipe, records in watched:
        last = records[-1]["epoch"]
        several = f", {last} epoch{'s' * (last > 1)}" if len(lengths[recipe]) > 1 else ""
        lines.setdefault(recipe + several, []).append(records)
    info = TrainingsInfo({}, {}, {}, {}, {})
    for line, seeds in lines.items():
        common = sorted(set.intersection(*({record["epoch"] for record in records} for records in seeds)))
        shared = [[record for record in records if record["epoch"] in common] for records in seeds]
        names = ("passes", "watched_mean", "watched_std")
        passes, means, deviations = (np.stack([column(records, name) for records in shared]) for name in names)
        info.seeds[line], info.epochs[line] = len(seeds), np.asarray(common)
        info.passes[line], info.mean[line] = passes.mean(axis=0), means.mean(axis=0)
        info.deviation[line] = np.sqrt((deviations**2).mean(axis=0) + means.var(axis=0))
    return info


def training_figure(info: TrainingInfo) -> Figure:
    """Left the accuracies, right the loss and the learning rate."""
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    axes = figure.subplot_mosaic([["accuracy", "loss"], ["accuracy", "lr"]], width_ratios=(1.5, 1))
    accuracy, marker = axes["accuracy"], "o" if len(info.epochs) <= 12 else None
    if info.watched.size:
        accuracy.plot(info.epochs, info.watched, color=WATCHED, linewidth=0.7, alpha=0.35)
        accuracy.plot([], [], color=WATCHED, linewidth=0.7, alpha=0.6, label="each of them")
    if np.isfinite(info.mean).any():
        band = {"color": WATCHED, "alpha": 0.18, "linewidth": 0, "label": "± one standard deviation between paths"}
        accuracy.fill_between(info.epochs, info.mean - info.deviation, info.mean + info.deviation, **band)
        label = f"mean of {info.watched.shape[1]} watched paths, held-out images"
        accuracy.plot(info.epochs, info.mean, color=WATCHED, linewidth=2.2, marker=marker, markersize=4, label=label)
    look = {"color": TRAINED, "linestyle": "--", "linewidth": 1.8, "marker": marker, "markersize": 4}
    accuracy.plot(info.epochs, info.train_accuracy, **look, label="trained paths, training images")
    accuracy.set_ylabel("accuracy, %", fontsize=9.5)
    style.legend_below(figure, *_mean_first(accuracy))
    for name, values, title in (("loss", info.train_loss, "training loss"), ("lr", info.lr, "learning rate")):
        look = {"color": TRAINED if name == "loss" else style.INK, "linewidth": 1.6, "marker": marker, "markersize": 3}
        axes[name].plot(info.epochs, values, **look)
        axes[name].set_ylabel(title, fontsize=9.5)
    axes["loss"].tick_params(labelbottom=False)
    for name, ax in axes.items():
        _over_epochs(ax, name != "loss")
    if np.nanmax(info.lr, initial=0) > 0:
        axes["lr"].set_ylim(bottom=-0.05 * np.nanmax(info.lr))
    return figure


def trainings_figure(info: TrainingsInfo) -> Figure:
    """Mean accuracy over epochs, and over passes of a batch where an epoch does not take as many in all."""
    axes_of = {"epoch": info.epochs, "batches passed forward and backward": info.passes}
    shaded = len(info.mean) <= SHADED
    paces = {float(info.passes[line][-1] / info.epochs[line][-1]) for line in info.epochs}
    if len(paces) == 1:
        del axes_of["batches passed forward and backward"]
    figure, axes = style.panels(len(axes_of), 2, (4.6 if len(axes_of) > 1 else 6.6, 3.4), sharey=True)
    for ax, (title, places) in zip(axes, axes_of.items(), strict=True):
        for number, (line, mean) in enumerate(info.mean.items()):
            look = style.series(number)
            low, high = mean - info.deviation[line], mean + info.deviation[line]
            if shaded:
                ax.fill_between(places[line], low, high, color=look["color"], alpha=0.13, linewidth=0)
            seeds = f" ({info.seeds[line]} seeds)" if info.seeds[line] > 1 else ""
            every = max(1, len(mean) // 8)
            ax.plot(places[line], mean, **look, linewidth=1.8, markersize=5, markevery=every, label=line + seeds)
        _over_epochs(ax)
        ax.set_xlabel(title, fontsize=9.5)
    axes[-1].xaxis.set_major_formatter(EngFormatter(sep=""))
    axes[0].set_ylabel("one-shot accuracy, %", fontsize=9.5)
    note = "; shade: ± one standard deviation between paths" * shaded
    figure.suptitle(f"Mean of the watched paths of all seeds{note}", fontsize=10)
    style.legend_below(figure, *axes[0].get_legend_handles_labels())
    return figure


def _over_epochs(ax: Axes, labelled: bool = True) -> None:
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7, steps=[1, 2, 5, 10], min_n_ticks=1))
    style.tidy(ax, "epoch" if labelled else "")


def _mean_first(ax: Axes) -> tuple[list, list[str]]:
    """Handles and labels of a legend, the mean before its band and the single paths."""
    handles, labels = ax.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda at: (not labels[at].startswith("mean"), at))
    return [handles[at] for at in order], [labels[at] for at in order]


def draw_training(records: Sequence[dict], folder: Path, formats: Sequence[str] = USUAL) -> list[Path]:
    """Writes `training` and `updates` of one run into `folder`; nothing where it has no record yet."""
    if not records:
        return []
    paths = style.save(training_figure(training_info(records)), folder, "training", formats)
    if "updates" not in records[-1]:
        return paths
    return paths + style.save(updates_figure(updates_info(records[-1])), folder, "updates", formats)


def draw_trainings(named: Sequence[tuple[str, Sequence[dict]]], folder: Path) -> list[Path]:
    """Writes `trainings` of several runs, each with its recipe, into `folder`; nothing where none watched a path."""
    info = trainings_info(named)
    return style.save(trainings_figure(info), folder, "trainings") if info.seeds else []
