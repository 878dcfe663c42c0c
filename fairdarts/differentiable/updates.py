"""How α moves by its gradients: by Adam, or so that the gates take a step of exponentiated gradient."""

from collections.abc import Sequence

import torch
from torch import Tensor

from fairdarts.differentiable.gates import living, relaxed
from fairdarts.differentiable.learner import Learner

FLOOR = 1e-5
"""The least gate under exponentiated gradient: one of zero has no logarithm, and would stay zero. As in GAEA's released
code."""


def update_alphas(learner: Learner, gradients: Sequence[Tensor]) -> None:
    """A step of α, which changes in place, by a gradient of the shape of each.

    Exponentiated gradient (GAEA, arXiv:2004.07802, section 3) multiplies gates θ = softmax(α) by exp(−η ∂L/∂θ), and
    makes them sum to 1 again. As ∂L/∂α = θ (∂L/∂θ − Σ θ ∂L/∂θ), that is a step of α by (∂L/∂α) / θ: what is the same
    for a point is lost in the sum. α is then log θ.
    """
    settings, alphas = learner.settings, learner.alphas
    exponentiated = settings.architect.optimizer == "exponentiated"
    drawn = settings.sampling is not None and settings.sampling.kind == "binary" and settings.relaxation == "softmax"
    before = [alpha.detach().clone() for alpha in alphas.values()] if drawn else []
    with torch.no_grad():
        theta = relaxed(learner, alphas) if exponentiated else {}
    for (part, alpha), gradient in zip(alphas.items(), gradients, strict=True):
        alpha.grad = gradient / theta[part].clamp_min(FLOOR) if exponentiated else gradient
    learner.alpha_optimizer.step()
    learner.alpha_optimizer.zero_grad()
    for alpha, then, gradient in zip(alphas.values(), before, gradients, strict=True) if drawn else ():
        alpha.data.copy_(with_others_kept(alpha.detach(), then, gradient))
    for part, alpha in living(learner, alphas).items() if exponentiated else ():
        logs = log_gates(alpha.detach())
        alphas[part].data.copy_(torch.where(logs > -torch.inf, logs, alphas[part].detach()))


def log_gates(alpha: Tensor) -> Tensor:
    """log softmax(α) [points, candidates], no gate below FLOOR; −∞ stays."""
    theta = alpha.softmax(-1).clamp_min(FLOOR).masked_fill(alpha == -torch.inf, 0)
    return (theta / theta.sum(-1, keepdim=True)).log()


def with_others_kept(alpha: Tensor, before: Tensor, gradient: Tensor) -> Tensor:
    """α after an update [points, candidates], of which what had no gradient is as before, with the probability that it
    had: the others are shifted to the Σ exp α that they had together (ProxylessNAS, arXiv:1812.00332, section 3.2.2).
    """
    moved = gradient != 0
    now, then = (own.masked_fill(~moved, -torch.inf).logsumexp(-1, keepdim=True) for own in (alpha, before))
    return torch.where(moved, alpha - (now - then), before)
