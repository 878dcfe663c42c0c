#!/usr/bin/env python3
"""Does a table of latencies per choice tell which network is fast?

    python benchmarks/latency.py --threads 1 --out benchmarks/results/latency-cpu-1-thread.json

Networks drawn at random from a space are timed whole, in rounds, and added up from the table that the library measures
choice by choice. `share` is the table's sum / the time of the whole network, its quartiles those of the networks; `tau`
is Kendall's τ of the two. `table_tau` is τ of two tables of the same networks, measured one after the other.
"""

import argparse
import statistics
import sys
import time
from random import Random

import torch
from circumstances import circumstances
from measured import add_out, give, quartiles, several
from scipy.stats import kendalltau
from torch import nn

from fairdarts.cost.latency import measure_latency
from fairdarts.networks.blueprint import build
from fairdarts.runtime.device import pick
from fairdarts.spaces.space import load_space


def timed(networks: list[nn.Module], image: torch.Tensor, rounds: int) -> list[float]:
    """Milliseconds of every network: the median of the rounds, each of which runs all of them."""
    wait = torch.cuda.synchronize if image.is_cuda else lambda: None
    times: list[list[float]] = [[] for _ in networks]
    with torch.no_grad():
        for _ in range(rounds + 1):
            for network, own in zip(networks, times, strict=True):
                wait()
                begun = time.perf_counter()
                network(image)
                wait()
                own.append(1000 * (time.perf_counter() - begun))
    return [statistics.median(own[1:]) for own in times]


def measure(args: argparse.Namespace) -> dict[str, object]:
    device, results = pick(args.device), {}
    layout = torch.channels_last if device.type == "cpu" else torch.contiguous_format
    for name in args.spaces:
        space, random = load_space(name), Random(0)
        paths = [space.random_path(random.randrange) for _ in range(args.networks)]
        networks = [build(space.genotype_of(path, "x", "benchmark"), space).eval() for path in paths]
        networks = [network.to(device, memory_format=layout) for network in networks]
        size = getattr(space, "network", space.networks.cifar).image
        image = torch.randn(1, 3, size, size).to(device, memory_format=layout)
        first, second = measure_latency(space, device), measure_latency(space, device)
        whole = timed(networks, image, args.rounds)
        sums, again = [[table.cost(path) for path in paths] for table in (first, second)]
        shares = [own / time for own, time in zip(sums, whole, strict=True)]
        results[name] = {
            "networks": len(paths),
            "milliseconds_quartiles": [
                round(value, 2) for value in statistics.quantiles(whole, n=4, method="inclusive")
            ],
            "share_quartiles": quartiles(shares),
            "tau": round(float(kendalltau(sums, whole)[0]), 3),
            "table_tau": round(float(kendalltau(sums, again)[0]), 3),
        }
        print(name, results[name], file=sys.stderr)
    return {
        **circumstances(device.type),
        **{key: getattr(args, key) for key in ("threads", "rounds")},
        "spaces": results,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spaces", nargs="+", default=["fairnas-a", "nas-bench-macro", "nasbench201"])
    parser.add_argument("--networks", type=int, default=40, help="networks of a space")
    parser.add_argument("--rounds", type=several, default=15, help="rounds that are measured")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    add_out(parser)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    give(measure(args), args.out)


if __name__ == "__main__":
    main()
