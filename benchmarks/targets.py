#!/usr/bin/env python3
"""What does a target in the search gain over a budget that is met afterwards?

    python benchmarks/targets.py --images tiny-imagenet --runs runs/targets --out benchmarks/results/targets.json
    python benchmarks/targets.py --out benchmarks/results/targets.json --figure targets.svg   # drawn from the result

One search in S2 made small (darts-s2-small) asks for no cost, and one for each of three targets in multiply-adds.
From the first, genotypes are derived within the same three budgets; from the others, within their targets. All are
trained alike and judged on images that no search has seen. Runs that are there already are taken as they are.
"""

import argparse
import json
import sys
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from circumstances import circumstances
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

import fairdarts
from fairdarts.config import Notice
from fairdarts.genotype import Genotype
from fairdarts.plot import style

RECIPE = "darts-s2-small"
SIZE, EPOCHS, TRAINED = 32, 12, 25
"""pixels of the images; epochs of a search, of a training"""
SEARCH = {"data.image_size": SIZE, "epochs": EPOCHS}
DATA = {"kind": "folder", "image_size": SIZE, "batch_size": 64, "train_portion": 1, "cutout": 0, "workers": 0}
TRAIN = {"epochs": TRAINED, "threads": 1, "network.size": "imagenet"}
"""laid over train-chain-cifar10"""


def searched(images: str, folder: Path, target: float | None, seed: int) -> fairdarts.Run:
    """A search with a target, or without."""
    path = folder / f"search-{'free' if target is None else f'{target:g}'}-seed{seed}"
    if path.exists():
        return fairdarts.open_run(path).resume()
    settings = SEARCH | {"data.root": images, "seed": seed}
    if target is not None:
        settings |= {"cost.quantity": "madds", "cost.target": target}
    return fairdarts.search(RECIPE, settings=settings, out=path)


def trained(genotype: Genotype, images: str, path: Path, seed: int) -> dict[str, Any]:
    """What a genotype's network is worth."""
    if path.exists():
        run = fairdarts.open_run(path).resume()
    else:
        settings = TRAIN | {"data": DATA | {"root": images}, "seed": seed}
        run = fairdarts.train(genotype, recipe="train-chain-cifar10", settings=settings, out=path)
    judged = fairdarts.evaluate(run, split="test", threads=1)
    return {"top1": round(judged.top1, 4), "images": judged.images}


def measure(images: str, folder: Path, targets: list[float], seed: int) -> list[dict[str, Any]]:
    """A row for every network."""
    free = searched(images, folder, None, seed)
    rows = []
    for target in targets:
        aimed = searched(images, folder, target, seed)
        for name, run in (("target in the search", aimed), ("budget afterwards", free)):
            (found,) = fairdarts.derive_front(run, [f"madds <= {target}"], folder / "derived").found
            if found is None:
                continue
            path = folder / f"train-{name.split()[0]}-{target:g}-seed{seed}"
            record = run.records[-1]
            rows.append(
                {
                    "method": name,
                    "target": target,
                    "seed": seed,
                    "expected": record.get("cost.expected"),
                    "derived_without_budget": found.cost_without,
                    "derived": found.cost,
                    "mass": round(found.mass, 4),
                    "mass_without_budget": round(found.mass_without, 4),
                    "layers": found.genotype.layers,
                    **trained(found.genotype, images, path, seed),
                }
            )
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    return rows


class TargetsInfo(NamedTuple):
    """Cost and accuracy of networks [networks], by what they were made with."""

    costs: dict[str, np.ndarray]
    accuracies: dict[str, np.ndarray]
    images: int


def targets_info(result: dict[str, Any]) -> TargetsInfo:
    """Of a result, by rising cost; accuracies in percent."""
    costs, accuracies = {}, {}
    for name in dict.fromkeys(row["method"] for row in result["rows"]):
        some = sorted((row["derived"], 100 * row["top1"]) for row in result["rows"] if row["method"] == name)
        costs[name], accuracies[name] = np.array(some).T
    return TargetsInfo(costs, accuracies, result["rows"][0]["images"])


def targets_figure(info: TargetsInfo) -> Figure:
    """A marker a network, with the standard error of its accuracy."""
    figure = Figure(figsize=(5.6, 3.6), layout="constrained")
    ax = figure.subplots()
    for number, (name, costs) in enumerate(info.costs.items()):
        shares = info.accuracies[name] / 100
        errors = 100 * np.sqrt(shares * (1 - shares) / info.images)
        look = style.series(number)
        ax.errorbar(costs, info.accuracies[name], errors, **look, markersize=6, linewidth=1.3, capsize=3, label=name)
    ax.xaxis.set_major_formatter(EngFormatter(sep=" "))
    style.tidy(ax, "multiply-adds of the derived network", "top-1 on unseen images, %")
    style.legend_below(figure, *ax.get_legend_handles_labels())
    return figure


def table(result: dict[str, Any]) -> str:
    """The rows in Markdown."""
    titles = ("target", "made with", "expected at the end", "derived", "sum of gates, without budget", "top-1")
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for row in result["rows"]:
        expected = "–" if row["expected"] is None else f"{row['expected'] / 1e6:.2f} M"
        cells = [f"{row['target'] / 1e6:g} M", row["method"], expected, f"{row['derived'] / 1e6:.2f} M"]
        cells += [f"{row['mass']:.2f}, {row['mass_without_budget']:.2f}", f"{100 * row['top1']:.1f} %"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", help="class folders of images in train/ and val/; none: the result is read")
    parser.add_argument("--runs", type=Path, default=Path("runs/targets"), help="folder of the runs")
    parser.add_argument("--targets", type=float, nargs="+", default=[0.5e6, 0.8e6, 1.2e6], help="multiply-adds")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of searches and trainings")
    parser.add_argument("--out", type=Path, required=True, help="JSON file of the result")
    parser.add_argument("--figure", type=Path, help="PNG or SVG file")
    args = parser.parse_args()
    warnings.simplefilter("ignore", Notice)
    if args.images:
        rows = [row for seed in args.seeds for row in measure(args.images, args.runs, args.targets, seed)]
        told = {"recipe": RECIPE, "epochs": EPOCHS, "trained_epochs": TRAINED, "image_size": SIZE}
        result = {**circumstances("cpu"), **told, "rows": rows}
        args.out.write_text(json.dumps(result, indent=1) + "\n")
    result = json.loads(args.out.read_text())
    print(table(result), end="")
    if args.figure:
        name, suffix = args.figure.stem, args.figure.suffix[1:]
        style.save(targets_figure(targets_info(result)), args.figure.parent, name, [suffix])


if __name__ == "__main__":
    main()
