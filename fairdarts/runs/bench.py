"""What would a search take on this machine? Measured by its first steps; nothing is written."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from statistics import quantiles
from time import perf_counter
from typing import Any

import torch

from fairdarts.data.sources import Source
from fairdarts.differentiable.architect import STEPS
from fairdarts.differentiable.learner import START
from fairdarts.differentiable.settings import SearchSettings
from fairdarts.differentiable.setup import check_fit, make_learner, open_batches
from fairdarts.native.calls import use_native
from fairdarts.runs.callbacks import Callback, Callbacks, Watches
from fairdarts.runs.cost import costs_of
from fairdarts.runs.data import see
from fairdarts.runs.recipe import Recipe, merged, settings_of
from fairdarts.runs.request import WARM_UP, Request, check_steps
from fairdarts.runtime import distributed
from fairdarts.runtime.device import keep_memory, memory_advice, peak_memory, pick, use_threads
from fairdarts.spaces.space import Space, load_space


def bench(
    recipe: Recipe,
    steps: int = 10,
    settings: Mapping[str, Any] | None = None,
    data: Any = None,
    callbacks: Sequence[Watches] | Watches = (),
    **named: Any,
) -> dict[str, Any]:
    """Measures what a search would take, as `fairdarts bench` does: `steps` of its first steps, after 3 to warm up.

    Gives `step_ms` with the quartiles `step_ms_quartiles`, `images_per_second` of training and held-out images
    together, `peak_memory_bytes`, the `hours` of the whole search, and where it was measured. Other parameters are
    those of `search`. Raises UserError.

    >>> fairdarts.bench("fairdarts-s1-digits", epochs=100)["hours"]
    """
    with distributed.joined():
        return carry_out(Request(recipe, merged(settings, named), data), steps, Callbacks(callbacks))


def carry_out(asked: Request, steps: int, watch: Callback) -> dict[str, Any]:
    """The measurement, in all processes that share it."""
    with memory_advice():
        with distributed.together():
            check_steps(steps)
            assert asked.recipe is not None, "a search has a recipe"
            settings, place = settings_of(SearchSettings, asked.recipe, asked.laid)
            use_threads(settings.threads)
            keep_memory()
            use_native(settings.compute.native)
            space = load_space(settings.space, f"{place}: space")
        settings, source = see(settings, asked.data, watch)
        return _measured(settings, space, source, steps, watch)


def _measured(settings: SearchSettings, space: Space, source: Source, steps: int, watch: Callback) -> dict[str, Any]:
    """Times of `steps` steps, loading included, and what they say of the whole search.

    `images_per_second` counts the images of training and held-out batches; quartiles are those of the steps.
    """
    device = pick(settings.device)
    with distributed.together():
        halves = check_fit(settings, space, source)
    costs = costs_of(settings, space, source.shape, watch)
    learner = make_learner(settings, space, source, device, costs, len(halves[0]) // settings.data.batch_size)
    train, valid, _ = open_batches(settings, source, halves, device, step=0, epoch=0)
    take_step, halved = STEPS[settings.architect.kind], settings.architect.kind != "single_level"
    watch.note(f"measuring {steps} steps of {settings.name}, after {WARM_UP} to warm up")
    if settings.measures_curvature:
        watch.note("the curvature, once an epoch, is left out of this")
    if settings.stages:
        watch.note("the steps of the first stage are measured, and all epochs counted as its own")
    if settings.architect.warmup:
        watch.note("the epochs of architect.warmup, whose steps take less, are counted as the others")
    times = []
    with closing(train), closing(valid):
        for _ in watch.track(range(WARM_UP + steps), WARM_UP + steps, "measuring"):
            begun = perf_counter()
            take_step(learner, next(train), next(valid) if halved else None, START)
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
