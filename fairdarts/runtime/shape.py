"""For which images are the networks of a run? A file of its run directory says so to whoever counts them later."""

import json
from pathlib import Path
from typing import NamedTuple

from fairdarts.config import UserError
from fairdarts.reading import read_text

FILE = "images.json"


class Shape(NamedTuple):
    """Images, as far as a network's size and cost depend on them."""

    image: int
    """height and width"""
    channels: int
    classes: int

    def __str__(self) -> str:
        return f"{self.image}×{self.image} images"


def file_of(shape: Shape, kind: str, images: str) -> dict[str, str]:
    """The file, by its name, that a run directory holds from the start: for which images the networks are, and which
    images the run saw, their kind and their fingerprint `images`, "NUMBER" or "NUMBER, HASH"."""
    number, _, hashed = images.partition(", ")
    seen = {"kind": kind, "number": int(number), "fingerprint": hashed or None}
    return {FILE: json.dumps(shape._asdict() | seen) + "\n"}


def shape_of(run: Path) -> Shape | None:
    """What a run says of its images; None where it was begun by version 0.1. Raises UserError where it is damaged."""
    path = run / FILE
    if not path.is_file():
        return None
    try:
        content = json.loads(read_text(path))
        shape = Shape(*(content[key] for key in Shape._fields))
        if not all(type(number) is int and number > 0 for number in shape):
            raise ValueError("not sizes")
        return shape
    except (ValueError, TypeError, KeyError, RecursionError):
        raise UserError(f"{path}: should hold image, channels and classes, whole numbers above 0") from None
