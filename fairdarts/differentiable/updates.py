"""How α moves by its gradients: by Adam, or so that the gates take a step of exponentiated gradient."""

from collections.abc import Sequence

import torch
from torch import Tensor

from fairdarts.differentiable.edges import beta_of, edge_shares
from fairdarts.differentiable.gates import relaxed
from fairdarts.differentiable.learner import Learner
from fairdarts.relaxation import Matrices

FLOOR = 1e-5
"""The least gate under exponentiated gradient: one of zero has no logarithm, and would stay zero. As in GAEA's released
code."""


def update_alphas(learner: Learner, gradients: Sequence[Tensor]) -> None:
    """A step of α, which changes in place, by a gradient of the shape of each.

    Exponentiated gradient (GAEA, arXiv:2004.07802, section 3) multiplies gates θ = softmax(α) by exp(−η ∂L/∂θ), and
    makes them sum to 1 again. As ∂L/∂α = θ (∂L/∂θ − Σ θ ∂L/∂θ), that is a step of α by (∂L/∂α) / θ, since softmax does
    not see what is the same for a point. α is then log θ.
    """
    settings, alphas = learner.settings, learner.alphas
    exponentiated = settings.architect.optimizer == "exponentiated"
    drawn = settings.sampling is not None and settings.sampling.kind == "binary" and settings.relaxation == "softmax"
    before = [alpha.detach().clone() for alpha in alphas.values()] if drawn else []
    theta = simplices(learner) if exponentiated else {}
    for (name, alpha), gradient in zip(alphas.items(), gradients, strict=True):
        alpha.grad = gradient / theta[name].clamp_min(FLOOR) if exponentiated else gradient
    learner.alpha_optimizer.step()
    learner.alpha_optimizer.zero_grad()
    for alpha, then, gradient in zip(alphas.values(), before, gradients, strict=True) if drawn else ():
        if alpha.dim() == 2:  # of edges nothing is drawn
            alpha.data.copy_(with_others_kept(alpha.detach(), then, gradient))
    for name, gates in simplices(learner).items() if exponentiated else ():
        alpha, alive = alphas[name].detach(), (learner.alive or {}).get(name, torch.ones_like(gates, dtype=torch.bool))
        alphas[name].data.copy_(torch.where(alive, gates.clamp_min(FLOOR).log(), alpha))


@torch.no_grad()
def simplices(learner: Learner) -> Matrices:
    """What every α is the logarithm of, but for what is the same for a point: gates, and of β the shares of edges."""
    shares = edge_shares(learner.alphas, learner.supernet.space) or {}
    return relaxed(learner, learner.alphas) | {beta_of(part): share for part, share in shares.items()}


def with_others_kept(alpha: Tensor, before: Tensor, gradient: Tensor) -> Tensor:
    """α after an update [points, candidates], of which what had no gradient is as before, with the probability that it
    had: the others are shifted to the Σ exp α that they had together (ProxylessNAS, arXiv:1812.00332, section 3.2.2).
    """
    moved = gradient != 0
    now, then = (own.masked_fill(~moved, -torch.inf).logsumexp(-1, keepdim=True) for own in (alpha, before))
    return torch.where(moved, alpha - (now - then), before)
