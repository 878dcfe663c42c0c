"""What a pass over a batch measures: losses, and the gradients that are asked for."""

from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor

from fairdarts.data.balance import cross_entropy
from fairdarts.differentiable.gates import gates_of_pass, living, of_the_living, relaxed
from fairdarts.differentiable.learner import Batch, Learner, StepIndex
from fairdarts.differentiable.losses import zero_one
from fairdarts.differentiable.penalties import penalized
from fairdarts.relaxation import Matrices
from fairdarts.runtime import distributed
from fairdarts.runtime.device import autocast
from fairdarts.runtime.seed import TRAIN

Gradients = list[Tensor | None]
"""of tensors; None where one took no part, as the weights of a candidate that did not run"""


def losses(
    learner: Learner,
    alphas: Matrices,
    part: Batch,
    at: StepIndex,
    half: int,
    shard: int,
    learns: bool,
    moved: Matrices | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Cross-entropy, accuracy and zero-one loss of a part of a batch of one half of the images, scalars.

    The zero-one loss is that of the undisturbed gates of all candidates that are there. `learns` where α gets a
    gradient; `moved` are gates by part that stand in for those of α.
    """
    (images, labels), settings = part, learner.settings
    gates, seen, disturbance = gates_of_pass(learner, alphas, at, half, shard, learns, moved)
    if settings.compute.compile == "reduce-overhead":
        torch.compiler.cudagraph_mark_step_begin()  # the last pass is done with what its graphs hold
    with autocast(images.device, settings.compute.precision):
        logits = learner.supernet(images, seen, disturbance)
    logits = logits.to(next(iter(alphas.values())).dtype)
    accuracy = (logits.detach().argmax(1) == labels).float().mean()
    push = zero_one(of_the_living(learner, gates), settings.zero_one.form)
    return cross_entropy(logits, labels, learner.class_weights), accuracy, push


def training_loss(learner: Learner, part: Batch, at: StepIndex, shard: int, moved: Matrices | None = None) -> Tensor:
    """The cross-entropy of a part of a training batch."""
    return losses(learner, learner.alphas, part, at, TRAIN, shard, False, moved)[0]


def parts_of(learner: Learner, batch: Batch) -> Iterator[tuple[int, Batch]]:
    """The equal parts in which this process goes through its share of a batch, each with its number in the batch."""
    images, labels = batch
    count = learner.settings.compute.accumulate
    parts = zip(images.chunk(count), labels.chunk(count), strict=True)
    return enumerate(parts, start=distributed.rank() * count)


def gradients_of(
    learner: Learner,
    alphas: Matrices,
    batch: Batch,
    at: StepIndex,
    half: int,
    wanted: Sequence[Tensor],
    pushed: bool,
    moved: Matrices | None = None,
) -> tuple[Gradients, list[Tensor]]:
    """Gradients of a batch's loss, with all that α is pushed by if `pushed`; loss, accuracy and zero-one loss.

    All are sums over this process's parts, divided by their number: means once they are averaged over the processes.
    """
    count, seen = learner.settings.compute.accumulate, []
    for shard, part in parts_of(learner, batch):
        loss, accuracy, push = losses(learner, alphas, part, at, half, shard, pushed, moved)
        total = _pushed(learner, alphas, loss, push, at) if pushed else loss
        if total.requires_grad:  # else none of them takes part: only `none` runs
            (total / count if count > 1 else total).backward(inputs=wanted)
        seen.append(torch.stack([loss, accuracy, push]).detach())
    gradients = [tensor.grad for tensor in wanted]
    for tensor in wanted:
        tensor.grad = None
    measured = cast(Tensor, sum(seen))
    return gradients, list((measured / count).unbind())


def _pushed(learner: Learner, alphas: Matrices, loss: Tensor, push: Tensor, at: StepIndex) -> Tensor:
    """The loss of α: a batch's, with the cost of the gates, the zero-one loss, and penalties."""
    settings, price = learner.settings, learner.price
    priced = price.added(loss, relaxed(learner, alphas)) if price else loss
    pushed = priced + settings.zero_one.weight * push
    if not settings.penalties:
        return pushed
    done = at.epoch / settings.epochs
    return penalized(pushed, settings.penalties, living(learner, alphas), relaxed(learner, alphas), done)


def average(gradients: Gradients, *measured: Tensor) -> None:
    """Averages gradients and what is measured over all processes, in which the same tensors take part."""
    distributed.average_([*(gradient for gradient in gradients if gradient is not None), *measured])
