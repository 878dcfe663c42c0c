#!/usr/bin/env python3
"""How much faster are many paths judged when what they share is computed once?

    python benchmarks/judging.py --threads 1 --out benchmarks/results/judging-cpu-1-thread.json

Paths drawn at random from a space are judged by one batch of images: by the library, which lets the batch go through
the tree of the paths, and plainly, each path through the whole supernet, both in channels_last. Both must find the same
accuracies. A ratio is plain / library; median and quartiles are those of the rounds, by turns in one process.
`branches` are the stages that the tree runs, as a share of those of all paths.
"""

import argparse
import statistics
import sys
import time
from random import Random

import torch
from circumstances import circumstances
from measured import add_options, give, quartiles
from torch import Tensor

from fairdarts.oneshot.evaluate import Evaluator
from fairdarts.runtime.device import keep_memory
from fairdarts.spaces.gates import SinglePath, subnet
from fairdarts.spaces.space import Space, load_space
from fairdarts.supernet.supernet import Supernet, make_supernet


def plainly(supernet: Supernet, images: Tensor, labels: Tensor, paths: list[SinglePath]) -> list[float]:
    supernet.eval()
    with torch.no_grad():
        logits = [supernet(images, supernet.space.gates(subnet(path))) for path in paths]
    return [100 * (own.argmax(1) == labels).double().mean().item() for own in logits]


def drawn(space: Space, batch: int, image: int, count: int) -> tuple[Supernet, Tensor, Tensor, list[SinglePath]]:
    """A supernet whose BatchNorms know the images, so that accuracies differ; images, labels, and so many paths, or
    fewer where some are drawn twice."""
    torch.manual_seed(0)
    random, supernet = Random(0), make_supernet(space, 10).to(memory_format=torch.channels_last)
    images = torch.randn(batch, 3, image, image).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(10, (batch,))
    supernet.train()
    for _ in range(3):
        supernet(images, space.gates(subnet(space.random_path(random.randrange))))
    return supernet, images, labels, sorted({space.random_path(random.randrange) for _ in range(count)})


def measure(args: argparse.Namespace) -> dict[str, object]:
    table = {}
    for name in args.spaces:
        supernet, images, labels, paths = drawn(load_space(name), args.batch, args.image, args.paths)
        shared, plain = [], []
        for _ in range(args.pairs + 1):
            begun = time.perf_counter()
            found = Evaluator(supernet, lambda images=images, labels=labels: [(images, labels)])(paths)
            middle = time.perf_counter()
            known = plainly(supernet, images, labels, paths)
            shared.append(middle - begun)
            plain.append(time.perf_counter() - middle)
            if found != known:
                raise SystemExit(f"{name}: the two find different accuracies")
        ratios = [slow / fast for slow, fast in zip(plain[1:], shared[1:], strict=True)]
        depth = len(supernet.stages)
        points = [max(stage.points, default=-1) for stage in supernet.stages]
        branches = sum(len({path[: max(points[: stage + 1]) + 1] for path in paths}) for stage in range(depth))
        table[name] = {
            "paths": len(paths),
            "paths_per_second": round(len(paths) / statistics.median(shared[1:]), 1),
            "branches": round(branches / (depth * len(paths)), 3),
            "ratio_quartiles": quartiles(ratios),
        }
        print(name, table[name], file=sys.stderr)
    return {
        **circumstances("cpu"),
        **{key: getattr(args, key) for key in ("threads", "batch", "image", "pairs")},
        "spaces": table,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spaces", nargs="+", default=["nas-bench-macro", "nas-bench-macro-small", "fairnas-a"])
    parser.add_argument("--paths", type=int, default=200, help="paths to judge")
    add_options(parser, 16, "images", 5)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    keep_memory()  # as those do who judge; the plain form gains by it, too
    give(measure(args), args.out)


if __name__ == "__main__":
    main()
