"""Gates that are moved before the weights train under them (SDARTS, arXiv:2002.05283, eq. 3 and 4, Algorithm 1).

The paper writes of architecture weights A + δ, ‖δ‖∞ ≤ ε; as in its released experiments A are the gates, of which what
leaves [0, 1] is cut, and rows that are probabilities are made so again. A row that would be cut to zeros has its
largest gate made 1 there, and stays as it is here.
"""

import torch
from torch import Tensor

from fairdarts.differentiable.components import AdversarialPerturbation
from fairdarts.differentiable.gates import projected, relaxed
from fairdarts.differentiable.learner import Batch, Learner, StepIndex
from fairdarts.differentiable.passes import average, gradients_of
from fairdarts.differentiable.unrolled import frozen
from fairdarts.ops.recompute import FrozenStatistics
from fairdarts.relaxation import Matrices
from fairdarts.runtime.seed import PERTURBATION, TRAIN, fold


def perturbed(learner: Learner, alphas: Matrices, batch: Batch, at: StepIndex) -> Matrices | None:
    """The gates, moved, under which a training batch trains the weights; None where they are not."""
    settings = learner.settings.perturbation
    if settings is None:
        return None
    with torch.no_grad():
        gates = relaxed(learner, alphas)
    first, last = settings.radius
    radius = first + (last - first) * at.epoch / learner.settings.epochs
    like = next(iter(gates.values()))
    generator = torch.Generator(like.device).manual_seed(fold(learner.settings.seed, PERTURBATION, at.step))
    moved = {}
    for part, p in gates.items():
        noise = torch.empty_like(p).uniform_(-radius, radius, generator=generator)
        moved[part] = projected(learner, p + noise, p)
    if not isinstance(settings, AdversarialPerturbation):
        return moved
    return _adversarial(learner, settings.steps, gates, moved, radius, batch, at)


def _adversarial(
    learner: Learner,
    steps: int,
    gates: Matrices,
    moved: Matrices,
    radius: float,
    batch: Batch,
    at: StepIndex,
) -> Matrices:
    """Projected gradient ascent of the training loss in steps of 2ε / steps; the gates themselves where it ends at a
    lower loss than theirs."""

    def measured(under: Matrices) -> tuple[list[Tensor], Tensor]:
        """The gradients of the gates of every part, and the loss."""
        leaves = [p.detach().requires_grad_() for p in under.values()]
        with FrozenStatistics(learner.supernet), frozen(learner.weights):
            found, (loss, *_) = gradients_of(
                learner, alphas, batch, at, TRAIN, leaves, False, dict(zip(under, leaves, strict=True))
            )
        average(found, loss)
        return [torch.zeros_like(p) if at is None else at for p, at in zip(leaves, found, strict=True)], loss

    alphas = {part: alpha.detach() for part, alpha in learner.alphas.items()}
    step = 2 * radius / steps
    for _ in range(steps):
        pulls, _ = measured(moved)
        for (part, p), pull in zip(gates.items(), pulls, strict=True):
            change = (moved[part] + step * pull.sign() - p).clamp(-radius, radius)
            moved[part] = projected(learner, p + change, p)
    return moved if measured(moved)[1] >= measured(gates)[1] else gates
