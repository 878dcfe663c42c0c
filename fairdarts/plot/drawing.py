"""How is a genotype drawn? A graph for each of its parts, as files where Graphviz is there to make them."""

import re
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import graphviz

from fairdarts.genotype import CELLS, CellGenotype, Genotype
from fairdarts.plot.cell import cell_graph
from fairdarts.plot.chain import chain_graph
from fairdarts.plot.nasbench101 import vertex_graph
from fairdarts.plot.nasbench201 import bench_graph
from fairdarts.plot.points import part_title
from fairdarts.plot.settings import USUAL
from fairdarts.runtime.checkpoint import folder_for, write_atomically
from fairdarts.spaces.cell import CellSpace
from fairdarts.spaces.space import Space

LONGEST = 100
"""of a genotype's name in that of a file, in letters"""
NO_DOT = "dot not found: only .gv sources were written; install it with: apt-get install graphviz"


def draw_genotype(
    genotype: Genotype, space: Space, folder: Path, formats: Sequence[str] = USUAL
) -> tuple[list[Path], str | None]:
    """Draws every part of a genotype as `<name>-<part>.gv` and in every format: cells, all layers, all edges, or the
    graph.

    Gives the paths written, and where `dot` is missing and so only .gv was written, a line that says so.
    """
    stem = re.sub(r"[^\w.-]+", "-", genotype.name)[:LONGEST]  # a name may hold what a file's may not
    dot = shutil.which("dot") is not None
    paths = []
    with folder_for(folder):
        for part, graph in graphs_of(genotype, space, f"{genotype.name}: ").items():
            base = folder / f"{stem}-{part}"
            paths.append(_write(base, ".gv", graph.source.encode()))
            if dot:
                paths += [_write(base, f".{kind}", _rendered(graph, kind)) for kind in formats]
    return paths, None if dot else NO_DOT


def graphs_of(genotype: Genotype, space: Space, start: str = "") -> dict[str, graphviz.Digraph]:
    """The drawing of every part of a genotype, its title beginning so."""
    return {part: draw(f"{start}{part_title(part)}") for part, draw in DRAWINGS[space.kind](genotype, space).items()}


Drawings = dict[str, Callable[[str], graphviz.Digraph]]
"""what is drawn → its drawing, given a title"""


def _cells(genotype: CellGenotype, space: CellSpace) -> Drawings:
    draw = partial(cell_graph, inputs=space.inputs, nodes=space.nodes)
    return {cell: partial(draw, getattr(genotype, cell), concat=genotype.concat(cell)) for cell in CELLS}


DRAWINGS: dict[str, Callable[[Any, Any], Drawings]] = {
    "cell": _cells,
    "chain": lambda genotype, space: {"layers": partial(chain_graph, genotype, space)},
    "nasbench101": lambda genotype, space: {"graph": partial(vertex_graph, genotype)},
    "nasbench201": lambda genotype, space: {"edges": partial(bench_graph, genotype, space)},
}
"""kind of space → what is drawn of its genotypes"""


def _rendered(graph: graphviz.Digraph, kind: str) -> bytes:
    if kind == "png":
        graph = graph.copy()
        graph.attr(dpi="150")  # anything else it would scale
    return graph.pipe(kind)


def _write(base: Path, suffix: str, content: bytes) -> Path:
    path = base.with_name(base.name + suffix)  # with_suffix would cut a name at its dot
    write_atomically(path, content)
    return path
