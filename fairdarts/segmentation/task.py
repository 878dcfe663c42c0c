"""The training of a segmentation network: which one, on which images, and whether all of it fits together."""

import math
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from fairdarts.config import UserError
from fairdarts.data.loader import batches
from fairdarts.data.serve import check_alike
from fairdarts.genotype import Genotype
from fairdarts.networks.deeplab import DeepLab
from fairdarts.networks.pretrained import check_same, load_backbone
from fairdarts.networks.published import SEGMENTER
from fairdarts.runtime import distributed
from fairdarts.runtime.device import LAYOUTS, pick
from fairdarts.runtime.seed import TRAIN, fold
from fairdarts.runtime.shape import Shape
from fairdarts.segmentation.images import MEAN, STD, AugmentedPairs, Pairs, TrainingTransform
from fairdarts.segmentation.model import SegmenterBlueprint, assemble_segmenter, is_segmenter, open_segmenter
from fairdarts.segmentation.score import PixelScore, measured, score
from fairdarts.segmentation.settings import SegmentSettings
from fairdarts.spaces.space import Space
from fairdarts.training.classify import training_identity
from fairdarts.training.finetune import finetune
from fairdarts.training.setup import check_step
from fairdarts.training.task import Evaluation, Task


def segmentation(
    settings: SegmentSettings, genotype: Genotype, space: Space, trained: Pairs, judging: Pairs | None
) -> Task:
    """The training of a genotype's segmentation network; `judging` are the images that say what it is worth.

    Raises UserError, in every process, where settings, machine, genotype and data do not fit, or the processes have
    other images.
    """
    device, blueprint = pick(settings.device), segmenter_of(settings, genotype, space)
    with distributed.together():
        check_fit(settings, blueprint, trained)
        check_alike(settings.data, trained.fingerprint())
    data, judge = settings.data, judge_of(settings, judging, device) if judging else None
    shard, layout = (distributed.rank(), distributed.ranks()), LAYOUTS[settings.compute.layout]
    dataset = AugmentedPairs(trained, TrainingTransform(data.crop, data.scale))
    stream = (dataset, list(range(len(trained))), data.batch_size, fold(settings.seed, TRAIN))
    facts = {"images": f"{Path(data.root).name}: {len(trained):,} of '{data.train}' for training"}
    return Task(
        device=device,
        blueprint=blueprint,
        form=SEGMENTER,
        shape=Shape(data.crop, 3, len(blueprint.classes)),
        kind=data.layout,
        identity=training_identity(settings, genotype, space, trained.fingerprint()),
        facts=facts | ({"judged_on": judge.name} if judge else {}),
        build=lambda: assemble_segmenter(blueprint),
        measure=measured,
        batches=lambda start: batches(*stream, start, data.workers, device, shard, layout),
        steps=len(trained) // data.batch_size,
        numbers=("miou", "accuracy", "iou"),
        validation=judge,
        test=judge,
    )


def segmenter_of(settings: SegmentSettings, genotype: Genotype, space: Space) -> SegmenterBlueprint:
    """The network that the settings make of a genotype."""
    facts = {"classes": settings.data.classes, "mean": MEAN, "std": STD}
    return SegmenterBlueprint(
        genotype=genotype, space=space, network=settings.network, deeplab=settings.deeplab, **facts
    )


def judge_of(settings: SegmentSettings, pairs: Pairs, device: torch.device) -> Evaluation:
    """Images as a judge."""

    def numbers(network: nn.Module) -> dict[str, Any]:
        return numbers_of(score(network, pairs, settings.data.workers, device, settings.compute), pairs)

    return Evaluation(pairs.name, len(pairs), numbers)


def numbers_of(seen: PixelScore, pairs: Pairs) -> dict[str, Any]:
    """What a record holds of a score; IoU is None of a class that is nowhere."""
    ious = {name: None if math.isnan(iou) else iou for name, iou in zip(pairs.classes, seen.by_class(), strict=True)}
    return {"loss": seen.loss, "miou": seen.miou, "accuracy": seen.accuracy, "iou": ious}


def check_fit(settings: SegmentSettings, blueprint: SegmenterBlueprint, trained: Pairs) -> None:
    """Raises UserError where settings, machine, genotype and data do not fit."""
    with torch.device("meta"):
        assemble_segmenter(blueprint)
    check_step(settings, settings.data.batch_size, len(trained))
    part = settings.data.batch_size // (distributed.ranks() * settings.compute.accumulate)
    if part < 2:
        why = "BatchNorm has nothing to normalize in the mean of one image"
        raise UserError(f"data.batch_size: {settings.data.batch_size}: leaves {part} image a pass; {why}: should be 2")


def initialize(network: nn.Module, settings: SegmentSettings, genotype: Genotype, name: str | None) -> list[str]:
    """Puts the weights that the settings begin with into a network; gives notes of what stays fresh.

    They are those of a segmentation network, whose classes may be others, or of a classifier, for the encoder alone;
    `name` is the model's, which an authors' file does not say. Raises UserError where they do not fit.
    """
    assert settings.init_from is not None, "there are weights to begin with"
    path = Path(settings.init_from)
    if not is_segmenter(path):
        load_backbone(cast(DeepLab, network).encoder.model, path, genotype, name, settings.network)
        return ["what stands on the encoder: fresh"]
    model = open_segmenter(path)
    blueprint = model.blueprint
    check_same(blueprint.genotype, blueprint.network, genotype, settings.network, path)
    for key in ("aspp", "decoder"):
        theirs, ours = getattr(blueprint.deeplab, key), getattr(settings.deeplab, key)
        if theirs != ours:
            should = f"should be --deeplab.{key} {str(theirs).lower()}"
            raise UserError(f"{path}: deeplab.{key}: is {theirs}, but this network has {ours}: {should}")
    tensors = model.network.state_dict()
    if blueprint.classes != settings.data.classes:
        tensors = {key: tensor for key, tensor in tensors.items() if not key.startswith("classifier.")}
    return finetune(network, tensors, str(path))
