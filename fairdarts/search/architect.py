"""How one search step updates α and the weights: bi-level (first or second order) or single level."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from fairdarts.disturbance import Disturbance
from fairdarts.relaxation import Gates, relax
from fairdarts.runtime.device import autocast
from fairdarts.runtime.seed import DISTURBANCE, TRAIN, VALID, fold
from fairdarts.search.losses import zero_one
from fairdarts.search.settings import SearchSettings
from fairdarts.search.unrolled import CORRECTIONS, still, unrolled, weights_at
from fairdarts.supernet.cell import CellSupernet, FrozenStatistics

Batch = tuple[Tensor, Tensor]
"""images [B, C, H, W] and labels [B]"""

SUMS = ("train_loss", "train_accuracy", "valid_loss", "valid_accuracy", "zero_one")
"""What a step measures, each summed over the batches of an epoch: means once divided by their number."""


@dataclass(frozen=True)
class Learner:
    """All that a step updates."""

    settings: SearchSettings
    supernet: CellSupernet
    alphas: Gates
    weight_optimizer: torch.optim.Optimizer
    alpha_optimizer: torch.optim.Optimizer

    @property
    def weights(self) -> list[Tensor]:
        """The supernet's parameters, as their optimizer lists them: to ask its thousands of modules takes a while."""
        return self.weight_optimizer.param_groups[0]["params"]


class Moment(NamedTuple):
    """When in a search a step is taken: what disturbs it depends on that."""

    epoch: int
    """from 0"""
    step: int
    """of the whole search, from 0"""


START = Moment(0, 0)


def _look(learner: Learner, alphas: Gates, batch: Batch, at: Moment, half: int) -> tuple[Tensor, Tensor, Tensor]:
    """Cross-entropy, accuracy and zero-one loss of a batch of one half of the images, scalars.

    The zero-one loss is that of the undisturbed gates.
    """
    (images, labels), settings = batch, learner.settings
    gates, disturbance = relax(alphas, settings.relaxation), None
    seen = gates
    if settings.noise or settings.dropout:
        seed = fold(settings.seed, DISTURBANCE, at.step, half)
        disturbance = Disturbance(settings.noise, settings.dropout, seed, at.epoch / settings.epochs)
        seen = relax(disturbance.of_alphas(alphas, learner.supernet.candidates), settings.relaxation)
    if settings.compute.compile == "reduce-overhead":
        torch.compiler.cudagraph_mark_step_begin()  # the last pass is done with what its graphs hold
    with autocast(images.device, settings.compute.precision):
        logits = learner.supernet(images, seen, disturbance)
    logits = logits.to(gates["normal"].dtype)
    accuracy = (logits.detach().argmax(1) == labels).float().mean()
    return F.cross_entropy(logits, labels), accuracy, zero_one(gates, settings.zero_one.form)


def _update_weights(learner: Learner) -> None:
    torch.nn.utils.clip_grad_norm_(learner.weights, learner.settings.weights.clip, foreach=True)
    learner.weight_optimizer.step()
    learner.weight_optimizer.zero_grad()


def _update_alphas(learner: Learner, gradients: tuple[Tensor, ...]) -> None:
    for alpha, gradient in zip(learner.alphas.values(), gradients, strict=True):
        alpha.grad = gradient
    learner.alpha_optimizer.step()
    learner.alpha_optimizer.zero_grad()


def _train_weights(learner: Learner, batch: Batch, at: Moment) -> tuple[Tensor, Tensor]:
    """One step of the weights under the present α; loss and accuracy before it."""
    fixed = {cell: alpha.detach() for cell, alpha in learner.alphas.items()}
    loss, accuracy, _ = _look(learner, fixed, batch, at, TRAIN)
    loss.backward()
    _update_weights(learner)
    return loss, accuracy


def first_order(learner: Learner, train: Iterator[Batch], valid: Iterator[Batch], at: Moment = START) -> Tensor:
    """Bi-level: α by the held-out loss at the current weights (FairDARTS, eq. 10, first order), then the weights.

    Each half computes only the gradients that it uses. Gives the step's SUMS [5].
    """
    train_batch, valid_batch = next(train), next(valid)
    with still(learner.weights):
        valid_loss, valid_accuracy, push = _look(learner, learner.alphas, valid_batch, at, VALID)
        total = valid_loss + learner.settings.zero_one.weight * push
        _update_alphas(learner, torch.autograd.grad(total, list(learner.alphas.values())))
    train_loss, train_accuracy = _train_weights(learner, train_batch, at)
    return torch.stack([train_loss, train_accuracy, valid_loss, valid_accuracy, push]).detach()


def second_order(learner: Learner, train: Iterator[Batch], valid: Iterator[Batch], at: Moment = START) -> Tensor:
    """Bi-level: α by the held-out loss at the weights that the training batch would give, then the weights.

    See `unrolled`. BatchNorm's statistics follow the step of the weights alone. Gives the step's SUMS [5].
    """
    train_batch, valid_batch = next(train), next(valid)
    weights, alphas = learner.weights, list(learner.alphas.values())

    def train_loss_now() -> Tensor:
        return _look(learner, learner.alphas, train_batch, at, TRAIN)[0]

    with FrozenStatistics(learner.supernet):
        gradients = torch.autograd.grad(train_loss_now(), weights)
        with weights_at(weights, unrolled(weights, gradients, learner.weight_optimizer)):
            valid_loss, valid_accuracy, push = _look(learner, learner.alphas, valid_batch, at, VALID)
            total = valid_loss + learner.settings.zero_one.weight * push
            found = torch.autograd.grad(total, [*alphas, *weights])
        of_alphas, v = found[: len(alphas)], found[len(alphas) :]
        correction = CORRECTIONS[learner.settings.architect.hessian](train_loss_now, weights, alphas, v)
    rate = learner.weight_optimizer.param_groups[0]["lr"]
    _update_alphas(learner, torch._foreach_add(of_alphas, correction, alpha=-rate))
    train_loss, train_accuracy = _train_weights(learner, train_batch, at)
    return torch.stack([train_loss, train_accuracy, valid_loss, valid_accuracy, push]).detach()


def single_level(learner: Learner, train: Iterator[Batch], valid: Iterator[Batch] | None, at: Moment = START) -> Tensor:
    """One loss on one training batch updates α and the weights together (FairDARTS, supplementary 3.4).

    Gives the step's SUMS [5]; nothing is held out, so those of `valid` are not a number.
    """
    train_loss, train_accuracy, push = _look(learner, learner.alphas, next(train), at, TRAIN)
    (train_loss + learner.settings.zero_one.weight * push).backward()
    _update_weights(learner)
    learner.alpha_optimizer.step()
    learner.alpha_optimizer.zero_grad()
    nothing = torch.full_like(push, torch.nan)
    return torch.stack([train_loss, train_accuracy, nothing, nothing, push]).detach()


STEPS: dict[str, Callable[[Learner, Iterator[Batch], Iterator[Batch], Moment], Tensor]] = {
    "first_order": first_order,
    "second_order": second_order,
    "single_level": single_level,
}
"""`architect.kind` → step(learner, train batches, held-out batches, moment)"""
