"""The training of a classifier: which network, on which images, and whether all of it fits together."""

import hashlib
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from fairdarts.config import UserError
from fairdarts.data.balance import class_weights
from fairdarts.data.judging import Images, held_out_images, images_of_test_set
from fairdarts.data.serve import check_alike, keep_held_out, server
from fairdarts.data.sources import Source, judged_size
from fairdarts.data.split import fingerprint, halves
from fairdarts.genotype import Genotype, to_yaml
from fairdarts.networks.blueprint import Blueprint, assemble
from fairdarts.networks.cell import CellNetwork
from fairdarts.runtime import distributed
from fairdarts.runtime.device import LAYOUTS, pick
from fairdarts.runtime.position import identity_of
from fairdarts.runtime.seed import TRAIN, fold
from fairdarts.runtime.shape import sides, size_text
from fairdarts.spaces.cell import CellSpace
from fairdarts.spaces.space import Space
from fairdarts.training.score import score
from fairdarts.training.settings import MAY_CHANGE, NetworkTraining, TrainSettings
from fairdarts.training.setup import check_step
from fairdarts.training.step import measured
from fairdarts.training.task import Evaluation, Task

Judges = tuple[Images | None, Images | None]
"""the images that choose the best epoch, and those that the result is told for"""


def classification(settings: TrainSettings, genotype: Genotype, space: Space, source: Source, judges: Judges) -> Task:
    """The training of a genotype's classifier on a source of images.

    Raises UserError, in every process, where settings, machine, genotype and data do not fit, or the processes have
    other images.
    """
    device, blueprint = pick(settings.device), blueprint_of(settings, genotype, space, source)
    with distributed.together():
        trained = check_fit(settings, blueprint, source)
        check_alike(settings.data, fingerprint(source))
    validation, test = (judge_of(settings, images, device) for images in judges)

    def set_drop_path(network: nn.Module, epoch: int) -> None:
        # It rises linearly, and would be the settings' after the last epoch.
        if settings.drop_path:
            cast(Tensor, network.drop_probability).fill_(settings.drop_path * epoch / settings.epochs)

    shard = (distributed.rank(), distributed.ranks())
    serve = server(source, settings.data, device, LAYOUTS[settings.compute.layout], shard)
    weights = class_weights(settings.data, source, settings.seed)
    facts = {"images": f"{settings.data.kind}: {len(trained):,} for training"}
    return Task(
        device=device,
        blueprint=blueprint,
        form="blueprint",
        shape=source.shape,
        kind=settings.data.kind,
        identity=training_identity(settings, genotype, space, fingerprint(source)),
        facts=facts | ({"judged_on": validation.name} if validation else {}),
        build=lambda: build_classifier(settings, blueprint, device),
        measure=partial(measured, settings=settings.loss, weights=None if weights is None else weights.to(device)),
        batches=lambda start: serve(indices=trained, seed=fold(settings.seed, TRAIN), start=start),
        steps=len(trained) // settings.data.batch_size,
        numbers=("top1", "top5"),
        validation=validation,
        test=test,
        begin=lambda run: keep_held_out(run, settings.data, source, halves(settings.data, source, settings.seed)[1]),
        begin_epoch=set_drop_path,
    )


def build_classifier(settings: TrainSettings, blueprint: Blueprint, device: torch.device) -> nn.Module:
    """The network that is trained, with fresh weights: that of the blueprint, with what only training needs."""
    network = assemble(blueprint, auxiliary=settings.loss.auxiliary > 0)
    if settings.drop_path:
        network.drop_probability = torch.zeros((), device=device)  # a number would be compiled into the graph
    return network


def blueprint_of(settings: TrainSettings, genotype: Genotype, space: Space, source: Source) -> Blueprint:
    """The network that the settings make of a genotype for a source of images."""
    facts = {"classes": source.classes, "image": source.image, "mean": source.mean, "std": source.std}
    resize = judged_size(settings.data, source.image)
    return Blueprint(genotype=genotype, space=space, network=settings.network, resize=resize, **facts)


def training_identity(settings: NetworkTraining, genotype: Genotype, space: Space, images: str) -> dict[str, str]:
    """What makes a training this one; `images` tells its images from others."""
    named = f"{genotype.name} ({hashlib.sha256(to_yaml(genotype).encode()).hexdigest()[:8]})"
    return identity_of(settings, MAY_CHANGE, space, images) | {"genotypes/final.yaml": named}


def judge_of(settings: TrainSettings, images: Images | None, device: torch.device) -> Evaluation | None:
    """Images as a judge; None for none."""
    if images is None:
        return None

    def numbers(network: nn.Module) -> dict[str, float]:
        seen = score(network, images, settings.data, device, settings.compute)
        return {"loss": seen.loss, "top1": seen.top1, "top5": seen.top5}

    return Evaluation(images.name, len(images.indices), numbers)


def check_fit(settings: TrainSettings, blueprint: Blueprint, source: Source) -> list[int]:
    """The indices of the training images. Raises UserError, with all that is wrong, where settings, machine, genotype
    and data do not fit."""
    trained, _ = halves(settings.data, source, settings.seed)
    checks = (
        lambda: check_cells(settings, blueprint),
        lambda: check_cutout(settings, source),
        lambda: check_images(settings, blueprint),
        lambda: check_step(settings, settings.data.batch_size, len(trained)),
    )
    problems = []
    for check in checks:
        try:
            check()
        except UserError as error:
            problems.append(str(error))
    if problems:
        raise UserError("; ".join(problems))
    return trained


def check_cells(settings: TrainSettings, blueprint: Blueprint) -> None:
    """Raises UserError where settings are for networks of cells, and this is none."""
    if not isinstance(blueprint.space, CellSpace):
        for key, value in (("drop_path", settings.drop_path), ("loss.auxiliary", settings.loss.auxiliary)):
            if value:
                raise UserError(f"{key}: {value}: is for cells; for {blueprint.genotype.name} it should be 0")


def check_cutout(settings: TrainSettings, source: Source) -> None:
    """Raises UserError where cutout could blank a whole image."""
    if (cutout := getattr(settings.data, "cutout", 0)) >= (shorter := min(sides(source.image))):
        size, half = size_text(source.image), shorter // 2
        raise UserError(f"data.cutout: {cutout}: blanks images of {size} pixels whole; should be {half} or 0")


def check_images(settings: TrainSettings, blueprint: Blueprint) -> None:
    """Raises UserError where the network, or its auxiliary head, is not made for images of this size."""
    with torch.device("meta"):
        network = assemble(blueprint, auxiliary=settings.loss.auxiliary > 0)
        images = torch.empty(2, len(blueprint.mean), *sides(blueprint.image))
    try:
        network(images)
    except RuntimeError as error:
        if not settings.loss.auxiliary or not isinstance(network, CellNetwork):
            raise UserError(f"data: images of {size_text(blueprint.image)} pixels: {error}") from None
        made = "32×32" if settings.network.size != "imagenet" else "224×224"
        here = f"{len(network.cells)} cells and images of {size_text(blueprint.image)}"
        why = f"its head is made for 3 cells or more and images of {made} pixels, not for {here}"
        raise UserError(f"loss.auxiliary: {settings.loss.auxiliary}: {why}; should be 0") from None


def judging_images(settings: TrainSettings, source: Source) -> Judges:
    """(those that choose the best epoch, those that the result is told for): held-out images and a test set.

    Where one of them is missing the other stands in for it, and None for both where there is neither.
    """
    held_out, test = held_out_images(settings.data, source, settings.seed), images_of_test_set(settings.data, source)
    return held_out or test, test or held_out
