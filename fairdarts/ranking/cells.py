"""Tables of accuracies whose architectures are cells: NAS-Bench-101, DARTS' cells, and those of NDS, read as data."""

import ast
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from fairdarts.checking import check
from fairdarts.config import UserError, nearest
from fairdarts.genotype import CELLS, CellGenotype
from fairdarts.ranking.benchmarks import ARCHITECTURES, columns_of, finite, json_of, listed, mean_of, shown, to_number
from fairdarts.ranking.tfrecord import ACCURACIES, is_tfrecord, trainings
from fairdarts.reading import csv_records, read_text
from fairdarts.spaces.base import SearchSpace
from fairdarts.spaces.cell import CellSpace
from fairdarts.spaces.graph import as_trained
from fairdarts.spaces.nasbench101 import Bench101Space, Graph

Row = tuple[str, tuple[int, ...], float]
"""place in the file, path, number"""

EPOCHS = 108
"""of the trainings whose accuracies are NAS-Bench-101's truth (arXiv:1902.09635, section 2.3)"""
LONGEST = 2000
"""characters of a cell in a CSV: twice what one of 16 nodes needs"""
ERRORS = "test_ep_top1"
"""what the files of NDS call the errors in percent, of every epoch"""


class Files(NamedTuple):
    """How files tell the cells of one kind of space."""

    column: str
    """the column of a CSV that is the truth where none is named"""
    halves: tuple[str, str]
    """the two columns of a CSV that are a cell"""
    lines: Callable[..., "CellTable"]
    """reads the lines of a CSV"""
    json: Callable[..., "CellTable | None"] | None = None
    """reads a JSON file; None where there are none"""
    records: Callable[..., "CellTable"] | None = None
    """reads a file of TFRecords; None where there are none"""


class CellTable(NamedTuple):
    """Stand-alone accuracies of cells, as they are written."""

    column: str
    """where they are from"""
    rows: list[Row]
    """the cells of the space"""
    left_out: dict[str, int]
    """how many entries are none of the space, by what they are: 'without a matrix'"""


def read_cells(path: Path, space: SearchSpace, column: str | None = None) -> CellTable | None:
    """The cells in a file; None where it tells architectures by their paths, as `read_benchmark` reads them.

    Recognized by content. Of NAS-Bench-101: CSV with columns matrix (JSON) and ops, cells without a matrix left out,
    vertices in the order that the benchmark trained them in; the benchmark's own TFRecords, of which a cell's truth is
    the mean over its trainings of 108 epochs, each by its last evaluation. Of DARTS' cells: CSV with columns normal and
    reduce, lists of two (operation, input) a node, lines without an accuracy left out; the JSON files of "On Network
    Design Spaces" (arXiv:1905.13214), where truth is 100 − the error after the last epoch. Cells with a node that reads
    one input twice are left out, and in a sub-space of NAS-Bench-101 those of others.

    `space` is of a kind in FILES. Raises UserError naming file and line (or record, or entry), the value and what would
    be right.
    """
    form = FILES[space.kind]
    if form.records and is_tfrecord(path):
        return form.records(path, space, column)
    text = read_text(path).removeprefix("\ufeff")
    if text.lstrip().startswith(("{", "[")):
        return form.json(path, text, space, column) if form.json else None
    column = column or form.column
    lines = _csv(path, text, form.halves, column)
    return None if lines is None else form.lines(lines, space, column)


Line = tuple[str, str, str, str]
"""place, both halves of a cell, accuracy, as written"""


def _csv(path: Path, text: str, halves: tuple[str, str], column: str) -> list[Line] | None:
    """The lines of a CSV with two columns for a cell; None where it has another column for architectures."""
    records = csv_records(path, text)
    _, header = next(records, ("", []))
    missing = [name for name in halves if name not in header]
    if missing and (not header or any(name in header for name in ARCHITECTURES)):
        return None
    if missing:
        raise UserError(f"{path}: has no column {missing[0]}, only {listed(header)}")
    if column not in header or column in halves:
        others = listed(name for name in header if name not in halves)
        raise UserError(f"{path}: has no column {column!r}; name the one of {others}")
    lines = columns_of(path, records, header, (*halves, column))
    return [(place, first, second, value) for place, (first, second, value) in lines]


def _graphs(lines: list[Line], space: Bench101Space, column: str) -> CellTable:
    rows: list[Row] = []
    left_out: Counter[str] = Counter()
    for place, matrix, operations, accuracy in lines:
        if not matrix:
            left_out["without a matrix"] += 1
            continue
        cell = _path_of_graph(_json_matrix(matrix, place), tuple(operations.split(",")), space, place)
        if cell is None:
            left_out["of other spaces"] += 1
        else:
            pruned = space.pruned(cell)
            assert pruned is not None, "the space has no cell without a way"
            cell = space.path_of_graph(as_trained(pruned, space.candidates))
            rows.append((place, cell, finite(to_number(accuracy), accuracy, f"{place}: {column}")))
    return CellTable(column, rows, dict(left_out))


def _records(path: Path, space: Bench101Space, column: str | None) -> CellTable:
    column = column or next(iter(ACCURACIES))
    if column not in ACCURACIES:
        raise UserError(f"{path}: has no column {column!r}, only {listed(ACCURACIES)}")
    places: dict[str, tuple[str, tuple[int, ...] | None]] = {}
    accuracies: dict[str, list[float]] = {}
    for training in trainings(path, column, EPOCHS):
        if training.cell not in places:
            cell = _path_of_graph(training.matrix, training.operations, space, training.place)
            places[training.cell] = training.place, cell
        accuracies.setdefault(training.cell, []).append(training.accuracy)
    rows = [(place, cell, fmean(accuracies[key])) for key, (place, cell) in places.items() if cell is not None]
    left_out = {"of other spaces": len(places) - len(rows)} if len(rows) < len(places) else {}
    return CellTable(column, rows, left_out)


def _path_of_graph(
    matrix: tuple[tuple[int, ...], ...], operations: tuple[str, ...], space: Bench101Space, place: str
) -> tuple[int, ...] | None:
    """The path of a cell, whose operations name input and output, too; None where it is of other sub-spaces."""
    if len(operations) < 2 or operations[0] != "input" or operations[-1] != "output":
        raise UserError(f"{place}: ops: {shown(','.join(operations))}: should be input,…,output")
    for name in operations[1:-1]:
        _check_operation(name, space, f"{place}: ops")
    whole = space if space.output_edges is None else space.model_copy(update={"output_edges": None})
    try:
        path = whole.path_of_graph(Graph(matrix, operations[1:-1]))
    except UserError as error:
        raise UserError(f"{place}: {error}") from None
    return path if space.allows(path) else None


def _check_operation(name: str, space: Bench101Space | CellSpace, place: str) -> None:
    if name not in space.candidates:
        near = nearest(name, space.candidates)
        raise UserError(f"{place}: {shown(name)} is not an operation of space {space.name}{near}")


def _json_matrix(text: str, place: str) -> tuple[tuple[int, ...], ...]:
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError):
        rows = None
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise UserError(f"{place}: matrix: {shown(text)}: should be rows of 0 and 1: [[0, 1], [0, 0]]")
    for number in (number for row in rows for number in row):
        if type(number) is not int:
            raise UserError(f"{place}: matrix: {shown(number)}: should be 0 or 1")
    return tuple(map(tuple, rows))


def _cells(lines: list[Line], space: CellSpace, column: str) -> CellTable:
    rows: list[Row] = []
    left_out: Counter[str] = Counter()
    for place, normal, reduce, accuracy in lines:
        if not accuracy:
            left_out[f"without {column}"] += 1
            continue
        halves = dict(zip(CELLS, (normal, reduce), strict=True))
        read = {name: _literal(half, f"{place}: {name}") for name, half in halves.items()}
        value = finite(to_number(accuracy), accuracy, f"{place}: {column}")
        _take(place, read, value, space, rows, left_out)
    return CellTable(column, rows, dict(left_out))


def _literal(text: str, place: str) -> Any:
    try:
        if len(text) <= LONGEST:
            return ast.literal_eval(text)
        raise ValueError
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        raise UserError(f"{place}: {shown(text)}: should be a list of (operation, input)") from None


def _take(
    place: str, read: dict[str, Any], value: float, space: CellSpace, rows: list[Row], left_out: Counter[str]
) -> None:
    """Adds the row of two cells, each a list of two (operation, input) a node, or what they are left out for."""
    edges = {name: _edges(half, space, f"{place}: {name}") for name, half in read.items()}
    if any(len({(node, source) for _, node, source in half}) < len(half) for half in edges.values()):
        left_out["of a node that reads one input twice"] += 1
        return
    genotype = check(CellGenotype, {"name": place, "space": space.name, "source": place, **edges}, place)
    rows.append((place, space.path_of(genotype), value))


def _edges(half: Any, space: CellSpace, place: str) -> list[tuple[str, int, int]]:
    """A cell's edges with the nodes they lead to."""
    if not isinstance(half, list | tuple) or len(half) != 2 * space.nodes:
        raise UserError(f"{place}: {shown(half)}: should be {2 * space.nodes} of (operation, input), two for each node")
    edges = []
    for position, edge in enumerate(half):
        match edge:
            case [str(op), int(source)] if not isinstance(source, bool):
                _check_operation(op, space, f"{place}[{position}]")
                edges.append((op, space.inputs + position // 2, source))
            case _:
                raise UserError(f"{place}[{position}]: {shown(edge)}: should be (operation, input)")
    return edges


def _design_spaces(path: Path, text: str, space: CellSpace, column: str | None) -> CellTable | None:
    content = json_of(path, text)
    if isinstance(content, dict) and not {"top", "mid"} & content.keys():
        return None
    if column not in (None, ERRORS):
        raise UserError(f"{path}: has no column {column!r}, only {ERRORS}")
    rows: list[Row] = []
    left_out: Counter[str] = Counter()
    for place, entry in _entries(path, content):
        match entry:
            case {"net": {"genotype": dict(genotype)}, "test_ep_top1": [*_, int() | float() as last]}:
                value = 100 - finite(mean_of(last), last, f"{place}: {ERRORS}")
            case _:
                raise UserError(f'{place}: should be {{"net": {{"genotype": …}}, "{ERRORS}": [error, …]}}')
        read = {name: genotype.get(name) for name in CELLS}
        concat = [*range(space.inputs, space.inputs + space.nodes)]
        for key in (f"{name}_concat" for name in CELLS):
            if genotype.get(key, concat) != concat:
                raise UserError(f"{place}: {key}: {shown(genotype[key])}: should be every node, {concat}")
        _take(place, read, value, space, rows, left_out)
    return CellTable(ERRORS, rows, dict(left_out))


def _entries(path: Path, content: Any) -> Iterator[tuple[str, Any]]:
    parts = {"": content} if isinstance(content, list) else {key: content.get(key, []) for key in ("top", "mid")}
    for key, entries in parts.items():
        if not isinstance(entries, list):
            raise UserError(f"{path}: {key}: should be a list of networks")
        for number, entry in enumerate(entries):
            yield f"{path}: {key}[{number}]", entry


FILES = {
    "cell": Files("acc_nb301_surrogate", CELLS, _cells, json=_design_spaces),
    "nasbench101": Files("108_final_validation_accuracy", ("matrix", "ops"), _graphs, records=_records),
}
"""kind of space → its files, of all whose paths choose inputs, too"""
