"""Cells of NAS-Bench-101 as its files tell them, which are not the project's to ship."""

import csv
import json
from pathlib import Path
from typing import NamedTuple

import pytest

from fairdarts.genotype import GraphGenotype
from fairdarts.spaces.graph import Graph

FILE = Path(__file__).parents[2] / "shared" / "data" / "nasbench101_30k.csv"
CONV3, CONV1, POOL = "conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3"


class Row(NamedTuple):
    """A cell, its hash, and the number of its network's parameters."""

    hash: str
    parameters: int
    graph: Graph


def rows() -> list[Row]:
    """All 13,385 cells whose graph the file tells. Skips the test where there is no file."""
    if not FILE.is_file():
        pytest.skip(f"needs the benchmark's table {FILE}")
    with FILE.open(newline="", encoding="utf-8") as file:
        told = [row for row in csv.DictReader(file) if row["matrix"]]
    return [
        Row(
            row["hash"],
            int(row["trainable_parameters"]),
            Graph(tuple(map(tuple, json.loads(row["matrix"]))), tuple(row["ops"].split(",")[1:-1])),
        )
        for row in told
    ]


def matrix(vertices: int, *edges: str) -> tuple[tuple[int, ...], ...]:
    """The matrix of edges "from to", such as "02"."""
    return tuple(tuple(int(f"{start}{end}" in edges) for end in range(vertices)) for start in range(vertices))


def genotype(graph: Graph) -> GraphGenotype:
    return GraphGenotype(schema=1, name="n", space="nasbench101", source="", **graph._asdict())
