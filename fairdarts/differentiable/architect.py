"""How one search step updates α and the weights: bi-level (first or second order) or single level; or weights alone."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from fairdarts.data.balance import cross_entropy
from fairdarts.differentiable.losses import zero_one
from fairdarts.differentiable.price import Price
from fairdarts.differentiable.settings import SearchSettings
from fairdarts.differentiable.unrolled import CORRECTIONS, frozen, slope, unrolled, weights_at
from fairdarts.disturbance import Disturbance
from fairdarts.ops.recompute import FrozenStatistics
from fairdarts.relaxation import Matrices, dense, relax
from fairdarts.runtime import distributed
from fairdarts.runtime.device import autocast
from fairdarts.runtime.seed import DISTURBANCE, TRAIN, VALID, fold
from fairdarts.supernet.supernet import Supernet

Batch = tuple[Tensor, Tensor]
"""images [B, C, H, W] and labels [B]"""

SUMS = ("train_loss", "train_accuracy", "valid_loss", "valid_accuracy", "zero_one")
"""What a step measures, each summed over the batches of an epoch: means once divided by their number."""


@dataclass(frozen=True)
class Learner:
    """All that a step updates."""

    settings: SearchSettings
    supernet: Supernet
    alphas: Matrices
    weight_optimizer: torch.optim.SGD
    alpha_optimizer: torch.optim.Optimizer
    price: Price | None = None
    """what the gates cost, where the search asks for it"""
    class_weights: Tensor | None = None
    """what the loss of an image of every class is multiplied by [classes]; None for 1"""

    @property
    def weights(self) -> list[Tensor]:
        """The supernet's parameters, as their optimizer lists them: to ask its thousands of modules takes a while."""
        return self.weight_optimizer.param_groups[0]["params"]


class StepIndex(NamedTuple):
    """The place of a step in a search, on which depends what disturbs it."""

    epoch: int
    """from 0"""
    step: int
    """of the whole search, from 0"""


START = StepIndex(0, 0)


def _losses(
    learner: Learner, alphas: Matrices, part: Batch, at: StepIndex, half: int, shard: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Cross-entropy, accuracy and zero-one loss of a part of a batch of one half of the images, scalars.

    The zero-one loss is that of the undisturbed gates.
    """
    (images, labels), settings, space = part, learner.settings, learner.supernet.space
    gates, disturbance = dense(relax(alphas, settings.relaxation), space), None
    seen = gates
    if settings.noise or settings.dropout:
        seed = fold(settings.seed, DISTURBANCE, at.step, half)
        disturbance = Disturbance(settings.noise, settings.dropout, seed, at.epoch / settings.epochs, shard)
        seen = dense(relax(disturbance.of_alphas(alphas, space.parts), settings.relaxation), space)
    if settings.compute.compile == "reduce-overhead":
        torch.compiler.cudagraph_mark_step_begin()  # the last pass is done with what its graphs hold
    with autocast(images.device, settings.compute.precision):
        logits = learner.supernet(images, seen, disturbance)
    logits = logits.to(next(iter(alphas.values())).dtype)
    accuracy = (logits.detach().argmax(1) == labels).float().mean()
    return cross_entropy(logits, labels, learner.class_weights), accuracy, zero_one(gates, settings.zero_one.form)


def _loss(learner: Learner, part: Batch, at: StepIndex, shard: int) -> Tensor:
    """The cross-entropy of a part of a training batch."""
    return _losses(learner, learner.alphas, part, at, TRAIN, shard)[0]


def parts_of(learner: Learner, batch: Batch) -> Iterator[tuple[int, Batch]]:
    """The equal parts in which this process goes through its share of a batch, each with its number in the batch."""
    images, labels = batch
    count = learner.settings.compute.accumulate
    parts = zip(images.chunk(count), labels.chunk(count), strict=True)
    return enumerate(parts, start=distributed.rank() * count)


def _gradients(
    learner: Learner, alphas: Matrices, batch: Batch, at: StepIndex, half: int, wanted: list[Tensor], pushed: bool
) -> tuple[list[Tensor], list[Tensor]]:
    """Gradients of a batch's loss, with the cost and the zero-one loss if `pushed`; loss, accuracy and zero-one loss.

    All are sums over this process's parts, divided by their number: means once they are averaged over the processes.
    """
    count, seen = learner.settings.compute.accumulate, []
    for shard, part in parts_of(learner, batch):
        loss, accuracy, push = _losses(learner, alphas, part, at, half, shard)
        total = _pushed(learner, alphas, loss, push) if pushed else loss
        (total / count if count > 1 else total).backward(inputs=wanted)
        seen.append(torch.stack([loss, accuracy, push]).detach())
    gradients = cast("list[Tensor]", [tensor.grad for tensor in wanted])  # all take part
    for tensor in wanted:
        tensor.grad = None
    measured = cast(Tensor, sum(seen))
    return gradients, list((measured / count).unbind())


def _pushed(learner: Learner, alphas: Matrices, loss: Tensor, push: Tensor) -> Tensor:
    """The loss of α: a batch's, with the cost of the gates and the zero-one loss."""
    settings, price = learner.settings, learner.price
    priced = price.added(loss, relax(alphas, settings.relaxation)) if price else loss
    return priced + settings.zero_one.weight * push


def _update_weights(learner: Learner, gradients: list[Tensor]) -> None:
    for weight, gradient in zip(learner.weights, gradients, strict=True):
        weight.grad = gradient
    torch.nn.utils.clip_grad_norm_(learner.weights, learner.settings.weights.clip, foreach=True)
    learner.weight_optimizer.step()
    learner.weight_optimizer.zero_grad()


def _update_alphas(learner: Learner, gradients: Sequence[Tensor]) -> None:
    for alpha, gradient in zip(learner.alphas.values(), gradients, strict=True):
        alpha.grad = gradient
    learner.alpha_optimizer.step()
    learner.alpha_optimizer.zero_grad()
    if learner.price:
        learner.price.ascend(relax(learner.alphas, learner.settings.relaxation))


def _statistics(learner: Learner) -> list[Tensor]:
    """The running statistics of the BatchNorms, which processes share as they share gradients; alone, nothing."""
    if distributed.ranks() == 1:
        return []  # to ask thousands of modules takes a while
    return [buffer for buffer in learner.supernet.buffers() if buffer.is_floating_point()]


def _train_weights(learner: Learner, batch: Batch, at: StepIndex) -> list[Tensor]:
    """One step of the weights under the present α; loss, accuracy and zero-one loss before it."""
    fixed = {part: alpha.detach() for part, alpha in learner.alphas.items()}
    gradients, seen = _gradients(learner, fixed, batch, at, TRAIN, learner.weights, pushed=False)
    distributed.average_([*gradients, *_statistics(learner), *seen])
    _update_weights(learner, gradients)
    return seen


def first_order(learner: Learner, train: Batch, valid: Batch, at: StepIndex = START) -> Tensor:
    """Bi-level: α by the held-out loss at the current weights (FairDARTS, eq. 10, first order), then the weights.

    Each half computes only the gradients that it uses. Gives the step's SUMS [5].
    """
    with frozen(learner.weights):
        alphas = list(learner.alphas.values())
        gradients, seen = _gradients(learner, learner.alphas, valid, at, VALID, alphas, pushed=True)
    distributed.average_([*gradients, *seen])
    _update_alphas(learner, gradients)
    return torch.stack([*_train_weights(learner, train, at)[:2], *seen])


def second_order(learner: Learner, train: Batch, valid: Batch, at: StepIndex = START) -> Tensor:
    """Bi-level: α by the held-out loss at the weights that the training batch would give, then the weights.

    See `unrolled`. BatchNorm's statistics follow the step of the weights alone. Gives the step's SUMS [5].
    """
    weights, alphas, settings = learner.weights, list(learner.alphas.values()), learner.settings
    with FrozenStatistics(learner.supernet):
        gradients, _ = _gradients(learner, learner.alphas, train, at, TRAIN, weights, pushed=False)
        distributed.average_(gradients)
        with weights_at(weights, unrolled(weights, gradients, learner.weight_optimizer)):
            of_both, seen = _gradients(learner, learner.alphas, valid, at, VALID, [*alphas, *weights], pushed=True)
        distributed.average_([*of_both, *seen])
        of_alphas, v = of_both[: len(alphas)], of_both[len(alphas) :]
        correct = CORRECTIONS[settings.architect.hessian]
        losses = [partial(_loss, learner, part, at, shard) for shard, part in parts_of(learner, train)]
        corrections = [correct(loss, weights, alphas, v) for loss in losses]
    correction = [sum(terms) / settings.compute.accumulate for terms in zip(*corrections, strict=True)]
    distributed.average_(correction)
    _update_alphas(learner, torch._foreach_add(of_alphas, correction, alpha=-slope(learner.weight_optimizer)))
    return torch.stack([*_train_weights(learner, train, at)[:2], *seen])


def single_level(learner: Learner, train: Batch, valid: Batch | None, at: StepIndex = START) -> Tensor:
    """One loss on one training batch updates α and the weights together (FairDARTS, supplementary 3.4).

    Gives the step's SUMS [5]; nothing is held out, so those of `valid` are not a number.
    """
    wanted = [*learner.weights, *learner.alphas.values()]
    gradients, (loss, accuracy, push) = _gradients(learner, learner.alphas, train, at, TRAIN, wanted, pushed=True)
    distributed.average_([*gradients, *_statistics(learner), loss, accuracy, push])
    _update_weights(learner, gradients[: len(learner.weights)])
    _update_alphas(learner, gradients[len(learner.weights) :])
    return _without_held_out(loss, accuracy, push)


def warm_up(learner: Learner, train: Batch, valid: Batch | None, at: StepIndex = START) -> Tensor:
    """The weights alone, for every kind of architect: its step in the epochs of `architect.warmup`.

    Gives the step's SUMS [5]; no held-out batch is looked at, so those of `valid` are not a number.
    """
    return _without_held_out(*_train_weights(learner, train, at))


def _without_held_out(loss: Tensor, accuracy: Tensor, push: Tensor) -> Tensor:
    nothing = torch.full_like(push, torch.nan)
    return torch.stack([loss, accuracy, nothing, nothing, push])


STEPS: dict[str, Callable[[Learner, Batch, Any, StepIndex], Tensor]] = {
    "first_order": first_order,
    "second_order": second_order,
    "single_level": single_level,
}
"""`architect.kind` → step(learner, training batch, held-out batch, step index)

A batch is this process's share of it; every gradient is averaged over all processes, and so is all that is measured."""
