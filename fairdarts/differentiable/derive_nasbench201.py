"""How the gates of NAS-Bench-201's edges become its operations."""

import numpy as np

from fairdarts.differentiable.derive_cell import strongest
from fairdarts.spaces.nasbench201 import Bench201Space


def derive_edges(gates: np.ndarray, space: Bench201Space, method: str, threshold: float | None) -> tuple[str, ...]:
    """The operation of every edge, from gates [edges, candidates].

    - argmax (DARTS in arXiv:2001.00326, section 5): the strongest candidate, which `none` never is;
    - threshold: that candidate where it reaches the threshold; `none` where no candidate does.

    Ties go to the candidate that stands first in the space. A space without `none` has
    no threshold (see `check_rule`).
    """
    allowed = [column for column, name in enumerate(space.candidates) if name != "none"]
    names = []
    for row in gates:
        best = strongest(row, allowed, 1)[0]
        reached = method == "argmax" or row[best] >= threshold
        names.append(space.candidates[best] if reached else "none")
    return tuple(names)
