"""How one seed becomes many independent ones."""

import numpy as np

(
    WEIGHTS,
    ALPHAS,
    TRAIN,
    VALID,
    DISTURBANCE,
    CURVATURE,
    PATHS,
    WATCHED,
    CALIBRATION,
    EVOLUTION,
    DROPS,
    GATES,
    PERTURBATION,
    BETAS,
) = range(14)
"""the streams of a seed"""


def fold(seed: int, *stream: int) -> int:
    """A seed for one stream (of data, of α, of weights, …) of a run; equal arguments give equal seeds."""
    return int(np.random.SeedSequence([seed, *stream]).generate_state(1, np.uint64)[0]) >> 1
