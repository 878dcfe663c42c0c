"""How a picture is opened: turned as it is shown, its values from black to white; and what is none."""

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
from fairdarts.data.images import FORMATS, TURNS, is_hidden, opened, read_image

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
        assert read_image(path).size == size


RAMP = np.arange(12, dtype=float).reshape(3, 4) / 11


def saved(path: Path, values: np.ndarray) -> Path:
    Image.fromarray(values).save(path)
    return path


def seen(path: Path, white: float | None = None) -> np.ndarray:
    """The gray levels [H, W] of an image."""
    return np.asarray(read_image(path, white))[:, :, 0]


@pytest.mark.parametrize("how", range(1, 9))
@pytest.mark.parametrize("form", ["png", "jpg", "tif", "webp"])
def test_an_image_is_turned_as_it_is_shown(tmp_path: Path, form: str, how: int):
    """Two of the corners of an image that is black but for its left half above tell every turn from the others."""
    stored = np.zeros((32, 48, 3), dtype=np.uint8)
    stored[:16, :24] = 255
    stored[:16, 24:] = 100
    turns = [  # by EXIF's definition: which side of what is stored the first row and the first column are
        lambda a: a, np.fliplr, lambda a: np.rot90(a, 2), np.flipud, lambda a: a.swapaxes(0, 1),
        lambda a: np.rot90(a, -1), lambda a: np.rot90(a, 2).swapaxes(0, 1), lambda a: np.rot90(a, 1),
    ]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = how
    path = tmp_path / f"photo.{form}"
    Image.fromarray(stored).save(path, exif=exif, **({"quality": 95} if form in ("jpg", "webp") else {}))
    found, expected = np.asarray(read_image(path)).astype(int), turns[how - 1](stored)
    assert found.shape == expected.shape
    assert np.abs(found - expected).mean() < 3  # JPEG rounds
    assert (how in TURNS) == (how > 1)


@pytest.mark.parametrize(("top", "white"), [(1, None), (1, 1), (255, 255), (0.5, 0.5)])
def test_floats_go_from_black_to_white(tmp_path: Path, top: float, white: float | None):
    path = saved(tmp_path / "a.tif", (RAMP * top).astype(np.float32))
    assert np.array_equal(seen(path, white), np.rint(RAMP.astype(np.float32) * 255))


@pytest.mark.parametrize("form", ["png", "tif"])
@pytest.mark.parametrize("top", [255, 4095])
def test_integers_go_from_black_to_a_stated_white(tmp_path: Path, form: str, top: int):
    values = np.rint(RAMP * top).astype(np.uint16)
    levels = seen(saved(tmp_path / f"a.{form}", values), top)
    assert np.array_equal(levels, np.rint(values / top * 255))
    assert (levels.min(), levels.max()) == (0, 255)


@pytest.mark.parametrize("white", [None, 65535])
def test_of_16_bits_the_high_byte_is_seen(tmp_path: Path, white: int | None):
    values = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    assert np.array_equal(seen(saved(tmp_path / "a.png", values), white), values >> 8)


@pytest.mark.parametrize(
    ("values", "white", "said"),
    [
        (np.float32([[0, 2.5]]), None, "has values from 0 to 2.5; should be from 0, black, to 1, white"),
        (np.float32([[-0.5, 1]]), None, "has values from -0.5 to 1; should be from 0, black, to 1, white"),
        (np.float32([[0, np.nan]]), None, "has values from nan to nan; should be from 0, black, to 1, white"),
        (np.uint16([[0, 4096]]), 4095, "has values from 0 to 4096; should be from 0, black, to 4095, white"),
        (np.int32([[-1000, 3000]]), None, "has values from -1000 to 3000; should be from 0, black, to 65535, white"),
        (np.int32([[0, 70000]]), None, "has values from 0 to 70000; should be from 0, black, to 65535, white"),
    ],
)
def test_values_outside_black_and_white_are_told(tmp_path: Path, values: np.ndarray, white: float | None, said: str):
    path = saved(tmp_path / "a.tif", values)
    with pytest.raises(UserError) as error:
        read_image(path, white)
    assert str(error.value) == f"{path}: {said} (data.white says another white)"


def test_white_changes_nothing_of_8_bit_images(tmp_path: Path):
    path = saved(tmp_path / "a.png", (RAMP * 255).astype(np.uint8))
    assert np.array_equal(seen(path, 4095), seen(path))


def test_hidden_names_are_those_that_systems_and_programs_leave():
    for name in (".ipynb_checkpoints", "._cat.png", ".DS_Store", "__MACOSX", "@eaDir"):
        assert is_hidden(name)
    for name in ("cat", "_cat", "__cat", "cat.", "MACOSX", "1"):
        assert not is_hidden(name)
