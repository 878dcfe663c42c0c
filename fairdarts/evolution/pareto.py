"""Which models are not dominated, how much they dominate, and which of them stand for all."""

import numpy as np
from pymoo.indicators.hv import HV
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting


def front(losses: np.ndarray) -> np.ndarray:
    """Indices of the models that no other dominates; of equal ones all. `losses` [n, objectives] are to be small."""
    if not len(losses):
        return np.zeros(0, dtype=np.int64)
    return np.sort(NonDominatedSorting().do(losses, only_non_dominated_front=True))


def hypervolume(losses: np.ndarray, best: np.ndarray, worst: np.ndarray) -> float:
    """The share of the box between two points that models dominate, 0 to 1.

    `best` and `worst` [objectives] bound what is possible, so the share of an archive never falls as it grows.
    """
    span = np.where(worst > best, worst - best, 1.0)
    scaled = (losses - best) / span
    scaled = np.unique(np.maximum(scaled[(scaled <= 1).all(1)], 0.0), axis=0)
    if not len(scaled):
        return 0.0
    return float(HV(ref_point=np.ones(scaled.shape[1]))(scaled[front(scaled)]))


def evenly_spaced(losses: np.ndarray, count: int) -> list[int]:
    """Indices of `count` models of a front, spread evenly along it; all, where there are no more.

    The paper picks K "evenly-spaced models" of the last front (arXiv:1907.01845v1, Algorithm 3) and does not say by
    what. Ours: in the order of the first objective, whose two ends are taken, at equal steps of the way along the front
    in objectives scaled to [0, 1]. Of models with equal objectives the first one stands for all.
    """
    _, first = np.unique(losses, axis=0, return_index=True)
    order = first[np.lexsort(losses[first].T[::-1])]
    if len(order) <= count:
        return order.tolist()
    low, high = losses[order].min(0), losses[order].max(0)
    scaled = (losses[order] - low) / np.where(high > low, high - low, 1.0)
    way = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(scaled, axis=0), axis=1))])
    chosen: list[int] = []
    for number, goal in enumerate(np.linspace(0.0, way[-1], count)):
        left = [place for place in range(len(order)) if place > (chosen[-1] if chosen else -1)]
        left = left[: len(left) - (count - number - 1)]  # enough must be left for those that follow
        chosen.append(min(left, key=lambda place: abs(way[place] - goal)))
    return [int(order[place]) for place in chosen]
