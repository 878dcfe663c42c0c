#!/usr/bin/env python3
"""How fast does the network of a genotype train?

    python benchmarks/training.py --threads 1 --out benchmarks/results/training-fairdarts-a-cpu-1-thread.json
    python benchmarks/training.py --genotype fairnas-a --config train-mnasnet-imagenet --image 224 --batch 16
    python benchmarks/training.py --device cuda --out benchmarks/results/training-h100.json

Steps of `fairdarts train` on images in memory, augmentation, drop path and auxiliary head included, in several ways by
turns in one process. The first way is `plain`: float32, contiguous, eager, with torch's own kernels, as DARTS code
trains; the second is the same in channels_last. `ratio_quartiles` are of plain / another way, round by round,
`ratio_channels_last_quartiles` of plain in channels_last / that way. All ways keep the memory that tensors leave, as
`fairdarts train` does, and load their images alike, large ones cropped as small ones are. On CUDA `share_of_peak` is
what the convolutions and linear layers of forward and backward pass do of the multiply-adds of a large bfloat16 matrix
product in the same process.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path

import torch
from circumstances import circumstances
from measured import ratios
from torch.utils.data import TensorDataset

from fairdarts import resources
from fairdarts.checking import check
from fairdarts.cost.count import count
from fairdarts.data.serve import server
from fairdarts.data.sources import CIFAR10_STATISTICS, IMAGENET_STATISTICS, Source
from fairdarts.networks.blueprint import Blueprint, assemble
from fairdarts.networks.zoo import load_genotype
from fairdarts.reading import read_yaml
from fairdarts.runtime.device import LAYOUTS, keep_memory, pick
from fairdarts.training import setup
from fairdarts.training.classify import blueprint_of, build_classifier
from fairdarts.training.settings import TrainSettings
from fairdarts.training.setup import make_trainee
from fairdarts.training.step import measured, train_step

KERNELS = "kernels"
"""no setting: `torch` leaves the library's away"""
REFERENCE = {"precision": "float32", "layout": "contiguous", "compile": "none", KERNELS: "torch"}
PLAIN = {"plain": REFERENCE, "plain channels_last": {**REFERENCE, "layout": "channels_last"}}
WAYS = {
    "cpu": {
        **PLAIN,
        "float32, channels_last": {"precision": "float32", "layout": "channels_last", "compile": "none"},
    },
    "cuda": {
        **PLAIN,
        "bfloat16, channels_last": {"precision": "bfloat16", "layout": "channels_last", "compile": "none"},
        "bfloat16, compiled": {"precision": "bfloat16", "layout": "channels_last", "compile": "default"},
        "bfloat16, CUDA graphs": {"precision": "bfloat16", "layout": "channels_last", "compile": "reduce-overhead"},
    },
}


@contextmanager
def torch_kernels() -> Iterator[None]:
    """While entered, a network that is made for training keeps torch's own kernels."""
    kept, setup.with_fast_gradients = setup.with_fast_gradients, lambda network: network
    try:
        yield
    finally:
        setup.with_fast_gradients = kept


def stepper(args: argparse.Namespace, compute: dict[str, str]) -> tuple[Callable[[], object], Blueprint]:
    """What makes one step in a way, and the network that it trains."""
    path = resources.find("recipes", args.config)
    words = {f"compute.{key}": value for key, value in compute.items() if key != KERNELS}
    words |= {"data.batch_size": str(args.batch), "device": args.device}
    words |= {f"network.{key}": str(own) for key in ("cells", "channels") if (own := getattr(args, key))}
    recipe = read_yaml(path)
    if recipe["data"]["kind"] == "imagenet":  # whose images are files
        recipe["data"] = {"kind": "cifar10", "root": "", "batch_size": 1, "train_portion": 1, "cutout": 0, "workers": 0}
    settings = check(TrainSettings, recipe, path, words)
    device, size = pick(args.device), args.image
    images = torch.randint(0, 256, (args.batch * 8, 3, size, size), dtype=torch.uint8)
    images = images.contiguous(memory_format=torch.channels_last)
    statistics_ = CIFAR10_STATISTICS if size == 32 else IMAGENET_STATISTICS
    classes = tuple(map(str, range(10 if size == 32 else 1000)))
    labels = torch.randint(0, len(classes), (len(images),))
    source = Source(TensorDataset(images, labels), classes, size, *statistics_)
    blueprint = blueprint_of(settings, *load_genotype(args.genotype), source)
    build = partial(build_classifier, settings, blueprint, device)
    with torch_kernels() if KERNELS in compute else nullcontext():
        trainee = make_trainee(settings, build, partial(measured, settings=settings.loss), device)
    if settings.drop_path:
        trainee.network.drop_probability.fill_(settings.drop_path / 2)
    serve = server(source, settings.data, device, LAYOUTS[settings.compute.layout])
    batches = serve(indices=list(range(len(images))), seed=0, start=0)
    trainee.network.train()
    return lambda: train_step(trainee, next(batches)), blueprint


def peak(device: torch.device) -> float:
    """Multiply-adds a second of a bfloat16 product of two matrices [8192, 8192], the median of 20."""
    one, two = (torch.randn(8192, 8192, device=device, dtype=torch.bfloat16) for _ in range(2))
    times = []
    for _ in range(23):
        torch.cuda.synchronize()
        begun = time.perf_counter()
        one @ two
        torch.cuda.synchronize()
        times.append(time.perf_counter() - begun)
    return 8192**3 / statistics.median(times[3:])


def measure(args: argparse.Namespace) -> dict[str, object]:
    """The result. On CUDA it is written after every way, as compiling one may take longer than anybody waits."""
    device = pick(args.device)
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    keep_memory()
    ways = {name: way for name, way in WAYS[device.type].items() if not args.ways or name in (*PLAIN, *args.ways)}
    steps: dict[str, Callable[[], object]] = {}
    for name in ways:
        steps[name], blueprint = stepper(args, ways[name])
        for _ in range(args.warm_up):
            steps[name]()
        if device.type == "cpu" and name != list(ways)[-1]:
            continue
        times: dict[str, list[float]] = {name: [] for name in steps}
        for _ in range(args.rounds):
            for own, step in steps.items():
                wait()
                begun = time.perf_counter()
                for _ in range(args.steps):
                    step()
                wait()
                times[own].append((time.perf_counter() - begun) / args.steps)
        found = result(args, times, blueprint, peak(device) if device.type == "cuda" else None)
        if args.out:
            args.out.write_text(json.dumps(found, indent=1) + "\n")
    return found


def result(
    args: argparse.Namespace, times: dict[str, list[float]], blueprint: Blueprint, highest: float | None
) -> dict[str, object]:
    """What the seconds of a step, round by round, say of every way."""
    with torch.device("meta"):
        madds = count(assemble(blueprint), image=args.image).madds
    plain, channels_last = (times.get(name, times["plain"]) for name in PLAIN)
    ways: dict[str, dict[str, object]] = {}
    for name, own in times.items():
        low, middle, high = statistics.quantiles(own, n=4, method="inclusive")
        ways[name] = {
            **ratios(own, plain, channels_last),
            "step_ms": round(1000 * middle, 3),
            "step_ms_quartiles": [round(1000 * low, 3), round(1000 * high, 3)],
            "images_per_second": round(args.batch / middle, 1),
        }
        if highest:
            ways[name]["share_of_peak"] = round(3 * madds * args.batch / middle / highest, 4)
    return {
        **circumstances(args.device),
        "genotype": args.genotype,
        "recipe": args.config,
        "batch": args.batch,
        "image": args.image,
        "cells": args.cells,
        "channels": args.channels,
        "multiply_adds": madds,
        "threads": torch.get_num_threads(),
        "rounds": args.rounds,
        "steps": args.steps,
        "peak_madds_per_second": highest,
        "ways": ways,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--genotype", default="fairdarts-a")
    parser.add_argument("--config", default="train-darts-cifar10")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--batch", type=int, default=96)
    parser.add_argument("--image", type=int, default=32)
    parser.add_argument("--cells", type=int, help="of the network (default: the recipe's)")
    parser.add_argument("--channels", type=int, help="of its first cell (default: the recipe's)")
    parser.add_argument("--warm-up", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=10, help="a round")
    parser.add_argument(
        "--ways", nargs="*", choices=[*WAYS["cpu"], *WAYS["cuda"]], help="besides the plain ones (default: all)"
    )
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    sys.stdout.write(json.dumps(measure(args), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
