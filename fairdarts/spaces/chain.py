"""What may be chosen in a chain of layers: the facts of S2 and its kin, and which genotypes they allow."""

from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, Field, field_validator

from fairdarts.config import Settings, UserError, nearest
from fairdarts.genotype import ChainGenotype
from fairdarts.ops.cell import SKIP
from fairdarts.ops.mbconv import is_choice


def _known(candidates: tuple[str, ...]) -> tuple[str, ...]:
    for name in candidates:
        if not is_choice(name):
            bottlenecks = "an inverted bottleneck such as E6K3 (expansion and odd kernel), or MBE6K3 with its residual"
            raise ValueError(f"'{name}' is not a choice of a layer: should be {SKIP}, or {bottlenecks}")
    if len(set(candidates)) < len(candidates):
        raise ValueError("a choice stands twice")
    return candidates


Candidates = Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(_known)]
"""Names of the choices of a layer."""


class Stage(Settings):
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


class ChainSize(Settings):
    """A stand-alone network of the literature, and the images it is counted on."""

    image: int = Field(ge=1, le=8192)
    """height and width of its images"""
    classes: int = Field(ge=2, le=1_000_000)
    """number of classes"""
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


class ChainSpace(Settings):
    """A space of layers, one after another: each is a choice point."""

    schema_version: Literal[1] = Field(default=1, alias="schema")
    """version of this file format"""
    name: str
    """what genotypes and settings call it"""
    kind: Literal["chain"]
    """the kind of space"""
    source: str
    """where it comes from"""
    candidates: Candidates
    """the choices of every layer, in the order of the columns of α"""
    stem: Stem
    """what stands before the layers"""
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]
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
    def topology(self) -> tuple[int, ...]:
        """The points that choose inputs: none."""
        return ()

    @property
    def network(self) -> ChainSize:
        """The stand-alone network of the images that the space was made for."""
        return self.networks.cifar or self.networks.imagenet

    @property
    def parts(self) -> tuple[str, ...]:
        """What has a matrix of α each: all layers together."""
        return ("layers",)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Width and stride of every layer, in the order of the rows of α."""
        layers, c_in = [], self.stem.separable or self.stem.channels
        for stage in self.stages:
            for number in range(stage.layers):
                layers.append(Layer(c_in, stage.channels, 1 if number else stage.stride))
                c_in = stage.channels
        return tuple(layers)

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of α: [layers, candidates]."""
        return sum(stage.layers for stage in self.stages), len(self.candidates)


def check_layers(genotype: ChainGenotype, space: ChainSpace, place: str) -> None:
    """Raises UserError naming the place in the file where the space does not allow the genotype."""
    layers = space.layers
    if len(genotype.layers) != len(layers):
        raise UserError(f"{place}: layers: {len(genotype.layers)}, should be {len(layers)} for space {space.name}")
    for number, (choices, layer, known) in enumerate(zip(genotype.layers, layers, space.choices, strict=True)):
        here = f"{place}: layers[{number}]"
        for name in choices:
            if name not in known:
                raise UserError(f"{here}: '{name}' is not a choice of space {space.name}{nearest(name, known)}")
        if len(set(choices)) < len(choices):
            raise UserError(f"{here}: a choice stands twice")
        if not choices and not layer.keeps_shape:
            change = f"{layer.c_in} to {layer.c_out} channels at stride {layer.stride}"
            raise UserError(f"{here}: has no choice, but it leads from {change}, so it cannot be removed")
