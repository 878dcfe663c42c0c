"""How alike are the choices of a layer? Cosines between the feature maps that they make of the same input.

FairNAS explains by it why a supernet of single paths trains at all (section 6.1; first version, section 5): what the
next layer sees hardly depends on which choice made it.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fairdarts.spaces.gates import SinglePath, subnet
from fairdarts.supernet.chain import ChoiceLayer
from fairdarts.supernet.supernet import Supernet, at


class Similarity(NamedTuple):
    """Cosines of feature maps [H·W], each the mean over images; nan where a map is zero."""

    per_channel: Tensor
    """[C, m, m]: of two choices, on the same channel (Fig. 2, 9 and 13)"""
    within: Tensor
    """[m, C, C]: of two channels of one choice (Fig. 12)"""
    across: Tensor
    """[m, C, C]: of a channel of the first choice and one of each choice (Fig. 14)"""


def feature_maps(supernet: Supernet, layer: int, path: SinglePath, images: Tensor) -> Tensor:
    """What every choice of a layer makes of the output of the layers of a path before it: [m, B, C, H, W].

    BatchNorms take their running statistics.
    """
    training, gates, chosen = supernet.training, supernet.space.gates(subnet(path)), supernet.stages[layer]
    assert isinstance(chosen, ChoiceLayer)
    supernet.eval()
    with torch.no_grad():
        x = supernet.stem(images)
        for stage in supernet.stages[:layer]:
            x = stage(x, at(stage, gates))
        maps = torch.stack([candidate(x) for candidate in chosen.candidates])
    supernet.train(training)
    return maps


def similarity(maps: Iterable[Tensor]) -> Similarity:
    """Of feature maps [m, B, C, H, W], batch by batch."""
    sums: list[Any] = [0, 0, 0]
    images = 0
    for batch in maps:
        unit = batch.flatten(3).double()
        norm = unit.norm(dim=-1, keepdim=True)
        unit = torch.where(norm > 0, unit / norm, torch.nan)  # [m, B, C, H·W]
        cosines = (
            torch.einsum("ibcx,jbcx->cij", unit, unit),
            torch.einsum("ibcx,ibdx->icd", unit, unit),
            torch.einsum("bcx,jbdx->jcd", unit[0], unit),
        )
        sums = [old + new for old, new in zip(sums, cosines, strict=True)]
        images += batch.shape[1]
    return Similarity(*(total / images for total in sums))


def likeness(cosines: Similarity) -> float:
    """The mean cosine of two different choices on the same channel, over the channels where it is defined."""
    mean = cosines.per_channel.nanmean(0)
    return float(mean[~torch.eye(len(mean), dtype=torch.bool)].nanmean())
