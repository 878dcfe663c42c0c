"""What a discrete architecture is, and how it is read and written: plain data that knows nothing of supernets."""

import ast
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from fairdarts.config import Settings, UserError, check, parse_yaml, read_text, read_yaml

Edge = tuple[str, int, int]
"""(operation, node, input): nodes 0 and 1 are the outputs of the two cells before, intermediate nodes follow."""

CELLS = ("normal", "reduce")

LONGEST = 20_000
"""characters of a printed Genotype(...), at most"""


class _Architecture(Settings):
    schema_version: Literal[1] = Field(default=1, alias="schema")
    """version of this file format"""
    name: str
    """what it is called"""
    space: str
    """the search space it was found in"""
    source: str
    """where it comes from: paper and table, or the run"""


class CellGenotype(_Architecture):
    """An architecture of two cells. A node may have any number of inputs."""

    normal: tuple[Edge, ...]
    """the normal cell: operation, node, input"""
    reduce: tuple[Edge, ...]
    """the reduction cell: operation, node, input"""


class ChainGenotype(_Architecture):
    """An architecture of layers, one after another."""

    notes: tuple[str, ...] = ()
    """what its derivation had to decide, layer by layer"""
    layers: tuple[tuple[str, ...], ...]
    """of every layer its choices, whose outputs are summed; none where the layer is removed"""


class EdgeGenotype(_Architecture):
    """An architecture of one cell, of every edge of which an operation is chosen, `none` included."""

    edges: tuple[str, ...]
    """the operation of every edge, in the space's order"""


class GraphGenotype(_Architecture):
    """An architecture of one cell, whose vertices have an operation each and choose what they read."""

    operations: tuple[str, ...]
    """of every vertex between the cell's input and output, in their order"""
    matrix: tuple[tuple[int, ...], ...]
    """of every vertex, input and output too, a row with a 1 where an edge leads to another; upper triangular"""


Genotype = CellGenotype | ChainGenotype | EdgeGenotype | GraphGenotype


def live(edges: tuple[Edge, ...], inputs: int = 2) -> tuple[tuple[Edge, ...], tuple[int, ...]]:
    """The operations that take part and the nodes to concatenate.

    A node that no operation feeds is left out, and so is every operation that reads it, node after node.
    """
    fed = set(range(inputs))
    kept: list[Edge] = []
    for node in sorted({edge[1] for edge in edges}):
        incoming = [edge for edge in edges if edge[1] == node and edge[2] in fed]
        if incoming:
            fed.add(node)
            kept += incoming
    return tuple(kept), tuple(sorted(fed - set(range(inputs))))


def empty_cells(genotype: Genotype) -> list[str]:
    """The cells in which no operation takes part: they make no network."""
    cells = CELLS if isinstance(genotype, CellGenotype) else ()
    return [cell for cell in cells if not live(getattr(genotype, cell))[0]]


def _quoted(text: str) -> str:
    """Text in YAML's double quotes, with what YAML may not hold plainly escaped."""
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in quoted)


def _listed(key: str, items: Iterable[str]) -> list[str]:
    """The lines of a list in YAML, an item each."""
    lines = [f"  - {item}" for item in items]
    return [f"{key}:", *lines] if lines else [f"{key}: []"]


def to_yaml(genotype: Genotype) -> str:
    """The genotype as a YAML document, one operation, one layer or one row a line."""
    lines = ["schema: 1"]
    lines += [f"{key}: {_quoted(getattr(genotype, key))}" for key in ("name", "space", "source")]
    if isinstance(genotype, EdgeGenotype):
        lines += _listed("edges", map(_quoted, genotype.edges))
        return "\n".join(lines) + "\n"
    if isinstance(genotype, GraphGenotype):
        lines += _listed("operations", map(_quoted, genotype.operations))
        lines += _listed("matrix", (str([*row]) for row in genotype.matrix))
        return "\n".join(lines) + "\n"
    if isinstance(genotype, ChainGenotype):
        if genotype.notes:
            lines += ["notes:", *(f"  - {_quoted(note)}" for note in genotype.notes)]
        lines += ["layers:", *(f"  - [{', '.join(map(_quoted, layer))}]" for layer in genotype.layers)]
        return "\n".join(lines) + "\n"
    for cell in CELLS:
        edges = getattr(genotype, cell)
        lines.append(f"{cell}:" if edges else f"{cell}: []")
        lines += [f"  - [{_quoted(op)}, {node}, {source}]" for op, node, source in edges]
    return "\n".join(lines) + "\n"


def to_darts_text(genotype: CellGenotype, nodes: int = 4, inputs: int = 2) -> str:
    """The line that DARTS code prints: pairs where every node has two inputs, else FairDARTS' triples."""
    order = [node for node in range(inputs, inputs + nodes) for _ in range(2)]
    paired = all([edge[1] for edge in getattr(genotype, cell)] == order for cell in CELLS)
    parts = []
    for cell in CELLS:
        edges = [(op, source) if paired else (op, node, source) for op, node, source in getattr(genotype, cell)]
        parts.append(f"{cell}={edges}, {cell}_concat=range({inputs}, {inputs + nodes})")
    return f"Genotype({', '.join(parts)})"


def from_darts_text(text: str, name: str, space: str = "s1", source: str = "", nodes: int = 4) -> CellGenotype:
    """The last `Genotype(...)` in a text: pairs (operation, input) or triples (operation, node, input).

    Nothing is executed: the text is parsed, and its lists are read as literals. Raises UserError naming the part.
    """
    place = source or name
    start = text.rfind("Genotype(")
    if start < 0:
        raise UserError(f"{place}: no 'Genotype(' in this text")
    try:
        call = ast.parse(text[start : _closing(text, start + len("Genotype"), place)], mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UserError(f"{place}: not a printed Genotype(...): {getattr(error, 'msg', 'nested too deep')}") from None
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    cells = {}
    for cell in CELLS:
        if cell not in given:
            raise UserError(f"{place}: the Genotype(...) has no {cell}=")
        concat = _literal(given.get(f"{cell}_concat"), f"{place}: {cell}_concat")
        if concat is not None and concat not in (range(2, 2 + nodes), [*range(2, 2 + nodes)]):
            raise UserError(f"{place}: {cell}_concat: should be range(2, {2 + nodes}), every intermediate node")
        cells[cell] = _triples(_literal(given[cell], f"{place}: {cell}"), f"{place}: {cell}", nodes)
    return check(CellGenotype, {"name": name, "space": space, "source": source, **cells}, place)


def read(path: Path) -> Genotype:
    """A genotype from a YAML file, or from a text file with a printed `Genotype(...)`."""
    if path.suffix in (".yaml", ".yml"):
        return from_content(read_yaml(path), path)
    text = read_text(path)
    if path.suffix == ".txt" or "Genotype(" in text:
        return from_darts_text(text, path.stem, source=str(path))
    return from_content(parse_yaml(path, text), path)


def from_content(content: dict[str, Any], place: str | Path) -> Genotype:
    """A genotype from keys and values. Raises UserError naming the place, which is what they were read from."""
    kinds = {"layers": ChainGenotype, "edges": EdgeGenotype, "matrix": GraphGenotype, "operations": GraphGenotype}
    return check(next((kinds[key] for key in kinds if key in content), CellGenotype), content, place)


def _closing(text: str, opening: int, place: str) -> int:
    depth = 0
    for position in range(opening, min(len(text), opening + LONGEST)):
        depth += {"(": 1, ")": -1}.get(text[position], 0)
        if depth == 0:
            return position + 1
    if len(text) > opening + LONGEST:
        raise UserError(f"{place}: the Genotype(...) is longer than {LONGEST:,} characters, or has no closing bracket")
    raise UserError(f"{place}: the Genotype(...) is cut off: a closing bracket is missing")


def _literal(node: ast.expr | None, place: str) -> list | range | None:
    """A list or tuple of literals, or range(a, b) of two numbers."""
    if node is None:
        return None
    try:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range":
            return range(*(int(ast.literal_eval(argument)) for argument in node.args))
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError, OverflowError):
        raise UserError(f"{place}: should be a list of literals") from None
    if not isinstance(value, list | tuple):
        raise UserError(f"{place}: should be a list, not {type(value).__name__}")
    return list(value)


def _triples(edges: list | range | None, place: str, nodes: int) -> list:
    if not isinstance(edges, list) or not all(isinstance(edge, list | tuple) for edge in edges):
        raise UserError(f"{place}: should be a list of (operation, input) or (operation, node, input)")
    widths = {len(edge) for edge in edges}
    if widths == {2}:
        if len(edges) != 2 * nodes:
            raise UserError(f"{place}: {len(edges)} pairs, should be {2 * nodes}: two for each of {nodes} nodes")
        return [(op, 2 + position // 2, source) for position, (op, source) in enumerate(edges)]
    if widths <= {3}:
        return edges
    raise UserError(f"{place}: should be pairs (operation, input) or triples (operation, node, input), not mixed")
