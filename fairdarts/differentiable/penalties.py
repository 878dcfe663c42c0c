"""Losses of α beside those of a batch, by α and its undisturbed gates alone.

Where candidates are no longer there, their α is −∞ and their gate zero: no penalty sees them.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from fairdarts.differentiable.components import PenaltySettings
from fairdarts.noise import SCHEDULES
from fairdarts.relaxation import Matrices, concentration

Penalty = Callable[[Matrices, Matrices], Tensor]
"""part → α, and part → gates, both [points, candidates] → a scalar, the smaller the better"""


def beta_decay(alphas: Matrices, gates: Matrices) -> Tensor:
    """log Σ exp α, the mean over all points (β-DARTS, arXiv:2203.01665; the mean as in its released code). Its
    gradient is softmax(α) over the number of points."""
    return torch.cat([alpha.logsumexp(-1) for alpha in alphas.values()]).mean()


def entropy(alphas: Matrices, gates: Matrices) -> Tensor:
    """−Σ p log p, the sum over all points, p in proportion to the gates (DA²S, arXiv:2007.03154, whose
    released code stretches α before). With a weight below zero gates are kept alike, as GAEA's released code can."""
    found = []
    for z in gates.values():
        tiny = torch.finfo(z.dtype).tiny
        p = z / z.sum(-1, keepdim=True).clamp_min(tiny)
        found.append(-(p * p.clamp_min(tiny).log()).sum())
    return torch.stack(found).sum()


def l1(alphas: Matrices, gates: Matrices) -> Tensor:
    """The sum of all gates, for those that do not compete (of scaling factors: DSO-NAS, arXiv:1811.01567)."""
    return torch.stack([z.abs().sum() for z in gates.values()]).sum()


def dirichlet_kl(alphas: Matrices, gates: Matrices) -> Tensor:
    """KL(Dir(elu(α) + 1) ‖ Dir(1)), the sum over all points (DrNAS, arXiv:2006.10355, section 3.2; the sum as in its
    released code)."""
    found = []
    for alpha in alphas.values():
        alive = alpha > -torch.inf
        shape = concentration(alpha.masked_fill(~alive, 0))  # 1 of what is not there, which adds nothing below
        whole = (shape * alive).sum(-1, keepdim=True)
        divergence = ((shape - 1) * (shape.digamma() - whole.digamma()) - shape.lgamma()).sum()
        count = alive.sum(-1, keepdim=True).to(alpha.dtype)
        found.append(divergence + (whole.lgamma() - count.lgamma()).sum())
    return torch.stack(found).sum()


PENALTIES: dict[str, Penalty] = {
    "beta_decay": beta_decay,
    "entropy": entropy,
    "l1": l1,
    "dirichlet_kl": dirichlet_kl,
}
"""`form` → penalty"""


def penalized(
    loss: Tensor, penalties: tuple[PenaltySettings, ...], alphas: Matrices, gates: Matrices, done: float
) -> Tensor:
    """A loss with the penalties in it, when a share of the epochs is done."""
    for own in penalties:
        loss = loss + own.weight * SCHEDULES[own.schedule](done) * PENALTIES[own.form](alphas, gates)
    return loss


def record(penalties: tuple[PenaltySettings, ...], alphas: Matrices, gates: Matrices) -> dict[str, float]:
    """What an epoch's record says of them: form → what it is, unweighted."""
    with torch.no_grad():
        return {own.form: float(PENALTIES[own.form](alphas, gates)) for own in penalties}
