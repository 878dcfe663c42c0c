#!/usr/bin/env python3
"""What do a step of every kind of gates and its memory cost, held against dense DARTS?

    python benchmarks/family_step.py --out benchmarks/results/family-step-s1-cpu-1-thread.json
    python benchmarks/family_step.py --space s2 --image 64 --out benchmarks/results/family-step-s2-cpu-1-thread.json
    python benchmarks/family_step.py --space nasbench201 --cells 1 \\
        --out benchmarks/results/family-step-nb201-cpu-1-thread.json

All are the library's own first-order steps, of random images, with the same supernet but for what a method changes in
it. `dense` is DARTS. By turns each takes a step; `ratio_quartiles` are of the seconds of `dense` / those of the method,
round by round. `kept` is what the pass of the weights, and that of α, keeps for its backward pass, as a share of what
dense keeps: drawn gates differ from pass to pass, so it is the mean of some. `candidates` is how many candidates run in
a pass of the weights, as a share of all.
"""

import argparse
import statistics
import sys
import time
from contextlib import nullcontext

import torch
from circumstances import circumstances
from measured import give, quartiles
from search_step import Batch, add_sizes, batch, learner_of, saved, settings_of, size_of

from fairdarts.differentiable.architect import STEPS
from fairdarts.differentiable.gates import gates_of_pass
from fairdarts.differentiable.learner import Learner, StepIndex
from fairdarts.differentiable.passes import losses
from fairdarts.differentiable.unrolled import frozen
from fairdarts.native.calls import use_native
from fairdarts.runtime.seed import TRAIN, VALID

GUMBEL = {"sampling.kind": "gumbel", "sampling.temperature": "[1, 0.1]"}
AROUND = {"perturbation.radius": "[0.1, 0.1]"}
METHODS: dict[str, dict[str, str]] = {
    "dense": {},
    "second order": {"architect.kind": "second_order"},
    "snas": GUMBEL | {"sampling.hard": "false"},
    "gdas": GUMBEL | {"sampling.hard": "true"},
    "proxylessnas": {"sampling.kind": "binary"},
    "setn": {"sampling.kind": "uniform"},
    "drnas": {"relaxation": "dirichlet", "sampling.kind": "dirichlet"},
    "darts-minus": {"auxiliary.weight": "1", "auxiliary.schedule": "falling"},
    "sdarts-rs": AROUND | {"perturbation.kind": "random"},
    "sdarts-adv": AROUND | {"perturbation.kind": "adversarial"},
    "pc-darts": {"supernet.partial": "4", "edges": "softmax"},
    "beta-darts": {"penalties": "[{form: beta_decay, weight: 50, schedule: rising}]"},
    "gaea": {"architect.optimizer": "exponentiated", "architect.betas": "null", "architect.weight_decay": "null"},
    "oles": {"freezing.threshold": "0.4", "freezing.steps": "20", "freezing.against": "sum"},
    "sparsemax": {"relaxation": "sparsemax"},
}
"""what a method changes in DARTS"""
RECIPES = {"s1": "darts-s1-cifar10", "s2": "darts-s2-imagenet", "nasbench201": "darts-nasbench201"}
DRAWS = 8
"""passes whose memory is averaged, where gates are drawn"""


def step(learner: Learner, number: int, train: Batch, valid: Batch) -> float:
    """The seconds of a step."""
    begun = time.perf_counter()
    STEPS[learner.settings.architect.kind](learner, train, valid, StepIndex(0, number))
    return time.perf_counter() - begun


def kept(learner: Learner, one: Batch, half: int) -> float:
    """The bytes that a pass over a batch of a half keeps; where gates are drawn, a mean of several."""
    alphas, learns = learner.alphas, half == VALID
    if not learns:
        alphas = {part: alpha.detach() for part, alpha in alphas.items()}

    def measured(number: int) -> int:
        at = StepIndex(0, number)
        return saved(lambda: losses(learner, alphas, one, at, half, 0, learns)[0], learner.supernet)

    draws = DRAWS if learner.settings.sampling else 1
    with frozen(learner.weights) if learns and not learner.freezing else nullcontext():  # as the step of α has it
        return statistics.fmean(map(measured, range(draws)))


def running(learner: Learner) -> float:
    """How many candidates run in a pass of the weights, as a share of all."""
    alphas = {part: alpha.detach() for part, alpha in learner.alphas.items()}
    drawn = [gates_of_pass(learner, alphas, StepIndex(0, number), TRAIN, 0, False).seen for number in range(DRAWS)]
    every = sum(map(len, learner.supernet.space.points))
    return statistics.fmean(sum(len(gate.active) for gate in gates) for gates in drawn) / every


def measure(args: argparse.Namespace) -> dict[str, object]:
    device, size = torch.device("cpu"), size_of(args)
    names = [name for name in METHODS if not args.methods or name in ("dense", *args.methods)]
    if args.space == "s2" and "pc-darts" in names:
        names.remove("pc-darts")  # it is for cells
    common = {"compute.memory": "none"}
    learners = {
        name: learner_of(
            settings_of(RECIPES[args.space], args.space, size, common | METHODS[name]), torch.float32, device
        )
        for name in names
    }
    generator = torch.Generator().manual_seed(0)
    train, valid = (
        (images.to(memory_format=torch.channels_last), labels)
        for images, labels in (batch(args.batch, args.image, torch.float32, device, generator) for _ in range(2))
    )
    passes = {"weights": (train, TRAIN), "alphas": (valid, VALID)}
    memory = {name: {key: kept(own, *one) for key, one in passes.items()} for name, own in learners.items()}
    times: dict[str, list[float]] = {name: [] for name in names}
    for number in range(args.pairs + 1):
        for name, own in learners.items():
            times[name].append(step(own, number, train, valid))
        print("  ".join(f"{name} {own[-1]:.3f} s" for name, own in times.items()), file=sys.stderr)
    times = {name: own[1:] for name, own in times.items()}
    dense = memory["dense"]
    table = {
        name: {
            "seconds": round(statistics.median(own), 4),
            "ratio_quartiles": quartiles([slow / fast for slow, fast in zip(times["dense"], own, strict=True)]),
            "kept": {half: round(memory[name][half] / dense[half], 3) for half in dense},
            "kept_most": round(max(memory[name].values()) / max(dense.values()), 3),
            "candidates": round(running(learners[name]), 3),
        }
        for name, own in times.items()
    }
    return {
        **circumstances("cpu"),
        **{key: getattr(args, key) for key in ("space", "threads", "batch", "image", "pairs")},
        **(dict(zip(("cells", "channels"), size, strict=True)) if size else {}),
        "dense_kept_mib": {half: round(value / 2**20, 1) for half, value in dense.items()},
        "steps": table,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_sizes(parser, sorted(RECIPES))
    parser.add_argument("--methods", nargs="+", choices=sorted(METHODS), help="which ones (default: all)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    use_native("auto")
    give(measure(args), args.out)


if __name__ == "__main__":
    main()
