"""Masks as VOC stores them."""

from pathlib import Path

import numpy as np
from PIL import Image

from fairdarts.data.masks import PALETTE, write_mask
from fairdarts.data.settings import IGNORED


def test_the_colours_are_those_of_voc():
    """Of VOC's development kit: aeroplane, bicycle, bird, cat, person, tvmonitor, and the border."""
    known = {
        0: (0, 0, 0),
        1: (128, 0, 0),
        2: (0, 128, 0),
        3: (128, 128, 0),
        8: (64, 0, 0),
        15: (192, 128, 128),
        20: (0, 64, 128),
        IGNORED: (224, 224, 192),
    }
    assert {number: tuple(PALETTE[number].tolist()) for number in known} == known
    assert len({tuple(colour) for colour in PALETTE.tolist()}) == 256


def test_a_mask_is_read_as_it_was_written(tmp_path: Path):
    mask = np.random.default_rng(0).integers(0, 21, (5, 7))
    mask[0] = IGNORED
    write_mask(tmp_path / "m.png", mask)
    write_mask(tmp_path / "m.png", mask)
    with Image.open(tmp_path / "m.png") as image:
        assert image.mode == "P"
        assert np.array_equal(np.asarray(image), mask)
        assert np.array_equal(np.asarray(image.convert("RGB")), PALETTE[mask])
    assert [path.name for path in tmp_path.iterdir()] == ["m.png"]
