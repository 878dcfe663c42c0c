"""Which sizes of stand-alone networks does a space state, which one has a network, and with what settings?"""

from fairdarts.config import UserError
from fairdarts.genotype import Genotype
from fairdarts.networks.settings import AS_NAMED, NetworkSettings
from fairdarts.spaces.cell import CellSpace
from fairdarts.spaces.space import Space


def sizes(space: Space) -> tuple[str, ...]:
    """The networks whose size a space states; the first is that of the images it was made for."""
    return tuple(name for name, size in space.networks if size is not None)


def checked_size(genotype: Genotype, space: Space, network: NetworkSettings) -> str:
    """The name of the size that a network has (`cifar`, `imagenet`). Raises UserError where the space states no such
    network, or the settings are those of another kind of space."""
    name = network.size or sizes(space)[0]
    if name not in sizes(space):
        raise UserError(f"{genotype.name}: space {space.name} has no {name} network, only {', '.join(sizes(space))}")
    _check_kind(network, space)
    return name


def for_large_images(network: NetworkSettings, space: Space) -> NetworkSettings:
    """The settings, of the size that a space has for large images where they do not say whose."""
    if network.size is None and "imagenet" in sizes(space)[1:]:  # the first is taken where nothing is said
        return network.model_copy(update={"size": "imagenet"})
    return network


def as_searched(stem: str | None, space: Space, network: NetworkSettings = AS_NAMED) -> NetworkSettings:
    """The settings, of whose size they do not say: of that whose stem the cells were searched with."""
    return for_large_images(network, space) if stem == "imagenet" else network


def depth(space: Space, network: NetworkSettings) -> str:
    """How deep and wide a space's network of a size is, in words."""
    if not isinstance(space, CellSpace) or network.size is None:
        return space.depth
    size = getattr(space.networks, network.size)
    return f"{size.cells} cells, {size.channels} channels"


OF_CHAINS = ("se_ratio", "activation", "outer_activation")
OF_CELLS = ("cells", "channels")
HAVE: dict[str, tuple[str, ...]] = {
    "cell": (*OF_CELLS, "dropout"),
    "chain": (*OF_CHAINS, "dropout"),
    "nasbench101": (),
    "nasbench201": (),
}
"""kind of space → the settings that its networks have, next to whose size"""


def _check_kind(network: NetworkSettings, space: Space) -> None:
    for key in (*OF_CHAINS, *OF_CELLS, "dropout"):
        value = getattr(network, key)
        if key not in HAVE[space.kind] and value != NetworkSettings.model_fields[key].default:
            kind = "chains" if key in OF_CHAINS else "cells" if key in OF_CELLS else "chains and cells"
            raise UserError(f"network.{key}: {value}: is for {kind}, but space {space.name} is of kind {space.kind}")
