"""What is said of the files of a set before a run: broken ones, what is cut away, what is white, and empty images."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fairdarts.config import Notice, UserError
from fairdarts.data.examine import Head, examine, read_heads, sizes_of
from fairdarts.data.judging import images_of_test_set
from fairdarts.data.settings import Folder, ImageNet
from fairdarts.data.sources import open_source
from fairdarts.runtime.shape import ImageSize

SERVED = {"batch_size": 2, "train_portion": 0.5, "cutout": 0, "workers": 0, "image_size": 8}


def noise(width: int, height: int, top: int = 255, kind: type = np.uint8) -> Image.Image:
    values = np.random.default_rng(0).uniform(0, top, (height, width))
    values[0, 0] = top
    return Image.fromarray(values.astype(kind))


def write(folder: Path, *images: Image.Image, form: str = "png") -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:03}.{form}" for number in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        image.save(path)
    return [str(path) for path in paths]


def said(paths: list[str], white: float | None = None, seen: str | None = "the centre is seen") -> list[str]:
    """The Notices of an examination."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        examine(paths, white, "photos", seen)
    assert all(own.category is Notice for own in caught)
    return [str(own.message) for own in caught]


def refusal(paths: list[str], white: float | None = None) -> str:
    with pytest.raises(UserError) as error:
        said(paths, white)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_what_is_cut_away_is_said_with_numbers(tmp_path: Path):
    paths = write(tmp_path, noise(64, 16), noise(640, 480), noise(48, 48), noise(40, 80))
    share = "up to 75% of an image is cut away, 38% on average"
    assert said(paths) == [f"photos: images of 64×16 to 640×480 pixels: the centre is seen: {share}"]
    assert said(paths, seen=None) == []


def test_nothing_is_said_of_images_that_are_nearly_square(tmp_path: Path):
    assert said(write(tmp_path, noise(64, 64), noise(50, 60), noise(60, 50))) == []


def test_the_sizes_are_those_of_the_heads():
    wide = sizes_of([Head(40, 10, False), Head(20, 20, False)], ImageSize(5, 20))
    assert (wide.most, wide.mean) == (0.75, 0.375)
    sizes = sizes_of([Head(10, 40, False), Head(30, 30, False), Head(8, 8, False)])
    assert sizes == ((8, 8), (30, 30), 0.75, 0.25)


@pytest.mark.parametrize("form", ["jpg", "png", "tiff", "webp"])
def test_a_head_is_that_of_the_image_as_it_is_shown(tmp_path: Path, form: str):
    exif = Image.Exif()
    exif[0x0112] = 6  # lying on its side
    noise(40, 16).save(tmp_path / f"a.{form}", exif=exif)
    noise(40, 16).save(tmp_path / f"b.{form}")
    heads = read_heads([str(tmp_path / f"{name}.{form}") for name in "ab"])
    assert [head[:2] for head in heads] == [(16, 40), (40, 16)]


def test_one_broken_file_is_named_and_of_many_the_first_and_their_number(tmp_path: Path):
    paths = write(tmp_path, *[noise(8, 8)] * 300)
    Path(paths[130]).write_text("no image")
    problem = "cannot be decoded as an image"
    assert refusal(paths) == f"{paths[130]}: {problem}; mend or remove it"
    for number in (3, 290):
        Path(paths[number]).write_bytes(b"")
    Path(paths[299]).unlink()
    Path(paths[299]).symlink_to("gone")
    named = "; ".join(f"{paths[number]}: {problem}" for number in (3, 130, 290))
    assert refusal(paths) == f"4 of 300 files are no whole images: {named}; …; mend or remove them"
    with pytest.raises(UserError, match=rf"{paths[299]}: No such file or directory; mend or remove it"):
        read_heads(paths[299:])


def test_heads_are_read_in_order_and_their_parts_shown(tmp_path: Path):
    shown = []

    def bar(parts, count: int):
        for part in parts:
            shown.append((len(part), count))
            yield part

    heads = read_heads(write(tmp_path, *(noise(4 + number, 5) for number in range(130))), bar)
    assert [head.width for head in heads] == list(range(4, 134))
    assert shown == [(128, 2), (2, 2)]


@pytest.mark.parametrize("kind", [np.uint16, np.int32])
@pytest.mark.parametrize(("top", "white"), [(250, 255), (1000, 1023), (4080, 4095), (16383, 16383)])
def test_dark_16_bit_images_are_refused_until_it_is_said_what_is_white(
    tmp_path: Path, top: int, white: int, kind: type
):
    paths = write(tmp_path, *[noise(8, 8, top, kind)] * 3, form="tif")
    told = f"the brightest value of its 16-bit gray images is {top}, where 65535 is white"
    advice = f"data.white should be {white}, or data.white 65535 if they are so dark"
    assert refusal(paths) == f"photos: {told}: {advice}"
    assert said(paths, white) == []
    assert len(said(paths, 65535)) == (top < 9 * 256)  # nothing to see on them, which is said


def test_a_bright_image_says_that_the_others_are_dark(tmp_path: Path):
    """The set shows what is white, and not a file alone."""
    assert said(write(tmp_path, noise(8, 8, 250, np.uint16), noise(8, 8, 60000, np.uint16))) == []


@pytest.mark.parametrize(
    ("top", "advice"),
    [(0.2, "1 if they are so dark"), (255, "255"), (4000, "4095"), (50000, "65535")],
)
def test_floats_that_are_not_from_0_to_1_are_refused(tmp_path: Path, top: float, advice: str):
    paths = write(tmp_path, *[noise(8, 8, top, np.float32)] * 2, form="tif")
    told = f"the brightest value of its floats is {np.float32(top):g}, where 1 is white"
    assert refusal(paths) == f"photos: {told}: data.white should be {advice}"
    assert said(paths, top) == []


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_values_that_no_white_holds_are_refused(tmp_path: Path, kind: type):
    paths = write(tmp_path, noise(8, 8, 70000, kind), form="tif")
    assert "should be at most 65535" in refusal(paths)


def test_floats_from_0_to_1_are_fine(tmp_path: Path):
    assert said(write(tmp_path, *[noise(8, 8, 1, np.float32)] * 2, form="tif")) == []


def colour16(path: Path, top: int) -> str:
    """A PNG of 16 bits a channel, which PIL reads but does not write."""
    import struct
    import zlib

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    rows = b"".join(b"\0" + struct.pack(">24H", *[top, top // 2, 0] * 8) for _ in range(8))
    head = struct.pack(">IIBBBBB", 8, 8, 16, 2, 0, 0, 0)
    content = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    return str(path)


def test_dark_16_bit_colours_are_refused(tmp_path: Path):
    """PIL sees their high bytes alone, so that another white would not help."""
    told = "the brightest value of its 16-bit colour images is 3855, where 65535 is white"
    advice = "they should be 8-bit images, or data.white 65535 if they are so dark"
    assert refusal([colour16(tmp_path / "a.png", 4080)]) == f"photos: {told}: {advice}"
    assert said([colour16(tmp_path / "a.png", 4080)], 65535) == []
    assert said([colour16(tmp_path / "b.png", 60000)]) == []


def test_a_set_on_which_there_is_nothing_to_see_is_said(tmp_path: Path):
    paths = write(tmp_path / "black", *[noise(8, 8, 3)] * 40)
    nothing = "there is nothing to see on"
    assert said(paths) == [f"photos: {nothing} 14 of 40 images: their values lie from 0 to 3 of 255"]
    assert said(paths[:5]) == [f"photos: {nothing} all images: their values lie from 0 to 3 of 255"]
    assert said([*paths[:5], *write(tmp_path / "gray", noise(8, 8, 90))]) == []
    assert said(write(tmp_path / "levels", *(Image.new("L", (8, 8), level) for level in (7, 70)))) == []


def test_what_is_kept_in_memory_is_examined_as_it_is_read(tmp_path: Path):
    for part in ("train", "test"):
        for name in "ab":
            write(tmp_path / part / name, *[noise(32, 16)] * 3)
    settings = Folder(kind="folder", root=str(tmp_path), in_memory=True, **SERVED)
    told = "with in_memory only the centre square is ever seen: up to 50% of an image is cut away, 50% on average"
    place = f"data.root: {tmp_path}"
    with pytest.warns(Notice, match=f"^{place}/train: images of 32×16 pixels: {told}$"):
        source = open_source(settings)
    with pytest.warns(Notice, match=f"^{place}/test: images of 32×16 pixels: {told}$"):
        images_of_test_set(settings, source)
    write(tmp_path / "train" / "a", noise(8, 8, 200, np.uint16))
    write(tmp_path / "train" / "b", *[noise(8, 8)] * 3)
    Path(tmp_path / "train" / "a" / "001.png").unlink()
    Path(tmp_path / "train" / "a" / "002.png").unlink()
    with pytest.raises(UserError, match="the brightest value of its 16-bit gray images is 200"):
        open_source(settings)


@pytest.mark.parametrize("kind", [Folder, ImageNet])
@pytest.mark.parametrize("white", [None, 1023])
def test_white_is_that_of_the_settings_for_training_and_test_sets(tmp_path: Path, kind: type, white: float | None):
    for part in ("train", "val"):
        for name in "ab":
            write(tmp_path / part / name, noise(8, 8, 1023, np.uint16))
    served = {"batch_size": 2, "workers": 0, "root": str(tmp_path), "white": white}
    settings = ImageNet(kind="imagenet", **served)
    if kind is Folder:
        settings = Folder(kind="folder", **{**SERVED, **served})
    source = open_source(settings)
    for own in (source, images_of_test_set(settings, source).source):
        assert np.asarray(own.dataset[0][0]).max() == (3 if white is None else 255)
