"""What may be chosen in NAS-Bench-101 (arXiv:1902.09635): facts, which paths are cells, which of them are the same.

A path has of every intermediate vertex its operation, then of every vertex but the input what it reads, as a bit mask
of the vertices before it. What is on no way from the input to the output is no part of the cell.
"""

from bisect import bisect_right
from collections.abc import Callable
from functools import lru_cache
from itertools import accumulate
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from fairdarts.config import Settings, UserError, nearest
from fairdarts.genotype import GraphGenotype
from fairdarts.ops.nasbench101 import OPS
from fairdarts.spaces import graph as graphs
from fairdarts.spaces.graph import Graph, Matrix, Wiring, kept
from fairdarts.spaces.nasbench201 import Bench201Networks

LABELS = {"input": -1, "output": -2, **{name: number for number, name in enumerate(OPS)}}
"""the numbers by which the benchmark's hash knows vertices (`hash_spec` in the authors' code)"""

Path = tuple[int, ...]
"""of every choice point, the index of its choice"""
Below = Callable[[int], int]
"""gives an integer from 0 to below its argument, each as likely as any other"""


class Bench101Space(Settings):
    """The space of NAS-Bench-101: one cell, which all cells of a network share, chooses operations and edges."""

    schema_version: Literal[1] = Field(default=1, alias="schema")
    """version of this file format"""
    name: str
    """what genotypes and settings call it"""
    kind: Literal["nasbench101"]
    """the kind of space"""
    source: str
    """where it comes from"""
    candidates: Annotated[tuple[str, ...], Field(min_length=1)]
    """the operations of an intermediate vertex; a path holds indices into them"""
    vertices: int = Field(ge=3, le=7)
    """at most so many, the cell's input and output among them"""
    edges: int = Field(ge=1)
    """at most so many, counted in the pruned cell"""
    channels: int = Field(ge=1, le=4096)
    """channels of the first stack's cells; doubled from stack to stack"""
    stacks: int = Field(ge=1, le=8)
    """of cells of equal width and resolution; between them the resolution halves"""
    cells: int = Field(ge=1, le=1000)
    """cells of a stack"""
    output_edges: int | None = Field(default=None, ge=1)
    """how many intermediate vertices of the pruned cell lead into the output; any number where it is null"""
    networks: Bench201Networks
    """the sizes of stand-alone networks"""

    @field_validator("candidates")
    @classmethod
    def _known(cls, candidates: tuple[str, ...]) -> tuple[str, ...]:
        for name in candidates:
            if name not in OPS:
                raise ValueError(f"'{name}' is not an operation{nearest(name, OPS)}")
        if len(set(candidates)) < len(candidates):
            raise ValueError("an operation stands twice")
        return candidates

    @model_validator(mode="after")
    def _fits(self) -> "Bench101Space":
        if self.output_edges is not None and not distinct(self):
            most = f"{self.vertices} vertices and {self.edges} edges"
            raise ValueError(f"output_edges: {self.output_edges}: no cell of {most} has so many")
        return self

    @property
    def parts(self) -> tuple[str, ...]:
        """What there is one of in a network: the cell."""
        return ("graph",)

    @property
    def choices(self) -> tuple[tuple[str, ...], ...]:
        """The operations of the intermediate vertices, then the sets of inputs of these and of the output."""
        return (self.candidates,) * (self.vertices - 2) + _inputs(self.vertices)

    @property
    def topology(self) -> tuple[int, ...]:
        """The numbers of the choice points that choose inputs."""
        return tuple(range(self.vertices - 2, 2 * self.vertices - 3))

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of every stack."""
        return tuple(self.channels * 2**stack for stack in range(self.stacks))


@lru_cache
def _inputs(vertices: int) -> tuple[tuple[str, ...], ...]:
    """Of every vertex but the first the names of all bit masks over the vertices before it."""
    names = ("+".join(map(str, graphs.bits(mask))) or "none" for mask in range(1 << vertices - 1))
    every = tuple(names)
    return tuple(every[: 1 << vertex] for vertex in range(1, vertices))


def pruned(path: Path, space: Bench101Space) -> Graph | None:
    """The cell of a path, without vertices on no way from input to output; None where there is no such way."""
    between = space.vertices - 2
    return graphs.prune(path[between:], [space.candidates[choice] for choice in path[:between]])


def allows(path: Path, space: Bench101Space) -> bool:
    """Whether a path is a cell of the space, by its edges once it is pruned."""
    return _fault(path[space.vertices - 2 :], space) is None


def _fault(inputs: tuple[int, ...], space: Bench101Space) -> str | None:
    """Why edges are not those of a cell of the space; None where they are."""
    keep = kept(inputs)
    if not keep:
        return "no way leads from the input to the output"
    number = sum((sources & keep).bit_count() for vertex, sources in enumerate(inputs, start=1) if keep >> vertex & 1)
    if number > space.edges:
        return f"{number} edges, should be at most {space.edges} for space {space.name}"
    ends = (inputs[-1] & keep & ~1).bit_count()
    if space.output_edges not in (None, ends):
        return f"{ends} vertices lead into the output, should be {space.output_edges} for space {space.name}"
    return None


def canonical(path: Path, space: Bench101Space) -> str:
    """The benchmark's hash of the cell of a path that the space allows: the same for all that are the same cell."""
    matrix, operations = pruned(path, space)
    return graphs.fingerprint(matrix, [LABELS[name] for name in ("input", *operations, "output")])


def twins(path: Path, space: Bench101Space) -> int:
    """How many paths that the space allows are the same cell as this one, itself included."""
    cell = pruned(path, space)
    return len(graphs.orders(cell)) * _placings(len(cell.matrix), space)


def size(space: Bench101Space) -> int:
    """The number of paths that the space allows."""
    number = len(space.candidates)
    orders = ((len(wiring.codes), wiring.vertices) for wiring in _wirings(space)[0])
    return sum(count * number ** (own - 2) * _placings(own, space) for count, own in orders)


def distinct(space: Bench101Space) -> int:
    """The number of different cells."""
    return sum(wiring.cells for wiring in _wirings(space)[0])


def random_path(space: Bench101Space, below: Below) -> Path:
    """A path, each that the space allows as likely as any other."""
    vertices = space.vertices
    while True:
        inputs = graphs.unpacked(below(1 << vertices * (vertices - 1) // 2), vertices)
        if _fault(inputs, space) is None:
            return (*(below(len(space.candidates)) for _ in range(vertices - 2)), *inputs)


def random_distinct(space: Bench101Space, below: Below) -> Path:
    """A path of a cell, each different cell as likely as any other; of the orders of its vertices, likewise."""
    every, ends = _wirings(space)
    wiring = every[bisect_right(ends, below(ends[-1]))]
    code = wiring.codes[below(len(wiring.codes))]
    same = graphs.symmetries(code, wiring.vertices)
    while True:
        chosen = tuple(below(len(space.candidates)) for _ in range(wiring.vertices - 2))
        # A symmetry that changes the operations makes another of the same cell: as many as len(same) / unchanged.
        unchanged = sum(all(chosen[new - 1] == chosen[old] for old, new in enumerate(place[1:-1])) for place in same)
        if below(len(same)) < unchanged:
            return _padded(chosen, graphs.unpacked(code, wiring.vertices), space)


def path_of_graph(graph: Graph, space: Bench101Space) -> Path:
    """The path of a cell, filled up with vertices without edges before the output.

    Raises UserError, which names no place, where the cell is none of the space.
    """
    _check(graph, space)
    chosen = tuple(space.candidates.index(name) for name in graph.operations)
    return _padded(chosen, graphs.inputs_of(graph.matrix), space)


def check_graph(genotype: GraphGenotype, space: Bench101Space, place: str) -> None:
    """Raises UserError naming the place in the file where the space does not allow the genotype."""
    try:
        _check(Graph(genotype.matrix, genotype.operations), space)
    except UserError as error:
        raise UserError(f"{place}: {error}") from None


def vertex_channels(c_in: int, c_out: int, matrix: Matrix) -> tuple[int, ...]:
    """Channels of every vertex of a pruned cell, the input's and the output's too (`compute_vertex_channels`).

    The output concatenates what leads into it, so these vertices share its channels, the first ones having one more
    where it does not come out even. Any other vertex has as many as the largest that reads it. So the order of vertices
    can matter a little: the benchmark's networks have that which its enumeration meets first, of the least code.
    """
    last = len(matrix) - 1
    ends = [vertex for vertex in range(1, last) if matrix[vertex][last]]
    channels = [c_in, *[0] * (last - 1), c_out]
    for number, vertex in enumerate(ends):
        channels[vertex] = c_out // len(ends) + (number < c_out % len(ends))
    for vertex in range(last - 1, 0, -1):
        if vertex not in ends:
            channels[vertex] = max(own for edge, own in zip(matrix[vertex], channels, strict=True) if edge)
    return tuple(channels)


def _check(graph: Graph, space: Bench101Space) -> None:
    most = space.vertices - 2
    if len(graph.operations) > most:
        raise UserError(f"operations: {len(graph.operations)}, should be at most {most} for space {space.name}")
    for number, name in enumerate(graph.operations):
        if name not in space.candidates:
            near = nearest(name, space.candidates)
            raise UserError(f"operations[{number}]: '{name}' is not an operation of space {space.name}{near}")
    if wrong := graphs.misshape(graph):
        raise UserError(wrong)
    if wrong := _fault(graphs.inputs_of(graph.matrix), space):
        raise UserError(f"matrix: {wrong}")


def _padded(chosen: tuple[int, ...], inputs: tuple[int, ...], space: Bench101Space) -> Path:
    """The path of so many vertices, the others without edges before the output."""
    spare = (0,) * (space.vertices - 2 - len(chosen))
    return (*chosen, *spare, *inputs[:-1], *spare, inputs[-1])


@lru_cache
def _wirings(space: Bench101Space) -> tuple[list[Wiring], list[int]]:
    """All that the cells of the space have; and their numbers of cells, added up one after another."""
    sizes = range(2, space.vertices + 1)
    every = (own for vertices in sizes for own in graphs.wirings(vertices, space.edges, len(space.candidates)))
    found = [wiring for wiring in every if space.output_edges in (None, wiring.ends)]
    return found, [*accumulate(wiring.cells for wiring in found)]


@lru_cache
def _placings(vertices: int, space: Bench101Space) -> int:
    """In how many ways a path can hold a cell of so many vertices in their order, the others being no part of it."""
    return graphs.placings(vertices, space.vertices, len(space.candidates))
