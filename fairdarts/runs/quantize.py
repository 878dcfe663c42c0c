"""Which images an int8 file is calibrated with, and which tell what it loses."""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from fairdarts.config import UserError
from fairdarts.data.judging import Images, images_of_test_set
from fairdarts.data.serve import evaluation_batches
from fairdarts.data.settings import DataSettings
from fairdarts.data.split import halves, labels_of
from fairdarts.networks.blueprint import Blueprint
from fairdarts.runs.callbacks import Callback
from fairdarts.runs.data import examine_images, see
from fairdarts.runs.judged_data import Began, EvaluateSettings
from fairdarts.runs.judged_images import as_trained, judged_images
from fairdarts.training.score import Batch
from fairdarts.transfer.int8 import Pictures


def pictures(
    model: Path,
    asked: EvaluateSettings,
    data: Any,
    began: Began,
    blueprint: Blueprint,
    calibration: int,
    watch: Callback,
) -> Pictures:
    """The images: so many training images to calibrate with, and the test set, or else the held-out ones, to judge by;
    where `data` have neither, those that do not calibrate.

    Raises UserError where there are none to judge by, or they are of other classes than the network knows.
    """
    asked, source = see(asked, data, watch, least=1)
    judged = judged_images(model, None, asked.data, source, began, blueprint, watch)
    trained = halves(asked.data, source, began.seed)[0]
    chosen = spread(labels_of(source), trained, calibration)
    if judged.name == "other" and images_of_test_set(asked.data, source) is None:
        judged = judged._replace(indices=[index for index in judged.indices if index not in set(chosen)])
        if not judged.indices:
            advice = "hand over more, or let fewer calibrate: calibration"
            raise UserError(f"data: all of the {len(chosen)} images calibrate, and none is left to judge by: {advice}")
    calibrating = Images(source, chosen, "calibrating")
    for images in (calibrating, judged):
        examine_images(asked.data, images.source, watch, images.indices)
    return Pictures(
        partial(_served, calibrating, asked.data, blueprint, watch),
        len(chosen),
        partial(_served, judged, asked.data, blueprint, watch),
        judged.name,
    )


def _served(images: Images, data: DataSettings, blueprint: Blueprint, watch: Callback) -> Iterable[Batch]:
    source, layout = as_trained(images.source, blueprint), torch.contiguous_format
    batches = evaluation_batches(source, data, images.indices, torch.device("cpu"), layout)
    what = "calibrating int8" if images.name == "calibrating" else "judging int8"
    return watch.track(batches, -(-len(images.indices) // data.batch_size), what)


def spread(labels: Sequence[int], indices: Sequence[int], count: int) -> list[int]:
    """The first `count` of some indices of images, as many of every class as there are: always the same."""
    seen: Counter[int] = Counter()
    order = []
    for index in indices:
        order.append((seen[labels[index]], labels[index], index))
        seen[labels[index]] += 1
    return [index for *_, index in sorted(order)[:count]]
