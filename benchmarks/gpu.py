#!/usr/bin/env python3
"""What does the library do on a GPU? One command of at most so many minutes; the file is written after every form.

    python benchmarks/gpu.py --out benchmarks/results/gpu-h200.json                   # at most 12 minutes
    python benchmarks/gpu.py --out benchmarks/results/gpu-h200.json --minutes 5       # goes on with what is missing
    python benchmarks/gpu.py --show benchmarks/results/gpu-h200.json                  # the table
    python benchmarks/gpu.py --quick --device cpu --out quick.json                    # whether all of it runs

Parts are `speeds` of the device; `parity` of a search in float64 with the same one on the CPU; steps of searches, of a
fairly trained supernet and of the training of networks, each in several forms beside the plain one of `plain.py`; and
the two loaders. What each finds, `gpu_parts.py` says. A part is measured in a process of its own. One that crashes or
takes longer than it may costs the form that it was at, whose `error` is kept, and another goes on. Forms for which the
time no longer suffices are listed as `skipped`. The next call measures them, and then again those with an error.

`share_of_peak` is a form's arithmetic as a share of a large bfloat16 matrix product's. `hours` are the epochs of a
recipe × its steps an epoch × the seconds of a step, times its batch / the measured one; images are those of CIFAR-10
(50,000) or ImageNet (1,281,167), less what the recipe holds out. Loading, judging and checkpoints are not in it. With
--quick, where images are tiny, there are none.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import gpu_parts
import kept
import torch
import training
from apart import Found, apart, preload
from circumstances import circumstances
from gpu_table import table

from fairdarts import resources
from fairdarts.config import UserError
from fairdarts.reading import read_yaml
from fairdarts.runtime.checkpoint import write_atomically

PLAIN = ("plain", "plain channels_last", "plain channels_last bfloat16")
TUNED = ("plain, cudnn.benchmark", "bfloat16, cudnn.benchmark")
STEPS = {"cuda": (*PLAIN, "float32", "bfloat16"), "cpu": (*PLAIN, "none", "bfloat16")}
MORE = {"cuda": ("bfloat16 checkpoint", *TUNED), "cpu": TUNED[:1]}
FAIR = {"cuda": STEPS["cuda"], "cpu": (*PLAIN, "float32")}
MEMORY = {
    "cuda": ("bfloat16", "bfloat16 checkpoint", "float32", "float32 recompute", "float32 checkpoint"),
    "cpu": ("none", "recompute", "checkpoint"),
}
COMPILED_WAYS = {"cuda": ("bfloat16, compiled", "bfloat16, CUDA graphs"), "cpu": ()}
WAYS = {device: [way for way in ways if way not in COMPILED_WAYS[device]] for device, ways in training.WAYS.items()}
COMPILED = {"cuda": ("bfloat16 compiled", "bfloat16 graphs"), "cpu": ()}

LARGE, SMALL = {"image": 224, "budget": 3.0}, {"image": 32, "budget": 3.0}
QUICK = {"image": 16, "budget": 0.0}
NETWORK = {"cells": None, "channels": None}  # the recipe's
S1 = {"space": "s1", "size": (8, 16), **SMALL}, {"size": (2, 2), "batches": (2,), **QUICK}
BENCH = {"space": "nasbench201", "size": (5, 16), **SMALL}, {"size": (1, 2), "batches": (2,), **QUICK}
S2 = {"space": "s2", "size": None, **LARGE}, {"space": "s2-small", "batches": (2,), **QUICK, "image": 32}
FAIRNAS = {"space": "fairnas-a", "batch": 256, **LARGE}, {"space": "nas-bench-macro-small", "batch": 2, **QUICK}
CELLS = (
    {"genotype": "fairdarts-a", "config": "train-darts-cifar10", "batch": 96, **NETWORK, **SMALL},
    {"batch": 2, "cells": 3, "channels": 2, "budget": 0.0},
)
CHAIN = (
    {"genotype": "fairnas-a", "config": "train-mnasnet-imagenet", "batch": 256, **NETWORK, **LARGE},
    {"batch": 2, "budget": 0.0, "image": 32},
)
SPEEDS = {"size": 8192, "budget": 0.5}, {"size": 128, "budget": 0.0}
PARITY = {"size": (4, 4), "steps": 10, "most": 40.0}, {"size": (2, 2), "steps": 1, "few": True}
LOADED = (
    {"pairs": 3, "batch": 64, "images": 25_000, "photos": 64, "size": 224, "workers": [0, 4, 16]},
    {"pairs": 2, "batch": 4, "images": 64, "photos": 8, "size": 32, "workers": [0, 1]},
)
"""words of the measurements, and what is other with --quick"""


class Part(NamedTuple):
    """Some forms of one measurement."""

    work: Callable[..., Found]
    forms: dict[str, Sequence[str]]
    """of every device; the CPU, where all is tiny, lacks what would be the same again"""
    words: tuple[dict[str, Any], dict[str, Any]]
    batches: tuple[int, ...] = ()
    """of a search: those to try, but with --quick"""
    least: float = 15
    """seconds that should be left when a form begins"""
    most: float = 60
    """seconds that a form may take"""


def both(*forms: str) -> dict[str, Sequence[str]]:
    return {"cuda": forms, "cpu": forms}


PARTS = {
    "speeds": Part(gpu_parts.speeds, both("bfloat16", "float32"), SPEEDS),
    "parity": Part(gpu_parts.parity, {"cuda": ("s1", "s2"), "cpu": ("s1",)}, PARITY, most=120),
    "search S1, batch 64": Part(gpu_parts.search, STEPS, S1, (64,)),
    "search S1, batch 128": Part(gpu_parts.search, {**STEPS, "cpu": ("none",)}, S1, (128,)),
    "search S2, 224 px, batch 64": Part(gpu_parts.search, STEPS, S2, (64,)),
    "search S2, 224 px, largest batch": Part(gpu_parts.search, MEMORY, S2, (1024, 512, 256, 128, 64)),
    "fair step FairNAS-A, 224 px": Part(gpu_parts.fair, FAIR, FAIRNAS),
    "search NAS-Bench-201, batch 64": Part(gpu_parts.search, STEPS, BENCH, (64,)),
    "training FairDARTS-A": Part(gpu_parts.train, WAYS, CELLS),
    "training FairNAS-A, 224 px": Part(gpu_parts.train, WAYS, CHAIN),
    "loader": Part(gpu_parts.load, both("in memory", "decoding"), LOADED, least=30, most=90),
    "search S1, batch 64, more": Part(gpu_parts.search, MORE, S1, (64,)),
    "search NAS-Bench-201, batch 64, compiled": Part(gpu_parts.search, COMPILED, BENCH, (64,), least=60, most=200),
    "search S1, batch 64, compiled": Part(gpu_parts.search, COMPILED, S1, (64,), least=60, most=240),
    "training FairDARTS-A, compiled": Part(gpu_parts.train, COMPILED_WAYS, CELLS, least=60, most=240),
    "training FairNAS-A, 224 px, compiled": Part(gpu_parts.train, COMPILED_WAYS, CHAIN, least=60, most=200),
    "fair step FairNAS-A, 224 px, compiled": Part(gpu_parts.fair, COMPILED, FAIRNAS, least=60, most=200),
}
"""what matters most and takes least comes first, what is compiled comes last"""

RECIPES = {
    "fairdarts-s1-cifar10": ("search S1, batch 128", "search S1, batch 64, compiled"),
    "fairdarts-s2-imagenet": ("search S2, 224 px, largest batch",),
    "fairdarts-nasbench201": ("search NAS-Bench-201, batch 64", "search NAS-Bench-201, batch 64, compiled"),
    "fairnas-a-imagenet": ("fair step FairNAS-A, 224 px", "fair step FairNAS-A, 224 px, compiled"),
    "train-darts-cifar10": ("training FairDARTS-A", "training FairDARTS-A, compiled"),
    "train-mnasnet-imagenet": ("training FairNAS-A, 224 px", "training FairNAS-A, 224 px, compiled"),
}
"""recipe → the parts that take its steps"""


def measure(result: Found, left: Callable[[], float], out: Path) -> None:
    """Fills in what the result lacks, and then what ended in an error, for the seconds that are left. It is written
    after every form."""
    device, quick, parts = result["kind"], result["quick"], result["parts"]
    failed = [(name, form) for name, forms in parts.items() for form, found in forms.items() if "error" in found]
    for todo in (lacking(result), failed):
        for name, pairs in groupby(todo, itemgetter(0)):
            part, (words, small) = PARTS[name], PARTS[name].words
            own = small if quick else {"batches": part.batches} if part.batches else {}
            words = {**words, **own, "device": device}
            if left() < part.least:
                continue
            forms = [form for _, form in pairs]
            with closing(apart(part.work, forms, words, lambda part=part: min(part.most, left()))) as measured:
                for form, found in measured:
                    parts.setdefault(name, {})[form] = found
                    keep(result, out)
                    print(f"{name}: {form}: {found.get('error') or 'measured'}", file=sys.stderr)
                    if left() < part.least:
                        break


def lacking(result: Found) -> list[tuple[str, str]]:
    """The parts and forms that are not measured."""
    forms = [(name, form) for name, part in PARTS.items() for form in part.forms[result["kind"]]]
    return [(name, form) for name, form in forms if form not in result["parts"].get(name, {})]


def keep(result: Found, out: Path) -> None:
    """Writes the result, with what follows from its numbers."""
    result["skipped"] = [f"{name}: {form}" for name, form in lacking(result)]
    highest = result["parts"].get("speeds", {}).get("bfloat16", {}).get("tflops")
    for name, forms in result["parts"].items():
        for found in forms.values() if highest and name != "speeds" else ():
            if "tflops" in found:
                found["share_of_peak"] = float(f"{found['tflops'] / highest:.3g}")
    if not result["quick"]:  # of tiny images they would mean nothing
        result["hours"] = {name: own for name in RECIPES if (own := hours(name, result["parts"]))["forms"]}
    write_atomically(out, (json.dumps(result, indent=1) + "\n").encode())


def hours(name: str, parts: dict[str, dict[str, Found]]) -> Found:
    """Of a recipe: its steps, and the hours that they would take in every form."""
    recipe = read_yaml(resources.find("recipes", name))
    data, batch = recipe["data"], recipe["data"]["batch_size"]
    images = 50_000 * data["train_portion"] if data["kind"] == "cifar10" else 1_281_167 - 1000 * data["held_out"]
    steps = recipe["epochs"] * int(images // batch)
    forms = {
        f"{part}: {form}": round(steps * found["seconds"] * batch / found["batch"] / 3600, 2)
        for part in RECIPES[name]
        for form, found in parts.get(part, {}).items()
        if "seconds" in found
    }
    return {"epochs": recipe["epochs"], "steps": steps, "batch": batch, "forms": forms}


def begun(args: argparse.Namespace) -> Found:
    """The result so far, or a new one."""
    head = {**circumstances(args.device), "kind": args.device, "quick": args.quick}
    if args.device == "cuda":
        device = torch.cuda.get_device_properties(0)
        head |= {"memory_gib": round(device.total_memory / 2**30, 1), "multiprocessors": device.multi_processor_count}
        head |= {"cudnn": torch.backends.cudnn.version(), "tf32_convolutions": torch.backends.cudnn.allow_tf32}
    return kept.begun(args.out, "gpu", {**head, "parts": {}}, ("device", "torch", "quick"))


def main() -> None:
    began = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("gpu.json"), help="JSON file of the result")
    parser.add_argument("--minutes", type=float, default=12, help="that all may take")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--quick", action="store_true", help="everything tiny: to see whether it runs")
    parser.add_argument("--show", type=Path, metavar="FILE", help="only print the table of a result")
    args = parser.parse_args()
    if args.show:
        print(kept.told(args.show, "gpu", table))
        return
    if args.device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: no CUDA device on this machine")
    result = begun(args)
    keep(result, args.out)  # what cannot be written is refused here
    preload("gpu_parts")
    measure(result, lambda: 60 * args.minutes - (time.monotonic() - began), args.out)
    keep(result, args.out)
    print(table(result))


if __name__ == "__main__":
    sys.exit(kept.in_a_line(main))
