"""Weights that a stand-alone network takes over from a supernet, which has trained the same operations.

A supernet of `fairdarts search` has BatchNorms without weights, so ours scale by 1 and shift by 0. Its cells
concatenate all their nodes, where ours leave out those that nothing feeds: what reads them keeps the channels that
there are. What it cannot give is one thing: behind a pooling it has a BatchNorm, which a stand-alone network has not
(DARTS, arXiv:1806.09055, section 3), so with poolings in its cells a network does not compute what the supernet does.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from fairdarts.config import UserError
from fairdarts.genotype import Genotype
from fairdarts.networks.cell import CellNetwork, ImageNetStem
from fairdarts.networks.chain import ChainNetwork
from fairdarts.ops.mbconv import SqueezeExcite
from fairdarts.ops.own import own_name
from fairdarts.runtime import checkpoint
from fairdarts.runtime.finite import check_finite
from fairdarts.runtime.run import SETTINGS, open_run, read_settings
from fairdarts.spaces.base import SearchSpace
from fairdarts.spaces.cell import CellSpace
from fairdarts.spaces.chain import ChainSpace
from fairdarts.spaces.gates import SinglePath
from fairdarts.spaces.space import Space, check_genotype, load_space
from fairdarts.supernet.names import current_names

Weights = Mapping[str, Tensor]
"""a supernet's state dict"""
Name = Callable[[list[str]], list]
"""a tensor's name in the network, word by word → in the supernet"""


def weights_of(path: Path) -> tuple[dict[str, Tensor], Space, str]:
    """The supernet's weights in the last checkpoint of a run, its space, and the verb that trained it.

    Raises UserError where it is no run, has no checkpoint yet, or one without a supernet's weights, or with weights
    that are not finite, or of operations on a part of the channels.
    """
    run = open_run(path)
    if not run.last.is_file():
        raise UserError(f"{path}: has no checkpoint yet, so no weights to inherit")
    state = checkpoint.load(run.last)
    weights = state.get("supernet")
    if not isinstance(weights, dict) or not all(isinstance(tensor, Tensor) for tensor in weights.values()):
        should = "should be a run of `fairdarts search` or `fairdarts supernet`"
        raise UserError(f"{path}: its checkpoint has no weights of a supernet: {should}")
    check_finite(weights, path)
    if (parts := read_settings(path / SETTINGS).get("supernet", {}).get("partial", 1)) > 1:
        has = f"its operations have 1/{parts} of a network's channels (supernet.partial {parts})"
        raise UserError(f"{path}: {has}, so none can inherit their weights; train it from scratch")
    return current_names(weights), load_space(str(path / "space.yaml")), run.verb


def inherit(
    network: nn.Module, genotype: Genotype, space: Space, weights: Weights, place: str, by_path: bool = False
) -> list[str]:
    """Puts a supernet's weights into the network of a genotype, in place; gives notes of what differs.

    In evaluation the network computes what the supernet does under gates of 1 for the choices that take part in the
    genotype and 0 for all others, or on the genotype's path. A layer that a genotype removes is as a gate of 1 for its
    skip connection. `space` is the supernet's, `place` what errors call it, and `by_path`
    says that it has trained paths alone. Raises UserError, and leaves the
    network as it was, where the genotype is of another space, or network and supernet differ in size or kind.
    """
    check_genotype(genotype, space, f"{place}: {genotype.name}")
    if space.kind not in NAMES:
        problem = "its supernets have no weights that are one network's, as every path cuts their channels anew"
        raise UserError(f"{place}: space {space.name}: {problem}; train it from scratch")
    if not any(key.endswith(".running_mean") for key in weights):
        lacks = "have no running statistics (supernet.track false), but a network's have to"
        raise UserError(f"{place}: its BatchNorms {lacks}")
    if any(".whole." in key for key in weights):
        raise UserError(f"{place}: its kernels are parts of others (supernet.ofa_kernel true); a network's are not")
    if by_path and not space.topology:  # of cells any genotype can inherit
        _path(genotype, space, place)
    name = NAMES[space.kind](network, genotype, space, weights, place)
    keys = [key for key in network.state_dict() if not key.startswith("auxiliary.")]
    names = {key: ".".join(map(str, name(key.split(".")))) for key in keys}
    ours, taken = network.state_dict(), {}
    for key, there in names.items():
        need = f"{key} of {genotype.name} needs {[*ours[key].shape]}"
        tensor = _of_supernet(there, weights)
        if tensor is None:
            raise UserError(f"{place}: {there}: is not in the supernet of space {space.name}, but {need}")
        taken[key] = _of_fed_nodes(key, tensor, network)
        theirs, needed = [*taken[key].shape], [*ours[key].shape]
        if theirs != needed:
            raise UserError(f"{place}: {there}: shape {theirs}, but {need}: {_unlike(there, theirs, needed, space)}")
    network.load_state_dict(ours | taken)
    return _notes(network)


def _path(genotype: Genotype, space: SearchSpace, place: str) -> SinglePath:
    try:
        return space.path_of(genotype)
    except UserError as error:
        raise UserError(f"{place}: trains paths, but {error}") from None


def _cell_names(network: CellNetwork, genotype: Genotype, space: CellSpace, weights: Weights, place: str) -> Name:
    _check_cells(network, space, weights, place)
    rows, columns = space.edges, space.candidates
    places = [
        [(rows.index((node, source)), columns.index(op)) for op, node, source in cell.edges] for cell in network.cells
    ]

    def name(ours: list[str]) -> list:
        match ours:
            case ["stem", "conv", *rest]:
                return ["stem", *rest]
            case ["cells", cell, "preprocess", number, *rest]:
                return ["stages", cell, "preprocess", number, *rest]
            case ["cells", cell, "ops", number, *rest]:
                return ["stages", cell, "candidates", *places[int(cell)][int(number)], *rest]
            case ["classifier", *_]:
                return ["tail", *ours]
        return ours

    return name


def _chain_names(network: ChainNetwork, genotype: Genotype, space: ChainSpace, weights: Weights, place: str) -> Name:
    _check_chain(network, place)

    def name(ours: list[str]) -> list:
        match ours:
            case ["layers", layer, "choices", choice, *rest]:
                return ["stages", layer, "candidates", space.choices[int(layer)].index(choice), *rest]
            case ["head" | "classifier", *_]:
                return ["tail", *ours]
        return ours

    return name


def _bench_names(network: nn.Module, genotype: Genotype, space: Space, weights: Weights, place: str) -> Name:
    path = _path(genotype, space, place)

    def name(ours: list[str]) -> list:
        match ours:
            case ["stages", stage, "ops", point, *rest]:
                return ["stages", stage, "candidates", point, path[int(point)], *rest]
            case ["stages", stage, *rest]:
                return ["stages", stage, "module", *rest]
        return ours

    return name


NAMES: dict[str, Callable[..., Name]] = {"cell": _cell_names, "chain": _chain_names, "nasbench201": _bench_names}
"""kind of space → what tells the supernet's names, of those whose supernets have weights that are one network's"""


def _of_supernet(name: str, weights: Weights) -> Tensor | None:
    """A tensor of the supernet; of a BatchNorm without weights, those that change nothing."""
    norm, _, leaf = name.rpartition(".")
    neutral = {"weight": torch.ones_like, "bias": torch.zeros_like}.get(leaf)
    mean = weights.get(f"{norm}.running_mean")
    return neutral(mean) if name not in weights and neutral and mean is not None else weights.get(name)


def _of_fed_nodes(key: str, tensor: Tensor, network: nn.Module) -> Tensor:
    """A weight that reads a cell's nodes, without the channels [:, C] of those that nothing feeds."""
    if not isinstance(network, CellNetwork) or tensor.dim() < 2:
        return tensor
    match key.split("."):
        case ["cells", cell, "preprocess", number, *_]:
            source = int(cell) - 2 + int(number)
        case ["classifier", _]:
            source = len(network.cells) - 1
        case _:
            return tensor
    if source < 0:  # it reads the stem
        return tensor
    concat = network.cells[source].concat
    width = network.cells[source].channels // len(concat)
    return torch.cat([tensor[:, (node - 2) * width : (node - 1) * width] for node in concat], dim=1)


def _check_cells(network: CellNetwork, space: CellSpace, weights: Weights, place: str) -> None:
    """Raises UserError where the network is built otherwise than the supernet."""
    stem, large = network.stem, "stem.stem1.1.weight" in weights
    if isinstance(stem, ImageNetStem) != large:
        kind, size = ("large", "imagenet") if large else ("small", "cifar")
        raise UserError(f"{place}: has the stem of {kind} images, so the network should be --network.size {size}")
    cells = len({key.split(".")[1] for key in weights if key.startswith("stages.")})
    theirs = cells, len(weights.get("stem.stem1.1.weight" if large else "stem.0.weight", ()))
    first = cast(nn.Sequential, stem.stem1)[1] if isinstance(stem, ImageNetStem) else stem.conv[0]
    ours = len(network.cells), cast(nn.Conv2d, first).out_channels
    if theirs != ours:
        multiplier = 1 if large else space.stem_multiplier
        (cells, channels), (count, width) = ((number, stem // multiplier) for number, stem in (theirs, ours))
        advice = f"should be --network.cells {cells} --network.channels {channels}"
        has = f"has {cells} cells of {channels} channels, but the network {count} of {width}"
        raise UserError(f"{place}: {has}: {advice}")


def _check_chain(network: ChainNetwork, place: str) -> None:
    """Raises UserError where the network has what no supernet has."""
    if any(isinstance(part, SqueezeExcite) for part in network.modules()):
        raise UserError(f"{place}: has no squeeze-and-excitation, so the network should be --network.se_ratio 0")
    if {*network.activations} != {"relu6"}:
        raise UserError(f"{place}: has ReLU6 throughout, so the network should be --network.activation relu6")


def _unlike(name: str, theirs: list[int], needed: list[int], space: Space) -> str:
    """What the shapes of one tensor say of supernet and network."""
    if name.startswith("stem.") and theirs[:1] + theirs[2:] == needed[:1] + needed[2:] and len(needed) == 4:
        return f"the supernet reads images of {theirs[1]} channels, the network of {needed[1]}"
    if name.startswith("stem.") and theirs[0] != needed[0]:
        return f"the supernet begins with {theirs[0]} channels, the network with {needed[0]}"
    if ("classifier." in name or name.startswith("tail.4.")) and theirs[1:] == needed[1:]:
        return f"the supernet knows {theirs[0]} classes, the network {needed[0]}"
    return f"the supernet is of space {space.name}"


def _notes(network: nn.Module) -> list[str]:
    """What a network of cells has not of the supernet, and the supernet's."""
    if not isinstance(network, CellNetwork):
        return []
    operations = [(name, op) for cell in network.cells for (name, _, _), op in zip(cell.edges, cell.ops, strict=True)]
    pools = sum("pool" in name and not own_name(op) for name, op in operations)
    notes = []
    if pools:
        has = "has a BatchNorm behind each, which the network has not"
        notes.append(f"{pools} poolings: the supernet {has}, so it computes something else until it is trained")
    if network.auxiliary is not None:
        notes.append("auxiliary head: the supernet has none, so it begins anew")
    return notes
