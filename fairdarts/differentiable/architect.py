"""How one search step updates α and the weights: bi-level (first or second order) or single level; or weights alone."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor

from fairdarts.differentiable.gates import relaxed
from fairdarts.differentiable.learner import START, Batch, Learner, StepIndex
from fairdarts.differentiable.passes import Gradients, average, gradients_of, parts_of, training_loss
from fairdarts.differentiable.perturbation import perturbed
from fairdarts.differentiable.unrolled import CORRECTIONS, frozen, slope, unrolled, weights_at
from fairdarts.differentiable.updates import update_alphas
from fairdarts.ops.recompute import FrozenStatistics
from fairdarts.runtime import distributed
from fairdarts.runtime.seed import TRAIN, VALID

SUMS = ("train_loss", "train_accuracy", "valid_loss", "valid_accuracy", "zero_one")
"""What a step measures, each summed over the batches of an epoch: means once divided by their number."""


def _update_weights(learner: Learner, gradients: Gradients) -> None:
    """A step of the optimizer. Weights without a gradient stay: neither momentum nor weight decay move them."""
    for weight, gradient in zip(learner.weights, gradients, strict=True):
        weight.grad = gradient
    torch.nn.utils.clip_grad_norm_(learner.weights, learner.settings.weights.clip, foreach=True)
    learner.weight_optimizer.step()
    learner.weight_optimizer.zero_grad()


def _update_alphas(learner: Learner, gradients: Sequence[Tensor | None]) -> None:
    pairs = zip(learner.alphas.values(), gradients, strict=True)
    update_alphas(learner, [torch.zeros_like(alpha) if gradient is None else gradient for alpha, gradient in pairs])
    if learner.price:
        learner.price.ascend(relaxed(learner, learner.alphas))


def _statistics(learner: Learner) -> list[Tensor]:
    """The running statistics of the BatchNorms, which processes share as they share gradients; alone, nothing."""
    if distributed.ranks() == 1:
        return []  # to ask thousands of modules takes a while
    return [buffer for buffer in learner.supernet.buffers() if buffer.is_floating_point()]


def _train_weights(learner: Learner, batch: Batch, at: StepIndex, held_out: Gradients | None = None) -> list[Tensor]:
    """One step of the weights under the present α; loss, accuracy and zero-one loss before it.

    Where candidates may be frozen, `held_out` are the gradients that say so.
    """
    fixed = {part: alpha.detach() for part, alpha in learner.alphas.items()}
    moved = perturbed(learner, fixed, batch, at)
    gradients, seen = gradients_of(learner, fixed, batch, at, TRAIN, learner.weights, False, moved)
    average(gradients, *_statistics(learner), *seen)
    if learner.freezing:
        gradients = learner.freezing.rested(gradients, held_out)
    _update_weights(learner, gradients)
    return seen


def first_order(learner: Learner, train: Batch, valid: Batch, at: StepIndex = START) -> Tensor:
    """Bi-level: α by the held-out loss at the current weights (FairDARTS, eq. 10, first order), then the weights.

    Each half computes only the gradients that it uses; the held-out one also those of the weights, where candidates may
    be frozen. Gives the step's SUMS [5].
    """
    alphas, compared = list(learner.alphas.values()), learner.weights if learner.freezing else []
    with nullcontext() if compared else frozen(learner.weights):
        gradients, seen = gradients_of(learner, learner.alphas, valid, at, VALID, [*alphas, *compared], True)
    average(gradients, *seen)
    _update_alphas(learner, gradients[: len(alphas)])
    of_weights = [None if own is None else own.clone() for own in gradients[len(alphas) :]]  # graphs of CUDA reuse them
    return torch.stack([*_train_weights(learner, train, at, of_weights)[:2], *seen])


def second_order(learner: Learner, train: Batch, valid: Batch, at: StepIndex = START) -> Tensor:
    """Bi-level: α by the held-out loss at the weights that the training batch would give, then the weights.

    See `unrolled`. Weights that the training batch gives no gradient, as those of candidates that do not run, stay.
    BatchNorm's statistics follow the step of the weights alone. Gives the step's SUMS [5].
    """
    alphas, settings = list(learner.alphas.values()), learner.settings
    weights: Sequence[Tensor] = learner.weights
    with FrozenStatistics(learner.supernet):
        moved = perturbed(learner, learner.alphas, train, at)
        found, _ = gradients_of(learner, learner.alphas, train, at, TRAIN, weights, False, moved)
        average(found)
        weights, gradients = zip(
            *(pair for pair in zip(weights, found, strict=True) if pair[1] is not None), strict=True
        )
        with weights_at(weights, unrolled(weights, gradients, learner.weight_optimizer)):
            of_both, seen = gradients_of(learner, learner.alphas, valid, at, VALID, [*alphas, *weights], True)
        average(of_both, *seen)
        whole = [
            torch.zeros_like(of) if at is None else at for of, at in zip([*alphas, *weights], of_both, strict=True)
        ]
        of_alphas, v = whole[: len(alphas)], whole[len(alphas) :]
        correct = CORRECTIONS[settings.architect.hessian]
        losses = [partial(training_loss, learner, part, at, shard, moved) for shard, part in parts_of(learner, train)]
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
    moved = perturbed(learner, learner.alphas, train, at)
    gradients, (loss, accuracy, push) = gradients_of(learner, learner.alphas, train, at, TRAIN, wanted, True, moved)
    average(gradients, *_statistics(learner), loss, accuracy, push)
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
