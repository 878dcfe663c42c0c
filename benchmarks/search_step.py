#!/usr/bin/env python3
"""How fast is the library's S1 search step? Measured against the plain step of `plain.py`, in one process.

    python benchmarks/search_step.py --threads 1 --pairs 7 --out benchmarks/results/search-step.json

Both run on the same weights and batches: first in float64, where 3 steps must agree within 1e-10, then in float32 by
turns, pair by pair. The result is the median and quartiles of the paired ratios plain / library.
"""

import argparse
import json
import platform
import statistics
import time
from datetime import UTC, datetime
from pathlib import Path

import torch
from plain import Network, PlainStep
from torch import Tensor

from fairdarts import resources
from fairdarts.config import check, read_yaml
from fairdarts.data.sources import FAKE_STATISTICS, Source
from fairdarts.search.architect import STEPS, Learner
from fairdarts.search.loop import make_learner
from fairdarts.search.settings import SearchSettings
from fairdarts.spaces.cell import load_space


def both(settings: SearchSettings, dtype: torch.dtype) -> tuple[PlainStep, Learner]:
    """The plain step and the library's learner with the same weights and α."""
    space = load_space(settings.space)
    source = Source(None, tuple(map(str, range(10))), 32, *FAKE_STATISTICS)
    torch.set_default_dtype(dtype)
    learner = make_learner(settings, space, source, torch.device("cpu"))
    network = Network(space, settings.supernet.cells, settings.supernet.channels, 10)
    torch.set_default_dtype(torch.float32)
    network.load_state_dict(learner.supernet.state_dict())
    alphas = {cell: alpha.detach().clone().requires_grad_() for cell, alpha in learner.alphas.items()}
    return PlainStep(network, alphas, settings), learner


def batch(size: int, dtype: torch.dtype, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    images = torch.randn(size, 3, 32, 32, generator=generator).to(dtype)
    return images, torch.randint(10, (size,), generator=generator)


def library_step(learner: Learner, train: tuple[Tensor, Tensor], valid: tuple[Tensor, Tensor]) -> None:
    fast = [(images.to(memory_format=torch.channels_last), labels) for images, labels in (train, valid)]
    STEPS["first_order"](learner, iter(fast[:1]), iter(fast[1:]))


def largest_difference(plain: PlainStep, learner: Learner) -> float:
    pairs = [(plain.alphas[cell], learner.alphas[cell]) for cell in plain.alphas]
    own = learner.supernet.state_dict()
    pairs += [(value, own[key]) for key, value in plain.network.state_dict().items()]
    return max((one.double() - other.double()).abs().max().item() for one, other in pairs)


def seconds(step: object, *arguments: object) -> float:
    begun = time.perf_counter()
    step(*arguments)
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--cells", type=int, default=8)
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    path = resources.find("recipes", "fairdarts-s1-cifar10")
    overrides = {"supernet.cells": str(args.cells), "supernet.channels": str(args.channels)}
    settings = check(SearchSettings, read_yaml(path), path, overrides)
    generator = torch.Generator().manual_seed(0)

    plain, learner = both(settings, torch.float64)
    for _ in range(3):
        train, valid = (batch(4, torch.float64, generator) for _ in range(2))
        plain(train, valid)
        library_step(learner, train, valid)
    difference = largest_difference(plain, learner)
    if not difference < 1e-10:
        raise SystemExit(f"the two steps do not agree: {difference:.1e} after 3 steps in float64")

    plain, learner = both(settings, torch.float32)
    train, valid = (batch(args.batch, torch.float32, generator) for _ in range(2))
    plain(train, valid)
    library_step(learner, train, valid)
    times = []
    for _ in range(args.pairs):
        times.append((seconds(plain, train, valid), seconds(library_step, learner, train, valid)))
        print(f"plain {times[-1][0]:.3f} s   library {times[-1][1]:.3f} s   ratio {times[-1][0] / times[-1][1]:.2f}")
    quartiles = statistics.quantiles([slow / fast for slow, fast in times], n=4)
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": platform.machine(),
        "torch": torch.__version__,
        **{key: value for key, value in vars(args).items() if key != "out"},
        "difference_float64": difference,
        "ratio_quartiles": [round(value, 3) for value in quartiles],
    }
    print(json.dumps(result))
    if args.out:
        args.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
