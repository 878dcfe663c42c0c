"""How one search step updates α and the weights: bi-level (first order) or single level."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from fairdarts.relaxation import Gates, relax
from fairdarts.runtime.device import autocast
from fairdarts.search.losses import zero_one
from fairdarts.search.settings import SearchSettings
from fairdarts.supernet.cell import CellSupernet

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


def _forward(learner: Learner, gates: Gates, batch: Batch) -> tuple[Tensor, Tensor]:
    """Cross-entropy and accuracy of a batch under the gates, scalars."""
    images, labels = batch
    if learner.settings.compute.compile == "reduce-overhead":
        torch.compiler.cudagraph_mark_step_begin()  # the last pass is done with what its graphs hold
    with autocast(images.device, learner.settings.compute.precision):
        logits = learner.supernet(images, gates)
    logits = logits.to(gates["normal"].dtype)
    return F.cross_entropy(logits, labels), (logits.detach().argmax(1) == labels).float().mean()


def _weights(learner: Learner) -> list[Tensor]:
    """The supernet's parameters, as its optimizer lists them: to ask its thousands of modules would take a while."""
    return learner.weight_optimizer.param_groups[0]["params"]


def _update_weights(learner: Learner) -> None:
    torch.nn.utils.clip_grad_norm_(_weights(learner), learner.settings.weights.clip, foreach=True)
    learner.weight_optimizer.step()
    learner.weight_optimizer.zero_grad()


def _update_alphas(learner: Learner, gradients: tuple[Tensor, ...]) -> None:
    for alpha, gradient in zip(learner.alphas.values(), gradients, strict=True):
        alpha.grad = gradient
    learner.alpha_optimizer.step()
    learner.alpha_optimizer.zero_grad()


def first_order(learner: Learner, train: Iterator[Batch], valid: Iterator[Batch]) -> Tensor:
    """Bi-level: α by the held-out loss at the current weights (FairDARTS, eq. 10, first order), then the weights.

    Each half computes only the gradients that it uses. Gives the step's SUMS [5].
    """
    train_batch, valid_batch = next(train), next(valid)
    settings = learner.settings.zero_one

    for weight in _weights(learner):  # a function written by hand cannot see which gradients are asked for
        weight.requires_grad_(False)
    gates = relax(learner.alphas, learner.settings.relaxation)
    valid_loss, valid_accuracy = _forward(learner, gates, valid_batch)
    push = zero_one(gates, settings.form)
    total = valid_loss + settings.weight * push
    _update_alphas(learner, torch.autograd.grad(total, list(learner.alphas.values())))
    for weight in _weights(learner):
        weight.requires_grad_(True)

    gates = {cell: gate.detach() for cell, gate in relax(learner.alphas, learner.settings.relaxation).items()}
    train_loss, train_accuracy = _forward(learner, gates, train_batch)
    train_loss.backward()
    _update_weights(learner)
    return torch.stack([train_loss, train_accuracy, valid_loss, valid_accuracy, push]).detach()


def single_level(learner: Learner, train: Iterator[Batch], valid: Iterator[Batch] | None) -> Tensor:
    """One loss on one training batch updates α and the weights together (FairDARTS, supplementary 3.4).

    Gives the step's SUMS [5]; nothing is held out, so those of `valid` are not a number.
    """
    settings = learner.settings.zero_one
    gates = relax(learner.alphas, learner.settings.relaxation)
    train_loss, train_accuracy = _forward(learner, gates, next(train))
    push = zero_one(gates, settings.form)
    (train_loss + settings.weight * push).backward()
    _update_weights(learner)
    learner.alpha_optimizer.step()
    learner.alpha_optimizer.zero_grad()
    nothing = torch.full_like(push, torch.nan)
    return torch.stack([train_loss, train_accuracy, nothing, nothing, push]).detach()


STEPS: dict[str, Callable[[Learner, Iterator[Batch], Iterator[Batch]], Tensor]] = {
    "first_order": first_order,
    "single_level": single_level,
}
"""`architect.kind` → step(learner, train batches, held-out batches)"""
