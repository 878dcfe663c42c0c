"""What may be chosen in a chain of layers: the facts of S2 and its kin, their paths, and which genotypes they allow."""

from collections.abc import Hashable
from itertools import groupby
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, Field, field_validator

from fairdarts.config import Settings, UserError, nearest
from fairdarts.genotype import SKIP, ChainGenotype
from fairdarts.ops.names import is_choice
from fairdarts.own import HINT
from fairdarts.spaces.base import Images, SearchSpace
from fairdarts.spaces.gates import Part, SinglePath


def _known(candidates: tuple[str, ...]) -> tuple[str, ...]:
    for name in candidates:
        if not is_choice(name):
            bottlenecks = "an inverted bottleneck such as E6K3 (expansion and odd kernel), or MBE6K3 with its residual"
            raise ValueError(f"'{name}' is not a choice of a layer: should be {SKIP}, or {bottlenecks}{HINT}")
    if len(set(candidates)) < len(candidates):
        raise ValueError("a choice stands twice")
    return candidates


Candidates = Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(_known)]
"""Names of the choices of a layer."""


class ChainStage(Settings):
    """Layers of one width; the first of them carries the stride."""

    channels: int = Field(ge=1, le=4096)
    """output channels"""
    layers: int = Field(ge=1, le=1000)
    """number of layers"""
    stride: Literal[1, 2]
    """stride of the first layer"""
    candidates: Candidates | None = None
    """the choices of these layers, where they are not the space's"""


class Stem(Settings):
    """What stands before the layers."""

    channels: int = Field(ge=1, le=4096)
    """output channels of the 3×3 convolution"""
    stride: Literal[1, 2]
    """its stride"""
    separable: int | None = Field(default=None, ge=1, le=4096)
    """output channels of the depthwise-separable convolution behind it; none where it is null"""


class ChainSize(Images):
    """A stand-alone network of the literature, and the images it is counted on."""

    dropout: float = Field(ge=0, lt=1)
    """dropout before the classifier"""


class ChainNetworks(Settings):
    """The stand-alone networks of a space's genotypes."""

    cifar: ChainSize | None = None
    """for small images"""
    imagenet: ChainSize | None = None
    """for large images"""


class Layer(NamedTuple):
    """One choice point of a chain."""

    c_in: int
    c_out: int
    stride: int

    @property
    def keeps_shape(self) -> bool:
        """Whether its output has the shape of its input: only then can it be left out, and is a skip the identity."""
        return self.c_in == self.c_out and self.stride == 1


class ChainSpace(SearchSpace):
    """A space of layers, one after another: each is a choice point, and a decision of a path."""

    kind: Literal["chain"]
    """the kind of space"""
    candidates: Candidates
    """the choices of every layer, in the order of the columns of α"""
    stem: Stem
    """what stands before the layers"""
    stages: Annotated[tuple[ChainStage, ...], Field(min_length=1)]
    """the layers"""
    head: int = Field(ge=1, le=65536)
    """output channels of the 1×1 convolution behind the layers"""
    networks: ChainNetworks
    """the sizes of derived networks"""

    @field_validator("networks")
    @classmethod
    def _sized(cls, networks: ChainNetworks) -> ChainNetworks:
        if not (networks.cifar or networks.imagenet):
            raise ValueError("should hold cifar, imagenet or both")
        return networks

    @property
    def choices(self) -> tuple[tuple[str, ...], ...]:
        """The choices of every layer."""
        return tuple(stage.candidates or self.candidates for stage in self.stages for _ in range(stage.layers))

    @property
    def depth(self) -> str:
        return f"{len(self.layers)} layers"

    @property
    def parts(self) -> dict[str, Part]:
        """All layers together, "layers"; where they differ in their choices, "layers-1", "layers-2", … of those that
        do not, in the order in which they begin."""
        lists = dict.fromkeys(self.choices)
        names = [f"layers-{number}" for number in range(1, len(lists) + 1)] if len(lists) > 1 else ["layers"]
        layers = {listed: tuple(at for at, names in enumerate(self.choices) if names == listed) for listed in lists}
        return {name: Part(layers[listed], listed) for name, listed in zip(names, lists, strict=True)}

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Width and stride of every layer, in the order of the rows of α."""
        layers, c_in = [], self.stem.separable or self.stem.channels
        for stage in self.stages:
            for number in range(stage.layers):
                layers.append(Layer(c_in, stage.channels, 1 if number else stage.stride))
                c_in = stage.channels
        return tuple(layers)

    def canonical(self, path: SinglePath) -> Hashable:
        """The layers that are there. A skip that keeps the shape is no layer at all, so it does not matter where it
        stands among others of its kind: NAS-Bench-Macro trains one network for all such paths."""
        layers = zip(self.chosen(path), self.layers, strict=True)
        return tuple((name, layer) for name, layer in layers if name != SKIP or not layer.keeps_shape)

    def equivalent_paths(self, path: SinglePath) -> int:
        """How many paths are the same stand-alone network as this one, itself included."""
        number = 1
        points = zip(self.chosen(path), self.choices, self.layers, strict=True)
        for layer, run in groupby(points, key=lambda point: point[2]):
            if layer.keeps_shape:
                number *= _arrangements(*zip(*((name, names) for name, names, _ in run), strict=True))
        return number

    def path_of(self, genotype: ChainGenotype) -> SinglePath:
        """The path of a genotype that the space allows; a layer that is removed is a skip connection, if it offers one.

        Raises UserError where a layer has not exactly one choice.
        """
        path = []
        for number, (names, chosen) in enumerate(zip(self.choices, genotype.layers, strict=True)):
            if not chosen and SKIP in names:  # of layers that keep the shape alone, where it is the identity
                chosen = (SKIP,)
            if len(chosen) != 1:
                raise UserError(f"{genotype.name}: layers[{number}]: {len(chosen)} choices, should be 1 to be a path")
            path.append(names.index(chosen[0]))
        return tuple(path)

    def genotype_of(self, path: SinglePath, name: str, source: str) -> ChainGenotype:
        """The genotype of a path."""
        return ChainGenotype(**self._about(name, source), layers=tuple((choice,) for choice in self.chosen(path)))

    def check(self, genotype: ChainGenotype, place: str) -> None:
        """Raises UserError naming the place in the file where the space does not allow the genotype."""
        layers = self.layers
        if len(genotype.layers) != len(layers):
            raise UserError(f"{place}: layers: {len(genotype.layers)}, should be {len(layers)} for space {self.name}")
        for number, (choices, layer, known) in enumerate(zip(genotype.layers, layers, self.choices, strict=True)):
            here = f"{place}: layers[{number}]"
            for name in choices:
                if name not in known:
                    raise UserError(f"{here}: '{name}' is not a choice of space {self.name}{nearest(name, known)}")
            if len(set(choices)) < len(choices):
                raise UserError(f"{here}: a choice stands twice")
            if not choices and not layer.keeps_shape:
                change = f"{layer.c_in} to {layer.c_out} channels at stride {layer.stride}"
                raise UserError(f"{here}: has no choice, but it leads from {change}, so it cannot be removed")


def _arrangements(chosen: tuple[str, ...], choices: tuple[tuple[str, ...], ...]) -> int:
    """In how many ways the chosen blocks can stand in layers of one shape, in their order and with skips between."""
    blocks = [name for name in chosen if name != SKIP]
    ways = [1, *[0] * len(blocks)]  # to have placed none, one, two, … of them in the layers so far
    for names in choices:
        placed = [0, *(way if block in names else 0 for way, block in zip(ways, blocks, strict=False))]
        ways = [(way if SKIP in names else 0) + new for way, new in zip(ways, placed, strict=True)]
    return ways[-1]
