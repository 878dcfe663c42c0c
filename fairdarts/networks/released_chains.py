"""How the tensors of a chain of layers are called in files of FairNAS, and in those of models that timm built.

Both have one inverted bottleneck a layer, whose parts FairNAS numbers and timm names. timm keeps its blocks in stages,
of which only the order is read. Activations have no tensors, so a file does not hold them: FairNAS' own models take
ReLU6, those with squeeze-and-excitation swish in the layers and ReLU before and behind them.
"""

import re
from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from fairdarts.config import UserError
from fairdarts.networks.chain import ChainNetwork

NUMBERED = ("conv1", "bn1", "", "conv2", "bn2", "", "conv3", "bn3")
"""what FairNAS calls the parts of a bottleneck, in our order; an activation has no name"""
NAMED = ("conv_pw", "bn1", "", "conv_dw", "bn2", "", "conv_pwl", "bn3")
"""what timm calls them"""
NAMED_FIRST = ("conv_dw", "bn1", "", "conv_pw", "bn2")
"""likewise of the stem's, which does not expand"""
SQUEEZE = {"squeeze": "conv_reduce", "excite": "conv_expand"}
"""our convolutions of squeeze-and-excitation → timm's"""

_BLOCK = re.compile(r"blocks\.(\d+)\.(\d+)\.")
_RESIDUAL = re.compile(r"MBE(?!1K)\d+K\d+")


def fairnas_names(network: ChainNetwork, tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Our name of every tensor of a network → a file's. Raises UserError where such a file cannot hold the network."""
    check_layers(network)
    if not ratio_of_ours(network):
        check_activation(network, nn.ReLU6, "--network.activation relu6")
    blocks = ["separable_conv", *(f"mb_module.{number}" for number in range(len(network.layers)))]
    ends = ("stem.0", "stem.1"), ("conv_before_pooling.0", "conv_before_pooling.1")
    return _names(network, tensors, ends, blocks, "01234", NUMBERED)


def timm_names(network: ChainNetwork, tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Likewise, of a model that timm built; also raises UserError where it has another number of blocks."""
    check_layers(network)
    if ratio_of_timm(tensors) == ratio_of_ours(network) > 0:
        check_activation(network, nn.SiLU, "--network.activation swish --network.outer_activation relu")
    before = len(network.stem) - 1  # what is separable of the stem is the first block
    stages = {tuple(map(int, found.groups())) for name in tensors if (found := _BLOCK.match(name))}
    blocks = [f"blocks.{stage}.{number}" for stage, number in sorted(stages)]
    if len(blocks) != before + len(network.layers):
        has = f"{len(network.layers)} layers" + (" behind one in its stem" if before else "")
        raise UserError(f"it has {len(blocks)} blocks, but the network {has}: is it of another space?")
    blocks = blocks if before else ["", *blocks]
    return _names(network, tensors, (("conv_stem", "bn1"), ("conv_head", "bn2")), blocks, NAMED_FIRST, NAMED)


def _names(
    network: ChainNetwork,
    tensors: Mapping[str, Tensor],
    ends: tuple[tuple[str, str], tuple[str, str]],
    blocks: Sequence[str],
    of_first: Sequence[str],
    of_others: Sequence[str],
) -> dict[str, str]:
    """Of convolution and BatchNorm at both ends, of the blocks, and of their parts: the stem's, and the layers'."""
    squeezed = ratio_of_ours(network) > 0
    parts = [*of_others[:6], "se", *of_others[6:]] if squeezed else of_others
    last = "classifier.1" if "classifier.1.weight" in tensors else "classifier"  # a dropout may stand before it

    def words(ours: list[str]) -> list[str]:
        match ours:
            case ["stem", "0", part, *rest]:
                return [ends[0][int(part)], *rest]
            case ["stem", "1", part, *rest]:
                return [blocks[0], of_first[int(part)], *rest]
            case ["layers", layer, "choices", _, "block", part, *rest] | ["layers", layer, "choices", _, part, *rest]:
                return [blocks[1 + int(layer)], parts[int(part)], *(SQUEEZE.get(word, word) for word in rest)]
            case ["head", part, *rest]:
                return [ends[1][int(part)], *rest]
        return [last, ours[-1]]

    return {key: ".".join(words(key.split("."))) for key in network.state_dict()}


def check_layers(network: ChainNetwork) -> None:
    """Raises UserError where a layer is anything else than an inverted bottleneck with its residual."""
    for number, layer in enumerate(network.layers):
        choices = [*getattr(layer, "choices", ())]
        if len(choices) != 1 or not _RESIDUAL.fullmatch(choices[0]):
            has = " + ".join(choices) or "removed"
            raise UserError(f"the network's layers[{number}] is {has}; in such files it is MBExKy, x from 2")


def check_activation(network: ChainNetwork, wanted: type[nn.Module], advice: str) -> None:
    """Raises UserError where the layers have another activation."""
    if not any(isinstance(module, wanted) for module in network.layers.modules()):
        raise UserError(f"the network's layers have another activation than the model: should be {advice}")


def advice_on_chains(network: ChainNetwork, tensors: Mapping[str, Tensor]) -> str:
    """What would be right where a file does not fit."""
    theirs, ours = ratio_of_timm(tensors), ratio_of_ours(network)
    return "is it another genotype?" if theirs == ours else f"should be --network.se_ratio {theirs:g}"


def ratio_of_timm(tensors: Mapping[str, Tensor]) -> float:
    """Width of the first squeeze-and-excitation as a share of its block's input; 0 where there is none."""
    return _ratio(tensors, "conv_reduce", "conv_pw")


def ratio_of_ours(network: ChainNetwork) -> float:
    """Likewise, of our network."""
    return _ratio(network.state_dict(), "squeeze", "0")


def _ratio(tensors: Mapping[str, Tensor], reduce: str, expand: str) -> float:
    for name, tensor in tensors.items():
        before, found, _ = name.rpartition(f".{reduce}.weight")
        if found:
            entry = tensors.get(f"{before.rpartition('.')[0]}.{expand}.weight")
            return 0.0 if entry is None else len(tensor) / entry.shape[1]
    return 0.0
