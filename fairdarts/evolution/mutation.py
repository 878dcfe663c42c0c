"""How one choice of a path is changed: uniformly, by what the choices cost, or by what is usual at its point."""

from collections.abc import Sequence

import numpy as np

from fairdarts.evolution.problem import Problem
from fairdarts.spaces.gates import SinglePath

Weights = Sequence[np.ndarray | Sequence[float]]
"""of every point, a weight of each of its choices"""


def uniform_weights(problem: Problem) -> Weights:
    """Every choice is as likely as any other."""
    return [np.ones(width) for width in problem.widths]


def cost_weights(problem: Problem, quantity: str, maximized: bool = False) -> Weights:
    """The roulette wheel over an objective that needs no training: the cheaper a choice, the likelier.

    FairNAS (v1, B.1) names "roulette wheel selection" for the K−M objectives that need no training, and leaves its form
    to MoreMNAS. Ours: softmax of the negative cost, standardized over the choices of the point, so that a wheel neither
    depends on units nor ever excludes a choice.
    """
    sign, weights = (1 if maximized else -1), []
    for costs in problem.tables[quantity].choices:
        cost = np.asarray(costs, dtype=float)
        spread = cost.std()
        weights.append(np.exp(sign * (cost - cost.mean()) / spread) if spread > 0 else np.ones(len(cost)))
    return weights


def elite_weights(problem: Problem, elite: np.ndarray) -> Weights:
    """The prior regulator: how often the elite's paths [n, points] have each choice, and one more (Laplace).

    FairNAS (v1, Table 4) names a "prior regulator" and leaves its form to MoreMNAS; this is ours.
    """
    return [1.0 + np.bincount(elite[:, point], minlength=width) for point, width in enumerate(problem.widths)]


def changed(path: SinglePath, weights: Weights, rng: np.random.Generator) -> SinglePath:
    """The path with another choice at one point, drawn uniformly; the choice by the weights of the others there.

    Where weights leave the point nothing else, the path is given back as it was.
    """
    point = int(rng.integers(len(path)))
    left = np.array(weights[point], dtype=float)
    left[path[point]] = 0.0
    if not left.sum() > 0:
        return path
    choice = int(rng.choice(len(left), p=left / left.sum()))
    return (*path[:point], choice, *path[point + 1 :])


def crossed(one: SinglePath, other: SinglePath, rng: np.random.Generator) -> SinglePath:
    """The head of one path and the tail of another, cut at a point drawn uniformly.

    The papers say "crossover" alone; one cut, as MoreMNAS' cells suggest, is ours.
    """
    if len(one) < 2:
        return one
    cut = int(rng.integers(1, len(one)))
    return one[:cut] + other[cut:]
