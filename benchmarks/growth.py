#!/usr/bin/env python3
"""How do time and memory of a step grow with the work? Written after every point; the same command goes on.

    python benchmarks/growth.py --out benchmarks/results/growth-cpu-1-thread.json
    python benchmarks/growth_figure.py benchmarks/results/growth-cpu-1-thread.json docs/figures/growth

`search` is a first-order step of FairDARTS, `fair` a strictly fair step, and `judging` an accuracy of every path of a
sample. Each grows along one axis at a time from the same base. Cells are those of S1. Candidates and choice points are
of a chain of equal layers, whose candidates are bottlenecks that expand 4 times on average, however many they are. Of
several processes (gloo) each has its share of a batch, or of the paths.

Every point is measured in a process of its own, on one thread, after a step of two images and a whole one. `seconds` is
the process's CPU time of a step, the median of some; that of the first where there are several. `peak_mib` is what that
process grows by in these steps (Linux), so that weights, optimizers and what is compiled are not in it.
"""

import argparse
import ctypes
import json
import os
import socket
import statistics
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import fair_step
import judging
import kept
import search_step
import torch
from apart import Found, apart, preload
from circumstances import circumstances

from fairdarts.oneshot.evaluate import Evaluator
from fairdarts.oneshot.samplers import StrictFair
from fairdarts.runtime import distributed
from fairdarts.runtime.checkpoint import write_atomically
from fairdarts.runtime.device import keep_memory, peak_memory
from fairdarts.spaces.space import SPACES, Space, space_from

CPU = torch.device("cpu")
EXPANSIONS = {1: "4", 2: "35", 4: "3526", 8: "3526"}
"""number of candidates → how many times they expand; 8 of them are each with and without its residual"""
CELLS = {"cells": 6, "channels": 8, "batch": 8, "image": 32}
CHAIN = {"points": 4, "candidates": 4, "channels": 16, "batch": 32, "image": 32}
JUDGED = CHAIN | {"points": 6, "paths": 64}
CURVES: dict[str, dict[str, tuple[dict[str, int], tuple[int, ...]]]] = {
    "search": {
        "cells": (CELLS, (3, 6, 12, 24)),
        "channels": (CELLS, (4, 8, 16, 32)),
        "batch": (CELLS, (2, 4, 8, 16, 32)),
        "image": (CELLS, (16, 32, 64)),
        "candidates": (CHAIN, (1, 2, 4, 8)),
        "points": (CHAIN, (2, 4, 8, 16)),
        "processes": (CELLS | {"batch": 64}, (1, 2, 4)),
    },
    "fair": {
        "channels": (CHAIN, (8, 16, 32, 64)),
        "batch": (CHAIN, (4, 8, 16, 32, 64)),
        "image": (CHAIN, (16, 32, 64)),
        "candidates": (CHAIN, (1, 2, 4, 8)),
        "points": (CHAIN, (2, 4, 8, 16)),
        "processes": (CHAIN, (1, 2, 4)),
    },
    "judging": {
        "channels": (JUDGED, (8, 16, 32, 64)),
        "batch": (JUDGED, (4, 8, 16, 32, 64)),
        "image": (JUDGED, (16, 32, 64)),
        "candidates": (JUDGED, (2, 4, 8)),
        "points": (JUDGED, (3, 6, 12, 24)),
        "processes": (JUDGED, (1, 2, 4)),
        "paths": (JUDGED, (16, 64, 256, 1024)),
    },
}
"""what is measured → what grows → the base and the numbers that it takes"""


def chain(channels: int, points: int, candidates: int) -> Space:
    """A space of equal layers, which keep the shape of what enters them."""
    names = [f"{kind}E{times}K3" for kind in ("", "MB")[: 1 + (candidates == 8)] for times in EXPANSIONS[candidates]]
    content = {
        "schema": 1,
        "name": "growth",
        "kind": "chain",
        "source": "benchmarks/growth.py",
        "candidates": names,
        "stem": {"channels": channels, "stride": 2},
        "stages": [{"channels": channels, "layers": points, "stride": 1}],
        "head": 4 * channels,
        "networks": {"cifar": {"image": 32, "classes": 10, "dropout": 0}},
    }
    return space_from(content, "growth")


def taker(work: str, own: dict[str, int], images: int) -> Callable[[int], object]:
    """What takes a step of so many images, all of them or this process's share."""
    generator = torch.Generator().manual_seed(distributed.rank())
    sizes = own["image"], torch.float32, CPU, generator
    if "cells" not in own:
        SPACES["growth"] = chain(own["channels"], own["points"], own["candidates"])
    if work == "search":
        recipe, space, size = "fairdarts-s2-small", "growth", None
        if "cells" in own:
            recipe, space, size = "fairdarts-s1-cifar10", "s1", (own["cells"], own["channels"])
        learner = search_step.learner_of(search_step.settings_of(recipe, space, size, {}), torch.float32, CPU)
        pair = {count: [search_step.batch(count, *sizes) for _ in range(2)] for count in (2, images)}
        return lambda count: search_step.library_step(learner, *pair[count])
    if work == "fair":
        take = fair_step.step_of("float32", Namespace(space="growth", device="cpu"))
        sampler = StrictFair(SPACES["growth"], torch.Generator().manual_seed(0))  # paths are those of all processes
        one = {count: fair_step.batch(count, *sizes) for count in (2, images)}
        return lambda count: take(sampler.draw(0.0), one[count])
    supernet, x, y, paths = judging.drawn(SPACES["growth"], own["batch"], own["image"], own["paths"])
    return lambda count: Evaluator(supernet, lambda: [(x[:count], y[:count])])(paths)


def spread(processes: int) -> int:
    """Makes so many processes of this one, each told its place as by torchrun; gives its number."""
    if processes == 1:
        return 0
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=port, WORLD_SIZE=str(processes))
    rank = next((rank for rank in range(1, processes) if os.fork() == 0), 0)
    os.environ["RANK"] = str(rank)
    return rank


def settled() -> int:
    """Bytes of this process once it has given back what it does not need: from here on it grows."""
    with suppress(OSError, AttributeError):  # of Linux and glibc
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the peak begins anew
    return peak_memory(CPU) or 0


def measure(_: str, work: str, own: dict[str, int], steps: int) -> Found:
    """Seconds and memory of a step."""
    torch.set_num_threads(1)
    keep_memory()  # as searches, trainings and judging do
    rank, times = spread(own.get("processes", 1)), []
    with distributed.joined():
        images = own["batch"] // (1 if work == "judging" else distributed.ranks())
        take = taker(work, own, images)
        take(2)
        before, left = settled(), 1
        while left:
            begun = time.process_time()
            take(images)
            times.append(time.process_time() - begun)
            if len(times) == 1:  # of quick steps more, and in all processes as many
                left += distributed.highest(max(steps, min(25, round(1 / times[0]))))
            left -= 1
        grown = (peak_memory(CPU) or 0) - before
        distributed.highest(0)  # none leaves while another is at work
    if rank:
        os._exit(0)
    low, middle, high = (round(value, 4) for value in statistics.quantiles(times[1:], n=4, method="inclusive"))
    return {"seconds": middle, "seconds_quartiles": [low, high], "peak_mib": round(grown / 2**20, 1)}


def grow(result: Found, steps: int, largest: int, out: Path) -> None:
    """Measures the points that the result lacks; several curves may share one."""
    curves = result["curves"]
    for work, axes in CURVES.items():
        for axis, (base, values) in axes.items():
            curve = curves.setdefault(work, {}).setdefault(axis, [])
            for value in values[len(curve) : largest]:
                own = base | {axis: value}
                known = [point for axis in curves[work].values() for point in axis if point["setting"] == own]
                if not known:
                    ((_, found),) = apart(measure, [axis], {"work": work, "own": own, "steps": steps}, lambda: 300)
                    if "error" in found:
                        sys.exit(f"growth: {work}: {own}: {found['error']}")
                    known = [{"setting": own, **found}]
                    print(f"{work}: {axis} {value}: {found['seconds']} s, {found['peak_mib']} MiB", file=sys.stderr)
                curve.append({**known[0], "at": value})
                keep(result, out)


def keep(result: Found, out: Path) -> None:
    write_atomically(out, (json.dumps(result, indent=1) + "\n").encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("growth.json"), help="JSON file of the result")
    parser.add_argument("--steps", type=int, default=4, help="steps that are measured of a point, at least")
    parser.add_argument("--points", type=int, help="of every curve, the first ones (default: all)")
    args = parser.parse_args()
    new = {**circumstances("cpu"), "threads": 1, "steps": args.steps, "curves": {}}
    result = kept.begun(args.out, "growth", new, ("processor", "vectors", "torch", "threads", "steps"))
    keep(result, args.out)  # what cannot be written is refused here
    preload("growth")
    grow(result, args.steps, args.points, args.out)


if __name__ == "__main__":
    sys.exit(kept.in_a_line(main))
