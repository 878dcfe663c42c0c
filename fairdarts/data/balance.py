"""How classes of unequal numbers come to count alike: by which images are drawn, or by what an image's loss counts."""

import torch
import torch.nn.functional as F
from torch import Tensor

from fairdarts.data.examine import notice
from fairdarts.data.settings import DataSettings, ImageNet, Own
from fairdarts.data.sources import Source
from fairdarts.data.split import halves, labels_of

UNEQUAL = 3
"""how often the smallest class fits into the largest where it is said"""


def drawn_by(settings: DataSettings, source: Source) -> list[int] | None:
    """The labels by which training images are drawn, every class as often; None where all images are drawn in turn."""
    balanced = isinstance(settings, Own | ImageNet) and settings.balance == "sampling"
    return labels_of(source) if balanced else None


def class_weights(settings: DataSettings, source: Source, seed: int) -> Tensor | None:
    """What the loss of an image of every class is multiplied by [classes]; None where all count 1.

    It is inverse to the number of the class's training images, with mean 1 over all of these, and 0 for a class that
    has none.
    """
    if not isinstance(settings, Own | ImageNet) or settings.balance != "loss":
        return None
    trained = torch.tensor(labels_of(source))[halves(settings, source, seed)[0]]
    counts = trained.bincount(minlength=len(source.classes)).double()
    weights = len(trained) / (counts.count_nonzero() * counts)
    return torch.where(counts > 0, weights, 0.0).float()


def cross_entropy(
    logits: Tensor, labels: Tensor, weights: Tensor | None = None, label_smoothing: float = 0.0
) -> Tensor:
    """The mean over a batch of the cross-entropy of logits [B, classes], of every image times the weight of its class.

    It is divided by the number of images, so that parts of a batch add up to it; torch divides by the sum of weights.
    """
    if weights is None:
        return F.cross_entropy(logits, labels, label_smoothing=label_smoothing)
    weights = weights.to(logits)
    return F.cross_entropy(logits, labels, weights, label_smoothing=label_smoothing, reduction="none").mean()


def tell_balance(settings: DataSettings, source: Source) -> None:
    """A Notice of classes whose numbers of images are far apart, where nothing makes them count alike."""
    if not isinstance(settings, Own | ImageNet) or settings.balance != "none":
        return
    counts = torch.tensor(labels_of(source)).bincount(minlength=len(source.classes)).tolist()
    known = [(count, name) for count, name in zip(counts, source.classes, strict=True) if count]
    (few, rare), (many, common) = min(known), max(known)
    if many >= UNEQUAL * few:
        numbers = f"{rare} has {few:,} image{'s' * (few > 1)}, {common} {many:,}, {many / few:.3g} times as many"
        notice(f"data.balance: none: {numbers}; sampling, or loss, lets all classes count alike")
