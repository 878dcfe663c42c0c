#!/usr/bin/env python3
"""The tables of docs/methods.md, in Markdown: what methods find, from the results.json of their study, and what a step
of each costs, from the results of family_step.py.

    python benchmarks/family.py

prints those of the committed results; tables.py writes them into the page.
"""

import json
from pathlib import Path
from typing import Any

from collapse import DARTS, ends_table, markdown, ways_table

RESULTS = Path(__file__).parent / "results"
STUDY = "family-nasbench201-small"
STEPS = {"s1": "S1", "s2": "S2", "nb201": "NAS-Bench-201"}
"""end of a result's name → the space"""
DENSE = "dense"
"""what family_step.py calls DARTS"""
DATA_SETS = 3
MISSING = "Not measured yet."

Result = dict[str, Any]


def read(name: str) -> Result | None:
    """A committed result; None as long as there is none."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def found() -> str:
    """The true accuracy that methods end with, on all data sets, and what is published."""
    study = read(STUDY)
    return ends_table(study, DATA_SETS) if study else MISSING


def on_the_way() -> str:
    """How they came to it and what they gain on DARTS, beside what a step of each costs in NAS-Bench-201."""
    study, measured = read(STUDY), read(_steps("nb201"))
    if not study:
        return MISSING
    costs = {name: own[:2] for name, own in of_methods(measured).items()} if measured else {}
    return ways_table(study, ["steps a second, of `darts`'", "memory kept"], costs)


def steps() -> str:
    """What a step of every kind of gates costs in three spaces, as shares of a step of DARTS."""
    results = {title: result for end, title in STEPS.items() if (result := read(_steps(end)))}
    if not results:
        return MISSING
    costs = {title: of_methods(result) for title, result in results.items()}
    heads = ["", *(f"{title}: {what}" for title in costs for what in ("steps a second", "kept", "candidates"))]
    names = dict.fromkeys(name for own in costs.values() for name in own)
    rows = [[f"`{name}`", *(cell for own in costs.values() for cell in own.get(name, ["–"] * 3))] for name in names]
    about = [
        f"{title}: {size(result)}, DARTS keeps {max(result['dense_kept_mib'].values()):,.0f} MiB"
        for title, result in results.items()
    ]
    return f"{markdown(heads, rows)}\n\n{'; '.join(about)}."


def of_methods(result: Result) -> dict[str, list[str]]:
    """Method → the speed of its step, the most that a pass of it keeps, and how many candidates run where weights
    train: all as shares of DARTS', in the same process, by turns."""
    cells = {}
    for name, own in result["steps"].items():
        low, middle, high = own["ratio_quartiles"]
        speed = "1" if name == DENSE else f"{middle:.2f} [{low:.2f}, {high:.2f}]"
        cells[DARTS if name == DENSE else name] = [speed, f"{own['kept_most']:.2f}", f"{own['candidates']:.2f}"]
    return cells


def size(result: Result) -> str:
    """'8 cells of 16 channels, batches of 16 images of 32×32 pixels, 1 thread'."""
    of_stage = " a stage" if result["space"] == "nasbench201" else ""
    cells = ""
    if "cells" in result:
        several = "s" if result["cells"] > 1 else ""
        cells = f"{result['cells']} cell{several}{of_stage} of {result['channels']} channels, "
    pixels = f"{result['image']}×{result['image']}"
    threads = f"{result['threads']} thread{'s' if result['threads'] > 1 else ''}"
    return f"{cells}batches of {result['batch']} images of {pixels} pixels, {threads}"


def _steps(end: str) -> str:
    return f"family-step-{end}-cpu-1-thread"


TABLES = {
    "family: found": found,
    "family: on the way": on_the_way,
    "family: steps": steps,
}
"""name in the page's mark → what stands there"""


def main() -> None:
    for name, table in TABLES.items():
        print(f"{name}\n\n{table()}\n")


if __name__ == "__main__":
    main()
