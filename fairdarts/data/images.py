"""How a picture is opened: which formats, how its values become 8 bits, and what is said of a file that is none."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from fairdarts.config import UserError
from fairdarts.reading import open_regular

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "PPM", "TIFF", "WEBP")
"""those that are decoded, whatever a file's name ends with. PIL knows others, for one of which it starts a program."""
ENDINGS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
"""of the files that are images in folders, as torchvision has them"""
SYSTEM = {"__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information"}
"""folders that archives and systems leave among data, with copies of the files in them"""
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF's orientation → what shows the image upright"""
LYING = (5, 6, 7, 8)
"""orientations that are shown with width and height in each other's place"""
WHITE = 65535
"""of integers of more than 8 bits, the value that is white where none is stated; of floats it is 1"""


def is_hidden(name: str) -> bool:
    """Whether a file or folder is no data: .ipynb_checkpoints, ._photo.png and .DS_Store, or one of SYSTEM."""
    return name.startswith(".") or name in SYSTEM


@contextmanager
def opened(path: str | Path) -> Iterator[Image.Image]:
    """A picture, while it is looked at. Raises UserError naming the file where it is none, or cannot be decoded."""
    with warnings.catch_warnings(action="ignore"), opened_with_warnings(path) as image:
        yield image  # ImageNet has files whose EXIF data is broken, and PIL would warn of every one in every epoch


@contextmanager
def opened_with_warnings(path: str | Path) -> Iterator[Image.Image]:
    """As `opened`, for threads: whether warnings are shown is one decision for all of them."""
    try:
        with open_regular(path) as file, Image.open(file, formats=FORMATS) as image:
            yield image
    except (UserError, MemoryError):
        raise
    except Exception as error:  # PIL raises OSError, SyntaxError, ValueError, TypeError, … for what is damaged
        missing = isinstance(error, OSError) and error.filename  # an error of opening the file, not of what is in it
        problem = getattr(error, "strerror", None) if missing else "cannot be decoded as an image"
        raise UserError(f"{path}: {problem}") from None


def read_image(path: str | Path, white: float | None = None) -> Image.Image:
    """Any image as RGB, turned as it is shown (EXIF): what is transparent shows the colour that is stored there, as
    torchvision's loader has it.

    In gray images of more than 8 bits `white` is white: where it is None, 65535 of integers and 1 of floats. Raises
    UserError naming the file where it cannot be decoded, or has values below 0 or above white.
    """
    with opened(path) as image:
        image.load()
        return as_rgb(image, white, path)


def as_rgb(image: Image.Image, white: float | None, place: str | Path) -> Image.Image:
    """As `read_image`, of an image that is open."""
    image = turned(image, orientation(image))
    if is_numeric(image):  # PIL would clip its values to 0 to 255
        image = Image.fromarray(_levels(np.asarray(image), white, place))
    return image.convert("RGB")


def files_in(folder: Path) -> list[Path]:
    """The image files in a folder of any depth, sorted; what is hidden is none."""
    found = []
    for root, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not is_hidden(name)]
        found += [Path(root, name) for name in files if name.lower().endswith(ENDINGS) and not is_hidden(name)]
    return sorted(found)


def orientation(image: Image.Image) -> int:
    """How EXIF data say that an image is turned when it is shown: a key of TURNS, or another number for not at all."""
    with suppress(Exception):  # they are often damaged
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    return 1


def turned(image: Image.Image, how: int) -> Image.Image:
    """An image as it is shown under an `orientation`."""
    return image.transpose(TURNS[how]) if how in TURNS else image


def is_numeric(image: Image.Image) -> bool:
    """Whether an image is of one channel of integers of more than 8 bits, or of floats."""
    return image.mode.startswith(("I", "F"))


def _levels(values: np.ndarray, white: float | None, path: str | Path) -> np.ndarray:
    """Values from 0, black, to white as uint8 from 0 to 255."""
    floats = values.dtype.kind == "f"
    top = white or (1 if floats else WHITE)
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= top):
        problem = f"has values from {low:g} to {high:g}; should be from 0, black, to {top:g}, white"
        raise UserError(f"{path}: {problem} (data.white says another white)")
    if top == WHITE and not floats:
        return (values >> 8).astype(np.uint8)
    return np.rint(values * (255 / top)).astype(np.uint8)
