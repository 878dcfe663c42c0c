#!/usr/bin/env python3
"""The tables of docs/collapse.md, in Markdown, from the results.json of a study with a benchmark.

python benchmarks/collapse.py benchmarks/results/collapse-nasbench201-small.json
"""

import argparse
import json
from pathlib import Path
from typing import Any

TITLES = {
    "cifar10_test200": "CIFAR-10",
    "cifar100_test200": "CIFAR-100",
    "imagenet16_test200": "ImageNet16-120",
    "mean_acc": "CIFAR-10",
}
"""column of the truth → what the page calls it"""


def spread(found: dict[str, Any], digits: int = 2) -> str:
    """'93.23 ± 0.18 [93.02, 93.41]': mean, deviation, interval over the seeds, and how many are known, if not all."""
    if found["mean"] is None:
        return "–"
    text = f"{found['mean']:.{digits}f}"
    if found["deviation"] is not None:
        text += f" ± {found['deviation']:.{digits}f}"
    if found["low"] is not None:
        text += f" [{found['low']:.{digits}f}, {found['high']:.{digits}f}]"
    return text + (f", {found['n']} of {found['of']} known" if found["n"] < found["of"] else "")


def short(found: dict[str, Any], digits: int = 1) -> str:
    """'5.2 ± 0.5'."""
    return spread({**found, "low": None, "high": None}, digits)


def truth_table(result: dict[str, Any]) -> str:
    """What every row ends with, what is published, random architectures and the best of the space."""
    whole = result["table"]
    columns = [column for column in TITLES if column in whole["columns"]]
    main, none = columns[0], ["", ""]
    rows = [["row", *(f"{TITLES[column]}, %" for column in columns), "regret", "skips", "supernet, %"]]
    for row in result["rows"]:
        found = row["summary"]
        truths = [spread(found["truth"][main]), *(short(found["truth"][column], 2) for column in columns[1:])]
        others = [short(found["regret"][main], 2), short(found["skips"]), short(found["accuracy"])]
        rows.append([f"`{row['name']}`", *truths, *others])
    for row in result["published"]:
        printed = [row["numbers"][column] for column in columns]
        rows.append(
            [f"{row['name']}, published", *(f"{mean:.2f} ± {spread:.2f}" for mean, spread in printed), "", *none]
        )
    mean, deviation, best = whole["mean"], whole["deviation"], whole["best"]
    spreads = [f"{mean[column]:.2f} ± {deviation[column]:.2f}" for column in columns]
    rows.append([f"random, all {whole['architectures']:,}", *spreads, f"{best[main] - mean[main]:.2f}", *none])
    rows.append(["best of the space", *(f"{best[column]:.2f}" for column in columns), "0.00", *none])
    rows.insert(1, ["---"] * len(rows[0]))
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="results.json of a study")
    print(truth_table(json.loads(parser.parse_args().results.read_text(encoding="utf-8"))), end="")


if __name__ == "__main__":
    main()
