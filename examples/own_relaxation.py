"""Search with gates of your own making: `python examples/own_relaxation.py`."""

from torch import Tensor

import fairdarts


def sparse(alpha: Tensor) -> Tensor:
    """α [choice points, candidates] → gates of that shape: the softmax, from which what is below its mean is taken."""
    gates = alpha.softmax(-1)
    return (gates - 0.5 / alpha.shape[-1]).relu() + 1e-3


fairdarts.register_relaxation("sparse", sparse)

small = {"supernet.cells": 3, "zero_one.weight": 0, "derive.method": "argmax", "derive.threshold": None}
run = fairdarts.search("fairdarts-s1-digits", relaxation="sparse", epochs=2, settings=small)
for record in run.records:
    print(f"epoch {record['epoch']}: strongest gate {max(map(max, record['gates.normal'])):.3f}")
print(run.genotype)
