"""What a run says of its images."""

import json
from pathlib import Path

import pytest

from fairdarts.config import UserError
from fairdarts.runtime.shape import (
    FILE,
    ImageSize,
    Shape,
    file_of,
    read_size,
    shape_of,
    sides,
    size_text,
    strided,
    written,
)


def test_it_is_read_as_it_was_written(tmp_path: Path):
    for images in ("1797", "50, 0123456789abcdef"):
        ((name, text),) = file_of(Shape(64, 3, 10), "npz", images).items()
        (tmp_path / name).write_text(text)
        assert shape_of(tmp_path) == Shape(64, 3, 10)
    assert str(Shape(64, 3, 10)) == "64×64 images"


def test_height_and_width_are_read_as_they_were_written(tmp_path: Path):
    shape = Shape(ImageSize(96, 64), 3, 10)
    ((name, text),) = file_of(shape, "npz", "50").items()
    assert json.loads(text)["image"] == "96x64"
    (tmp_path / name).write_text(text)
    assert shape_of(tmp_path) == shape
    assert str(shape) == "96×64 images"


@pytest.mark.parametrize("value", ["96x64", "96×64", "96 X 64", [96, 64], (96, 64), ("96", 64.0)])
def test_a_size_is_written_in_several_ways(value: object):
    assert read_size(value) == ImageSize(96, 64)
    assert written(read_size(value)) == "96x64"


@pytest.mark.parametrize("value", [32, "32", 32.0, "32x32", [32, 32], (32, 32)])
def test_of_squares_a_number_says_both_sides(value: object):
    assert type(read_size(value)) is int
    assert written(read_size(value)) == 32
    assert sides(read_size(value)) == (32, 32)


@pytest.mark.parametrize(
    "value", ["", "x", "32x", "1x2x3", [32], [1, 2, 3], True, [True, 4], 2.5, None, {}, float("nan")]
)
def test_what_is_no_size_is_refused(value: object):
    with pytest.raises(ValueError, match=r"should be a number of pixels, or height x width, such as 96x64"):
        read_size(value)


def test_limits_are_those_of_both_sides():
    for value in (3, "4x3", [3, 4]):
        with pytest.raises(ValueError, match="greater than or equal to 4"):
            read_size(value, 4)
    with pytest.raises(ValueError, match="less than or equal to 8192"):
        read_size("8193x4")


def test_convolutions_round_up_both_sides():
    assert strided(ImageSize(15, 16), 2) == 8
    assert strided(ImageSize(15, 7), 2) == (8, 4)
    assert size_text((8, 4)) == "8×4"


def test_it_says_which_images_a_run_saw():
    ((_, text),) = file_of(Shape(64, 3, 10), "npz", "50, 0123456789abcdef").items()
    seen = {"kind": "npz", "number": 50, "fingerprint": "0123456789abcdef"}
    assert json.loads(text) == {"image": 64, "channels": 3, "classes": 10, **seen}
    ((_, text),) = file_of(Shape(8, 1, 10), "digits", "1797").items()
    assert json.loads(text)["fingerprint"] is None


def test_what_it_says_of_the_shape_is_read_without_the_rest(tmp_path: Path):
    (tmp_path / FILE).write_text('{"image": 64, "channels": 3, "classes": 10}')
    assert shape_of(tmp_path) == Shape(64, 3, 10)


def test_a_run_of_version_0_1_does_not_say(tmp_path: Path):
    assert shape_of(tmp_path) is None


@pytest.mark.parametrize(
    "text", ["", "{", "[64, 3, 10]", '{"image": 64}', '{"image": 64, "channels": 3, "classes": 0}']
)
def test_a_damaged_file_is_named(tmp_path: Path, text: str):
    (tmp_path / FILE).write_text(text)
    with pytest.raises(UserError, match=r"images\.json: should hold image, channels and classes"):
        shape_of(tmp_path)
