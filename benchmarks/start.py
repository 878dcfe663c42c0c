#!/usr/bin/env python3
"""How long does a verb take before it does what it is asked for?

    python benchmarks/start.py --out benchmarks/results/start.json

Every command runs as a process of its own, by turns with `python -c "import torch"`, to which its times are ratios: CPU
time (user and system, of its children as well) and wall time, quartiles over the rounds. Of the help of all verbs, and
of --print-config of all recipes, the slowest one is told with its quartiles, the others with their medians.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from circumstances import circumstances
from kept import in_a_line
from measured import add_out, give, several

from fairdarts import resources
from fairdarts.cli import VERBS
from fairdarts.config import UserError

TORCH = [sys.executable, "-c", "import torch"]
EVERY = 5
"""commands from one `import torch` to the next"""
Words = Sequence[str]


class Time(NamedTuple):
    """Seconds of a process."""

    cpu: float
    wall: float


class Group(NamedTuple):
    """Commands of one kind, and the ratio of CPU time that none of them should exceed."""

    target: float
    commands: Mapping[str, Words]


def groups(folder: Path) -> dict[str, Group]:
    """All that is measured; the files that the commands read are in the folder."""
    random = np.random.default_rng(0)
    np.savez(folder / "gates.npz", **{part: random.random((14, 7)) for part in ("normal", "reduce")})
    np.savez(folder / "alphas.npz", **{part: random.normal(size=(14, 7)) for part in ("normal", "reduce")})
    found = resources.find("genotypes", "fairdarts-a").read_text(encoding="utf-8")
    (folder / "mine.yaml").write_text(found.replace("name: fairdarts-a", "name: mine"), encoding="utf-8")
    derive = ["derive", "--space", "s1", "--method", "argmax", "--alphas"]
    alphas = {"gates.npz": [*derive, "gates.npz"], "alphas.npz": [*derive, "alphas.npz", "--relaxation", "sigmoid"]}
    recipes = [recipe for recipe in resources.recipes() if recipe.verb != "transfer"]
    drawn = {name: ["draw", name, "--out", "figures"] for name in ("fairdarts-a", "fairnas-a")}
    return {
        "VERB --help": Group(0.35, {verb: [verb, "--help"] for verb in VERBS}),
        "recipes": Group(0.35, {"recipes": ["recipes"]}),
        "--print-config": Group(0.35, {recipe.name: printed(recipe.verb, recipe.name) for recipe in recipes}),
        "derive --alphas": Group(0.45, alphas),
        "draw GENOTYPE": Group(0.45, drawn),
        "zoo": Group(0.5, {"zoo": ["zoo"]}),
        "zoo FILE": Group(2.0, {"zoo FILE": ["zoo", "mine.yaml"]}),
    }


def printed(verb: str, recipe: str) -> Words:
    """The words that print a recipe; a training's is of a genotype, an evolution's of a run."""
    trained = "fairnas-a" if "mnasnet" in recipe else "fairdarts-a"
    first = {"evolve": ["run"], "train": [trained], "segment": ["fairnas-a"]}
    return [verb, *first.get(verb, []), "--config", recipe, "--print-config"]


def timed(command: Words, folder: Path) -> Time:
    """One process, from its start to its end. Raises RuntimeError where it fails."""
    begun = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: {said.decode()}")
    return Time(usage.ru_utime + usage.ru_stime, time.perf_counter() - begun)


def quartiles(values: Sequence[float]) -> list[float]:
    return [round(value, 3) for value in statistics.quantiles(values, n=4, method="inclusive")]


def measure(args: argparse.Namespace, folder: Path) -> dict[str, object]:
    known = groups(folder)
    for kind in args.only:
        if kind not in known:
            raise UserError(f"--only: {kind!r}: should be some of {', '.join(map(repr, known))}")
    asked = {kind: group for kind, group in known.items() if kind in args.only or not args.only}
    every = {(kind, name): words for kind, group in asked.items() for name, words in group.commands.items()}
    torch: list[Time] = []
    ratios: dict[tuple[str, str], list[Time]] = {key: [] for key in every}
    for group in asked.values():  # compiles what is imported first
        timed([sys.executable, "-m", "fairdarts", *next(iter(group.commands.values()))], folder)
    for number in range(args.rounds):
        for turn, (key, words) in enumerate(every.items()):
            if turn % EVERY == 0:
                torch.append(timed(TORCH, folder))
            took = timed([sys.executable, "-m", "fairdarts", *words], folder)
            ratios[key].append(Time(*(own / other for own, other in zip(took, torch[-1], strict=True))))
        print(f"round {number + 1} of {args.rounds}", file=sys.stderr)
    results = {}
    for kind, group in asked.items():
        medians = {name: statistics.median(one.cpu for one in ratios[kind, name]) for name in group.commands}
        slowest = max(medians, key=medians.__getitem__)
        results[kind] = {
            "target": group.target,
            "cpu_ratio_quartiles": quartiles([one.cpu for one in ratios[kind, slowest]]),
            "wall_ratio_quartiles": quartiles([one.wall for one in ratios[kind, slowest]]),
            "slowest": slowest,
            "cpu_ratio_medians": {name: round(value, 3) for name, value in medians.items()},
        }
        row = {key: value for key, value in results[kind].items() if key != "cpu_ratio_medians"}
        print(f"{kind:<16}", *(f"{key} {value}" for key, value in row.items()), file=sys.stderr)
    return {
        **circumstances("cpu"),
        "rounds": args.rounds,
        "import_torch_seconds_quartiles": {
            "cpu": quartiles([one.cpu for one in torch]),
            "wall": quartiles([one.wall for one in torch]),
        },
        "commands": results,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=several, default=3, help="rounds that are measured")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="GROUP", help='such as recipes "zoo FILE" (default: all)'
    )
    add_out(parser)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        give(measure(args, Path(folder)), args.out)


if __name__ == "__main__":
    sys.exit(in_a_line(main))
