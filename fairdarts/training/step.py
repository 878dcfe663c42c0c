"""A step of training: forward and backward over a batch, one update, one move of the average."""

from contextlib import nullcontext

import torch
from torch import Tensor, nn

from fairdarts.data.balance import cross_entropy
from fairdarts.runtime import distributed
from fairdarts.runtime.device import autocast
from fairdarts.training.settings import LossSettings
from fairdarts.training.setup import Trainee
from fairdarts.training.task import Batch

SUMS = ("train_loss", "train_accuracy")
"""what a step gives"""


def measured(
    output: Tensor | tuple[Tensor, Tensor], labels: Tensor, settings: LossSettings, weights: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """(what is minimized, accuracy) of a classifier's output, logits [B, classes] and perhaps auxiliary logits.

    `weights` [classes] are what an image of every class counts, where classes do not count by their numbers.
    """
    logits, auxiliary = output if isinstance(output, tuple) else (output, None)
    loss = cross_entropy(logits.float(), labels, weights, settings.label_smoothing)
    if auxiliary is not None:
        auxiliary_loss = cross_entropy(auxiliary.float(), labels, weights, settings.label_smoothing)
        loss = loss + settings.auxiliary * auxiliary_loss
    return loss, (logits.detach().argmax(1) == labels).float().mean()


def train_step(trainee: Trainee, batch: Batch) -> Tensor:
    """Updates the weights by a batch, of which this process has its share; gives SUMS, the mean over the processes."""
    settings, parts = trainee.settings, trainee.settings.compute.accumulate
    images, labels = batch
    seen = torch.zeros(len(SUMS), device=images.device)
    no_sync = getattr(trainee.forward, "no_sync", nullcontext)  # DistributedDataParallel alone has it
    trainee.optimizer.zero_grad(set_to_none=True)
    for number, (x, y) in enumerate(zip(images.chunk(parts), labels.chunk(parts), strict=True), start=1):
        with no_sync() if number < parts else nullcontext():
            with autocast(images.device, settings.compute.precision):
                output = trainee.forward(x)
            loss, accuracy = trainee.measure(output, y)
            (loss / parts).backward()
        seen += torch.stack([loss.detach(), accuracy]) / parts
    if settings.optimizer.clip:
        nn.utils.clip_grad_norm_(trainee.network.parameters(), settings.optimizer.clip, foreach=True)
    trainee.optimizer.step()
    if trainee.average:
        trainee.average.update(trainee.network)
    distributed.average_([seen])
    return seen
