"""For which images are the networks of a run? A file of its run directory says so to whoever counts them later."""

import json
import re
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, PlainSerializer
from pydantic_core import PydanticKnownError

from fairdarts.config import UserError
from fairdarts.reading import read_text

FILE = "images.json"
LARGEST_SIDE = 8192
"""pixels a side, at most"""


class ImageSize(NamedTuple):
    """Height and width of images, in pixels."""

    height: int
    width: int

    def __str__(self) -> str:
        return f"{self.height}x{self.width}"


Size = int | ImageSize
"""of images: of squares a number, of others height and width, as `size_of` has them"""


def sides(image: int | tuple[int, int]) -> ImageSize:
    """Height and width, of which a number says both."""
    return ImageSize(image, image) if isinstance(image, int) else ImageSize(*image)


def size_of(height: int, width: int) -> Size:
    """Images of this height and width."""
    return height if height == width else ImageSize(height, width)


def scaled(image: Size, above: int, below: int) -> Size:
    """Both sides by above/below, rounded down."""
    return size_of(*(side * above // below for side in sides(image)))


def strided(image: Size, stride: int) -> Size:
    """What a convolution of this stride makes of images: it rounds up."""
    return size_of(*(-(-side // stride) for side in sides(image)))


def size_text(image: int | tuple[int, int]) -> str:
    """'32×32', or '96×64': height × width."""
    return "{}×{}".format(*sides(image))


def read_size(value: Any, least: int = 1, most: int = LARGEST_SIDE) -> Size:
    """A size as people write it: a number, words such as 96x64, or a pair. Raises ValueError where it is none, or where
    a side is out of these limits."""
    several = isinstance(value, list | tuple)
    parts = re.split("[xX×]", value) if isinstance(value, str) else value if several else [value]
    numbers = [_number(part) for part in parts]
    if len(numbers) == 1 and not several:
        numbers *= 2
    if len(numbers) != 2 or None in numbers:
        raise ValueError(f"{value!r}: should be a number of pixels, or height x width, such as 96x64")
    for number in numbers:
        if number < least:
            raise PydanticKnownError("greater_than_equal", {"ge": least})
        if number > most:
            raise PydanticKnownError("less_than_equal", {"le": most})
    return size_of(*numbers)


def written(image: Size) -> int | str:
    """A size as files have it: a number, or 96x64."""
    return image if isinstance(image, int) else str(image)


def at_least(least: int) -> BeforeValidator:
    """What reads a Size of so many pixels a side or more."""
    return BeforeValidator(partial(read_size, least=least))


def _number(value: Any) -> Any:
    """A whole number, also of text or 96.0; None for all else."""
    if isinstance(value, str):
        return int(value) if value.strip().isdecimal() else None
    whole = isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1
    return int(value) if whole else None


AsWritten = PlainSerializer(written, when_used="json")
PixelSize = Annotated[Size, at_least(1), AsWritten]
"""a size in settings and files, of 1 pixel a side or more"""
TrainingSize = Annotated[Size, at_least(4), AsWritten]
"""likewise, of 4 pixels or more"""


class Shape(NamedTuple):
    """Images, as far as a network's size and cost depend on them."""

    image: Size
    """height and width"""
    channels: int
    classes: int

    def __str__(self) -> str:
        return f"{size_text(self.image)} images"


def file_of(shape: Shape, kind: str, images: str) -> dict[str, str]:
    """The file, by its name, that a run directory holds from the start: for which images the networks are, and which
    images the run saw, their kind and their fingerprint `images`, "NUMBER" or "NUMBER, HASH"."""
    number, _, hashed = images.partition(", ")
    seen = {"kind": kind, "number": int(number), "fingerprint": hashed or None}
    return {FILE: json.dumps(shape._asdict() | {"image": written(shape.image)} | seen) + "\n"}


def shape_of(run: Path) -> Shape | None:
    """What a run says of its images; None where it was begun by version 0.1. Raises UserError where it is damaged."""
    path = run / FILE
    if not path.is_file():
        return None
    try:
        content = json.loads(read_text(path))
        image, channels, classes = (content[key] for key in Shape._fields)
        if not all(type(number) is int and number > 0 for number in (channels, classes)):
            raise ValueError("not sizes")
        return Shape(read_size(image), channels, classes)
    except (ValueError, TypeError, KeyError, RecursionError):
        raise UserError(f"{path}: should hold image, channels and classes, whole numbers above 0") from None
