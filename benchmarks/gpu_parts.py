"""What does `gpu.py` measure? A function a part; each finds the numbers of one form of it, as JSON holds them.

`seconds` is the median of a step, `images_per_second` counts every pass of an image forward and backward, `peak_mib` is
what the allocator reports on CUDA, weights and optimizer included, and `tflops` the arithmetic that a step cannot do
without, a second. `budget` is how many seconds a form is measured for, after its first steps.
"""

import gc
import statistics
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import fair_step
import loader
import search_step
import torch
import training
from apart import Found, line_of
from measured import largest
from search_step import COMPARED, PRECISION, RECIPES, VARIANTS, Size
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from fairdarts.cost.count import count
from fairdarts.differentiable.learner import Learner
from fairdarts.networks.blueprint import assemble
from fairdarts.oneshot.samplers import StrictFair
from fairdarts.runtime.device import peak_memory
from fairdarts.spaces.space import load_space

WARM_UP = 3
"""steps that are not measured: what is compiled, tuned and captured as a graph is so after these"""
BENCHMARK = "cudnn.benchmark"
"""forms of this name let cuDNN try its kernels, as the official searches do"""


def fresh(device: str, form: str = "") -> torch.device:
    """The device, with nothing left on it of the forms before."""
    torch.backends.cudnn.benchmark = BENCHMARK in form
    if device == "cuda":
        gc.collect()
        if "torch._dynamo" in sys.modules:  # to import it takes seconds
            torch._dynamo.reset()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    else:
        torch.set_num_threads(1)
    return torch.device(device)


def timed(take: Callable[[], object], device: torch.device, budget: float, images: int) -> Found:
    """Seconds of a step that goes through so many images, and its memory. The host waits for the device only after some
    steps together, as in a search."""
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None

    def seconds(steps: int) -> float:
        wait()
        begun = time.perf_counter()
        for _ in range(steps):
            take()
        wait()
        return (time.perf_counter() - begun) / steps

    first = usual = seconds(1)
    for _ in range(WARM_UP - 1 if budget else 0):
        usual = seconds(1)
    together = max(1, int(budget / 10 / usual))
    times = [seconds(together)]
    while together * sum(times) < budget:
        times.append(seconds(together))
    low, middle, high = statistics.quantiles(times * 2, n=4, method="inclusive")  # of one time, too
    return {
        "seconds": digits(middle),
        "seconds_quartiles": [digits(low), digits(high)],
        "steps": together * len(times),
        "first_seconds": digits(first),
        "images_per_second": digits(images / middle),
        **({"peak_mib": round(peak_memory(device) / 2**20)} if device.type == "cuda" else {}),
    }


def digits(value: float) -> float:
    """To four digits."""
    return float(f"{value:.4g}")


def speeds(form: str, device: str, size: int, budget: float) -> Found:
    """Of a product of two matrices [size, size] in a precision, TFLOP/s, and of a copy, GB/s of reads and writes."""
    own = fresh(device)
    one, two = (torch.randn(size, size, device=own, dtype=getattr(torch, form)) for _ in range(2))
    product, copy = (timed(take, own, budget, 1)["seconds"] for take in (lambda: one @ two, lambda: one.copy_(two)))
    return {"tflops": digits(2 * size**3 / product / 1e12), "copy_gb_per_second": digits(2 * one.nbytes / copy / 1e9)}


def parity(form: str, device: str, size: Size, steps: int, most: float, few: bool = False) -> Found:
    """How far a search on the device is from the same one on the CPU, step by step in float64, for at most so many
    seconds: the largest difference of α, weights and BatchNorm buffers, as a share of a tensor's largest number where
    that is above 1. Images are those of COMPARED, or a few."""
    space, _, images, pixels = (*COMPARED[form][:2], 2, 16) if few else COMPARED[form]
    settings = search_step.settings_of(RECIPES[form][0], space, size, {PRECISION: "float32"})  # no autocast
    places, generator = (torch.device("cpu"), fresh(device)), torch.Generator().manual_seed(0)
    here, there = learners = [search_step.learner_of(settings, torch.float64, place) for place in places]
    found: dict[str, list[float]] = {"alphas": [], "weights": [], "buffers": []}
    begun = time.perf_counter()
    for _ in range(steps):
        pair = [search_step.batch(images, pixels, torch.float64, places[0], generator) for _ in range(2)]
        for learner, place in zip(learners, places, strict=True):
            search_step.library_step(learner, *((x.to(place), y.to(place)) for x, y in pair))
        for own, one, other in zip(found.values(), _state(here), _state(there), strict=True):
            apart = (search_step.apart(one[key].cpu().double(), other[key].cpu().double()) for key in one)
            own.append(digits(largest(apart)))
        if time.perf_counter() - begun > most:
            break
    return {"space": space, "images": images, "pixels": pixels, "differences": found}


def _state(learner: Learner) -> tuple[dict[str, Tensor], ...]:
    """Of a search: α, weights, buffers."""
    supernet = learner.supernet
    return learner.alphas, dict(supernet.named_parameters()), dict(supernet.named_buffers())


def search(form: str, device: str, space: str, size: Size, batches: Iterable[int], image: int, budget: float) -> Found:
    """A first-order search step of the first of some batches that the device can take; `failed` is why not others."""
    own, failed = fresh(device, form), {}
    kind = form.removesuffix(f", {BENCHMARK}")
    settings = search_step.settings_of(RECIPES[space][0], space, size, VARIANTS[device].get(kind, {}))
    step = search_step.step_of(kind, search_step.learner_of(settings, torch.float32, own), own)
    for number in batches:
        try:
            drawn = torch.Generator(own).manual_seed(0)
            pair = [search_step.batch(number, image, torch.float32, own, drawn) for _ in range(2)]
            found = timed(lambda pair=pair: step(*pair), own, budget, 2 * number)
        except RuntimeError as error:  # OutOfMemoryError is one
            failed[str(number)] = line_of(error)
        else:
            tflops = digits(_arithmetic(space, size, image) * number / found["seconds"] / 1e12)
            return {"batch": number, **({"failed": failed} if failed else {}), **found, "tflops": tflops}
        pair = None
        fresh(device, form)
    return {"error": failed.popitem()[1]}


@cache
def _arithmetic(space: str, size: Size, image: int) -> float:
    """Of a search step, per image of a batch."""
    meta, settings = torch.device("meta"), search_step.settings_of(RECIPES[space][0], space, size, {})
    plain = search_step.plain_of(search_step.learner_of(settings, torch.float32, meta), meta)
    one = torch.empty(2, 3, image, image, device=meta), torch.empty(2, dtype=torch.int64, device=meta)
    return search_step.arithmetic(plain, one) / 2


def fair(form: str, device: str, space: str, batch: int, image: int, budget: float) -> Found:
    """A strictly fair step: a path for every choice, one update."""
    own, generator = fresh(device, form), torch.Generator().manual_seed(0)
    sampler, one = (
        StrictFair(load_space(space), generator),
        fair_step.batch(batch, image, torch.float32, own, generator),
    )
    take = fair_step.step_of(form, Namespace(space=space, device=device))
    passes = max(map(len, load_space(space).choices))
    found = timed(lambda: take(sampler.draw(0.0), one), own, budget, passes * batch)
    meta = torch.device("meta")
    plain = fair_step.plain_of(fair_step.learner_of(space, {}, torch.float32, meta), meta)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        for path in fair_step.paths_of(sampler.draw(0.0)):
            plain.network(torch.empty(2, 3, image, image, device=meta), path)
    tflops = 3 * counter.get_total_flops() / 2 * batch / found["seconds"] / 1e12  # a backward pass is two forward ones
    return {"batch": batch, **found, "tflops": digits(tflops)}


def train(form: str, device: str, batch: int, image: int, budget: float, **words: object) -> Found:
    """A step of the training of a genotype's network (see `training.py`, whose words these are)."""
    own = fresh(device, form)
    args = Namespace(device=device, batch=batch, image=image, **words)
    step, blueprint = training.stepper(args, training.WAYS[device][form])
    found = timed(step, own, budget, batch)
    with torch.device("meta"):
        operations = 2 * 3 * count(assemble(blueprint), image=image).madds
    return {"batch": batch, **found, "tflops": digits(operations * batch / found["seconds"] / 1e12)}


def load(
    form: str, device: str, pairs: int, batch: int, images: int, photos: int, size: int, workers: list[int]
) -> Found:
    """Batches of small images `in memory`, or of files that are decoded (see `loader.py`)."""
    fresh(device)
    args = Namespace(
        device=device, batch=batch, images=images, photos=photos, size=size, workers=workers, cutout=0, root=None
    )
    if form == "in memory":
        ways, facts = loader.in_memory(args)
        return {"batch": batch, **facts, **loader.compare(ways, pairs, batch)}
    with tempfile.TemporaryDirectory() as root:
        loader.write_photographs(Path(root), photos)
        ways, facts = loader.decoding(args, Path(root))
        return {"batch": batch, **facts, **loader.compare(ways, pairs, batch)}
