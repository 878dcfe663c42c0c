"""Which sizes of networks does a space state, and whose is a network's?"""

from fairdarts.networks.settings import AS_NAMED, NetworkSettings
from fairdarts.spaces.cell import CellSpace
from fairdarts.spaces.space import Space


def sizes(space: Space) -> tuple[str, ...]:
    """The networks whose size a space states; the first is that of the images it was made for."""
    return tuple(name for name, size in space.networks if size is not None)


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
