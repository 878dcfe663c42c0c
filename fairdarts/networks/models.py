"""Models by name: every shipped genotype as the networks of the literature, made as timm makes its models."""

import os
from collections.abc import Callable
from contextlib import nullcontext
from functools import cache
from math import prod
from typing import Any, NamedTuple

import torch
from torch import nn

from fairdarts import resources
from fairdarts.config import UserError, nearest
from fairdarts.genotype import Genotype
from fairdarts.networks.atrous import set_output_stride
from fairdarts.networks.blueprint import AS_NAMED, NetworkSettings, as_searched, build_backbone, sizes
from fairdarts.networks.cell import CellNetwork
from fairdarts.networks.features import Features
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
        genotype, space = load_genotype(name)
        known[name] = Model(genotype, space, AS_NAMED)
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


def create_model(
    name: Named,
    pretrained: bool = False,
    *,
    num_classes: int | None = None,
    in_chans: int = 3,
    features_only: bool = False,
    out_indices: int | list[int] | tuple[int, ...] | None = None,
    output_stride: int | None = None,
    drop_rate: float | None = None,
    drop_path_rate: float = 0.0,
    global_pool: str = "avg",
    network: NetworkSettings | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> nn.Module:
    """A model with fresh weights, by a name of `model_names()`, of a genotype, its file, or a run.

    `num_classes` None gives as many as the network of the literature has, 0 no classifier. With `features_only` it is a
    `Features` module, which gives feature maps: of the levels `out_indices`, all where it is None. `output_stride` puts
    dilation in the place of the strides beyond it. `drop_rate` is dropout before the classifier, the space's where it
    is None; `drop_path_rate` is for networks of cells. `network` says how to build what the name does not say.
    Raises UserError in one line where an argument is not possible.

    >>> network = fairdarts.create_model("fairdarts-a", num_classes=10)
    >>> network(torch.randn(1, 3, 32, 32)).shape
    torch.Size([1, 10])
    """
    if pretrained:
        readers = "fairdarts.load(FILE, …) and `fairdarts export FILE --genotype NAME` read the authors' checkpoints"
        raise UserError(f"{name}: pretrained: no weights are shipped; {readers}")
    model = find(name)
    settings = network or model.network
    for key, value in (("drop_rate", drop_rate or 0.0), ("drop_path_rate", drop_path_rate)):
        if not 0 <= value < 1:
            raise UserError(f"{key}: {value}: should be from 0 to below 1")
    if num_classes is not None and num_classes < 0:
        raise UserError(f"num_classes: {num_classes}: should be 0 or more")
    if in_chans < 1:
        raise UserError(f"in_chans: {in_chans}: should be 1 or more")
    if drop_rate is not None:
        settings = settings.model_copy(update={"dropout": drop_rate})
    with torch.device(device) if device is not None else nullcontext():
        built = build_backbone(model.genotype, model.space, settings, num_classes or None, in_chans)
        classes = built.num_classes if num_classes is None else num_classes
        if (classes, global_pool) != (built.num_classes, built.global_pool):
            built.reset_classifier(classes, global_pool)
    if drop_path_rate:
        if not isinstance(built, CellNetwork):
            raise UserError(f"drop_path_rate: {drop_path_rate}: should be 0, as {name} is no network of cells")
        built.drop_probability = drop_path_rate
    if output_stride is not None:
        set_output_stride(built, output_stride)
    built.default_cfg = built.pretrained_cfg = model._replace(network=settings).default_cfg
    return (Features(built, out_indices) if features_only else built).to(dtype=dtype)
