"""How are classes of pixels stored? As PASCAL VOC has them: PNG files of a palette, whose indices are the classes."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from fairdarts.runtime.checkpoint import write_atomically


def _palette() -> np.ndarray:
    """VOC's colours of the indices [256, 3], uint8: an index' bits, three at a time, from the highest place down.

    Source: VOClabelcolormap in the development kit of PASCAL VOC 2012.
    """
    index = np.arange(256)[:, None]
    places = [((index >> 3 * place + np.arange(3)) & 1) << 7 - place for place in range(3)]
    return np.sum(places, axis=0).astype(np.uint8)


PALETTE = _palette()
"""colour [256, 3] of every class, red, green and blue; the border's is 255"""


def write_mask(path: Path, mask: np.ndarray) -> None:
    """Writes classes [H, W] as a PNG of a palette. A file of this name is a whole one at any moment."""
    image = Image.fromarray(mask.astype(np.uint8))
    image.putpalette(PALETTE.tobytes())
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    write_atomically(path, buffer.getvalue())
