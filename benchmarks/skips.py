#!/usr/bin/env python3
"""What are cells of NAS-Bench-201 worth, by how many skip connections they have? All of them, no sample.

python benchmarks/skips.py tables/nasbench201.csv --out benchmarks/results/nasbench201-by-skips.json
"""

import argparse
import json
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

from circumstances import circumstances

from fairdarts.genotype import SKIP
from fairdarts.ranking.compared import rounded
from fairdarts.ranking.truth import read_truth
from fairdarts.spaces.space import load_space

COLUMNS = ("cifar10_test200", "cifar100_test200", "imagenet16_test200")


def by_skips(table: Path) -> list[dict[str, Any]]:
    """A line a number of skip connections: how many cells have it, how many have at most so many, and of both the mean
    true accuracy, its standard deviation, and the best, in percent, by column."""
    space = load_space("nasbench201")
    skip = space.candidates.index(SKIP)
    lines = []
    truths = {file.column: file.truth for file in read_truth(table, space, COLUMNS).benchmarks}
    counts = {path: path.count(skip) for path in truths[COLUMNS[0]]}
    for number in range(max(counts.values()) + 1):
        exactly = [path for path, count in counts.items() if count == number]
        at_most = [path for path, count in counts.items() if count <= number]
        found = {
            name: {
                "cells": len(paths),
                **{column: _about([truth[path] for path in paths]) for column, truth in truths.items()},
            }
            for name, paths in (("exactly", exactly), ("at_most", at_most))
        }
        lines.append({"skips": number, **found})
    return lines


def _about(accuracies: list[float]) -> dict[str, float]:
    return {"mean": fmean(accuracies), "deviation": pstdev(accuracies), "best": max(accuracies)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="CSV of the benchmark")
    parser.add_argument("--out", type=Path, required=True, help="JSON file")
    args = parser.parse_args()
    result = {**circumstances("cpu"), "by_skips": rounded(by_skips(args.table))}
    args.out.write_text(f"{json.dumps(result, indent=1)}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
