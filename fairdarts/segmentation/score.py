"""What a segmentation network is worth: intersection over union, class by class (PASCAL VOC)."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairdarts.config import UserError
from fairdarts.data.settings import IGNORED
from fairdarts.runtime import distributed
from fairdarts.runtime.device import LAYOUTS, autocast
from fairdarts.runtime.settings import Compute
from fairdarts.segmentation.images import Pairs, still_pairs
from fairdarts.training.score import Shown
from fairdarts.training.task import Batch


class PixelScore(NamedTuple):
    """What a network makes of the pixels of some images."""

    loss: float
    """mean cross-entropy of a pixel"""
    confusion: Tensor
    """pixels by true and by predicted class [classes, classes], integers on the CPU; those without a class left out"""

    @property
    def accuracy(self) -> float:
        """Share of the pixels whose class is right."""
        return float(self.confusion.diagonal().sum() / self.confusion.sum())

    def by_class(self) -> list[float]:
        """Of every class the intersection of truth and prediction over their union, in pixels of all images together;
        NaN where it is in neither."""
        shared = self.confusion.diagonal().double()
        return (shared / (self.confusion.sum(0) + self.confusion.sum(1) - shared)).tolist()

    @property
    def miou(self) -> float:
        """The mean of `by_class` over the classes that are in truth or prediction."""
        return float(torch.tensor(self.by_class(), dtype=torch.float64).nanmean())


def measured(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """(what is minimized, accuracy) of logits [B, classes, H, W] and labels [B, H, W].

    The first is the cross-entropy of the pixels that have a class, divided by the number of all: so parts of a batch
    weigh as they do in the whole. The second is of those with a class alone, and 0 where there are none.
    """
    known = labels != IGNORED
    loss = F.cross_entropy(logits.float(), labels, ignore_index=IGNORED, reduction="sum") / labels.numel()
    return loss, ((logits.detach().argmax(1) == labels) & known).sum() / known.sum().clamp(min=1)


def score(
    network: nn.Module,
    pairs: Pairs,
    workers: int,
    device: torch.device,
    compute: Compute,
    shown: Shown = lambda batches, count: batches,
) -> PixelScore:
    """The score of a network in evaluation mode, in which it is left; several processes share the images out.

    Raises UserError where no pixel has a class.
    """
    indices = range(len(pairs))[distributed.rank() :: distributed.ranks()]
    batches = shown(still_pairs(pairs, indices, workers, device, LAYOUTS[compute.layout]), len(indices))
    confusion, loss = tally(network.eval(), batches, len(pairs.classes), device, compute.precision)
    distributed.sum_([confusion, loss])
    if not confusion.any():
        raise UserError(f"{pairs.masks[0].parent}: no pixel of the {pairs.name} images has a class to judge by")
    return PixelScore(float(loss / confusion.sum()), confusion.long().cpu())


@torch.no_grad()
def tally(
    network: nn.Module, batches: Iterable[Batch], classes: int, device: torch.device, precision: str
) -> tuple[Tensor, Tensor]:
    """(confusion [classes, classes], sum of losses []) over batches, in float64."""
    confusion = torch.zeros(classes * classes, dtype=torch.float64, device=device)
    loss = torch.zeros((), dtype=torch.float64, device=device)
    for images, labels in batches:
        with autocast(device, precision):
            logits = network(images)
        known = labels != IGNORED
        pairs = labels[known] * classes + logits.argmax(1)[known]
        confusion += torch.bincount(pairs, minlength=classes * classes)
        loss += F.cross_entropy(logits.float(), labels, ignore_index=IGNORED, reduction="sum").double()
    return confusion.view(classes, classes), loss
