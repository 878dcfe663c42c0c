"""One geometry: what covers a size, what is seen of it, and that judging is the same with and without torch."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import v2

from fairdarts.data.geometry import Preparation, centre, covering, enlarged, preparation_from, visible
from fairdarts.data.images import read_image
from fairdarts.data.settings import Folder, ImageNet
from fairdarts.data.sources import IMAGENET_STATISTICS, Source, in_memory, judged_size, open_source
from fairdarts.data.transforms import evaluation_transform, padded_crop, resized_crop
from fairdarts.runtime.shape import ImageSize, Size, sides, size_of

SIDES = st.integers(1, 60)
SIZES = st.builds(size_of, SIDES, SIDES)
SERVED = {"batch_size": 2, "workers": 0}
PORTIONED = SERVED | {"train_portion": 0.5, "cutout": 0}


@given(SIDES, SIDES, SIZES)
def test_one_side_is_covered_exactly_and_the_other_too(height: int, width: int, image: Size):
    (rows, columns), (high, wide) = sides(image), covering(height, width, image)
    assert high >= rows
    assert wide >= columns
    assert (high - rows) * (wide - columns) == 0
    assert abs(high * width - wide * height) < max(height, width)  # but for less than a pixel the shape is kept


@given(SIDES, SIDES, SIDES)
def test_of_squares_the_shorter_side_is_resized_as_torchvision_does(height: int, width: int, size: int):
    resized = v2.Resize(size)(torch.zeros(1, height, width, dtype=torch.uint8))
    assert tuple(resized.shape[1:]) == covering(height, width, size)


def test_what_is_seen_of_an_image():
    assert visible(10, 40, 8) == 1 / 4
    assert visible(96, 64, ImageSize(48, 32)) == 1
    assert visible(64, 96, ImageSize(96, 64)) == pytest.approx(4 / 9)
    assert enlarged(224) == 256
    assert enlarged(ImageSize(112, 56)) == (128, 64)


def picture(height: int, width: int) -> Image.Image:
    rows, columns = np.indices((height, width))
    shades = np.stack([rows * 5, columns * 3, (rows * columns) % 251], -1)
    return Image.fromarray(shades.astype(np.uint8))


@pytest.mark.parametrize("image", [16, ImageSize(24, 16), ImageSize(9, 30)])
@pytest.mark.parametrize("size", [(24, 16), (33, 47), (90, 20), (16, 16), (7, 8)])
def test_without_torch_values_are_those_of_the_judging_transform(image: Size, size: tuple[int, int]):
    for settings in (Folder(kind="folder", root="x", **PORTIONED), ImageNet(kind="imagenet", root="x", **SERVED)):
        source = Source(None, (), image, *IMAGENET_STATISTICS)
        judged = evaluation_transform(source, settings)(picture(*size))
        assert judged.shape == (3, *sides(image))
        prepared = Preparation(3, image, judged_size(settings, image), *IMAGENET_STATISTICS)
        assert np.array_equal(prepared.values(np.asarray(picture(*size))), judged.numpy())
        again = evaluation_transform(
            source._replace(resize=prepared.resize), Folder(kind="folder", root="x", **PORTIONED)
        )
        assert torch.equal(again(picture(*size)), judged)  # what a model says counts, whatever the settings


def test_a_preparation_is_read_as_it_was_written():
    for image in (32, ImageSize(96, 64)):
        made = Preparation(3, image, enlarged(image), *IMAGENET_STATISTICS)
        assert preparation_from(made.plain()) == made
    content = made.plain()
    assert content["resize"] == [109, 73]
    for wrong in (
        {"interpolation": "bicubic"},
        {"mean": [0.5]},
        {"height": 0},
        {"resize": [96, 63]},
        {"std": [1, 0, 1]},
    ):
        with pytest.raises(ValueError, match=r"."):
            preparation_from(content | wrong)


def test_of_an_image_of_another_shape_the_centre_is_seen():
    seen = np.asarray(centre(picture(40, 90), ImageSize(20, 30), ImageSize(20, 30)))
    expected = np.asarray(picture(40, 90).resize((45, 20), Image.BILINEAR))[:, 8:38]
    assert np.array_equal(seen, expected)


def test_training_sees_parts_of_the_shape_that_judging_sees():
    image = ImageSize(24, 16)
    source = Source(None, (), image, *IMAGENET_STATISTICS)
    torch.manual_seed(0)
    large = resized_crop(source, (0.5, 1.0), (0, 0, 0, 0))
    for crop in (padded_crop(source, 4), large):
        assert {tuple(crop(picture(*size)).shape) for size in ((24, 16), (50, 20), (20, 50))} == {(3, 24, 16)}
    assert large.transforms[0].ratio == pytest.approx((3 / 4 * 16 / 24, 4 / 3 * 16 / 24))
    square = resized_crop(source._replace(image=24), (0.5, 1.0), (0, 0, 0, 0))
    assert square.transforms[0].ratio == (3 / 4, 4 / 3)
    still = evaluation_transform(source, Folder(kind="folder", root="x", **PORTIONED))(picture(24, 16))
    crop = padded_crop(source._replace(flip=False), 0)
    assert any(torch.equal(crop(picture(24, 16)), still) for _ in range(600))  # one of 7·5 places is the centre


def test_files_are_kept_in_memory_as_they_are_judged(tmp_path: Path):
    for name in ("ant", "bee"):
        (tmp_path / name).mkdir()
        picture(31, 50).save(tmp_path / name / "a.png")
    settings = Folder(kind="folder", root=str(tmp_path), image_size=(20, 12), **PORTIONED)
    source = open_source(settings)
    assert source.image == (20, 12)
    kept = in_memory(source).dataset.tensors[0]
    assert kept.shape == (2, 3, 20, 12)
    judge = evaluation_transform(source, settings)
    assert torch.equal(judge(kept[0]), judge(read_image(tmp_path / "ant" / "a.png")))
