"""What a run says of its images."""

import json
from pathlib import Path

import pytest

from fairdarts.config import UserError
from fairdarts.runtime.shape import FILE, Shape, file_of, shape_of


def test_it_is_read_as_it_was_written(tmp_path: Path):
    for images in ("1797", "50, 0123456789abcdef"):
        ((name, text),) = file_of(Shape(64, 3, 10), "npz", images).items()
        (tmp_path / name).write_text(text)
        assert shape_of(tmp_path) == Shape(64, 3, 10)
    assert str(Shape(64, 3, 10)) == "64×64 images"


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
