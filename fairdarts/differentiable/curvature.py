"""How sharp the held-out loss is in α: its Hessian's largest eigenvalue (RobustDARTS, arXiv:1909.09656, section 4)."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from fairdarts.data.balance import cross_entropy
from fairdarts.differentiable.architect import parts_of
from fairdarts.differentiable.gates import undisturbed
from fairdarts.differentiable.learner import Batch, Learner
from fairdarts.differentiable.unrolled import derivative, frozen
from fairdarts.ops.recompute import FrozenStatistics
from fairdarts.runtime import distributed


def held_out_curvature(learner: Learner, batch: Batch) -> float:
    """The largest eigenvalue of the Hessian in α of a batch's cross-entropy, undisturbed and in float32.

    It takes several times the memory of a step. A difference of two gradients would not, but where the ReLUs of a
    supernet switch between the two it measures those.
    """
    alphas = list(learner.alphas.values())
    with FrozenStatistics(learner.supernet), frozen(learner.weights):
        gates = undisturbed(learner, learner.alphas)
        parts = parts_of(learner, batch)
        passes = ((learner.supernet(images, gates), labels) for _, (images, labels) in parts)
        losses = [cross_entropy(*seen, learner.class_weights) for seen in passes]
        return largest_eigenvalue(torch.stack(losses).mean(), alphas)


def largest_eigenvalue(loss: Tensor, alphas: Sequence[Tensor]) -> float:
    """Of the Hessian of a loss with respect to α, to one percent: by Lanczos, from products with the Hessian.

    The loss is the mean of those of all processes. Not a number where it has diverged.
    """
    from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh  # slow to import, and few searches need it

    gradient = torch.cat([part.flatten() for part in derivative([loss], alphas, create_graph=True)])
    if not gradient.requires_grad:  # no more than linear in α
        return 0.0

    def product(direction: np.ndarray) -> np.ndarray:
        v = torch.from_numpy(direction).to(gradient)
        parts = derivative([gradient], alphas, [v], retain_graph=True)
        whole = torch.cat([part.flatten() for part in parts])
        distributed.average_([whole])
        return whole.double().cpu().numpy()

    start = np.random.default_rng(0).standard_normal(len(gradient))
    operator = LinearOperator((len(gradient),) * 2, matvec=product, dtype=np.float64)
    try:
        (value,) = eigsh(operator, k=1, which="LA", v0=start, tol=1e-2, return_eigenvectors=False)
    except ArpackError:
        return math.nan
    return float(value)
