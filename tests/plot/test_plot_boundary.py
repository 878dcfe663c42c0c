"""Boundary epochs of skip connections, on gates small enough to see them."""

import numpy as np
import pytest

from fairdarts.plot.boundary import boundary_epochs

CANDIDATES = ("max_pool_3x3", "skip_connect", "sep_conv_3x3")


def gates(skips: list[float], others: list[float]) -> np.ndarray:
    """[epochs, 1, 3]: the others are so on average."""
    rows = [[other - 0.05, skip, other + 0.05] for skip, other in zip(skips, others, strict=True)]
    return np.asarray(rows)[:, None]


@pytest.mark.parametrize(
    ("skips", "others", "boundary"),
    [
        ([0.3, 0.4, 0.5, 0.6], [0.35, 0.3, 0.25, 0.2], 2),  # of epochs 0, 2, 3, 4: it gains from the first on
        ([0.3, 0.2, 0.4, 0.6], [0.35, 0.4, 0.3, 0.2], 3),  # it loses before
        ([0.3, 0.4, 0.2, 0.6], [0.35, 0.3, 0.4, 0.2], 4),  # a gain that does not last is none
        ([0.3, 0.4, 0.5, 0.6], [0.5, 0.5, 0.55, 0.55], 4),  # its own gain is not enough: the others are ahead
        ([0.7, 0.6, 0.5, 0.6], [0.1, 0.1, 0.1, 0.1], None),  # it leads, and has gained nothing
        ([0.3, 0.4, 0.5, 0.3], [0.2, 0.2, 0.2, 0.2], None),
    ],
)
def test_the_boundary_is_where_the_skip_connection_begins_to_stay_ahead(
    skips: list[float], others: list[float], boundary: int | None
):
    assert boundary_epochs((0, 2, 3, 4), CANDIDATES, gates(skips, others)) == (boundary,)


def test_every_point_has_its_own_and_candidates_that_it_lacks_do_not_count():
    early, late = gates([0.3, 0.4, 0.5], [0.3, 0.2, 0.2]), gates([0.3, 0.2, 0.5], [0.3, 0.4, 0.4])
    early[:, 0, 0] = np.nan
    without = np.full_like(early, 0.5)
    without[:, 0, 1] = np.nan
    both = np.concatenate([early, late, without], axis=1)
    assert boundary_epochs((0, 1, 2), CANDIDATES, both) == (1, 2, None)


def test_there_is_none_before_training_and_none_without_skip_connections():
    assert boundary_epochs((0,), CANDIDATES, gates([0.9], [0.1])) == (None,)
    assert boundary_epochs((0, 1), ("a", "b", "c"), gates([0.1, 0.9], [0.1, 0.1])) == (None,)
