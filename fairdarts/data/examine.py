"""Are the files of a set whole, and what will a network see of them? Looked at once, before a run begins."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from fairdarts.config import Notice, UserError
from fairdarts.data.geometry import visible
from fairdarts.data.images import LYING, WHITE, is_numeric, opened, opened_with_warnings, orientation, read_image
from fairdarts.runtime import distributed
from fairdarts.runtime.shape import Size

THREADS, PART = 4, 128
"""how many read at once, and files that one of them takes at a time"""
NAMED = 3
"""broken files that are named; of others the number is told"""
LOOKED_AT = 16
"""images that are decoded, to see whether there is anything on them"""
FLAT = 8
"""of 255: where all values lie so close, there is nothing to see"""
CUT = 0.2
"""share of an image that may be cut away without a word"""

Shown = Callable[[Iterator[Any], int], Iterable[Any]]
"""(parts that are done, their number) → the same parts, while a bar is shown"""


class Head(NamedTuple):
    """What the head of an image file says, of the image as it is shown."""

    width: int
    height: int
    deep: bool
    """whether its values have more than 8 bits"""


class Sizes(NamedTuple):
    """The sizes of images, and how much of them is outside the part at their centre that a network sees."""

    smallest: tuple[int, int]
    largest: tuple[int, int]
    most: float
    """share of an image that is cut away, at most"""
    mean: float
    """and on average"""


def examine(
    paths: Sequence[str],
    white: float | None,
    place: str,
    seen: str | None = None,
    shown: Shown = lambda parts, _: parts,
    image: Size = 1,
) -> None:
    """Reads the head of every file, all of those that have more than 8 bits, and a few others.

    Raises UserError naming `place`, the data set, or the first files that are missing or broken, or whose values say
    nothing about what is white. Notices say where there is nothing to see on the images; and, with `seen` as what is
    not, what is cut away of those that are far from the shape of `image`.
    """
    heads = read_heads(paths, shown)
    if seen:
        tell_cut(sizes_of(heads, image), place, seen)
    check_white([path for path, head in zip(paths, heads, strict=True) if head.deep], white, place)
    few = paths[:: -(-len(paths) // LOOKED_AT)]
    low, high = zip(*(extremes(path, white) for path in few), strict=True)
    if max(high) - min(low) <= FLAT:
        which = "all images" if len(few) == len(paths) else f"{len(few)} of {len(paths):,} images"
        notice(f"{place}: there is nothing to see on {which}: their values lie from {min(low)} to {max(high)} of 255")


def notice(text: str) -> None:
    """A Notice, of the first process."""
    if distributed.rank() == 0:
        warnings.warn(text, Notice, stacklevel=3)


def read_heads(paths: Sequence[str], shown: Shown = lambda parts, _: parts) -> list[Head]:
    """What the heads of the files say. Raises UserError naming those that are missing or broken."""

    def read(part: Sequence[str]) -> list[Head | UserError]:
        return [_head(path) for path in part]

    parts = [paths[begin : begin + PART] for begin in range(0, len(paths), PART)]
    with warnings.catch_warnings(action="ignore"), ThreadPoolExecutor(THREADS) as pool:
        found = [head for part in shown(pool.map(read, parts), len(parts)) for head in part]
    broken = [head for head in found if isinstance(head, UserError)]
    if len(broken) == 1:
        raise UserError(f"{broken[0]}; mend or remove it")
    if broken:
        names = "; ".join(map(str, broken[:NAMED])) + ("; …" if len(broken) > NAMED else "")
        raise UserError(f"{len(broken):,} of {len(paths):,} files are no whole images: {names}; mend or remove them")
    return found


def _head(path: str) -> Head | UserError:
    try:
        with opened_with_warnings(path) as image:
            tile = getattr(image, "tile", ())  # of a file that was opened
            stored = str(tile[0].args) if tile else ""  # RGB;16B for what PIL makes RGB of
            # Without EXIF data in the head of a PNG, PIL would decode all of it to look behind the image; of a TIFF it
            # says the size as shown itself.
            lies = "exif" in image.info and image.format != "TIFF" and orientation(image) in LYING
            width, height = image.size[::-1] if lies else image.size
            return Head(width, height, is_numeric(image) or ";16" in stored)
    except UserError as error:
        return error


def sizes_of(heads: Sequence[Head], image: Size = 1) -> Sizes:
    """The sizes of images, by area, and what a part at their centre of the shape of `image` leaves out."""
    sides = np.array([head[:2] for head in heads], dtype=float)
    cut = np.array([1 - visible(head.height, head.width, image) for head in heads])
    smallest, largest = (heads[order][:2] for order in (sides.prod(1).argmin(), sides.prod(1).argmax()))
    return Sizes(smallest, largest, float(cut.max()), float(cut.mean()))


def tell_cut(sizes: Sizes, place: str, seen: str) -> None:
    """A Notice of what is cut away of images that are far from the shape that is seen; `seen` says what is not."""
    if sizes.most > CUT:
        span = " to ".join(dict.fromkeys(f"{width}×{height}" for width, height in (sizes.smallest, sizes.largest)))
        share = f"up to {sizes.most:.0%} of an image is cut away, {sizes.mean:.0%} on average"
        notice(f"{place}: images of {span} pixels: {seen}: {share}")


def check_white(paths: Sequence[str], white: float | None, place: str) -> None:
    """Raises UserError where images of more than 8 bits are so dark that 65535, or 1 of floats, will not be white.

    All of them are read: a file alone does not say whether it is dark, or of 12 bits.
    """
    if white is not None:
        problem = f"data.white {white:g}: is for gray images; of 16-bit colour PIL keeps 8 bits"
        for path in paths:
            with opened(path) as image:
                if not is_numeric(image) and white != WHITE:
                    raise UserError(f"{path}: {problem}")
        return
    brightest = dict.fromkeys(("16-bit gray images", "floats", "16-bit colour images"), 0.0)
    for path in paths:
        with opened(path) as image:
            image.load()
            if is_numeric(image):
                kind = "floats" if image.mode == "F" else "16-bit gray images"
                highest = float(np.asarray(image).max())
            else:  # PIL keeps the high byte
                kind, highest = "16-bit colour images", 257.0 * max(high for _, high in _channels(image))
        brightest[kind] = max(brightest[kind], highest)
    for kind, highest in brightest.items():
        top = 1 if kind == "floats" else WHITE
        if highest > WHITE:
            should = f"should be at most {WHITE}: convert them"
            raise UserError(f"{place}: its {kind} have values up to {highest:g}; {should}")
        if 0 < highest <= top / 4 or highest > top:
            fits = next((level for level in (1, 255, 1023, 4095, 16383) if highest <= level), WHITE)
            dark = f"data.white {top} if they are so dark" if highest <= top else ""
            right = "they should be 8-bit images" if kind == "16-bit colour images" else f"data.white should be {fits}"
            dark = "" if not dark else " if they are so dark" if fits == top else f", or {dark}"
            brightest_value = f"the brightest value of its {kind} is {highest:g}, where {top} is white"
            raise UserError(f"{place}: {brightest_value}: {right}{dark}")


def extremes(path: str, white: float | None) -> tuple[int, int]:
    """The lowest and the highest value of an image, from 0 to 255."""
    lows, highs = zip(*_channels(read_image(path, white)), strict=True)
    return min(lows), max(highs)


def _channels(image: Any) -> Sequence[tuple[int, int]]:
    found = image.getextrema()
    return found if isinstance(found[0], tuple) else (found,)
