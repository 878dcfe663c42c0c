"""What a run says of its images."""

from pathlib import Path

import pytest

from fairdarts.config import UserError
from fairdarts.runtime.shape import FILE, Shape, file_of, shape_of


def test_it_is_read_as_it_was_written(tmp_path: Path):
    ((name, text),) = file_of(Shape(64, 3, 10)).items()
    (tmp_path / name).write_text(text)
    assert shape_of(tmp_path) == Shape(64, 3, 10)
    assert str(Shape(64, 3, 10)) == "64×64 images"


def test_a_run_of_version_0_1_does_not_say(tmp_path: Path):
    assert shape_of(tmp_path) is None


@pytest.mark.parametrize(
    "text", ["", "{", "[64, 3, 10]", '{"image": 64}', '{"image": 64, "channels": 3, "classes": 0}']
)
def test_a_damaged_file_is_named(tmp_path: Path, text: str):
    (tmp_path / FILE).write_text(text)
    with pytest.raises(UserError, match=r"images\.json: should hold image, channels and classes"):
        shape_of(tmp_path)
