"""How good a network is on some images: loss, top-1, top-5, and which class it takes for which."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairdarts.data.judging import Images
from fairdarts.data.serve import evaluation_batches
from fairdarts.data.settings import DataSettings
from fairdarts.runtime import distributed
from fairdarts.runtime.device import LAYOUTS, autocast
from fairdarts.runtime.settings import Compute

Batch = tuple[Tensor, Tensor]
"""images [B, C, H, W], labels [B]"""


class Score(NamedTuple):
    """What a network makes of some images."""

    loss: float
    """mean cross-entropy"""
    top1: float
    """share of the images whose class it names first"""
    top5: float
    """share of the images whose class is among its first five, or all where there are fewer"""
    confusion: Tensor
    """images by true and by predicted class [classes, classes], integers on the CPU"""

    @property
    def images(self) -> int:
        """How many images there were."""
        return int(self.confusion.sum())

    def by_class(self) -> list[float]:
        """Of every class the share of its images that are recognized; NaN where there are none."""
        return (self.confusion.diagonal().double() / self.confusion.sum(1)).tolist()


Shown = Callable[[Iterable[Batch], int], Iterable[Batch]]
"""(batches, how many there are) → the same batches, while somebody is shown how far it is"""


def score(
    network: nn.Module,
    images: Images,
    data: DataSettings,
    device: torch.device,
    compute: Compute,
    shown: Shown = lambda batches, count: batches,
) -> Score:
    """The score of a network in evaluation mode, in which it is left; several processes share the images out."""
    indices = images.indices[distributed.rank() :: distributed.ranks()]
    classes = len(images.source.classes)
    share = data.model_copy(update={"batch_size": max(2, data.batch_size // distributed.ranks())})
    served = evaluation_batches(images.source, share, indices, device, LAYOUTS[compute.layout])
    batches = shown(served, -(-len(indices) // share.batch_size))
    confusion, sums = tally(network.eval(), batches, classes, device, compute.precision)
    distributed.sum_([confusion, sums])
    count = confusion.sum()
    loss, top5 = (sums / count).tolist()
    return Score(loss, float(confusion.diagonal().sum() / count), top5, confusion.long().cpu())


@torch.no_grad()
def tally(
    network: nn.Module, batches: Iterable[Batch], classes: int, device: torch.device, precision: str
) -> tuple[Tensor, Tensor]:
    """(confusion [classes, classes], [sum of losses, number of images right within five]) over batches, in float64."""
    confusion = torch.zeros(classes * classes, dtype=torch.float64, device=device)
    sums = torch.zeros(2, dtype=torch.float64, device=device)
    for images, labels in batches:
        with autocast(device, precision), torch.compiler.set_stance("force_eager"):  # each size would be compiled
            logits = network(images)
        logits = logits.float()
        best = logits.topk(min(5, classes)).indices  # [B, 5]
        confusion += torch.bincount(labels * classes + best[:, 0], minlength=classes * classes)
        right = (best == labels[:, None]).any(1)
        sums += torch.stack([F.cross_entropy(logits, labels, reduction="sum").double(), right.sum().double()])
    return confusion.view(classes, classes), sums
