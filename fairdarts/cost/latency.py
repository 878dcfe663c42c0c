"""How long does a network take, choice by choice: as measured on a device, or as a table of the user's says?

The table is CSV: `point,choice,milliseconds`, a row for every candidate of every choice point, which are numbered from
0 (the edges of the normal cell before those of the reduction cell), and a row `rest,,milliseconds` for what all
networks have in common.
"""

import math
import statistics
import time
from contextlib import suppress
from itertools import chain, islice, pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from fairdarts.config import UserError, nearest
from fairdarts.cost.parts import parts_of
from fairdarts.cost.table import Table, tabulate
from fairdarts.networks.settings import AS_NAMED, NetworkSettings
from fairdarts.reading import csv_records, read_text
from fairdarts.runtime.shape import Shape, sides
from fairdarts.spaces.space import Space

LATENCY = "latency.csv"
"""in a run: the latency of every choice"""
WARM_UP, ROUNDS = 3, 30
HEADER = ["point", "choice", "milliseconds"]
REST = "rest"


def measure_latency(
    space: Space,
    device: torch.device,
    batch: int = 1,
    shape: Shape | None = None,
    network: NetworkSettings = AS_NAMED,
) -> Table:
    """Milliseconds for a batch of such images in float32, None being those that the space was made for: of every part
    the median of ROUNDS rounds.

    A round runs all distinct parts, one after another as a network runs its layers: a part that ran many times in a row
    would find its weights in the cache, and seem quicker than it is in a network. How well it
    tells which network is fast: benchmarks/latency.py.
    """
    parts = parts_of(space, shape, network)
    distinct = parts.distinct
    layout = torch.channels_last if device.type == "cpu" else torch.contiguous_format
    inputs = {(part.channels, part.size) for part in distinct}
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay what they were
        images = {(c, s): torch.randn(batch, c, *sides(s)).to(device, memory_format=layout) for c, s in inputs}
        built = (part.build(*part.arguments).eval() for part in distinct)
        # torch's stubs know no memory_format with a device
        modules = [module.to(device, memory_format=layout) for module in built]  # type: ignore[call-overload]
    steps = [(module, images[part.channels, part.size]) for module, part in zip(modules, distinct, strict=True)]
    with torch.no_grad():
        rounds = [_round(steps, device) for _ in range(WARM_UP + ROUNDS)][WARM_UP:]
    medians = map(statistics.median, zip(*rounds, strict=True))
    return tabulate(parts, dict(zip(distinct, medians, strict=True)))


def _round(steps: list[tuple[nn.Module, Tensor]], device: torch.device) -> list[float]:
    """Milliseconds of every step. On CUDA they are the device's, its waiting for the next kernel included."""
    if device.type == "cpu":
        times = [time.perf_counter()]
        for module, x in steps:
            module(x)
            times.append(time.perf_counter())
        return [1000 * (end - begin) for begin, end in pairwise(times)]
    stream = torch.cuda.current_stream(device)
    marks = [stream.record_event(torch.cuda.Event(enable_timing=True))]
    for module, x in steps:
        module(x)
        marks.append(stream.record_event(torch.cuda.Event(enable_timing=True)))
    stream.synchronize()
    return [begin.elapsed_time(end) for begin, end in pairwise(marks)]


def latency_csv(table: Table, space: Space) -> str:
    """The table as CSV, from which `read_latency` makes the same table."""
    values = (table.fixed, *chain.from_iterable(table.choices))
    rows = (f"{point},{choice},{value!r}" for (point, choice), value in zip(_keys(space), values, strict=True))
    return "\n".join((",".join(HEADER), *rows, ""))


def read_latency(path: Path, space: Space) -> Table:
    """The table in a CSV file, its rows in any order. Raises UserError naming the line, the value and what is right."""
    records = csv_records(path, read_text(path))
    place, header = next(records, (path, []))
    if header != HEADER:
        raise UserError(f"{place}: {','.join(header)!r}: should be {','.join(HEADER)}")
    keys = _keys(space)
    times: dict[tuple[str, str], float] = {}
    for place, record in records:
        if len(record) != len(HEADER):
            raise UserError(f"{place}: {len(record)} fields, should be {len(HEADER)}: {','.join(HEADER)}")
        point, choice, milliseconds = record
        if (point, choice) not in keys:
            raise UserError(f"{place}: {_unknown(point, choice, space)}")
        if (point, choice) in times:
            raise UserError(f"{place}: {_row(point, choice)}: stands twice")
        times[point, choice] = _number(milliseconds, place)
    missing = [key for key in keys if key not in times]
    if missing:
        more = f", nor {len(missing) - 1} others" if len(missing) > 1 else ""
        raise UserError(f"{path}: has no row for {_row(*missing[0])}{more}: should have {len(keys)} for {space.name}")
    values = iter([times[key] for key in keys])
    return Table(next(values), tuple(tuple(islice(values, len(names))) for names in space.points))


def _keys(space: Space) -> list[tuple[str, str]]:
    """Point and choice of every row, in the order of a table's numbers."""
    return [(REST, ""), *((str(number), name) for number, names in enumerate(space.points) for name in names)]


def _row(point: str, choice: str) -> str:
    return REST if point == REST else f"point {point}, {choice}"


def _unknown(point: str, choice: str, space: Space) -> str:
    """What is wrong with a row that the space does not have."""
    if point == REST:
        return f"choice: {choice!r}: should be empty for {REST}"
    known = {str(number): names for number, names in enumerate(space.points)}
    if point not in known:
        return f"point: {point!r}: should be from 0 to {len(known) - 1} for {space.name}, or {REST}"
    return f"choice: {choice!r} is not a choice of point {point} of {space.name}{nearest(choice, known[point])}"


def _number(text: str, place: str) -> float:
    with suppress(ValueError):
        number = float(text)
        if 0 <= number < math.inf:
            return number
    raise UserError(f"{place}: milliseconds: {text!r}: should be a number from 0 up")
