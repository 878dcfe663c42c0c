"""From which epoch on does a skip connection show its strength? The boundary epoch of FairDARTS (arXiv:1911.12126)."""

from collections.abc import Sequence

import numpy as np

from fairdarts.genotype import SKIP


def boundary_epochs(epochs: Sequence[int], candidates: Sequence[str], gates: np.ndarray) -> tuple[int | None, ...]:
    """The boundary epoch of every choice point, of gates [epochs, points, candidates].

    It is the first epoch from which on, in every epoch up to the last, the gate of the skip connection is above what it
    was in the first one, before training, and above the mean of the gates of the other candidates. None where there is
    no such epoch, or no skip connection. Where a point has not got a candidate, its gate is NaN.

    The paper has no formula for it. Section 3.2 calls it the tipping point after which skip connections "progressively
    obtain higher architectural weights" while "other operations are suppressed and steadily decline"; Fig. 3 points at
    the epochs "where skip connections start to demonstrate its strength". So a skip connection that gains from the
    first epoch on has its boundary there, and one that first loses has it where it has made up for that for good.
    """
    if SKIP not in candidates:
        return (None,) * gates.shape[1]
    column = list(candidates).index(SKIP)
    skips, others = gates[..., column], np.delete(gates, column, axis=2)
    offered = ~np.isnan(others)
    means = np.where(offered, others, 0).sum(axis=2) / np.maximum(offered.sum(axis=2), 1)
    strong = (skips > skips[0]) & (skips > means)  # False where NaN
    # It never holds in the first epoch, so there is a last one in which it does not.
    firsts = [np.flatnonzero(~point)[-1] + 1 for point in strong.T]
    return tuple(epochs[first] if first < len(epochs) else None for first in firsts)
