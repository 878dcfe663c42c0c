"""What all kinds of search spaces have in common: the fields of their files, and the algebra of their paths."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Hashable
from math import prod
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import AfterValidator, Field

from fairdarts.config import Settings, UserError, nearest
from fairdarts.genotype import Genotype
from fairdarts.own import HINT
from fairdarts.runtime.shape import PixelSize
from fairdarts.spaces.gates import Gate, Gates, Part, SinglePath, Subnet

RandRange = Callable[[int], int]
"""draws a number from 0 to below the given one, each as likely as any other"""


class Images(Settings):
    """The images that a stand-alone network is made for."""

    image: PixelSize
    """height and width of its images, 96x64 where they differ"""
    classes: int = Field(ge=2, le=1_000_000)
    """number of classes"""


class SmallNetworks(Settings):
    """The stand-alone networks of the genotypes of a space that is for small images alone."""

    cifar: Images
    """for small images"""


def known_operations(operations: Collection[str], own: Collection[str] = ()) -> AfterValidator:
    """A validator of a list of candidates, all of which are operations of the library or a user's own."""

    def check(candidates: tuple[str, ...]) -> tuple[str, ...]:
        for name in candidates:
            if name not in operations and name not in own:
                raise ValueError(f"'{name}' is not an operation{nearest(name, [*operations, *own])}{HINT}")
        if len(set(candidates)) < len(candidates):
            raise ValueError("an operation stands twice")
        if set(candidates) == {"none"}:
            raise ValueError("none is the only operation")
        return candidates

    return AfterValidator(check)


class SearchSpace(Settings, ABC):
    """A search space: what may be chosen, how a path of choices becomes a genotype, and which gates it opens.

    A space has choice points, each with its candidates, and a path makes decisions. These are one and the same where
    paths choose operations alone; where they choose inputs, too, `topology` says which decisions do.
    """

    schema_version: Literal[1] = Field(default=1, alias="schema")
    """version of this file format"""
    name: str
    """what genotypes and settings call it"""
    kind: str
    """the kind of space"""
    source: str
    """where it comes from"""
    if TYPE_CHECKING:  # a field of every kind of space, which stands behind the others in its file
        networks: Any

    @property
    @abstractmethod
    def choices(self) -> tuple[tuple[str, ...], ...]:
        """The names of the choices of every decision of a path."""

    @property
    def topology(self) -> tuple[int, ...]:
        """The numbers of the decisions that choose inputs; all others choose an operation."""
        return ()

    @property
    @abstractmethod
    def parts(self) -> dict[str, Part]:
        """The parts of the choice points that have a matrix of α each, by name; none where there is no α."""

    @property
    def points(self) -> tuple[tuple[str, ...], ...]:
        """The candidates of every choice point of a supernet: a gate each."""
        return self.choices

    @property
    def shares(self) -> tuple[float, ...]:
        """The share of all paths that has each choice point: all of them where paths choose operations alone."""
        return (1.0,) * len(self.points)

    @property
    def benchmarked(self) -> Self:
        """The space whose architectures a benchmark's table has, of which this one may be a part with fewer operations;
        a path of this one is the same path of that one."""
        return self

    @property
    def operation_points(self) -> list[int]:
        """The numbers of the decisions that choose an operation."""
        return [point for point in range(len(self.choices)) if point not in self.topology]

    @property
    def network(self) -> Any:
        """The size of the stand-alone network of the images that the space was made for: the first one stated."""
        return next(size for _, size in self.networks if size is not None)

    @property
    @abstractmethod
    def depth(self) -> str:
        """How deep and wide that network is, in words."""

    def fixed_topology(self, place: str) -> Self:
        """The space itself, if its paths choose operations alone. Raises UserError naming the place where it is
        named."""
        if self.topology:
            raise UserError(f"{place}: {self.name}: its paths choose inputs, too; should be a chain, or nasbench201")
        return self

    def size(self) -> int:
        """The number of paths."""
        return prod(map(len, self.choices))

    def random_path(self, below: RandRange) -> SinglePath:
        """A path, each as likely as any other."""
        return tuple(below(len(names)) for names in self.choices)

    def random_distinct(self, below: RandRange) -> SinglePath:
        """A path, each stand-alone network as likely as any other.

        Raises UserError where it is not counted how many paths are one network.
        """
        while True:
            path = self.random_path(below)
            if below(self.equivalent_paths(path)) == 0:
                return path

    @abstractmethod
    def canonical(self, path: SinglePath) -> Hashable:
        """The same for two paths if they are the same stand-alone network."""

    @abstractmethod
    def equivalent_paths(self, path: SinglePath) -> int:
        """How many paths are the same stand-alone network as this one, itself included.

        Raises UserError where this is not counted.
        """

    def chosen(self, path: SinglePath) -> tuple[str, ...]:
        """The names of a path's choices."""
        return tuple(names[index] for names, index in zip(self.choices, path, strict=True))

    def arch(self, path: SinglePath) -> str:
        """A path in words, as tables have it: the names of its choices."""
        return " ".join(self.chosen(path))

    @abstractmethod
    def path_of(self, genotype: Any) -> SinglePath:
        """The path of a genotype that the space allows. Raises UserError where it is none."""

    @abstractmethod
    def genotype_of(self, path: SinglePath, name: str, source: str) -> Genotype:
        """The genotype of a path."""

    def gates(self, chosen: Subnet) -> Gates:
        """The gates of a subnet: of every choice point its active choices."""
        return tuple(Gate(active) for active in chosen)

    @abstractmethod
    def check(self, genotype: Any, place: str) -> None:
        """Raises UserError naming the place in the file where the space does not allow a genotype of its kind."""

    def _about(self, name: str, source: str) -> dict[str, Any]:
        """The fields that every genotype has."""
        return {"schema": 1, "name": name, "space": self.name, "source": source}
