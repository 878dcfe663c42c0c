"""What does an epoch of a search show in TensorBoard? The writer is passed in: nothing here imports TensorBoard."""

from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from fairdarts.plot.heatmap import heatmap_figure, heatmap_info
from fairdarts.spaces.space import Space


def log_epoch(writer: Any, record: dict, space: Space) -> None:
    """Writes one record of metrics.jsonl to a `torch.utils.tensorboard.SummaryWriter`, its epoch as the step.

    Numbers become scalars (`train_loss` is train/loss, `seconds` is search/seconds), gates and, where the record has
    them, alphas [choice points, candidates] become histograms, and the gates a heatmap too.
    """
    step = record["epoch"]
    log_network(writer, record, "search")
    numbers = {key: value for key, value in record.get("cost", {}).items() if key != "quantity"}
    _log_columns(writer, "cost", numbers, step)
    for name in ("gates", "alphas"):
        for part, values in record.get(name, {}).items():
            writer.add_histogram(f"{name}/{part}", np.asarray(values), step)
    for part, (_, candidates) in space.parts.items():
        for op in candidates:
            writer.add_scalar(f"dominant/{part}/{op}", record["dominant"][part].get(op, 0), step)
    writer.add_image("gates/heatmap", pixels(heatmap_figure(heatmap_info([record], space))), step, dataformats="HWC")


def pixels(figure: Figure) -> np.ndarray:
    """The figure as an image [height, width, 3] of uint8. The writer's own add_figure goes through pyplot."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def log_training(writer: Any, record: dict) -> None:
    """Writes one record of a supernet's training: its numbers as scalars, with the epoch as the step, and histograms of
    the watched paths' accuracies and of how often every choice was updated."""
    log_network(writer, record)
    if "watched" in record:
        writer.add_histogram("watched/accuracy", np.asarray(record["watched"]), record["epoch"])
    writer.add_histogram("updates", np.concatenate(record["updates"]), record["epoch"])


def log_generation(writer: Any, record: dict) -> None:
    """Writes one record of an evolutionary search: its numbers as scalars, with the evaluations as the step.

    Where it is told the truth, as `log_network` does, within budgets as truth/BUDGET/COLUMN, and of the front as
    front_truth/COLUMN/NUMBER.
    """
    for key in ("hypervolume", "front", "evaluations_per_second"):
        writer.add_scalar(f"evolve/{key}", record[key], record["evaluations"])
    for limit, accuracy in record["best"].items():
        if accuracy is not None:
            writer.add_scalar(f"best/{limit or 'accuracy'}", accuracy, record["evaluations"])
    _log_truth(writer, record, record["evaluations"])
    for name in ("truth", "regret"):
        for limit, within in record.get(f"{name}_within", {}).items():
            _log_columns(writer, f"{name}/{limit}", within, record["evaluations"])
    for column, front in record.get("front_truth", {}).items():
        _log_columns(writer, f"front_truth/{column}", front, record["evaluations"])


def log_network(writer: Any, record: dict, rest: str = "training") -> None:
    """Writes one record of a network's training: its numbers as scalars, with the epoch as the step.

    `train_loss` becomes train/loss, `valid_top1` valid/top1, and what is of neither stands under `rest`. True
    accuracies become truth/COLUMN, and what they lack to the best of the space regret/COLUMN.
    """
    for key, value in record.items():
        if isinstance(value, int | float) and not isinstance(value, bool) and key != "epoch":
            group, _, name = key.partition("_")
            tag = f"{group}/{name}" if group in ("train", "valid") and name else f"{rest}/{key}"
            writer.add_scalar(tag, value, record["epoch"])
    _log_truth(writer, record, record["epoch"])


def _log_truth(writer: Any, record: dict, step: int) -> None:
    for name in ("truth", "regret"):
        _log_columns(writer, name, record.get(name, {}), step)


def _log_columns(writer: Any, group: str, numbers: dict[str, float | None], step: int) -> None:
    """Those that are known."""
    for name, number in numbers.items():
        if number is not None:
            writer.add_scalar(f"{group}/{name}", number, step)
