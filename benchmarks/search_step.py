#!/usr/bin/env python3
"""How fast is the library's search step in S1, S2 or NAS-Bench-201, and what memory does it take?

    python benchmarks/search_step.py --threads 1 --pairs 7 --out benchmarks/results/search-step-cpu-1-thread.json
    python benchmarks/search_step.py --space s2 --image 64 --out benchmarks/results/search-step-s2-cpu-1-thread.json
    python benchmarks/search_step.py --space nasbench201 --batch 64 --pairs 3 --variants none

Measured against the plain step of `plain.py` (the official step with all that it computes and throws away), in one
process. First some steps of both in float64 (20 in S1) must end within 1e-10 of each other in α, weights and BatchNorm
buffers (as a share of the largest number of a tensor, where that is above 1), for FairDARTS and DARTS. Then, by turns:
the plain step, the plain step in channels_last, and the library's in every variant: of memory, of the parts that a
batch is gone through in, of precision, and on CUDA of torch.compile. `ratio_quartiles` are of plain / library, round by
round, `ratio_channels_last_quartiles` of plain in channels_last / library. `first_seconds` is the first step, with all
that is compiled for it. `saved` is what a forward pass keeps for the backward pass, `peak` what a process grows by in a
step (Linux; on CUDA what the allocator reports), both as shares of the plain step's. `operations` are calls of
torch in a step. `share_of_peak` compares the arithmetic that a step cannot do without with the speed of a large matrix
product.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial

import torch
from circumstances import circumstances
from measured import add_options, give, largest, matmul_speed, ratios
from plain import Bench, Chain, Network, PlainStep, lower
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from fairdarts import resources
from fairdarts.checking import check
from fairdarts.data.sources import FAKE_STATISTICS, Source
from fairdarts.differentiable.architect import STEPS
from fairdarts.differentiable.learner import Learner
from fairdarts.differentiable.settings import SearchSettings
from fairdarts.differentiable.setup import make_learner
from fairdarts.reading import read_yaml
from fairdarts.relaxation import dense, relax
from fairdarts.runtime.device import autocast, peak_memory
from fairdarts.spaces.chain import ChainSpace
from fairdarts.spaces.space import load_space

RECIPES = {
    "nasbench201": ("fairdarts-nasbench201", "darts-nasbench201"),
    "s1": ("fairdarts-s1-cifar10", "darts-s1-cifar10"),
    "s2": ("fairdarts-s2-imagenet", "darts-s2-imagenet"),
    "s2-small": ("fairdarts-s2-small", "darts-s2-small"),
}
COMPARED = {
    "nasbench201": ("nasbench201", 8, 4, 16),
    "s1": ("s1", 20, 4, 32),
    "s2": ("s2-small", 4, 16, 64),
    "s2-small": ("s2-small", 2, 16, 32),
}
"""how the two steps are compared in float64: space, steps, images, their size. A chain of 19 layers is so sensitive in
its first steps that a difference of rounding grows several times in each, up to 60 times for fewer or smaller images"""
MEMORY, PRECISION, COMPILE, PARTS = "compute.memory", "compute.precision", "compute.compile", "compute.accumulate"
SIZES = {"s1": (8, 16), "nasbench201": (5, 16)}
"""space → cells (of a stage, where it has stages) and channels; a chain has those of its layers"""
VARIANTS = {
    "cpu": {
        "none": {MEMORY: "none"},
        "recompute": {MEMORY: "recompute"},
        "checkpoint": {MEMORY: "checkpoint"},
        "2 parts": {MEMORY: "none", PARTS: "2"},
        "4 parts, checkpoint": {MEMORY: "checkpoint", PARTS: "4"},
        "bfloat16": {MEMORY: "none", PRECISION: "bfloat16"},
    },
    "cuda": {
        "float32": {MEMORY: "none", PRECISION: "float32"},
        "float32 recompute": {MEMORY: "recompute", PRECISION: "float32"},
        "float32 checkpoint": {MEMORY: "checkpoint", PRECISION: "float32"},
        "bfloat16": {MEMORY: "none", PRECISION: "bfloat16"},
        "bfloat16 checkpoint": {MEMORY: "checkpoint", PRECISION: "bfloat16"},
        "bfloat16, 4 parts": {MEMORY: "none", PRECISION: "bfloat16", PARTS: "4"},
        "bfloat16 compiled": {MEMORY: "none", PRECISION: "bfloat16", COMPILE: "default"},
        "bfloat16 graphs": {MEMORY: "none", PRECISION: "bfloat16", COMPILE: "reduce-overhead"},
    },
}
BOTH = "images of each of a step's two batches"
PLAIN = {"cell": Network, "nasbench201": Bench}
PASSES = 5  # forward, and twice that backward for the weights; forward, and as much backward for α

Batch = tuple[Tensor, Tensor]
Size = tuple[int, int] | None


def settings_of(recipe: str, space: str, size: Size, variant: dict[str, str]) -> SearchSettings:
    path = resources.find("recipes", recipe)
    own = {"supernet.cells": str(size[0]), "supernet.channels": str(size[1])} if size else {"space": space}
    return check(SearchSettings, read_yaml(path), path, own | variant)


def add_sizes(parser: argparse.ArgumentParser, spaces: Sequence[str]) -> None:
    """The options of a search step in one of the spaces."""
    parser.add_argument("--space", choices=spaces, default="s1")
    add_options(parser, 16, BOTH)
    usual = ", ".join(f"{own[0]} and {own[1]} in {name}" for name, own in SIZES.items())
    parser.add_argument("--cells", type=int, help=f"cells, of a stage in nasbench201 (cells and channels: {usual})")
    parser.add_argument("--channels", type=int, help="channels of the first cells")


def size_of(args: argparse.Namespace) -> Size:
    """Cells and channels: as asked for, else the usual ones."""
    usual = SIZES.get(args.space)
    return (args.cells or usual[0], args.channels or usual[1]) if usual else None


def learner_of(settings: SearchSettings, dtype: torch.dtype, device: torch.device) -> Learner:
    source = Source(None, tuple(map(str, range(10))), 32, *FAKE_STATISTICS)
    torch.set_default_dtype(dtype)
    learner = make_learner(settings, load_space(settings.space), source, device)
    torch.set_default_dtype(torch.float32)
    return learner


def plain_of(learner: Learner, device: torch.device) -> PlainStep:
    """The plain step with a learner's weights and α."""
    settings, space = learner.settings, load_space(learner.settings.space)
    if isinstance(space, ChainSpace):
        network = Chain(space, 10)
    else:
        network = PLAIN[space.kind](space, settings.supernet.cells, settings.supernet.channels, 10)
    network.to(device, next(learner.supernet.parameters()).dtype).load_state_dict(learner.supernet.state_dict())
    alphas = {cell: alpha.detach().clone().requires_grad_() for cell, alpha in learner.alphas.items()}
    return PlainStep(network, alphas, settings)


def batch(size: int, image: int, dtype: torch.dtype, device: torch.device, generator: torch.Generator) -> Batch:
    on = generator.device
    images = torch.randn(size, 3, image, image, generator=generator, device=on).to(device, dtype)
    return images, torch.randint(10, (size,), generator=generator, device=on).to(device)


def library_step(learner: Learner, train: Batch, valid: Batch) -> None:
    STEPS["first_order"](learner, *map(in_channels_last, (train, valid)))


def in_channels_last(batch: Batch) -> Batch:
    return batch[0].to(memory_format=torch.channels_last), batch[1]


def step_of(name: str, learner: Learner, device: torch.device) -> Callable[[Batch, Batch], None]:
    """The step of a variant, which is the learner's; or a plain one with its numbers, if so named: `plain`, with
    `channels_last`, with `bfloat16`."""
    if not name.startswith("plain"):
        return partial(library_step, learner)
    plain = plain_of(learner, device)
    if "bfloat16" in name:
        lower(plain.network, device)
    if "channels_last" not in name:
        return plain
    plain.network.to(memory_format=torch.channels_last)
    return lambda *pair: plain(*map(in_channels_last, pair))


def arithmetic(plain: PlainStep, one: Batch) -> int:
    """The arithmetic operations that a step cannot do without."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        plain.loss(one)
    return PASSES * counter.get_total_flops()


def difference(recipe: str, kind: str, size: Size, steps: int | None) -> float:
    """The largest one between the two after some steps in float64; None: as many as COMPARED says."""
    space, usual, images, pixels = COMPARED[kind]
    device, generator = torch.device("cpu"), torch.Generator().manual_seed(0)
    learner = learner_of(settings_of(recipe, space, size, {}), torch.float64, device)
    plain = plain_of(learner, device)
    for _ in range(steps or usual):
        train, valid = (batch(images, pixels, torch.float64, device, generator) for _ in range(2))
        plain(train, valid)
        library_step(learner, train, valid)
    own = learner.supernet.state_dict()
    pairs = [(plain.alphas[cell], learner.alphas[cell]) for cell in plain.alphas]
    pairs += [(value, own[key]) for key, value in plain.network.state_dict().items()]
    return largest(apart(one.double(), other.double()) for one, other in pairs)


def apart(one: Tensor, other: Tensor) -> float:
    """The largest difference of two tensors, as a share of their largest number where that is above 1: gates that do
    not sum to 1 let numbers grow from cell to cell, in NAS-Bench-201 to variances of 1e11."""
    return (one - other).abs().max().item() / max(1, other.abs().max().item())


def seconds(step: Callable[..., None], train: Batch, valid: Batch) -> float:
    wait = torch.cuda.synchronize if train[0].is_cuda else lambda: None
    wait()
    begun = time.perf_counter()
    step(train, valid)
    wait()
    return time.perf_counter() - begun


def operations(step: Callable[..., None], train: Batch, valid: Batch) -> int:
    """The operations of torch that a step calls."""
    with _Counted() as counted:
        step(train, valid)
    return counted.calls


class _Counted(TorchDispatchMode):
    calls = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.calls += 1
        return function(*args, **(kwargs or {}))


def saved(loss: Callable[[], Tensor], network: torch.nn.Module) -> int:
    """Bytes that a forward pass keeps for the backward pass, the network's own parameters and buffers left out."""
    weights = {tensor.untyped_storage().data_ptr() for tensor in network.state_dict().values()}
    storages: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor.detach()  # of the same storage; an output that is kept as it is would hold itself for ever

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = loss()  # as long as it lives, so do the tensors, and no two have one address
    assert result.requires_grad
    return sum(size for address, size in storages.items() if address not in weights)


def peak(variant: str, args: argparse.Namespace) -> int:
    """Bytes that a process of its own grows by when it takes two steps."""
    words = [sys.executable, __file__, "--grow", variant, "--device", args.device]
    for name in ("space", "threads", "batch", "image"):
        words += [f"--{name}", str(getattr(args, name))]
    if size := size_of(args):
        words += ["--cells", str(size[0]), "--channels", str(size[1])]
    return int(subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout)


def grow(variant: str, args: argparse.Namespace) -> int:
    device = torch.device(args.device)
    own = VARIANTS[args.device].get(variant, {})
    settings = settings_of(RECIPES[args.space][0], args.space, size_of(args), own)
    learner = learner_of(settings, torch.float32, device)
    return grown(step_of(variant, learner, device), args, 2 * settings.compute.accumulate)


def grown(step: Callable[..., object], args: argparse.Namespace, few: int) -> int:
    """Bytes that this process grows by when it takes two steps, after one of a few images."""
    device, generator = torch.device(args.device), torch.Generator().manual_seed(0)
    small = (batch(few, args.image, torch.float32, device, generator) for _ in range(2))
    step(*small)  # code, kernels and optimizer states are in memory after this
    before = peak_memory(device)
    train, valid = (batch(args.batch, args.image, torch.float32, device, generator) for _ in range(2))
    step(train, valid)
    step(train, valid)
    return peak_memory(device) - before


def measure(args: argparse.Namespace) -> dict[str, object]:
    device, generator = torch.device(args.device), torch.Generator().manual_seed(0)
    size, recipes = size_of(args), RECIPES[args.space]
    small = (min(size[0], 4), min(size[1], 4)) if size else None
    differences = {recipe: difference(recipe, args.space, small, args.compared) for recipe in recipes}
    for recipe, value in differences.items():
        if not value < 1e-10:
            raise SystemExit(f"{recipe}: the two steps do not agree: {value:.1e} after some steps in float64")

    learners = {
        name: learner_of(settings_of(recipes[0], args.space, size, variant), torch.float32, device)
        for name, variant in VARIANTS[args.device].items()
        if not args.variants or name in args.variants
    }
    first_learner = next(iter(learners.values()))
    plain = step_of("plain", first_learner, device)
    steps = {"plain": plain, "plain channels_last": step_of("plain channels_last", first_learner, device)}
    steps |= {name: step_of(name, own, device) for name, own in learners.items()}
    train, valid = (batch(args.batch, args.image, torch.float32, device, generator) for _ in range(2))
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(args.pairs + 1):
        for name, step in steps.items():
            times[name].append(seconds(step, train, valid))
        print("  ".join(f"{name} {own[-1]:.3f} s" for name, own in times.items()), file=sys.stderr)
    first = {name: own.pop(0) for name, own in times.items()}

    work, speed = arithmetic(plain, train), matmul_speed(device)
    images = train[0].to(memory_format=torch.channels_last)
    kept = {"plain": saved(lambda: plain.loss(train), plain.network)}
    kept["plain channels_last"] = kept["plain"]
    for name, own in learners.items():
        gates = dense(relax(own.alphas, "sigmoid"), own.supernet.space)
        part = images.chunk(own.settings.compute.accumulate)[0]
        with autocast(device, own.settings.compute.precision):
            kept[name] = saved(lambda own=own, gates=gates, part=part: own.supernet(part, gates), own.supernet)
    peaks = {name: peak(name, args) for name in steps}
    table = {}
    for name, own in times.items():
        table[name] = {
            "seconds": round(statistics.median(own), 4),
            "first_seconds": round(first[name], 2),
            "images_per_second": round(2 * args.batch / statistics.median(own), 1),
            **ratios(own, times["plain"], times["plain channels_last"]),
            "saved": round(kept[name] / kept["plain"], 3),
            "peak": round(peaks[name] / peaks["plain"], 3),
            "operations": operations(steps[name], train, valid),
            "share_of_peak": round(work / statistics.median(own) / speed, 3),
        }
    return {
        **circumstances(device.type),
        **{key: getattr(args, key) for key in ("space", "threads", "batch", "image", "pairs")},
        **(dict(zip(("cells", "channels"), size, strict=True)) if size else {}),
        "difference_float64": differences,
        "matmul_gflops": round(speed / 1e9, 1),
        "plain_saved_mib": round(kept["plain"] / 2**20),
        "plain_peak_mib": round(peaks["plain"] / 2**20),
        "steps": table,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_sizes(parser, sorted(RECIPES))
    parser.add_argument("--compared", type=int, help="steps that are compared in float64 (default: 20 in S1)")
    parser.add_argument("--variants", nargs="+", metavar="NAME", help="which ones (default: all of the device)")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--grow", help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.grow:
        print(grow(args.grow, args))
        return
    give(measure(args), args.out)


if __name__ == "__main__":
    main()
