"""All that makes a network again but its weights: how a genotype is built, and for which images."""

from collections.abc import Callable

from pydantic import Field
from torch import nn

from fairdarts.config import Settings, UserError
from fairdarts.genotype import CellGenotype, ChainGenotype, Genotype
from fairdarts.networks.backbone import Backbone
from fairdarts.networks.cell import CellNetwork
from fairdarts.networks.chain import ChainNetwork
from fairdarts.networks.nasbench101 import Bench101Network
from fairdarts.networks.nasbench201 import Bench201Network
from fairdarts.networks.settings import AS_NAMED, NetworkSettings
from fairdarts.networks.sizes import HAVE, checked_size, sizes
from fairdarts.runtime.shape import PixelSize
from fairdarts.spaces.cell import CellSpace
from fairdarts.spaces.chain import ChainSpace
from fairdarts.spaces.space import Space


class Blueprint(Settings):
    """A network without its weights."""

    genotype: Genotype
    """the architecture"""
    space: Space
    """the space it is of"""
    network: NetworkSettings = AS_NAMED
    """how it is built"""
    classes: tuple[str, ...] = Field(min_length=2)
    """names of the classes, in the order of the logits"""
    image: PixelSize
    """height and width of the images that it is for, 96x64 where they differ"""
    mean: tuple[float, ...]
    """of the images, per channel, in [0, 1]"""
    std: tuple[float, ...]
    """likewise, the standard deviation"""
    resize: PixelSize | None = None
    """size that an image is resized to cover before its centre, as large as `image`, is judged; the image size itself
    where it is null"""


def build(
    genotype: Genotype,
    space: Space,
    network: NetworkSettings = AS_NAMED,
    classes: int | None = None,
    in_channels: int = 3,
    auxiliary: bool = False,
) -> nn.Module:
    """The stand-alone network of a genotype; `classes` None for those of its size.

    Only networks of cells can have an auxiliary head, and it is left out of others. Raises UserError where the space
    states no such network, or the settings are those of another kind of space.
    """
    name = checked_size(genotype, space, network)
    size = getattr(space.networks, name)
    network = network.model_copy(update={"size": name})
    return BUILDERS[space.kind](genotype, space, network, classes or size.classes, in_channels, auxiliary)


def _cells(
    genotype: CellGenotype, space: CellSpace, network: NetworkSettings, classes: int, in_channels: int, auxiliary: bool
) -> nn.Module:
    name = network.size or sizes(space)[0]
    size = getattr(space.networks, name)
    stacked = network.cells or size.cells, network.channels or size.channels
    dropout = network.dropout or 0.0
    return CellNetwork(name, genotype, space, *stacked, classes, in_channels, auxiliary, dropout)


def _chain(
    genotype: ChainGenotype, space: ChainSpace, network: NetworkSettings, classes: int, in_channels: int, _: bool
) -> nn.Module:
    return ChainNetwork(genotype, space, classes, in_channels, **network.model_dump(include=set(HAVE["chain"])))


BUILDERS: dict[str, Callable[..., nn.Module]] = {
    "cell": _cells,
    "chain": _chain,
    "nasbench101": lambda genotype, space, _, *ends: Bench101Network(genotype, space, *ends[:2]),
    "nasbench201": lambda genotype, space, _, *ends: Bench201Network(genotype, space, *ends[:2]),
}
"""kind of space → what makes a network of genotype, space, settings, classes, input channels, with auxiliary head"""


def build_backbone(
    genotype: Genotype,
    space: Space,
    network: NetworkSettings = AS_NAMED,
    classes: int | None = None,
    in_channels: int = 3,
) -> Backbone:
    """As `build`, of networks that give features. Raises UserError for those of other spaces, too."""
    built = build(genotype, space, network, classes, in_channels)
    if not isinstance(built, Backbone):
        raise UserError(f"{genotype.name}: networks of space {space.name} give no features; should be cells or a chain")
    return built


def assemble(blueprint: Blueprint, auxiliary: bool = False) -> nn.Module:
    """The network of a blueprint, with fresh weights."""
    classes, channels = len(blueprint.classes), len(blueprint.mean)
    return build(blueprint.genotype, blueprint.space, blueprint.network, classes, channels, auxiliary)
