"""What a report derives of every record of a search."""

import numpy as np

from fairdarts.differentiable.settings import DeriveSettings
from fairdarts.runs.gather import derived_of
from fairdarts.spaces.space import load_space

S1 = load_space("s1").model_copy(update={"nodes": 2})


def record(epoch: int, skip: float) -> dict:
    """Gates of which the skip connection of every edge is so strong, and max pooling 0.6."""
    gates = np.full((5, 7), 0.1)
    gates[:, S1.candidates.index("max_pool_3x3")] = 0.6
    gates[:, S1.candidates.index("skip_connect")] = skip
    return {"epoch": epoch, "gates": {"normal": gates.tolist(), "reduce": gates.tolist()}}


def skips(**rule) -> list[int]:
    genotypes = derived_of([record(0, 0.5), record(1, 0.7)], S1, DeriveSettings(**rule))
    return [sum(op == "skip_connect" for op, _, _ in genotype.normal) for genotype in genotypes]


def test_every_record_is_derived_by_the_rule_of_the_run():
    assert skips(method="argmax") == [0, 4]
    assert skips(method="argmax", max_skips=1) == [0, 1]
    assert skips(method="threshold", threshold=0.65) == [0, 4]
    assert skips(method="threshold", threshold=0.8) == [0, 0]  # dominant ones would be counted all the same
    assert skips(method="edge", threshold=0.5) == [5, 5]
