"""How a picture is opened: which formats, and what is said of a file that is none."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from fairdarts.config import UserError, open_regular

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "PPM", "TIFF", "WEBP")
"""those that are decoded, whatever a file's name ends with. PIL knows others, for one of which it starts a program."""


@contextmanager
def opened(path: str | Path) -> Iterator[Image.Image]:
    """A picture, while it is looked at. Raises UserError naming the file where it is none, or cannot be decoded."""
    try:
        # ImageNet has files whose EXIF data is broken, and PIL would warn of every one in every epoch.
        with (
            warnings.catch_warnings(action="ignore"),
            open_regular(path) as file,
            Image.open(file, formats=FORMATS) as image,
        ):
            yield image
    except (UserError, MemoryError):
        raise
    except Exception as error:  # PIL raises OSError, SyntaxError, ValueError, TypeError, … for what is damaged
        missing = getattr(error, "filename", None)  # an error of opening the file, not of what is in it
        problem = error.strerror if missing else "cannot be decoded as an image"
        raise UserError(f"{path}: {problem}") from None


def read_image(path: str | Path) -> Image.Image:
    """Any image as RGB: what is transparent shows the colour that is stored there, as torchvision's loader has it.

    Raises UserError naming the file where it cannot be decoded.
    """
    with opened(path) as image:
        if image.mode.startswith("I"):  # 16-bit gray: PIL would make all from 255 on white
            image = Image.fromarray((np.asarray(image).clip(0, 65535) >> 8).astype(np.uint8))
        return image.convert("RGB")


def read_upright(path: str | Path) -> Image.Image:
    """An image as `read_image` gives it, turned as photographs are shown; as it is where its EXIF data is broken."""
    image = read_image(path)
    with suppress(Exception), warnings.catch_warnings(action="ignore"):
        return ImageOps.exif_transpose(image)
    return image
