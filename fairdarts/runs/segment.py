"""The training of a segmentation network on the network of a genotype, from a recipe to its last checkpoint."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

from fairdarts.cost.cost import Cost
from fairdarts.cost.count import count
from fairdarts.data.examine import examine, read_heads
from fairdarts.networks.models import Named, models
from fairdarts.runs import training
from fairdarts.runs.callbacks import Callbacks, Watches
from fairdarts.runs.new import Begun, new_segmentation
from fairdarts.runs.recipe import Recipe
from fairdarts.runs.request import SEGMENT, Request
from fairdarts.runs.result import Run
from fairdarts.runtime import distributed
from fairdarts.runtime.shape import Size
from fairdarts.segmentation.images import Pairs, open_pairs
from fairdarts.segmentation.model import SegmenterBlueprint, assemble_segmenter
from fairdarts.segmentation.settings import SegmentSettings
from fairdarts.segmentation.task import initialize, segmentation, segmenter_of


class Counted(NamedTuple):
    """A segmentation network, and what it costs."""

    blueprint: SegmenterBlueprint
    cost: Cost
    image: Size
    """height and width of the image that it was counted for"""


class Ended(NamedTuple):
    """A finished training."""

    run: Run
    judging: Pairs | None
    """the images that judged it"""


def segment(
    genotype: Named,
    recipe: Recipe | None = None,
    settings: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    init_from: str | Path | Run | None = None,
    callbacks: Sequence[Watches] | Watches = (),
    **named: Any,
) -> Run:
    """Trains DeepLabv3+ on the network of a genotype: `fairdarts segment`. Gives the finished run.

    The images are those that the settings name. Without `recipe` it is segment-voc. `init_from` are weights to begin
    with: of a segmentation network, or of a classifier for the encoder. The other parameters, and what is raised, are
    those of `train`.

    >>> run = fairdarts.segment("fairnas-a", settings={"data.root": "VOC2012"}, init_from="fairnas_a.pth")
    >>> fairdarts.judge_segmenter(run).iou
    """
    asked = training.new_request(genotype, settings, named, init_from, recipe=recipe, out=out)
    with distributed.joined():
        return carry_out(asked, Callbacks(callbacks)).run


def resume(path: str | Path, data: Any, settings: Mapping[str, Any], callbacks: Sequence[Watches] | Watches) -> Run:
    """Goes on with a training that was stopped; `settings` are of those that it may be told anew."""
    with distributed.joined():
        return carry_out(Request(None, settings, data, resume=path), Callbacks(callbacks)).run


def count_segmenter(
    genotype: Named, recipe: Recipe | None = None, settings: Mapping[str, Any] | None = None, **named: Any
) -> Counted:
    """Counts the network that `segment` would train, for an image of data.crop pixels a side. It needs no images.

    >>> fairdarts.count_segmenter("fairnas-a", settings={"deeplab.output_stride": 8}).cost.madds
    """
    return counted(new_segmentation(training.new_request(genotype, settings, named, None, recipe=recipe)))


def counted(begun: Begun) -> Counted:
    """The network of a training, counted."""
    blueprint, crop = segmenter_of(*begun), begun.settings.data.crop
    with torch.device("meta"):
        return Counted(blueprint, count(assemble_segmenter(blueprint), len(blueprint.mean), crop), crop)


def read(asked: Request, watch: Callbacks) -> Begun:
    """Settings, genotype and space of the training that is asked for."""
    return training.read(SEGMENT, asked, watch, partial(new_segmentation, asked))


def carry_out(asked: Request, watch: Callbacks) -> Ended:
    """The training that is asked for, in all processes that share it, or in this one alone."""
    settings, genotype, space = begun = read(asked, watch)
    segmenter_of(*begun)  # that it makes no network should show before images are looked for
    with distributed.together():
        trained = open_pairs(settings.data, settings.data.train, "train")
        judging = open_pairs(settings.data, settings.data.val, "val") if settings.data.val else None
    if not asked.resume:
        for pairs in filter(None, (trained, judging)):
            distributed.wait_for(partial(look_at, pairs, settings) if distributed.leads_machine() else None)
    task = segmentation(settings, genotype, space, trained, judging)

    def initializer() -> training.Initialize:
        name = genotype.name if genotype.name in models() else None
        return lambda network: initialize(network, settings, genotype, name)

    return Ended(training.carry_out_training(SEGMENT, asked, begun, task, initializer, watch), judging)


def look_at(pairs: Pairs, settings: SegmentSettings) -> None:
    """Examines images and masks. Raises UserError naming those that are broken."""
    examine([str(path) for path in pairs.images], settings.data.white, f"data.root: {settings.data.root}")
    read_heads([str(path) for path in pairs.masks])
