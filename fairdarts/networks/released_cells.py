"""How the tensors of a network of cells are called in files of DARTS and of FairDARTS.

Both know a cell's operations by numbers. DARTS, whose nodes all have two inputs, counts them through the cell:
`cells.N._ops.K`. FairDARTS, whose nodes have any number, says `cells.N._ops.NODE.INPUT.K`, and K counts those of one
edge.
"""

from collections.abc import Iterable, Mapping
from itertools import count

from torch import Tensor

from fairdarts.config import UserError
from fairdarts.genotype import Edge
from fairdarts.networks.cell import CellNetwork, ImageNetStem

Place = tuple[int, ...]
"""the numbers of an operation in a file"""


def counted_by_cell(edges: tuple[Edge, ...]) -> list[Place]:
    """DARTS' numbers of a cell's operations. Raises UserError where they are not two a node, node after node."""
    nodes = [node for _, node, _ in edges]
    if nodes != [2 + number // 2 for number in range(len(edges))] or len(edges) % 2:
        raise UserError("its nodes have other than two inputs, which files of DARTS cannot say")
    return [(number,) for number in range(len(edges))]


def counted_by_edge(edges: tuple[Edge, ...]) -> list[Place]:
    """FairDARTS' numbers of a cell's operations."""
    counters = {edge[1:]: count() for edge in edges}
    return [(*edge[1:], next(counters[edge[1:]])) for edge in edges]


def cell_names(network: CellNetwork, tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Our name of every tensor of a network → a file's. Raises UserError where such a file cannot hold the network."""
    count_them = counted_by_edge if of_fairdarts(tensors) else counted_by_cell
    places = [count_them(cell.edges) for cell in network.cells]
    return {key: ".".join(map(str, _words(key.split("."), places))) for key in network.state_dict()}


def of_fairdarts(names: Iterable[str]) -> bool:
    """Whether operations stand under node and input."""
    operations = (name.split(".")[3:6] for name in names if "._ops." in name)
    return any(all(word.isdigit() for word in words) for words in operations)


def _words(ours: list[str], places: list[list[Place]]) -> list:
    match ours:
        case ["stem", "conv", *rest]:
            return ["stem", *rest]
        case ["stem", *rest]:  # of large images: stem0, stem1
            return rest
        case ["cells", cell, "preprocess", number, *rest]:
            return ["cells", cell, f"preprocess{number}", *_within(rest)]
        case ["cells", cell, "ops", number, *rest]:
            return ["cells", cell, "_ops", *places[int(cell)][int(number)], *_within(rest)]
        case ["auxiliary", "9", *rest]:
            return ["auxiliary_head", "classifier", *rest]
        case ["auxiliary", *rest]:
            return ["auxiliary_head", "features", *rest]
    return ours


def _within(rest: list[str]) -> list[str]:
    """What is a sequence in ours is that of the name `op` in theirs; a FactorizedReduce is called alike."""
    return ["op", *rest] if rest[0].isdigit() else rest


def spare_in_cells(network: CellNetwork, name: str) -> bool:
    """Whether a file has a tensor that takes no part, so that ours leaves it out.

    It may be of the auxiliary head, of an input that no operation reads, or of an operation whose input is never fed.
    """
    match [int(word) if word.isdigit() else word for word in name.split(".")]:
        case ["auxiliary_head", *_]:
            return network.auxiliary is None
        case ["cells", int(cell), "preprocess0" | "preprocess1" as entry, *_] if cell < len(network.cells):
            return entry[-1] not in network.cells[cell].preprocess
        case ["cells", int(cell), "_ops", int(), int(source), int(), *_] if cell < len(network.cells):
            return source not in (0, 1, *network.cells[cell].nodes)
    return False


def advice_on_cells(network: CellNetwork, tensors: Mapping[str, Tensor]) -> str:
    """What would be right where a file does not fit."""
    entry, cell = tensors.get("cells.0.preprocess1.op.1.weight"), network.cells[0]
    channels = cell.channels // len(cell.concat)
    theirs = {
        "size": "imagenet" if any(name.startswith("stem0.") for name in tensors) else "cifar",
        "cells": len({name.split(".")[1] for name in tensors if name.startswith("cells.")}),
        "channels": channels if entry is None else len(entry),
    }
    large = isinstance(network.stem, ImageNetStem)
    ours = {"size": "imagenet" if large else "cifar", "cells": len(network.cells), "channels": channels}
    unlike = [f"--network.{key} {value}" for key, value in theirs.items() if value != ours[key]]
    return f"should be {' '.join(unlike)}" if unlike else "is it another genotype?"
