#!/usr/bin/env python3
"""The tables of docs/collapse.md, in Markdown, from the results.json of its studies and from that of skips.py.

python benchmarks/collapse.py benchmarks/results/collapse-*.json benchmarks/results/nasbench201-by-skips.json
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fairdarts.plot.truth import column_title
from fairdarts.plot.truth_page import plus_minus, summary_text
from fairdarts.ranking.compared import Summary, TableResult, summary

DARTS = "darts"
"""the row that others are held against, seed by seed"""


def tables(result: dict[str, Any]) -> dict[str, str]:
    """Title → table of all that a result has."""
    if "by_skips" in result:
        return {"skips": skips_table(result)}
    found = {"ends": ends_table, "ways": ways_table} if result["table"] else {}
    found |= {"curvature": curvature_table} if any("eigenvalue" in epochs for epochs in _epochs(result)) else {}
    found |= {"trained": trained_table} if "trained" in result else {}
    return {title: table(result) for title, table in found.items()}


def ends_table(result: dict[str, Any], intervals: int = 1) -> str:
    """What every row ends with, what is published, random architectures and the best of the space; the first so many
    columns with the interval of their mean."""
    whole = result["table"]
    columns = TableResult(**whole | {"columns": tuple(whole["columns"])}).shown
    main, rest = columns[0], ["", ""]
    heads = ["row", *(f"{column_title(column)}, %" for column in columns), "regret", "skips"]
    rows = []
    for row in result["rows"]:
        found = row["summary"]
        truths = [
            *(summary_text(Summary(**found["truth"][column])) for column in columns[:intervals]),
            *(short(found["truth"][column]) for column in columns[intervals:]),
        ]
        rows.append([f"`{row['name']}`", *truths, short(found["regret"][main]), short(found["skips"], 1)])
    for row in result["published"]:
        printed = [row["numbers"].get(column) for column in columns]
        texts = ["" if number is None else plus_minus(*number) for number in printed]
        rows.append([f"{row['name']}, published", *texts, *rest])
    mean, deviation, best = whole["mean"], whole["deviation"], whole["best"]
    spreads = [plus_minus(mean[column], deviation[column]) for column in columns]
    rows.append([f"random: all {whole['architectures']:,}", *spreads, f"{best[main] - mean[main]:.2f}", ""])
    rows.append(["best of the space", *(f"{best[column]:.2f}" for column in columns), "0.00", ""])
    return markdown(heads, rows)


def ways_table(result: dict[str, Any], more: Sequence[str] = (), beside: dict[str, list[str]] | None = None) -> str:
    """How every row came to its end: the best from epoch 1 on, what it lost of that, and how it compares with DARTS;
    `more` columns have what is `beside` a row."""
    column, against = result["table"]["columns"][0], paired(result)
    heads = [
        "row",
        "best on the way, %",
        "lost by the end",
        "against `darts`, paired",
        "supernet's own accuracy, %",
        *more,
    ]
    rows = []
    for row in result["rows"]:
        known = []
        for seed in row["seeds"]:
            told = zip(seed["epochs"]["epoch"], seed["epochs"]["truth"], strict=True)
            if truths := [truth for epoch, truth in told if epoch > 0 and truth is not None]:
                known.append((max(truths), seed["truth"][column]))
        best = summary([highest for highest, _ in known])
        lost = summary([None if end is None else highest - end for highest, end in known])
        rows.append(
            [
                f"`{row['name']}`",
                short(best._asdict()),
                short(lost._asdict()),
                against[row["name"]],
                short(row["summary"]["accuracy"], 1),
                *(beside or {}).get(row["name"], ["–"] * len(more)),
            ]
        )
    return markdown(heads, rows)


def paired(result: dict[str, Any]) -> dict[str, str]:
    """Row → the difference to DARTS of the same seed; empty for DARTS itself."""
    column = result["table"]["columns"][0]
    ends = {row["name"]: {seed["seed"]: seed["truth"][column] for seed in row["seeds"]} for row in result["rows"]}
    darts, found = ends.get(DARTS, {}), {}
    for name, own in ends.items():
        pairs = [(truth, darts.get(seed)) for seed, truth in own.items()]
        differences = summary([None if None in pair else pair[0] - pair[1] for pair in pairs])
        found[name] = "" if name == DARTS else signed(differences)
    return found


def curvature_table(result: dict[str, Any]) -> str:
    """The Hessian's largest eigenvalue over a search, and true accuracy: a line a seed of rows that measured it."""
    heads = ["row", "seed", "eigenvalue, first epoch", "highest, at epoch", "last", "ρ with true accuracy"]
    rows = []
    for row in result["rows"]:
        for seed in row["seeds"]:
            if row["of"] or "eigenvalue" not in seed["epochs"]:
                continue
            epochs = zip(seed["epochs"]["epoch"], seed["epochs"]["eigenvalue"], strict=True)
            known = [(value, epoch) for epoch, value in epochs if value is not None]
            highest, at = max(known)
            rho = "–" if seed["correlation"] is None else f"{seed['correlation']:+.2f}".replace("-", "−")
            values = [f"{known[0][0]:.3f}", f"{highest:.3f}, {at}", f"{known[-1][0]:.3f}"]
            rows.append([f"`{row['name']}`", str(seed["seed"]), *values, rho])
    return markdown(heads, rows)


def trained_table(result: dict[str, Any]) -> str:
    """What the cells of every row are worth, trained alone."""
    heads = ["row", "accuracy, %", "best, %", "parameters, M", "multiply-adds, M"]
    rows = []
    for row in result["trained"]:
        accuracy = row["accuracy"]
        costs = [
            plus_minus(row[key]["mean"], row[key]["deviation"], digits) for key, digits in (("params", 3), ("madds", 2))
        ]
        rows.append([f"`{row['name']}`", short(accuracy), f"{row['best']:.2f}", *costs])
    return markdown(heads, rows)


def skips_table(result: dict[str, Any]) -> str:
    """All cells of the benchmark, by their number of skip connections, and all that have at most so many."""
    heads = [
        "skip connections",
        "cells",
        "CIFAR-10 test, %",
        "best, %",
        "cells with at most so many",
        "CIFAR-10 test, %",
    ]
    rows = []
    for line in result["by_skips"]:
        cells = [str(line["skips"])]
        for part, best in (("exactly", True), ("at_most", False)):
            about = line[part]["cifar10_test200"]
            cells += [f"{line[part]['cells']:,}", short(about)]
            cells += [f"{about['best']:.2f}"] if best else []
        rows.append(cells)
    return markdown(heads, rows)


def signed(found: Summary) -> str:
    """'+9.56 ± 29.51 [−19.26, +29.07]', of a difference."""
    if found.mean is None or found.deviation is None:
        return "–" if found.mean is None else f"{found.mean:+.2f}".replace("-", "−")
    return f"{found.mean:+.2f} ± {found.deviation:.2f} [{found.low:+.2f}, {found.high:+.2f}]".replace("-", "−")


def short(found: dict[str, Any], digits: int = 2) -> str:
    """'5.20 ± 0.51'."""
    return plus_minus(found["mean"], found["deviation"], digits)


def markdown(heads: list[str], rows: list[list[str]]) -> str:
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (heads, ["---"] * len(heads), *rows))


def _epochs(result: dict[str, Any]) -> list[dict[str, Any]]:
    return [seed["epochs"] for row in result["rows"] for seed in row["seeds"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+", help="results.json of studies")
    for path in parser.parse_args().results:
        for title, table in tables(json.loads(path.read_text(encoding="utf-8"))).items():
            print(f"{path.name}, {title}\n\n{table}")


if __name__ == "__main__":
    main()
