"""What suits the images, the budget and the time? The size of images, the space, batches and epochs, with reasons."""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from fairdarts.config import UserError
from fairdarts.cost.table import Table
from fairdarts.evolution.objectives import Limit, amount
from fairdarts.runs.fit.look import Looked, Sides
from fairdarts.runtime.shape import Shape, Size, sides, size_of
from fairdarts.spaces.chain import ChainSpace

USUAL = (224, 300e6)
"""pixels and multiply-adds of MobileNetV2 (arXiv:1801.04381, Table 4), which smaller budgets are scaled from"""
STEP, SMALLEST, LARGEST = 8, 24, 320
"""sizes of images are multiples of so many pixels, unless the images themselves are smaller; and their limits"""
SMALL = 32
"""pixels up to which images stay as they are"""
PRESUMED = 96
"""pixels where the budget is not of multiply-adds"""
LAST, FEWEST = 5, 2
"""pixels a side that should be left behind the last stride, about; and at least, where a small budget needs it"""
WIDTHS = (0.25, 4.0)
"""least and greatest multiple of the space's channels"""
HALVED = 5
"""times that the span of widths is halved: then a width is found to a tenth"""
SHARES = {"search": 0.35, "train": 0.5}
"""of the time; the rest is for reading images, judging and export, and for what is slower than it was measured"""
SEARCH_STEPS, SEARCH_EPOCHS = (120, 1500), (6, 60)
"""least and most of a search"""
TRAIN_EPOCHS, TRAIN_STEPS = (2, 300), 60_000
BATCH = 64
IMBALANCED = 3
"""the largest class to the smallest, from which on rare images are drawn more often"""


def image_size(seen: Sides, limit: Limit) -> tuple[Size, str]:
    """The size of images: as they are where they are small; else smaller ones for smaller budgets, as EfficientNet
    (arXiv:1905.11946) scales size, width and depth together."""
    native = max(4, math.floor(seen.shorter))
    pixels, madds = USUAL
    fits = PRESUMED if limit.quantity != "madds" else pixels * (limit.bound / madds) ** 0.3
    side = _rounded(min(max(fits, SMALLEST), LARGEST))
    if native <= max(side, SMALL):
        side, why = native, f"the shorter side of the images is {native}"
    else:
        why = f"the shorter side of the images is {native}, and {limit} suits {side}"
    aspect = seen.aspect if seen.alike else 1.0
    if max(aspect, 1 / aspect) < 1.2:
        return side, why
    long = _rounded(side * max(aspect, 1 / aspect))
    shape = (side, long) if aspect > 1 else (long, side)
    return size_of(*shape), f"{why}; most have a width of {aspect:.2f} heights"


def _rounded(pixels: float) -> int:
    return max(STEP, round(pixels / STEP) * STEP)


def halvings(shape: Shape) -> range:
    """How often the resolution of such images may be halved: the usual number first, and more."""
    side = min(sides(shape.image))
    usual = max(1, round(math.log2(side / LAST)))
    return range(usual, max(usual, math.floor(math.log2(side / FEWEST))) + 1)


def fitted_space(template: ChainSpace, shape: Shape, halvings: int, width: float) -> ChainSpace:
    """The space for such images: its channels times `width`, and only its last strides, so many of them."""
    strided = [template.stem.stride == 2, *(stage.stride == 2 for stage in template.stages)]
    dropped = max(0, sum(strided) - halvings)  # of a small image the first ones, which would take most of it
    keep = [stride and sum(strided[: at + 1]) > dropped for at, stride in enumerate(strided)]

    def scaled(channels: int) -> int:
        return max(4, round(channels * width / 4) * 4)

    stem = template.stem.model_copy(update={"channels": scaled(template.stem.channels), "stride": 1 + keep[0]})
    stages = tuple(
        stage.model_copy(update={"channels": scaled(stage.channels), "stride": 1 + kept})
        for stage, kept in zip(template.stages, keep[1:], strict=True)
    )
    (kind, size), *_ = ((kind, size) for kind, size in template.networks if size is not None)
    networks = template.networks.model_copy(
        update={kind: size.model_copy(update={"image": shape.image, "classes": shape.classes})}
    )
    changes = {
        "stem": stem,
        "stages": stages,
        "head": max(32, scaled(template.head)),
        "networks": networks,
    }
    source = f"{template.name} with channels × {width:.3g}, for {shape} of {shape.classes} classes"
    return template.model_copy(update={**changes, "source": source, "name": "photos-fit"})


def space_for(template: ChainSpace, shape: Shape, cost: Callable[[ChainSpace], Table], limit: Limit) -> ChainSpace:
    """The space in whose middle the budget lies, between the cheapest network and the dearest: with the usual number of
    strides, or more where even the narrowest one is too dear.

    Raises UserError where none has a network within the budget.
    """
    for number in halvings(shape):
        make = partial(fitted_space, template, shape, number)
        low, high = WIDTHS
        narrow = cost(make(low))
        if _middle(narrow) <= limit.bound:
            break
    else:
        if narrow.least > limit.bound:
            least = f"the least network for these images costs {amount(narrow.least, limit.quantity)}"
            smaller = ", or lower --image_size" if limit.quantity != "params" else ""
            raise UserError(f"fit: budget '{limit}': {least}; raise it{smaller}")
        return make(low)
    if _middle(cost(make(high))) <= limit.bound:
        return make(high)
    for _ in range(HALVED):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if _middle(cost(make(middle))) < limit.bound else (low, middle)
    return make(low)


def _middle(table: Table) -> float:
    return (table.least + table.greatest) / 2


class Epochs(NamedTuple):
    """How long something goes on, and over how many images."""

    epochs: int
    images: int
    batch: int


def batch_for(images: int) -> int:
    """Images a batch: a power of two, so that an epoch has eight steps or more, where there are so many."""
    return max(4, min(BATCH, 2 ** int(math.log2(max(images / 8, 4)))))


def search_epochs(images: int, seconds: float, step: float) -> Epochs:
    """The epochs of a search over `images`, half of which train the weights; a `step` takes so many seconds."""
    batch = batch_for(images // 2)
    least, most = SEARCH_STEPS
    steps = min(max(seconds / step, least), most)
    fewest, longest = SEARCH_EPOCHS
    used = min(images, int(2 * batch * steps / fewest))
    an_epoch = max(1, used // 2 // batch)
    return Epochs(int(min(max(steps // an_epoch, fewest), longest)), used, batch)


def train_epochs(images: int, seconds: float, an_image: float) -> Epochs:
    """The epochs of a training over all `images`, each of which takes so many seconds."""
    batch, (fewest, most) = batch_for(images), TRAIN_EPOCHS
    fit = int(seconds / (images * an_image))
    longest = min(most, max(fewest, TRAIN_STEPS * batch // images))
    return Epochs(min(max(fit, fewest), longest), images, batch)


def told(seen: Looked, shown: Sides) -> list[str]:
    """What is seen of the images, in lines."""
    counts = seen.counts
    small, large = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
    several = f"from {counts[small]:,} ({small}) to {counts[large]:,} ({large})"
    each = several if counts[small] != counts[large] else f"{counts[small]:,} each"
    sides_text = f"shorter side {shown.shorter:g}, width {shown.aspect:.2f} heights, by the median"
    where = f"in {seen.own_test}" if seen.own_test else "of every class its share, chosen once"
    return [
        f"images     {len(seen.train):,} train, {len(seen.test):,} judge ({where})",
        f"classes    {len(counts)}, {each}",
        f"sizes      {sides_text}",
    ]
