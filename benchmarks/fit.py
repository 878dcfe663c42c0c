#!/usr/bin/env python3
"""Is what `fairdarts fit` finds better than a MobileNetV2 of the same budget?

    python benchmarks/fit.py --images photos --budget "madds <= 20e6" --hours 0.5 --out benchmarks/results/fit.json

All are trained alike: on the same images, by the same settings, for as many epochs, with the same random numbers. The
MobileNetV2 is timm's, with the largest width whose multiply-adds keep the budget. Random networks are of the space that
was searched, and cost nine tenths of the budget or more. Runs that are there already are taken as they are.
"""

import argparse
import json
from pathlib import Path
from random import Random
from typing import Any

import torch
from circumstances import circumstances
from scipy.stats import binomtest
from timm.models.efficientnet import _gen_mobilenet_v2
from torch import nn

import fairdarts
from fairdarts.cost.cost import Cost
from fairdarts.cost.count import count
from fairdarts.cost.table import count_tables
from fairdarts.evolution.objectives import read_limit
from fairdarts.genotype import to_yaml
from fairdarts.reading import read_yaml
from fairdarts.runtime.shape import size_text
from fairdarts.training import classify

WIDTHS = [number / 100 for number in range(10, 301, 5)]


def mobilenet(width: float, classes: int) -> nn.Module:
    """timm's MobileNetV2 with channels × width."""
    return _gen_mobilenet_v2("mobilenetv2_100", channel_multiplier=width, num_classes=classes)


def cost_of(width: float, classes: int, image: Any) -> Cost:
    """What it costs for images of a size."""
    with torch.device("meta"):
        return count(mobilenet(width, classes), 3, image)


def widest(budget: str, classes: int, image: Any) -> float:
    """The largest of WIDTHS that keeps a budget."""
    limit = read_limit(budget)
    return max(width for width in WIDTHS if getattr(cost_of(width, classes, image), limit.quantity) <= limit.bound)


def trained_alike(found: fairdarts.Run, genotype: Path, path: Path) -> float:
    """The accuracy that a genotype's network comes to by the settings of a training."""
    if path.exists():
        return fairdarts.open_run(path).resume().results["last"]["top1"]

    def say(record: dict[str, Any]) -> None:
        if "valid_top1" in record:
            print(f"{path.name}, epoch {record['epoch']}: {record['valid_top1']:.1%}", flush=True)

    settings = found.settings.model_dump(mode="json", by_alias=True)
    return fairdarts.train(genotype, recipe=settings, out=path, callbacks=say).results["last"]["top1"]


def other_trained_alike(found: fairdarts.Run, network: nn.Module, genotype: Path, path: Path) -> float:
    """The same of a network that is no genotype's; its run tells the accuracy, and no blueprint."""
    build = classify.build_classifier
    classify.build_classifier = lambda *_: network
    try:
        return trained_alike(found, genotype, path)
    finally:
        classify.build_classifier = build


def drawn(run: fairdarts.Run, budget: str, number: int) -> tuple[Path, dict[str, int]]:
    """A random genotype whose cost is nine tenths of a budget or more, in a file of its search, and its costs."""
    tables, limit, random = count_tables(run.space, run.shape), read_limit(budget), Random(number)
    while True:
        path = run.space.random_path(random.randrange)
        if 0.9 * limit.bound <= tables[limit.quantity].cost(path) <= limit.bound:
            file = run.path / "genotypes" / f"random-{number}.yaml"
            file.write_text(to_yaml(run.space.genotype_of(path, f"random-{number}", "benchmarks/fit.py")))
            return file, {key: int(table.cost(path)) for key, table in tables.items()}


def row(name: str, top1: float, images: int, madds: float, params: float) -> dict[str, Any]:
    """A network's line of the result."""
    interval = binomtest(round(top1 * images), images).proportion_ci(method="wilson")
    return {
        "network": name,
        "top1": round(top1, 4),
        "interval": [round(interval.low, 4), round(interval.high, 4)],
        "madds": int(madds),
        "params": int(params),
    }


def table(result: dict[str, Any]) -> str:
    """The rows in Markdown."""
    lines = ["| network | top-1 | 95 % interval | multiply-adds | parameters |", "|---|---|---|---|---|"]
    for one in result["rows"]:
        low, high = (100 * bound for bound in one["interval"])
        costs = f"{one['madds'] / 1e6:.1f} M | {one['params'] / 1e6:.2f} M"
        lines.append(f"| {one['network']} | {100 * one['top1']:.1f} % | {low:.1f} to {high:.1f} % | {costs} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", required=True, help="class folders of images")
    parser.add_argument("--budget", default="madds <= 20e6", help="what the networks may cost")
    parser.add_argument("--hours", type=float, default=0.5, help="what `fit` may take")
    parser.add_argument("--random", type=int, default=2, help="random networks of the space")
    parser.add_argument("--runs", type=Path, default=Path("runs/fit"), help="folder of the runs")
    parser.add_argument("--out", type=Path, required=True, help="JSON file of the result")
    args = parser.parse_args()
    found = fairdarts.fit(args.images, args.budget, args.hours, args.runs, {"threads": 1}, fairdarts.ProgressBar())
    results, shape = found.results, found.train.shape
    width = widest(args.budget, shape.classes, shape.image)
    torch.manual_seed(found.train.settings.seed)
    within = found.search.path / "genotypes" / "within.yaml"
    other = other_trained_alike(found.train, mobilenet(width, shape.classes), within, args.runs / "mobilenet")
    cost = cost_of(width, shape.classes, shape.image)
    rows = [
        row("found by fit", results["top1"], results["images"], results["madds"], results["params"]),
        row(f"MobileNetV2 × {width:g} (timm)", other, results["images"], cost.madds, cost.params),
    ]
    for number in range(args.random):
        file, costs = drawn(found.search, args.budget, number)
        top1 = trained_alike(found.train, file, args.runs / f"random-{number}")
        rows.append(row(f"random {number}, of the same space", top1, results["images"], **costs))
    told = {key: results[key] for key in ("budget", "images", "guessing", "search", "train", "latency")}
    chosen = read_yaml(found.folder / "fit.yaml")["chosen"]
    facts = {"image_size": size_text(shape.image), "hours": args.hours, "chosen": chosen}
    result = {**circumstances("cpu"), **facts, **told, "genotype": found.genotype.layers, "rows": rows}
    args.out.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    print(table(result), end="")


if __name__ == "__main__":
    main()
