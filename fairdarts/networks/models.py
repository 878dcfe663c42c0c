"""Models by name: every shipped genotype as the networks of the literature. What they are, without making them."""

import os
from collections.abc import Callable
from functools import cache
from math import prod
from typing import Any, NamedTuple

from fairdarts import resources
from fairdarts.config import UserError, nearest
from fairdarts.genotype import Genotype
from fairdarts.networks.settings import AS_NAMED, NetworkSettings
from fairdarts.networks.sizes import as_searched, sizes
from fairdarts.networks.zoo import file_and_name, load_genotype, searched_stem
from fairdarts.runtime.shape import sides
from fairdarts.spaces.cell import CellSpace
from fairdarts.spaces.chain import ChainSpace
from fairdarts.spaces.space import SPACES, Space, check_genotype, load_space

RELEASED = ("fairnas-a", "fairnas-b", "fairnas-c")
"""the networks that FairNAS' authors released with squeeze-and-excitation as well"""
EXCITED = {"se": 1.0, "se05": 0.5}
"""suffix → width of squeeze-and-excitation, as a share of a block's input"""
STATISTICS = {
    "cifar": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
"""mean and standard deviation of the images of a size, per channel, in [0, 1]"""
STEMS = {"cifar": ("stem.conv.0", 1), "imagenet": ("stem.stem0.0", 8)}
"""of networks of cells: first convolution, and stride"""


class Model(NamedTuple):
    """All that makes a model but its weights."""

    genotype: Genotype
    space: Space
    network: NetworkSettings

    @property
    def size(self) -> str:
        """Whose size it has."""
        return self.network.size or sizes(self.space)[0]

    @property
    def default_cfg(self) -> dict:
        """What timm wants to know of a model: for which images and classes it is, and what its ends are called."""
        size = getattr(self.space.networks, self.size)
        first, stride = ENDS[self.space.kind](self.space, self.size, self.network)
        mean, std = STATISTICS[self.size]
        return {
            "url": "",
            "num_classes": size.classes,
            "input_size": (3, *sides(size.image)),
            "pool_size": tuple(-(-side // stride) for side in sides(size.image)),
            "crop_pct": 0.875 if self.size == "imagenet" else 1.0,
            "interpolation": "bilinear",
            "mean": mean,
            "std": std,
            "first_conv": first,
            "classifier": "classifier",
        }


def _cell_ends(space: CellSpace, size: str, network: NetworkSettings) -> tuple[str, int]:
    first, stride = STEMS[size]
    return first, stride * 2 ** len(space.reduction_cells(network.cells or getattr(space.networks, size).cells))


def _chain_ends(space: ChainSpace, size: str, network: NetworkSettings) -> tuple[str, int]:
    return "stem.0.0", space.stem.stride * prod(layer.stride for layer in space.layers)


ENDS: dict[str, Callable[[Any, str, NetworkSettings], tuple[str, int]]] = {"cell": _cell_ends, "chain": _chain_ends}
"""kind of space → a network's first convolution and its stride as a whole, of those that give features"""


@cache
def models() -> dict[str, Model]:
    """All models by name."""
    known = {}
    for name in resources.names("genotypes"):
        known[name] = _shipped(name)
        genotype, space, _ = known[name]
        for size in sizes(space)[1:]:
            known[f"{name}-{size}"] = Model(genotype, space, NetworkSettings(size=size))
        for suffix, ratio in EXCITED.items() if name in RELEASED else ():
            settings = NetworkSettings(se_ratio=ratio, activation="swish", outer_activation="relu")
            known[f"{name}-{suffix}"] = Model(genotype, space, settings)
    return dict(sorted(known.items()))


def model_names() -> list[str]:
    """The names that `create_model` knows, sorted.

    >>> fairdarts.model_names()[:2]
    """
    return list(models())


@cache
def _shipped(name: str) -> Model:
    """The model of a shipped genotype's own name."""
    return Model(*load_genotype(name), AS_NAMED)


Named = str | os.PathLike[str] | Genotype | tuple[Genotype, Space]
"""what has an architecture: a model's name, a genotype's file, a run or its directory; or a genotype itself, beside it
its space where that is one of your own"""


def find(named: Named) -> Model:
    """The model of a name, with hyphens or with timm's underscores, of a genotype, its file, or a run.

    Raises UserError with the nearest name where there is none.
    """
    if isinstance(found := getattr(named, "genotype", None), Genotype) and not isinstance(named, os.PathLike):
        named = found  # a model of an evolution
    if isinstance(named, tuple) and len(named) == 2 and isinstance(named[0], Genotype):
        return _of_genotype(*named)
    if isinstance(named, Genotype):
        return _of_genotype(named, None)
    if not isinstance(named, str | os.PathLike):
        raise UserError(f"{named!r}: should be a model's name, a genotype, its file, or a run")
    name = os.fspath(named)
    for spelling in (name, name.replace("_", "-")):
        if spelling in resources.names("genotypes"):
            return _shipped(spelling)  # without reading all the others
        if spelling in models():
            return models()[spelling]
    if name.endswith((".pt", ".safetensors", ".tar", ".pth")) and os.path.isfile(name):
        raise UserError(f"{name}: is a file of weights, which fairdarts.load reads; should be a genotype or a run")
    if os.path.exists(file_and_name(name)[0]):
        genotype, space = load_genotype(name)
        return Model(genotype, space, as_searched(searched_stem(name), space))
    raise UserError(f"{name}: neither a model, a file nor a run{nearest(name.replace('_', '-'), models())}")


def name_of(named: Named) -> str:
    """What it is called: its model's name, file or run, or the name that a genotype has itself."""
    if isinstance(named, str | os.PathLike):
        return os.fspath(named)
    genotype = named[0] if isinstance(named, tuple) and isinstance(named[0], Genotype) else named
    return str(getattr(genotype, "name", genotype))


def _of_genotype(genotype: Genotype, space: Space | None) -> Model:
    place = f"genotype {genotype.name}"
    if space is None:
        known = {*SPACES, *resources.names("search_spaces")}
        if genotype.space not in known and not os.path.isfile(genotype.space):
            advice = "hand its space beside it: (genotype, run.space)"
            raise UserError(
                f"{place}: space: {genotype.space}: is neither a shipped search space nor a registered one; {advice}"
            )
        space = load_space(genotype.space, f"{place}: space")
    return Model(check_genotype(genotype, space, place), space, AS_NAMED)
