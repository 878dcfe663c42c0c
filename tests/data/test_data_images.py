"""How a picture is opened: which are, and what is said of those that are not."""

import io
import os
import subprocess
import warnings
from pathlib import Path

import numpy as np
import pytest
from damage import flipped, outcome
from PIL import EpsImagePlugin, Image

from fairdarts.config import UserError
from fairdarts.data.images import FORMATS, opened, read_image, read_upright

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 10, 3), dtype=np.uint8)
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 12\n%%EndComments\nshowpage\n%%EOF\n"


def encoded(form: str, **options: object) -> bytes:
    content = io.BytesIO()
    Image.fromarray(PIXELS).save(content, form, **options)
    return content.getvalue()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.jpg"


@pytest.mark.parametrize("form", FORMATS)
def test_a_format_is_told_by_content(path: Path, form: str):
    path.write_bytes(encoded(form))
    image = read_image(path)
    assert (image.mode, image.size) == ("RGB", (10, 12))


@pytest.mark.parametrize("form", ["ICO", "TGA", "PCX", "SGI", "JPEG2000", "DDS"])
def test_formats_that_are_not_named_are_no_images(path: Path, form: str):
    path.write_bytes(encoded(form))
    with pytest.raises(UserError, match=r"x\.jpg: cannot be decoded as an image$"):
        read_image(path)


def test_no_program_is_started_for_what_a_file_holds(path: Path, monkeypatch: pytest.MonkeyPatch):
    started = []
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)  # as where nobody has looked for it yet
    for call in ("Popen", "run", "call", "check_call", "check_output"):
        monkeypatch.setattr(subprocess, call, lambda *words, **_: started.append(words))
    path.write_bytes(EPS)
    with pytest.raises(UserError, match=r"x\.jpg: cannot be decoded as an image$"):
        read_image(path)
    assert started == []


def test_a_pipe_is_not_waited_for(pipe: Path):
    with pytest.raises(UserError, match=r": not a regular file$"):
        read_image(pipe)


@pytest.mark.parametrize(("place", "message"), [(".", "Is a directory"), ("gone.jpg", "No such file or directory")])
def test_what_is_not_there_is_named(tmp_path: Path, place: str, message: str):
    with pytest.raises(UserError) as error:
        read_image(tmp_path / place)
    assert str(error.value) == f"{tmp_path / place}: {message}"


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="needs a device")
def test_a_device_is_not_read():
    with pytest.raises(UserError, match=r"^/dev/zero: not a regular file$"):
        read_image("/dev/zero")


@pytest.mark.parametrize("form", FORMATS)
def test_a_damaged_file_is_an_image_or_one_line(path: Path, form: str):
    whole = encoded(form)
    for content in (*flipped(whole, 150), *(whole[:length] for length in range(0, len(whole), 40))):
        path.write_bytes(content)
        found = outcome(lambda: read_image(path))
        assert found == f"{path}: cannot be decoded as an image" or found.mode == "RGB"


def test_an_image_that_would_fill_memory_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch):
    path.write_bytes(encoded("PNG"))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 59)  # less than half of them
    with pytest.raises(UserError, match=r"x\.jpg: cannot be decoded as an image$"):
        read_image(path)


def test_an_error_of_who_looks_at_an_image_is_handed_on(path: Path):
    path.write_bytes(encoded("PNG"))
    with pytest.raises(UserError, match=r"^other$"), opened(path):
        raise UserError("other")


@pytest.mark.parametrize(
    ("exif", "size"),
    [(b"Exif\0\0garbage!!", (10, 12)), (b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0", (12, 10))],
)
def test_a_photograph_is_turned_as_its_exif_data_says_where_it_can_be_read(path: Path, exif: bytes, size: tuple):
    path.write_bytes(encoded("JPEG", exif=exif))
    with warnings.catch_warnings(action="error"):
        assert read_upright(path).size == size
