"""`fairdarts bench`: what a search would take on this machine, measured by its first steps."""

import sys
from collections.abc import Sequence
from contextlib import closing
from statistics import quantiles
from time import perf_counter

import torch

from fairdarts.cli.recipe import help_text, open_images, open_recipe
from fairdarts.cli.words import Parser, say, to_json, tracked
from fairdarts.config import UserError
from fairdarts.data.sources import Source
from fairdarts.runtime import distributed
from fairdarts.runtime.device import memory_advice, peak_memory, pick
from fairdarts.search.architect import STEPS
from fairdarts.search.settings import SearchSettings
from fairdarts.search.setup import check_fit, make_learner, open_batches
from fairdarts.spaces.space import Space

WARM_UP = 3  # steps: caches, kernels and optimizer states come with the first, graphs with the second


def main(argv: Sequence[str]) -> int:
    parser = Parser("bench", "Measure the first steps of a search; nothing is written.", help_text(SearchSettings))
    parser.add_argument("--config", metavar="RECIPE", help="a shipped recipe or a YAML file, such as a run's settings")
    parser.add_argument("--steps", type=int, default=10, help=f"measured after {WARM_UP} to warm up (default 10)")
    parser.add_argument("--json", action="store_true", help="an object instead of lines")
    args, rest = parser.parse_known_args(argv)
    with distributed.joined(), memory_advice():
        with distributed.together():
            if args.steps < 2:
                raise UserError(f"bench: --steps {args.steps}: should be at least 2")
            settings, space = open_recipe("bench", SearchSettings, args.config, rest)
        facts = measure(settings, space, open_images(settings.data), args.steps)
        first = distributed.rank() == 0
    if first:
        sys.stdout.write(to_json(facts) if args.json else text(facts))
    return 0


def measure(settings: SearchSettings, space: Space, source: Source, steps: int) -> dict[str, object]:
    """Times of `steps` steps, loading included, and what they say of the whole search.

    `images_per_second` counts the images of training and held-out batches; quartiles are those of the steps.
    """
    device = pick(settings.device)
    with distributed.together():
        halves = check_fit(settings, space, source)
    learner = make_learner(settings, space, source, device)
    train, valid, _ = open_batches(settings, source, halves, device, step=0, epoch=0)
    take_step, halved = STEPS[settings.architect.kind], settings.architect.kind != "single_level"
    say(f"measuring {steps} steps of {settings.name}, after {WARM_UP} to warm up")
    if settings.measures_curvature:
        say("the curvature, once an epoch, is left out of this")
    if settings.architect.warmup:
        say("the epochs of architect.warmup, whose steps take less, are counted as the others")
    times = []
    with closing(train), closing(valid):
        for _ in tracked(range(WARM_UP + steps), what="measuring"):
            begun = perf_counter()
            take_step(learner, next(train), next(valid) if halved else None)
            if device.type == "cuda":
                torch.cuda.synchronize()
            times.append(perf_counter() - begun)
    times = times[WARM_UP:]
    low, middle, high = quantiles(times, n=4, method="inclusive")
    batches = 1 + halved
    per_epoch = len(halves[0]) // settings.data.batch_size
    return {
        "recipe": settings.name,
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "processes": distributed.ranks(),
        "torch": torch.__version__,
        "steps_measured": steps,
        "step_ms": round(1000 * middle, 2),
        "step_ms_quartiles": [round(1000 * value, 2) for value in (low, high)],
        "images_per_second": round(batches * settings.data.batch_size / middle, 1),
        "peak_memory_bytes": peak_memory(device),
        "epochs": settings.epochs,
        "steps_per_epoch": per_epoch,
        "hours": round(settings.epochs * per_epoch * sum(times) / steps / 3600, 4),
    }


def text(facts: dict[str, object]) -> str:
    """The findings as lines."""
    low, high = facts["step_ms_quartiles"]
    threads = "" if facts["device"] != "cpu" else f", {facts['threads']} thread{'s' if facts['threads'] > 1 else ''}"
    threads += f", {facts['processes']} processes" if facts["processes"] > 1 else ""
    peak, whole = facts["peak_memory_bytes"], "" if facts["device"] != "cpu" else ", of the whole process"
    whole += " (the first)" if facts["processes"] > 1 else ""
    return (
        f"recipe   {facts['recipe']} on {facts['device']}{threads}, torch {facts['torch']}\n"
        f"step     {facts['step_ms']:,.1f} ms, half of them from {low:,.1f} to {high:,.1f}\n"
        f"images   {facts['images_per_second']:,.1f} a second, training and held-out ones together\n"
        f"memory   {'not known on this system' if peak is None else f'{peak / 2**30:.2f} GiB at most{whole}'}\n"
        f"search   {facts['epochs']} epochs of {facts['steps_per_epoch']} steps: about {duration(facts['hours'])}\n"
    )


def duration(hours: float) -> str:
    """Hours, or minutes where they are few."""
    return f"{hours:,.1f} hours" if hours >= 2 else f"{60 * hours:.1f} minutes"
