"""Weights that the authors released, read from their files into our networks.

Which names the tensors of a file have (see `foreign.tensors_in`), its layout, is told by one of them:

=========  ==========================================  ==============================================================
layout     what tells it                               files
=========  ==========================================  ==============================================================
FairDARTS  `cells.N._ops.NODE.INPUT.K.…`               github.com/xiaomi-automl/FairDARTS, best_model/*.tar
DARTS      `cells.N.preprocess1.…` without the above   github.com/quark0/darts, cifar10_model.pt, imagenet_model.pt
FairNAS    `mb_module.N.conv1.weight`                  github.com/xiaomi-automl/FairNAS, FairNasA.pth.tar, B, C
timm       `blocks.S.B.conv_dw.weight`                 the same, fairnas_a_se.pth.tar and *_transfer.pt.tar
=========  ==========================================  ==============================================================
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from fairdarts.config import UserError
from fairdarts.networks.cell import CellNetwork
from fairdarts.networks.chain import ChainNetwork
from fairdarts.networks.foreign import first_names
from fairdarts.networks.released_cells import advice_on_cells, cell_names, of_fairdarts, spare_in_cells
from fairdarts.networks.released_chains import advice_on_chains, fairnas_names, timm_names


class Layout(NamedTuple):
    """What a file is like, by the names of its tensors."""

    sample: str
    """the name that tells it, for people"""
    fits: Callable[[Mapping[str, Tensor]], bool]
    """whether a file's tensors are of it"""
    network: type[nn.Module]
    """which of our networks it holds"""
    names: Callable[[Any, Mapping[str, Tensor]], dict[str, str]]
    """our name of every tensor of a network → the file's"""
    advice: Callable[[Any, Mapping[str, Tensor]], str]
    """what would be right where a file does not fit"""
    spare: Callable[[Any, str], bool] = lambda network, name: False
    """whether a tensor of the file takes no part, so that ours leaves it out"""


def _has(start: str, end: str) -> Callable[[Mapping[str, Tensor]], bool]:
    return lambda tensors: any(name.startswith(start) and name.endswith(end) for name in tensors)


_OF_CELLS = (CellNetwork, cell_names, advice_on_cells, spare_in_cells)

LAYOUTS: dict[str, Layout] = {
    "FairDARTS": Layout("cells.0._ops.2.0.0.…", of_fairdarts, *_OF_CELLS),
    "DARTS": Layout("cells.0.preprocess1.op.1.weight", _has("cells.", ".preprocess1.op.1.weight"), *_OF_CELLS),
    "FairNAS": Layout(
        "mb_module.0.conv1.weight", _has("mb_module.", ".conv1.weight"), ChainNetwork, fairnas_names, advice_on_chains
    ),
    "timm": Layout(
        "blocks.0.0.conv_dw.weight", _has("blocks.", ".conv_dw.weight"), ChainNetwork, timm_names, advice_on_chains
    ),
}
"""name → layout; the first that fits is taken"""

LOGITS = ("classifier.", "auxiliary.9.")
"""our layers that give one number a class"""

HOLDS = {CellNetwork: "cells", ChainNetwork: "a chain of layers"}

OWN = Layout(
    "",
    lambda tensors: False,
    nn.Module,
    lambda network, tensors: {key: key for key in network.state_dict()},
    lambda network, tensors: "is it another genotype or size?",
    lambda network, name: name.startswith("auxiliary."),
)
"""that of our networks, told by a name that a file shares with the network"""


def fill_released(network: nn.Module, tensors: Mapping[str, Tensor], name: str, path: Path) -> str:
    """Puts the tensors of a released file into our network, in place, and gives the file's layout.

    `name` is what errors call the network, that of its genotype. A file's auxiliary head is left out where ours has
    none. Raises UserError, and leaves the network as it was, where the file is of no known layout, or a tensor is
    missing, misshapen or of no use.
    """
    kind = next((kind for kind, layout in LAYOUTS.items() if layout.fits(tensors)), None)
    ours = not kind and any(name in tensors for name in network.state_dict())
    if kind is None and not ours:
        known = ", ".join(f"{kind} ({layout.sample})" for kind, layout in LAYOUTS.items())
        shown = first_names(tensors)
        raise UserError(f"{path}: its tensors are called {shown}, as in no layout that is known: {known}")
    layout = OWN if kind is None else LAYOUTS[kind]
    if not isinstance(network, layout.network):
        raise UserError(f"{path}: holds {HOLDS[layout.network]} in the layout of {kind}, which {name} is not")
    try:
        names = layout.names(network, tensors)
    except UserError as error:
        raise UserError(f"{path}: {name} does not fit the layout of {kind}: {error}") from None
    _check(path, name, layout, network, tensors, names)
    taken = {key: tensors[there] for key, there in names.items() if there in tensors}
    network.load_state_dict(network.state_dict() | taken)
    return kind or "fairdarts"


def classes_in(tensors: Mapping[str, Tensor]) -> int | None:
    """How many classes a file's classifier tells apart; None where it has no classifier that is known."""
    biases = (tensors[name] for name in ("classifier.bias", "classifier.1.bias") if name in tensors)
    return next((len(bias) for bias in biases if bias.ndim == 1), None)


def _check(
    path: Path, name: str, layout: Layout, network: nn.Module, tensors: Mapping[str, Tensor], names: Mapping[str, str]
) -> None:
    """Raises UserError where a tensor is missing, misshapen or of no use."""
    ours, advice = network.state_dict(), layout.advice(network, tensors)
    if getattr(network, "auxiliary", None) is not None and not any(there.startswith("auxiliary") for there in tensors):
        raise UserError(f"{path}: auxiliary_head.*: is not in it, so {name} should be built without an auxiliary head")
    for key, there in names.items():
        if there not in tensors and not key.endswith("num_batches_tracked"):  # which torch counts since 0.4.1
            need = f"{key} of {name} needs {[*ours[key].shape]}"
            raise UserError(f"{path}: {there}: is missing, but {need}: {advice}")
    known = set(names.values())
    for there, tensor in tensors.items():
        if there not in known and not layout.spare(network, there):
            raise UserError(f"{path}: {there}: shape {[*tensor.shape]}, has no place in {name}: {advice}")
    unfit = [key for key, there in names.items() if there in tensors and tensors[there].shape != ours[key].shape]
    if unfit:
        key = min(unfit, key=lambda key: key.startswith(LOGITS))  # the logits last: they may be all that does not fit
        theirs, needed = [*tensors[names[key]].shape], [*ours[key].shape]
        if key.startswith(LOGITS) and theirs[1:] == needed[1:]:
            advice = f"it knows {theirs[0]} classes, so the network should be built for as many, not {needed[0]}"
        raise UserError(f"{path}: {names[key]}: shape {theirs}, but {key} of {name} needs {needed}: {advice}")
