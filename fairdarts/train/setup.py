"""What a training starts with: the network, its optimizer and average, and whether all of it fits together."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from fairdarts.config import UserError
from fairdarts.data.judging import Images, held_out_images, images_of_test_set
from fairdarts.data.sources import Source
from fairdarts.data.split import halves
from fairdarts.genotype import Genotype
from fairdarts.networks.blueprint import Blueprint, assemble
from fairdarts.runtime import distributed
from fairdarts.runtime.device import LAYOUTS, pick
from fairdarts.runtime.seed import WEIGHTS, fold
from fairdarts.spaces.cell import CellSpace
from fairdarts.spaces.space import Space
from fairdarts.train.optimize import Average, make_optimizer
from fairdarts.train.settings import TrainSettings

Judges = tuple[Images | None, Images | None]
"""the images that choose the best epoch, and those that the result is told for"""


@dataclass(frozen=True)
class Trainee:
    """A network in training."""

    settings: TrainSettings
    network: nn.Module
    forward: nn.Module
    """the network as a step runs it: in all processes together"""
    optimizer: torch.optim.Optimizer
    average: Average | None

    @property
    def judged(self) -> nn.Module:
        """The network whose accuracy counts."""
        return self.average.network if self.average else self.network


def blueprint_of(settings: TrainSettings, genotype: Genotype, space: Space, source: Source) -> Blueprint:
    """The network that the settings make of a genotype for a source of images."""
    facts = {"classes": source.classes, "image": source.image, "mean": source.mean, "std": source.std}
    return Blueprint(genotype=genotype, space=space, network=settings.network, **facts)


def make_trainee(
    settings: TrainSettings,
    blueprint: Blueprint,
    device: torch.device,
    initialize: Callable[[nn.Module], object] | None = None,
) -> Trainee:
    """A fresh network, decided by the seed alone, or with the weights that `initialize` gives it; and its optimizer.

    Of several processes all have the first one's weights.
    """
    torch.manual_seed(fold(settings.seed, WEIGHTS))
    network = assemble(blueprint, auxiliary=settings.loss.auxiliary > 0)
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = settings.batch_norm_momentum
    if initialize:
        initialize(network)
    network = network.to(device, memory_format=LAYOUTS[settings.compute.layout])
    if settings.drop_path:
        network.drop_probability = torch.zeros((), device=device)  # a number would be compiled into the graph
    if settings.compute.compile != "none":
        compile_blocks(network, settings.compute.compile)
    forward: nn.Module = network
    if distributed.ranks() > 1:
        forward = DistributedDataParallel(network, device_ids=[device] if device.type == "cuda" else None)
    average = Average(network, settings.ema) if settings.ema else None
    return Trainee(settings, network, forward, make_optimizer(network, settings.optimizer, device), average)


def compile_blocks(network: nn.Module, mode: str) -> None:
    """Compiles every cell, layer or stage by itself: those that are alike share a graph, and all take minutes less than
    the whole network would."""
    blocks = [block for name in ("cells", "layers", "stages") for block in getattr(network, name, ())]
    torch._dynamo.config.recompile_limit = 4 * len(blocks)  # eager beyond the limit
    for block in blocks:
        block.compile(mode=mode, dynamic=False)


def check_fit(settings: TrainSettings, blueprint: Blueprint, source: Source) -> list[int]:
    """The indices of the training images. Raises UserError where settings, machine, genotype and data do not fit."""
    device = pick(settings.device)
    if settings.compute.compile != "none" and device.type == "cpu":
        raise UserError(f"compute.compile: {settings.compute.compile}: is for CUDA; on the CPU it should be none")
    if not isinstance(blueprint.space, CellSpace):
        for key, value in (("drop_path", settings.drop_path), ("loss.auxiliary", settings.loss.auxiliary)):
            if value:
                raise UserError(f"{key}: {value}: is for cells; for {blueprint.genotype.name} it should be 0")
    cutout = getattr(settings.data, "cutout", 0)
    if cutout >= source.image:
        size = f"{source.image}×{source.image}"
        raise UserError(
            f"data.cutout: {cutout}: blanks images of {size} pixels whole; should be {source.image // 2} or 0"
        )
    with torch.device("meta"):
        network = assemble(blueprint, auxiliary=settings.loss.auxiliary > 0)
        images = torch.empty(2, len(blueprint.mean), blueprint.image, blueprint.image)
    try:
        network(images)
    except RuntimeError as error:
        if not settings.loss.auxiliary:
            raise UserError(f"data: images of {blueprint.image}×{blueprint.image} pixels: {error}") from None
        made = "32×32" if settings.network.size != "imagenet" else "224×224"
        here = f"{len(network.cells)} cells and images of {blueprint.image}×{blueprint.image}"
        why = f"its head is made for 3 cells or more and images of {made} pixels, not for {here}"
        raise UserError(f"loss.auxiliary: {settings.loss.auxiliary}: {why}; should be 0") from None
    size = settings.data.batch_size
    distributed.check_shares(size, settings.compute.accumulate)
    trained, _ = halves(settings.data, source, settings.seed)
    if size > len(trained):
        raise UserError(f"data.batch_size: {size}: should be at most {len(trained)}, the training images")
    return trained


def judging_images(settings: TrainSettings, source: Source) -> Judges:
    """(those that choose the best epoch, those that the result is told for): held-out images and a test set.

    Where one of them is missing the other stands in for it, and None for both where there is neither.
    """
    held_out, test = held_out_images(settings.data, source, settings.seed), images_of_test_set(settings.data, source)
    return held_out or test, test or held_out
