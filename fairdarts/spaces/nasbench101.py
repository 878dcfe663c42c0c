"""What may be chosen in NAS-Bench-101 (arXiv:1902.09635): facts, which paths are cells, which of them are the same.

A path has of every intermediate vertex its operation, then of every vertex but the input what it reads, as a bit mask
of the vertices before it. What is on no way from the input to the output is no part of the cell.
"""

from bisect import bisect_right
from functools import lru_cache
from itertools import accumulate
from typing import Annotated, Literal

from pydantic import Field, model_validator

from fairdarts.config import UserError, nearest
from fairdarts.genotype import GraphGenotype
from fairdarts.ops.names import NASBENCH101
from fairdarts.spaces import graph as graphs
from fairdarts.spaces.base import RandRange, SearchSpace, SmallNetworks, known_operations
from fairdarts.spaces.gates import Gates, Part, SinglePath, Subnet, only_path, subnet
from fairdarts.spaces.graph import Graph, Matrix, Wiring, kept

LABELS = {"input": -1, "output": -2, **{name: number for number, name in enumerate(NASBENCH101)}}
"""the numbers by which the benchmark's hash knows vertices (`hash_spec` in the authors' code)"""


class Bench101Space(SearchSpace):
    """The space of NAS-Bench-101: one cell, which all cells of a network share, chooses operations and edges."""

    kind: Literal["nasbench101"]
    """the kind of space"""
    candidates: Annotated[tuple[str, ...], Field(min_length=1), known_operations(NASBENCH101)]
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
    networks: SmallNetworks
    """the sizes of stand-alone networks"""

    @model_validator(mode="after")
    def _fits(self) -> "Bench101Space":
        if self.output_edges is not None and not self.distinct():
            most = f"{self.vertices} vertices and {self.edges} edges"
            raise ValueError(f"output_edges: {self.output_edges}: no cell of {most} has so many")
        return self

    @property
    def parts(self) -> dict[str, Part]:
        """None: a set of inputs is chosen as a whole, so there is no α."""
        return {}

    @property
    def choices(self) -> tuple[tuple[str, ...], ...]:
        """The operations of the intermediate vertices, then the sets of inputs of these and of the output."""
        return (self.candidates,) * (self.vertices - 2) + _inputs(self.vertices)

    @property
    def topology(self) -> tuple[int, ...]:
        """The numbers of the choice points that choose inputs."""
        return tuple(range(self.vertices - 2, 2 * self.vertices - 3))

    @property
    def depth(self) -> str:
        return f"{self.stacks * self.cells} cells, {self.channels} channels"

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of every stack."""
        return tuple(self.channels * 2**stack for stack in range(self.stacks))

    def pruned(self, path: SinglePath) -> Graph | None:
        """The cell of a path, without vertices on no way from input to output; None where there is no such way."""
        between = self.vertices - 2
        return graphs.prune(path[between:], [self.candidates[choice] for choice in path[:between]])

    def _cell(self, path: SinglePath) -> Graph:
        """The pruned cell of a path that the space allows."""
        cell = self.pruned(path)
        assert cell is not None
        return cell

    def allows(self, path: SinglePath) -> bool:
        """Whether a path is a cell of the space, by its edges once it is pruned."""
        return self._fault(path[self.vertices - 2 :]) is None

    def _fault(self, inputs: tuple[int, ...]) -> str | None:
        """Why edges are not those of a cell of the space; None where they are."""
        keep = kept(inputs)
        if not keep:
            return "no way leads from the input to the output"
        parts = (sources for vertex, sources in enumerate(inputs, start=1) if keep >> vertex & 1)
        number = sum((sources & keep).bit_count() for sources in parts)
        if number > self.edges:
            return f"{number} edges, should be at most {self.edges} for space {self.name}"
        ends = (inputs[-1] & keep & ~1).bit_count()
        if self.output_edges not in (None, ends):
            return f"{ends} vertices lead into the output, should be {self.output_edges} for space {self.name}"
        return None

    def canonical(self, path: SinglePath) -> str:
        """The benchmark's hash of the cell of a path that the space allows: the same for all that are the same cell."""
        matrix, operations = self._cell(path)
        return graphs.fingerprint(matrix, [LABELS[name] for name in ("input", *operations, "output")])

    def equivalent_paths(self, path: SinglePath) -> int:
        """How many paths that the space allows are the same cell as this one, itself included."""
        cell = self._cell(path)
        return len(graphs.orders(cell)) * _arrangements(len(cell.matrix), self)

    def size(self) -> int:
        """The number of paths that the space allows."""
        number = len(self.candidates)
        orders = ((len(wiring.codes), wiring.vertices) for wiring in _wirings(self)[0])
        return sum(count * number ** (vertices - 2) * _arrangements(vertices, self) for count, vertices in orders)

    def distinct(self) -> int:
        """The number of different cells."""
        return sum(wiring.cells for wiring in _wirings(self)[0])

    def random_path(self, below: RandRange) -> SinglePath:
        """A path, each that the space allows as likely as any other."""
        vertices = self.vertices
        while True:
            inputs = graphs.unpacked(below(1 << vertices * (vertices - 1) // 2), vertices)
            if self._fault(inputs) is None:
                return (*(below(len(self.candidates)) for _ in range(vertices - 2)), *inputs)

    def random_distinct(self, below: RandRange) -> SinglePath:
        """A path of a cell, each different cell as likely as any other; of the orders of its vertices, likewise."""
        every, ends = _wirings(self)
        wiring = every[bisect_right(ends, below(ends[-1]))]
        code = wiring.codes[below(len(wiring.codes))]
        same = graphs.symmetries(code, wiring.vertices)
        while True:
            chosen = tuple(below(len(self.candidates)) for _ in range(wiring.vertices - 2))
            # A symmetry that changes the operations makes another of the same cell: as many as len(same) / unchanged.
            unchanged = sum(tuple(chosen[new - 1] for new in place[1:-1]) == chosen for place in same)
            if below(len(same)) < unchanged:
                return self._padded(chosen, graphs.unpacked(code, wiring.vertices))

    def path_of_graph(self, graph: Graph) -> SinglePath:
        """The path of a cell, filled up with vertices without edges before the output.

        Raises UserError, which names no place, where the space has no such cell.
        """
        self._check_graph(graph)
        chosen = tuple(self.candidates.index(name) for name in graph.operations)
        return self._padded(chosen, graphs.inputs_of(graph.matrix))

    def path_of(self, genotype: GraphGenotype) -> SinglePath:
        """The path of a genotype (see `path_of_graph`)."""
        return self.path_of_graph(Graph(genotype.matrix, genotype.operations))

    def genotype_of(self, path: SinglePath, name: str, source: str) -> GraphGenotype:
        """The genotype of a path that the space allows: its pruned cell."""
        return GraphGenotype(**self._about(name, source), **self._cell(path)._asdict())

    def gates(self, chosen: Subnet) -> Gates:
        """The gates of a subnet that is one path: one active choice of every decision, its sets of inputs too.

        Raises ValueError where a decision has not one active choice.
        """
        return super().gates(subnet(only_path(chosen)))

    def check(self, genotype: GraphGenotype, place: str) -> None:
        """Raises UserError naming the place in the file where the space does not allow the genotype."""
        try:
            self._check_graph(Graph(genotype.matrix, genotype.operations))
        except UserError as error:
            raise UserError(f"{place}: {error}") from None

    def _check_graph(self, graph: Graph) -> None:
        most = self.vertices - 2
        if len(graph.operations) > most:
            raise UserError(f"operations: {len(graph.operations)}, should be at most {most} for space {self.name}")
        for number, name in enumerate(graph.operations):
            if name not in self.candidates:
                near = nearest(name, self.candidates)
                raise UserError(f"operations[{number}]: '{name}' is not an operation of space {self.name}{near}")
        if wrong := graphs.shape_problem(graph):
            raise UserError(wrong)
        if wrong := self._fault(graphs.inputs_of(graph.matrix)):
            raise UserError(f"matrix: {wrong}")

    def _padded(self, chosen: tuple[int, ...], inputs: tuple[int, ...]) -> SinglePath:
        """The path of so many vertices, the others without edges before the output."""
        spare = (0,) * (self.vertices - 2 - len(chosen))
        return (*chosen, *spare, *inputs[:-1], *spare, inputs[-1])


@lru_cache
def _inputs(vertices: int) -> tuple[tuple[str, ...], ...]:
    """Of every vertex but the first the names of all bit masks over the vertices before it."""
    every = tuple("+".join(map(str, graphs.bits(mask))) or "none" for mask in range(1 << vertices - 1))
    return tuple(every[: 1 << vertex] for vertex in range(1, vertices))


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
            channels[vertex] = max(width for edge, width in zip(matrix[vertex], channels, strict=True) if edge)
    return tuple(channels)


@lru_cache
def _wirings(space: Bench101Space) -> tuple[list[Wiring], list[int]]:
    """All that the cells of the space have; and their numbers of cells, added up one after another."""
    sizes = range(2, space.vertices + 1)
    every = (wiring for vertices in sizes for wiring in graphs.wirings(vertices, space.edges, len(space.candidates)))
    allowed = [wiring for wiring in every if space.output_edges in (None, wiring.ends)]
    return allowed, [*accumulate(wiring.cells for wiring in allowed)]


@lru_cache
def _arrangements(vertices: int, space: Bench101Space) -> int:
    """In how many ways a path can hold a cell of so many vertices in their order, the others being no part of it."""
    return graphs.arrangements(vertices, space.vertices, len(space.candidates))
