"""What a training starts with: the network, its optimizer and its average."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from fairdarts.config import UserError
from fairdarts.ops.fast import with_fast_gradients
from fairdarts.runtime import distributed
from fairdarts.runtime.device import LAYOUTS, pick
from fairdarts.runtime.seed import WEIGHTS, fold
from fairdarts.training.optimize import Average, make_optimizer
from fairdarts.training.settings import NetworkTraining
from fairdarts.training.task import Measure


@dataclass(frozen=True)
class Trainee:
    """A network in training."""

    settings: NetworkTraining
    network: nn.Module
    forward: nn.Module
    """the network as a step runs it: in all processes together"""
    measure: Measure
    optimizer: torch.optim.Optimizer
    average: Average | None

    @property
    def judged(self) -> nn.Module:
        """The network whose worth counts."""
        return self.average.network if self.average else self.network


def make_trainee(
    settings: NetworkTraining,
    build: Callable[[], nn.Module],
    measure: Measure,
    device: torch.device,
    initialize: Callable[[nn.Module], object] | None = None,
) -> Trainee:
    """A fresh network, decided by the seed alone, or with the weights that `initialize` gives it; and its optimizer.

    Of several processes all have the first one's weights.
    """
    torch.manual_seed(fold(settings.seed, WEIGHTS))
    network = build()
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = settings.batch_norm_momentum
    if initialize:
        initialize(network)
    # torch's stubs know no memory_format with a device
    moved = network.to(device, memory_format=LAYOUTS[settings.compute.layout])  # type: ignore[call-overload]
    network = with_fast_gradients(moved)
    if settings.compute.compile != "none":
        compile_blocks(network, settings.compute.compile)
    forward: nn.Module = network
    if distributed.ranks() > 1:
        forward = DistributedDataParallel(network, device_ids=[device] if device.type == "cuda" else None)
    average = Average(network, settings.ema) if settings.ema else None
    optimizer = make_optimizer(network, settings.optimizer, device)
    return Trainee(settings, network, forward, measure, optimizer, average)


def compile_blocks(network: nn.Module, mode: str) -> None:
    """Compiles every cell, layer or stage by itself: those that are alike share a graph, and all take minutes less than
    the whole network would."""
    parts = [getattr(module, name, ()) for module in network.modules() for name in ("cells", "layers", "stages")]
    blocks = [block for part in parts for block in part]
    torch._dynamo.config.recompile_limit = 4 * len(blocks)  # eager beyond the limit
    for block in blocks:
        block.compile(mode=mode, dynamic=False)


def check_step(settings: NetworkTraining, batch_size: int, trained: int) -> None:
    """Raises UserError where a step is not possible on this machine, in these processes or with so many images."""
    if settings.compute.compile != "none" and pick(settings.device).type == "cpu":
        raise UserError(f"compute.compile: {settings.compute.compile}: is for CUDA; on the CPU it should be none")
    distributed.check_shares(batch_size, settings.compute.accumulate)
    if batch_size > trained:
        raise UserError(f"data.batch_size: {batch_size}: should be at most {trained}, the training images")
