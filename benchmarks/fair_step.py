#!/usr/bin/env python3
"""How fast is the library's strictly fair step, of one path for every choice on one batch?

    python benchmarks/fair_step.py --threads 1 --out benchmarks/results/fair-step-cpu-1-thread.json
    python benchmarks/fair_step.py --space fairnas-a --image 224 --batch 256 --device cuda

Measured against the plain step of `plain.py`: m whole forward and backward passes with torch's own kernels in torch's
own layout, the loss of each read, one update. First some steps of both in float64 must end within 1e-10 of each other
in weights and BatchNorm buffers. Then, by turns and each in a process of its own: the plain step, the plain step in
channels_last, and the library's in every variant of precision, on the CPU also without `keep_memory`, and on CUDA of
torch.compile. `ratio_quartiles` are of plain / library, round by round, `ratio_channels_last_quartiles` of plain in
channels_last / library. Images a second count a pass of an image, forward and backward. `share_of_peak` compares the
arithmetic of the convolutions and linear layers in a step with the speed of a large matrix product: no form can be more
than 1 / share times as fast as it is.
"""

import argparse
import statistics
from collections.abc import Callable

import torch
from circumstances import circumstances
from measured import Server, add_options, by_turns, give, largest, matmul_speed, ratios, serve
from plain import PathNetwork, PathStep, lower
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from fairdarts import resources
from fairdarts.checking import check
from fairdarts.data.sources import FAKE_STATISTICS, Source
from fairdarts.oneshot.samplers import Step, StrictFair
from fairdarts.oneshot.settings import TrainingSettings
from fairdarts.oneshot.step import Learner, supernet_step
from fairdarts.oneshot.train import make_learner
from fairdarts.reading import read_yaml
from fairdarts.runtime.device import keep_memory
from fairdarts.spaces.space import load_space

VARIANTS = {
    "cpu": {
        "float32": {"compute.precision": "float32"},
        "float32, memory given back": {"compute.precision": "float32"},
    },
    "cuda": {
        "float32": {"compute.precision": "float32"},
        "bfloat16": {"compute.precision": "bfloat16"},
        "bfloat16 compiled": {"compute.precision": "bfloat16", "compute.compile": "default"},
        "bfloat16 graphs": {"compute.precision": "bfloat16", "compute.compile": "reduce-overhead"},
    },
}
COMPARED = {"steps": 3, "images": 8, "size": 16}

Batch = tuple[Tensor, Tensor]


def learner_of(space: str, variant: dict[str, str], dtype: torch.dtype, device: torch.device) -> Learner:
    path = resources.find("recipes", "fairnas-macro")
    settings = check(TrainingSettings, read_yaml(path), path, {"space": space} | variant)
    torch.set_default_dtype(dtype)
    source = Source(None, tuple(map(str, range(10))), 32, *FAKE_STATISTICS)
    learner = make_learner(settings, load_space(space), source, device)
    torch.set_default_dtype(torch.float32)
    return learner


def plain_of(learner: Learner, device: torch.device) -> PathStep:
    """The plain step with a learner's weights."""
    network = PathNetwork(load_space(learner.settings.space), 10).to(device, next(learner.supernet.parameters()).dtype)
    network.load_state_dict(learner.supernet.state_dict())
    return PathStep(network, learner.settings.weights)


def batch(size: int, image: int, dtype: torch.dtype, device: torch.device, generator: torch.Generator) -> Batch:
    images = torch.randn(size, 3, image, image, generator=generator).to(device, dtype)
    return images, torch.randint(10, (size,), generator=generator).to(device)


def in_channels_last(one: Batch) -> Batch:
    return one[0].to(memory_format=torch.channels_last), one[1]


def paths_of(step: Step) -> list[tuple[int, ...]]:
    return [tuple(index for (index,) in chosen) for chosen in step[0]]


def difference(space: str) -> float:
    """The largest one between the two after some steps in float64."""
    device, generator = torch.device("cpu"), torch.Generator().manual_seed(0)
    learner = learner_of(space, {}, torch.float64, device)
    plain, sampler = plain_of(learner, device), StrictFair(load_space(space), generator)
    learner.supernet.train()
    for _ in range(COMPARED["steps"]):
        one, step = batch(COMPARED["images"], COMPARED["size"], torch.float64, device, generator), sampler.draw(0.0)
        plain(paths_of(step), one)
        supernet_step(learner, step, in_channels_last(one))
    own = learner.supernet.state_dict()
    return largest(
        (value.double() - own[key].double()).abs().max().item() for key, value in plain.network.state_dict().items()
    )


def step_of(name: str, args: argparse.Namespace) -> Callable[[Step, Batch], object]:
    """The step of a variant, with the memory that its owner would take."""
    device = torch.device(args.device)
    if name in VARIANTS[args.device]:
        if name != "float32, memory given back":
            keep_memory()
        learner = learner_of(args.space, VARIANTS[args.device][name], torch.float32, device)
        learner.supernet.train()
        return lambda step, one: supernet_step(learner, step, in_channels_last(one))
    plain = plain_of(learner_of(args.space, {}, torch.float32, device), device)
    if "bfloat16" in name:
        lower(plain.network, device)
    if name == "plain":
        return lambda step, one: plain(paths_of(step), one)
    plain.network.to(memory_format=torch.channels_last)
    return lambda step, one: plain(paths_of(step), in_channels_last(one))


def arithmetic(args: argparse.Namespace) -> float:
    """The arithmetic operations of a step's convolutions and linear layers, the mean of ten steps: a backward pass has
    twice those of a forward one."""
    generator, space = torch.Generator().manual_seed(0), load_space(args.space)
    network, (images, _) = PathNetwork(space, 10), batch(1, args.image, torch.float32, torch.device("cpu"), generator)
    sampler, total = StrictFair(space, generator), 0
    network.eval()
    for _ in range(10):
        for path in paths_of(sampler.draw(0.0)):
            with FlopCounterMode(display=False) as counter, torch.no_grad():
                network(images, path)
            total += 3 * args.batch * counter.get_total_flops()
    return total / 10


def step_when_asked(name: str, args: argparse.Namespace) -> None:
    """Serves the steps of a variant, each of paths of its own."""
    device, generator = torch.device(args.device), torch.Generator().manual_seed(0)
    one = batch(args.batch, args.image, torch.float32, device, generator)
    take, sampler = step_of(name, args), StrictFair(load_space(args.space), generator)
    serve(lambda: take(sampler.draw(0.0), one), device)


def words_of(name: str, args: argparse.Namespace) -> list[str]:
    """The words by which this program serves a variant."""
    words = ["--serve", name, "--device", args.device]
    return words + [
        word for key in ("space", "threads", "batch", "image") for word in (f"--{key}", str(getattr(args, key)))
    ]


def measure(args: argparse.Namespace) -> dict[str, object]:
    apart = difference(args.space)
    if not apart < 1e-10:
        raise SystemExit(f"the two steps do not agree: {apart:.1e} after some steps in float64")

    names = ("plain", "plain channels_last", *VARIANTS[args.device])
    servers = {name: Server(__file__, words_of(name, args)) for name in names}
    times, first = by_turns(servers, args.pairs)

    operations, speed = arithmetic(args), matmul_speed(torch.device(args.device))
    passes, table = max(map(len, load_space(args.space).choices)), {}
    for name, own in times.items():
        table[name] = {
            "seconds": round(statistics.median(own), 4),
            "first_seconds": round(first[name], 2),
            "images_per_second": round(passes * args.batch / statistics.median(own), 1),
            "share_of_peak": round(operations / statistics.median(own) / speed, 3),
            **ratios(own, times["plain"], times["plain channels_last"]),
        }
    return {
        **circumstances(args.device),
        **{key: getattr(args, key) for key in ("space", "threads", "batch", "image", "pairs")},
        "passes": passes,
        "matmul_gflops": round(speed / 1e9, 1),
        "difference_float64": apart,
        "steps": table,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="nas-bench-macro", help="a space of layers")
    add_options(parser, 64, "images of a step")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.serve:
        step_when_asked(args.serve, args)
        return
    give(measure(args), args.out)


if __name__ == "__main__":
    main()
