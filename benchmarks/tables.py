#!/usr/bin/env python3
"""The tables and numbers of speed in README and the pages of docs/, from the committed results.

    python benchmarks/tables.py

Writes them anew where a page marks their place: between `<!-- table: NAME -->` and `<!-- end -->`. So whoever measures
again runs this afterwards; a test fails where a page tells other numbers than the results.
"""

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import family

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGES = ("README.md", *(f"docs/{name}.md" for name in ("speed", "imagenet", "ranking", "train", "evolve", "methods")))
MARK = re.compile(r"(<!-- table: (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)

WAYS = {
    "plain channels_last": "the published form in channels_last",
    "official channels_last": "the authors' code in channels_last",
    "none": "`--compute.memory none` (default)",
    "recompute": "`--compute.memory recompute`: chains of convolutions again",
    "checkpoint": "`--compute.memory checkpoint`: whole cells or layers again",
    "2 parts": "`--compute.accumulate 2`",
    "4 parts, checkpoint": "`--compute.memory checkpoint --compute.accumulate 4`",
    "bfloat16": "`--compute.precision bfloat16`",
    "float32": "the library",
    "float32, memory given back": "the library, where memory is given back",
    "float32, channels_last": "the library",
}
"""way of a result → how a page calls it"""
PUBLISHED, STRONGEST = "ratio_quartiles", "ratio_channels_last_quartiles"
HELD = ("times as fast as the published form", "as that form in channels_last")
PEAK = "share of the speed of a matrix product"

Result = dict[str, Any]


def read(name: str) -> Result:
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def ratio(way: Result, key: str) -> str:
    """'3.59 [3.53, 3.78]': median and quartiles; '–' where the result is older than the comparison."""
    if key not in way:
        return "–"
    low, middle, high = way[key]
    return "1" if low == middle == high == 1 else f"{middle:.2f} [{low:.2f}, {high:.2f}]"


def share(number: float) -> str:
    """'0.37', or '0.003'."""
    return f"{number:.2f}" if number >= 0.01 else f"{number:.3f}"


def power(number: float) -> str:
    """'3·10⁻¹⁴'."""
    digit, exponent = f"{number:.0e}".split("e")
    return f"{digit}·10{str(int(exponent)).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}"


def told(names: Iterable[tuple[str, str]]) -> str:
    """Where the results stand, when and on what they were measured: of pairs of a title and a result's name."""
    parts = []
    for title, name in names:
        result = read(name)
        on = [result.get("processor", result.get("device", result.get("machine"))), result.get("vectors")]
        about = ", ".join(str(part) for part in (result["date"], *on, f"torch {result['torch']}") if part)
        parts.append(f"[{title}](../benchmarks/results/{name}.json) ({about})")
    return f"Measured: {'; '.join(parts)}."


def markdown(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heads = list(heads)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *rows))


def search_step_s1() -> str:
    one, two = (read(f"search-step-cpu-{threads}") for threads in ("1-thread", "2-threads"))
    heads = ("", *HELD, "both on two threads", "kept for the backward pass", "peak memory", PEAK)
    rows = []
    for name, way in one["steps"].items():
        if name in ("plain channels_last", "none", "recompute", "checkpoint"):
            other = two["steps"].get(name, {})
            both = f"{ratio(other, PUBLISHED)}; {ratio(other, STRONGEST)}"
            memory = share(way["saved"]), share(way["peak"]), share(way["share_of_peak"])
            rows.append([WAYS[name], ratio(way, PUBLISHED), ratio(way, STRONGEST), both, *memory])
    fair, darts = one["difference_float64"].values()
    same = (
        f"After 20 steps in float64 (4 cells, 4 channels) α, weights and BatchNorm statistics lie within {power(fair)} "
    )
    same += f"(FairDARTS) and {power(darts)} (DARTS) of the plain form's."
    calls = [one["steps"][name]["operations"] for name in ("none", "plain")]
    same += " A step calls {:,} operations of torch, one of the plain form {:,}.".format(*calls)
    sources = ("one thread", "search-step-cpu-1-thread"), ("two threads", "search-step-cpu-2-threads")
    return f"{markdown(heads, rows)}\n\n{same}\n{told(sources)}"


def search_step_s2() -> str:
    result = read("search-step-s2-cpu-1-thread")
    heads = ("", *HELD, "kept for the backward pass", "peak memory")
    rows = [
        [WAYS[name], ratio(way, PUBLISHED), ratio(way, STRONGEST), share(way["saved"]), share(way["peak"])]
        for name, way in result["steps"].items()
        if name != "plain"
    ]
    apart = power(max(result["difference_float64"].values()))
    same = (
        "All but the accumulated and bfloat16 steps compute the same numbers: after four steps in float64 α, weights "
    )
    same += f"and BatchNorm statistics lie within {apart} of the plain form's."
    return f"{markdown(heads, rows)}\n\n{same}\n{told([('result', 'search-step-s2-cpu-1-thread')])}"


def official() -> str:
    result = read("official-cpu-1-thread")
    memory = "kept for the backward pass", "peak memory"
    heads = ("", "times as fast as the authors' code", "as it in channels_last", *memory)
    rows = [
        [WAYS[name], ratio(way, PUBLISHED), ratio(way, STRONGEST), share(way["saved"]), share(way["peak"])]
        for name, way in result["steps"].items()
        if name != "official"
    ]
    same = f"After {result['compared']} steps in float64 α, weights and BatchNorm statistics lie within "
    same += f"{power(result['difference_float64'])} of theirs."
    memory = f"Their step keeps {result['official_saved_mib']:,} MiB, and the process grows by "
    memory += f"{result['official_peak_mib']:,} MiB."
    return f"{markdown(heads, rows)}\n\n{same} {memory}\n{told([('result', 'official-cpu-1-thread')])}"


def in_short() -> str:
    way = read("official-cpu-1-thread")["steps"]["none"]
    (_, plain, _), (_, strongest, _) = way[PUBLISHED], way[STRONGEST]
    text = f"On one CPU thread a search step of FairDARTS is {plain:.1f} times as fast as the authors' code, "
    text += (
        f"{strongest:.1f} times as fast as that in\nchannels_last, and takes {share(way['peak'])} of its peak memory: "
    )
    return f"{text}[docs/speed.md](docs/speed.md)."


def other_steps() -> str:
    s2, fair = (read(f"{name}-cpu-1-thread")["steps"] for name in ("search-step-s2", "fair-step"))
    steps = [
        ("search step in S2, 64×64 pixels, batch 16 ([imagenet.md](imagenet.md#memory))", s2["none"]),
        ("the same with `--compute.memory recompute`", s2["recompute"]),
        ("strictly fair step in NAS-Bench-Macro's space ([ranking.md](ranking.md#speed))", fair["float32"]),
    ]
    for name, title in TRAININGS.items():
        way = read(f"training-{name}-cpu-1-thread")["ways"]["float32, channels_last"]
        steps.append((f"training step of {title} ([train.md](train.md#speed))", way))
    return markdown(("", *HELD), ([title, ratio(way, PUBLISHED), ratio(way, STRONGEST)] for title, way in steps))


def fair_step() -> str:
    result = read("fair-step-cpu-1-thread")
    rows = [
        [
            WAYS[name],
            ratio(way, PUBLISHED),
            ratio(way, STRONGEST),
            f"{way['images_per_second']:,.0f}",
            share(way["share_of_peak"]),
        ]
        for name, way in result["steps"].items()
        if name != "plain"
    ]
    same = "After three steps in float64 weights and BatchNorm statistics of the two lie within "
    same += f"{power(result['difference_float64'])} of each other.\n"
    same += told([("result", "fair-step-cpu-1-thread")])
    return f"{markdown(('', *HELD, 'images a second', PEAK), rows)}\n\n{same}"


def judging() -> str:
    result = read("judging-cpu-1-thread")
    heads = (
        "space",
        "paths",
        "stages that run, of those of all paths",
        "times as fast as one by one",
        "paths a second",
    )
    rows = [
        [
            f"`{name}`",
            str(own["paths"]),
            f"{own['branches']:.2f}",
            ratio(own, PUBLISHED),
            f"{own['paths_per_second']:g}",
        ]
        for name, own in result["spaces"].items()
    ]
    return f"{markdown(heads, rows)}\n\n{told([('result', 'judging-cpu-1-thread')])}"


TRAININGS = {"fairdarts-a": "FairDARTS-a (20 cells of 36 channels, 32×32)", "fairnas-a": "FairNAS-A (224×224)"}


def training() -> str:
    rows, sources = [], []
    for name, title in TRAININGS.items():
        result = read(f"training-{name}-cpu-1-thread")
        sources.append((title.split(" ")[0], f"training-{name}-cpu-1-thread"))
        for way, own in result["ways"].items():
            if way != "plain":
                speed = f"{own['images_per_second']:.1f}"
                rows.append([title, WAYS[way], ratio(own, PUBLISHED), ratio(own, STRONGEST), speed])
    return f"{markdown(('network', '', *HELD, 'images a second'), rows)}\n\n{told(sources)}"


def loader() -> str:
    result = read("loader-cpu-1-thread")
    ways = {
        "streamed": "the library, where images are streamed, as those of large sets are",
        "official_0_workers": "torchvision's transforms image by image",
        "official_2_workers": "a new iterator of two processes at every step, as DARTS code has",
    }
    rows = [[title, f"{result['ratio_quartiles'][way][1]:.0f}"] for way, title in ways.items()]
    heads = ("loading a batch of 64", "times as long as from memory")
    return f"{markdown(heads, rows)}\n\n{told([('result', 'loader-cpu-1-thread')])}"


def decoding() -> str:
    result = read("loader-decode-cpu-1-thread")
    speed = result["batch"] / result["seconds_quartiles"]["files_0_workers"][1]
    count = f"{round(speed, -1):.0f} images"
    text = f"One process decodes about {count} of ImageNet's size a second, so count on a `data.workers` for every "
    text += f"{count} a second that a GPU takes."
    return f"{text}\n{told([('result', 'loader-decode-cpu-1-thread')])}"


def latency() -> str:
    result = read("latency-cpu-1-thread")
    heads = ("space", "τ of table and networks", "τ of two tables", "sum of the table / time of the network")
    rows = [
        [
            f"`{name}`",
            f"{own['tau']:.2f}",
            f"{own['table_tau']:.2f}",
            "{1:.2f} [{0:.2f}, {2:.2f}]".format(*own["share_quartiles"]),
        ]
        for name, own in result["spaces"].items()
    ]
    return f"{markdown(heads, rows)}\n\n{told([('result', 'latency-cpu-1-thread')])}"


def starting() -> str:
    result = read("start")
    heads = ("command", "CPU time", "wall time", "slowest of its kind")
    rows = [
        [f"`{kind}`", *(ratio(own, f"{clock}_ratio_quartiles") for clock in ("cpu", "wall")), f"`{own['slowest']}`"]
        for kind, own in result["commands"].items()
    ]
    cpu, wall = (result["import_torch_seconds_quartiles"][clock][1] for clock in ("cpu", "wall"))
    unit = f"`import torch` took {cpu:.1f} s of CPU time, and {wall:.1f} s on the wall."
    return f"{markdown(heads, rows)}\n\n{unit}\n{told([('result', 'start')])}"


TABLES: dict[str, Callable[[], str]] = {
    "in short": in_short,
    "search step in S1": search_step_s1,
    "search step in S2": search_step_s2,
    "against the authors' code": official,
    "other steps": other_steps,
    "strictly fair step": fair_step,
    "judging": judging,
    "training": training,
    "loading": loader,
    "decoding": decoding,
    "latency": latency,
    "starting": starting,
    **family.TABLES,
}
"""name in a page's mark → what stands there"""


def renewed(text: str) -> str:
    """A page with its tables as the results are now."""
    return MARK.sub(lambda mark: f"{mark[1]}\n{TABLES[mark[2]]()}\n\n{mark[3]}", text)


def main() -> None:
    for name in PAGES:
        text = (ROOT / name).read_text(encoding="utf-8")
        (ROOT / name).write_text(renewed(text), encoding="utf-8")


if __name__ == "__main__":
    main()
