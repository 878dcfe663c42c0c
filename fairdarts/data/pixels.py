"""How images and labels of any kind of numbers become those that a Source holds, and what is measured of them."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from fairdarts.config import LARGEST, UserError, nearest, plain
from fairdarts.data.examine import FLAT, Head, Sizes, notice, sizes_of, tell_cut
from fairdarts.data.geometry import covering
from fairdarts.runtime.shape import LARGEST_SIDE, Size, sides

PART = 1024
"""images that are converted at a time"""
MOST_CHANNELS = 16
"""of images: what is longer is a height or a width"""
USUAL = ((0, 1), (-1, 1), (0, 255))
"""ranges of images that are named where values lie in them"""
LEAST_SIZE = 4

Range = tuple[float, float] | None


class Gathered(NamedTuple):
    """What was found by going through images once."""

    images: Tensor | None
    """uint8 [N, C, H, W] in channels_last; None where they are more than is kept"""
    size: Size
    levels: np.ndarray
    """how often each channel has each value, [C, 256]"""
    hash: str
    """of all values as they were before they were brought to a size"""
    sizes: Sizes

    @property
    def mean(self) -> tuple[float, ...]:
        """The mean of every channel, in [0, 1], to 4 digits."""
        return tuple(round(float(value), 4) for value in self._moment(self._values))

    @property
    def std(self) -> tuple[float, ...]:
        """The deviation of every channel, in [0, 1], to 4 digits; 1 of a channel that has one value everywhere."""
        means = self._moment(self._values)
        variances = self._moment((self._values - means[:, None]) ** 2)
        return tuple(round(float(value), 4) or 1.0 for value in np.sqrt(variances))

    @property
    def span(self) -> tuple[int, int]:
        """The lowest and the highest value, from 0 to 255."""
        values = np.flatnonzero(self.levels.any(0))
        return int(values[0]), int(values[-1])

    @property
    def _values(self) -> np.ndarray:
        return np.broadcast_to(np.arange(256) / 255, self.levels.shape)

    def _moment(self, values: np.ndarray) -> np.ndarray:
        return (self.levels * values).sum(1) / self.levels.sum(1)


def array_of(values: Any, place: str, kinds: str = "biufU") -> np.ndarray:
    """A tensor, an array or a list as an array. Raises UserError where it is none of numpy's kinds: numbers, words."""
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = (values.float() if values.is_floating_point() else values).numpy()
    try:
        found = np.asarray(values)
    except (ValueError, TypeError):  # of different lengths
        found = np.empty(0, dtype=object)
    if found.dtype.kind not in kinds:
        raise UserError(f"{place}: {type(values).__name__}: should be an array or a tensor of numbers")
    return found


def channels_first(images: np.ndarray, place: str) -> np.ndarray:
    """Images [N, C, H, W], [N, H, W, C] or [N, H, W] as [N, C, H, W]. Raises UserError where they are not, or where
    their shape does not tell which of them."""
    shape = f"[{', '.join(map(str, images.shape))}]"
    if images.ndim not in (3, 4):
        raise UserError(f"{place}: of shape {shape}; should be [N, C, H, W], [N, H, W, C], or [N, H, W] of gray images")
    forms = [images[:, None]] if images.ndim == 3 else [images, images.transpose(0, 3, 1, 2)]
    forms = [form for form in forms if 0 < form.shape[1] <= MOST_CHANNELS and min(form.shape[2:]) >= LEAST_SIZE]
    if len(forms) == 2:  # a small image
        forms = [form for form in forms if form.shape[1] in (1, 3)] or forms
    if len(forms) == 2:
        should = f"should be of 1 or 3 channels, or of more than {MOST_CHANNELS} pixels a side"
        raise UserError(f"{place}: of shape {shape}, whose channels may come first or last; {should}")
    if not forms or not len(images):
        least = f"one image or more, of {LEAST_SIZE} pixels a side or more and of 1 to {MOST_CHANNELS} channels"
        raise UserError(f"{place}: of shape {shape}; should be {least}")
    return forms[0]


def as_uint8(images: np.ndarray, limits: Range, place: str) -> np.ndarray:
    """Values from black to white as uint8 from 0 to 255, rounded: of floats and of more bits than 8, 8 are kept.

    What lies outside by less than half of such a step is taken for black or white. Raises UserError where other values
    than uint8 come without their limits, or lie outside of them.
    """
    if images.dtype == np.uint8 and limits in (None, (0, 255)):
        return images
    low, high = (float(values) for values in (images.min(), images.max()))
    if not np.isfinite((low, high)).all():
        broken = int((~np.isfinite(images)).sum())
        raise UserError(f"{place}: {broken:,} of {images.size:,} values are NaN or infinite; should be none")
    if limits is None:
        usual = next((pair for pair in USUAL if pair[0] <= low and high <= pair[1]), (low, high))
        should = f"data.range should say what is black and what is white, such as [{usual[0]:.4g}, {usual[1]:.4g}]"
        raise UserError(f"{place}: {images.dtype} from {low:.4g} to {high:.4g}: {should}")
    black, white = limits
    slack = (white - black) / 510
    if low < black - slack or high > white + slack:
        should = f"should be from {black:g}, black, to {white:g}, white, as data.range says"
        raise UserError(f"{place}: values from {low:.4g} to {high:.4g}: {should}")
    parts = np.empty(images.shape, dtype=np.uint8)
    for begin in range(0, len(images), PART):
        scaled = (images[begin : begin + PART].astype(np.float64) - black) * (255 / (white - black))
        parts[begin : begin + PART] = np.rint(scaled).clip(0, 255)
    return parts


def numbers_of(
    labels: Any, number: int, told: Sequence[str] | None, place: str, least: int = 2
) -> tuple[Tensor, tuple[str, ...]]:
    """Labels [N] or [N, 1] as int64 [N], and the names of all classes: those told, else the words or numbers found.

    Raises UserError where N is not `number`, that of the images; where labels are neither words nor whole numbers from
    0 on, are beyond the classes told, or of fewer classes than `least`; and where numbers without names leave one out.
    """
    found = array_of(labels, place)
    found = found.astype(int) if found.dtype.kind == "b" else found
    if found.ndim == 2 and found.shape[1] == 1:
        found = found[:, 0]
    if found.ndim != 1:
        shape = f"[{', '.join(map(str, found.shape))}]"
        one_hot = " (of one-hot labels that is labels.argmax(1))" if found.ndim == 2 else ""
        raise UserError(f"{place}: of shape {shape}; should be [N], the number of every image's class{one_hot}")
    if len(found) != number:
        raise UserError(f"{place}: {len(found):,} labels of {number:,} images; should be one of each")
    if found.dtype.kind == "U":
        words = found.tolist()
        told = told or sorted(set(words))
        positions = {name: position for position, name in enumerate(told)}
        if unknown := sorted(set(words) - set(told)):
            known = f"is none of the {len(told)} classes{nearest(unknown[0], told)}"
            raise UserError(f"{place}: {plain(unknown[0])}: {known}")
        numbers = np.array([positions[word] for word in words])
    else:
        broken = ~np.isfinite(found) | (found != np.rint(found))
        if broken.any():
            raise UserError(f"{place}: {found[broken][0]:g}: should be whole numbers, from 0 on")
        low, high = found.min(), found.max()
        if low < 0 or high >= (len(told) if told else LARGEST):
            should = f"to {len(told) - 1}, of {len(told)} classes" if told else "on"
            raise UserError(f"{place}: from {low:.10g} to {high:.10g}; should be from 0 {should}")
        numbers = found.astype(np.int64)
    there = np.unique(numbers)
    if len(there) < least:
        only = told[there[0]] if told else there[0]
        raise UserError(f"{place}: all are {only}; should be of {least} classes or more")
    if not told and len(there) <= there[-1]:
        first = int((there != np.arange(len(there))).argmax())
        should = f"should leave out none, or data.classes should name all {there[-1] + 1:,}"
        raise UserError(f"{place}: from {there[0]} to {there[-1]}, but none is {first}; {should}")
    return torch.from_numpy(numbers), tuple(told or map(str, there.tolist()))


def gather(parts: Iterable[np.ndarray], number: int, size: Size | None, place: str, most: float) -> Gathered:
    """What is in so many images, which come as parts uint8 [n, C, H, W]; gray ones among RGB become RGB.

    They are brought to a size, resized to cover it and the centre taken; where it is None they have one, and its
    shorter side is taken for both. Up to `most` bytes of them are kept. Raises UserError where the sizes or the
    channels differ.
    """
    digest, heads, done = hashlib.sha256(), list[Head](), 0
    levels: dict[int, np.ndarray] = {}  # channels → how often each of them has each value
    kept, wanted = None, size
    for part in parts:
        count, channels, height, width = part.shape
        heads += [Head(width, height, False)] * count
        size = size or min(height, width)
        if max(sides(size)) > LARGEST_SIDE:
            raise UserError(f"{place}: images of {width}×{height} pixels; should be at most {LARGEST_SIDE} a side")
        if not wanted and heads[0] != heads[-1]:
            both = " and ".join(f"{head.width}×{head.height}" for head in (heads[0], heads[-1]))
            raise UserError(f"{place}: images of {both} pixels: data.image_size should say the size to bring all to")
        for image in part:
            digest.update(f"{image.shape}".encode() + image.tobytes())
        brought = centred(torch.from_numpy(np.array(part, order="C")), size)
        counted = [np.bincount(channel.ravel(), minlength=256) for channel in brought.numpy().swapaxes(0, 1)]
        levels[channels] = levels.get(channels, 0) + np.stack(counted)
        if len(levels) > 1 and set(levels) != {1, 3}:
            raise UserError(f"{place}: images of {' and '.join(map(str, levels))} channels; should be of one number")
        if not done and number * brought[0].numel() <= most:
            kept = torch.empty(number, *brought.shape[1:], dtype=torch.uint8, memory_format=torch.channels_last)
        if kept is not None:
            if channels > kept.shape[1]:
                kept = kept.expand(-1, channels, -1, -1).contiguous(memory_format=torch.channels_last)
            kept[done : done + count] = brought
        done += count
    assert size is not None, "there are images"
    total: np.ndarray = sum(levels.values(), np.zeros((1, 256), dtype=np.int64))
    return Gathered(kept, size, total, digest.hexdigest(), sizes_of(heads, size))


def tell(gathered: Gathered, place: str) -> None:
    """Notices of what is cut away of images, and where there is next to nothing to see on them. Raises UserError where
    one value is everywhere."""
    low, high = gathered.span
    if low == high:
        raise UserError(f"{place}: all values are the same, {low} of 255; should be images")
    seen = "only the centre square is ever seen" if isinstance(gathered.size, int) else "only the centre is ever seen"
    training = "a random square of the shorter side trains, that at the centre judges"
    training = training if isinstance(gathered.size, int) else "a random part trains, that at the centre judges"
    tell_cut(gathered.sizes, place, training if gathered.images is None else seen)
    if high - low <= FLAT:
        notice(f"{place}: there is nothing to see on all images: their values lie from {low} to {high} of 255")


def centred(images: Tensor, size: Size) -> Tensor:
    """Images [N, C, H, W] of a size: resized to cover it, the centre taken."""
    wanted, (height, width) = sides(size), images.shape[-2:]
    if (height, width) == wanted:
        return images
    from torchvision.transforms.v2 import functional  # takes a second to import, and few images need it

    resized = functional.resize(images, list(covering(height, width, size)), antialias=True)
    return functional.center_crop(resized, list(wanted))


def fingerprint_of(gathered: Gathered, labels: Tensor) -> str:
    """16 digits that tell pixels and labels from others."""
    return hashlib.sha256(gathered.hash.encode() + labels.numpy().tobytes()).hexdigest()[:16]
