"""Images with a class for every pixel: how they are found and read, and what a network sees of them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from photographs import picture, recipe, voc_folder
from PIL import Image

from fairdarts.checking import check
from fairdarts.config import UserError
from fairdarts.data.settings import IGNORED
from fairdarts.segmentation.images import (
    MEAN,
    STD,
    AugmentedPairs,
    StillTransform,
    TrainingTransform,
    open_pairs,
    still_pairs,
)
from fairdarts.segmentation.settings import Photographs, SegmentSettings


def photographs(folder: Path, **changes: object) -> Photographs:
    return Photographs(**recipe(folder)["data"] | changes)


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    return voc_folder(tmp_path / "voc")


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    """Two frames of the split `train`, where 11 stands for no class."""
    for name in ("train", "trainannot"):
        (tmp_path / "camvid" / name).mkdir(parents=True)
    for number in range(2):
        image, mask = picture(number)
        Image.fromarray(image).save(tmp_path / "camvid" / "train" / f"f{number}.png")
        Image.fromarray(np.where(mask == IGNORED, 11, mask).astype(np.uint8)).save(
            tmp_path / "camvid" / "trainannot" / f"f{number}.png"
        )
    return tmp_path / "camvid"


def test_the_splits_of_voc_are_those_of_its_lists(voc: Path):
    trained, judging = (open_pairs(photographs(voc), split, split) for split in ("train", "val"))
    assert [path.stem for path in trained.images] == [f"p{number}" for number in range(6)]
    assert [path.stem for path in judging.masks] == ["p6", "p7"]
    for number, (image, mask) in enumerate(trained):
        assert np.array_equal(mask, picture(number, mask.shape)[1])
        assert image.size == (36 + number, 24)
    assert trained.fingerprint() != judging.fingerprint()


def test_lists_and_pictures_may_be_as_other_programs_write_them(voc: Path):
    (voc / "JPEGImages" / "p3.jpg").rename(voc / "JPEGImages" / "a street.JPG")
    (voc / "SegmentationClass" / "p3.png").rename(voc / "SegmentationClass" / "a street.png")
    (voc / "ImageSets" / "Segmentation" / "train.txt").write_text("\ufeffp0 \r\n\r\na street\r\n", encoding="utf-8")
    pairs = open_pairs(photographs(voc), "train", "train")
    assert [path.name for path in pairs.images] == ["p0.jpg", "a street.JPG"]
    assert [path.name for path in pairs.masks] == ["p0.png", "a street.png"]


def test_the_frames_of_camvid_lie_beside_their_labels(camvid: Path):
    pairs = open_pairs(photographs(camvid, layout="camvid", void=[11]), "train", "train")
    for number, (image, mask) in enumerate(pairs):
        assert np.array_equal(np.asarray(image), picture(number)[0])
        assert np.array_equal(mask, picture(number)[1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"root": "nowhere"}, "data.root: nowhere: no such folder"),
        ({"train": "trian"}, "trian.txt (did you mean 'train'?)"),
        ({"masks": "SegmentationClassAug"}, "SegmentationClassAug/p0.png: no such file, but data.train 'train' needs"),
        ({"layout": "camvid"}, "data.train: train: there is no folder"),
        ({"classes": ("ground", "disc")}, "holds the value 2; should be from 0 to 1, or 255 for no class"),
        ({"void": ()}, "holds the value 255; should be from 0 to 2\n"),
    ],
)
def test_what_is_missing_or_wrong_is_named(voc: Path, changes: dict, message: str):
    settings = photographs(voc, **changes)
    with pytest.raises(UserError) as error:
        list(open_pairs(settings, settings.train, "train"))
    assert message in f"{error.value}\n"


def test_an_image_is_trained_with_as_it_is_shown(voc: Path):
    turned = Image.Exif()
    turned[0x0112] = 6  # the camera was held upright
    pixels, mask = picture(0, (24, 36))
    Image.fromarray(np.rot90(pixels)).save(voc / "JPEGImages" / "p0.jpg", "PNG", exif=turned)
    image, labels = open_pairs(photographs(voc), "train", "train")[0]
    assert np.array_equal(image, pixels)
    assert np.array_equal(labels, mask)
    Image.fromarray(pixels).save(voc / "JPEGImages" / "p0.jpg", exif=turned)
    with pytest.raises(UserError, match=r"p0\.png: is of 36×24 pixels; should be 24×36, as p0\.jpg is shown$"):
        open_pairs(photographs(voc), "train", "train")[0]


def test_hidden_files_are_no_frames(camvid: Path):
    plain = open_pairs(photographs(camvid, layout="camvid", void=[11]), "train", "train")
    (camvid / "train" / "._0001.png").write_bytes(b"no image")
    seen = open_pairs(photographs(camvid, layout="camvid", void=[11]), "train", "train")
    assert seen.images == plain.images


def test_white_is_that_of_the_settings(voc: Path):
    values = np.full((24, 36), 1023, np.uint16)
    Image.fromarray(values).save(voc / "JPEGImages" / "p0.jpg", "PNG")
    for white, level in ((None, 3), (1023, 255)):
        image, _ = open_pairs(photographs(voc, white=white), "train", "train")[0]
        assert np.asarray(image).max() == level


def test_a_mask_in_colours_of_another_size_or_no_image_is_named(voc: Path):
    pairs, path = open_pairs(photographs(voc), "train", "train"), voc / "SegmentationClass" / "p0.png"
    Image.open(path).convert("RGB").save(path)
    with pytest.raises(UserError, match=r"p0\.png: its pixels are no class numbers \(RGB\); should be a palette"):
        pairs[0]
    Image.fromarray(np.zeros((24, 35), np.uint8)).save(path)
    with pytest.raises(UserError, match=r"p0\.png: is of 35×24 pixels; should be 36×24"):
        pairs[0]
    Image.fromarray(np.full((24, 36), -5, np.int32)).save(path, "TIFF")
    with pytest.raises(UserError, match=r"p0\.png: holds the value -5; should be from 0 to 2, or 255"):
        pairs[0]
    for form in ("ICO", "TGA"):
        Image.fromarray(np.zeros((24, 36), np.uint8)).save(path, form)
        with pytest.raises(UserError, match=r"p0\.png: cannot be decoded as an image"):
            pairs[0]
    path.write_bytes(b"no image")
    with pytest.raises(UserError, match=r"p0\.png: cannot be decoded as an image"):
        pairs[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scale": [1.5, 0.5]}, "two factors above 0, the smaller one first"),
        ({"void": [2]}, "void 2: should be from 3, behind the classes, to 255"),
        ({"void": [256]}, "void 256"),
        ({"classes": ["a", "b", "a"]}, "classes: a: stands twice"),
        ({"layout": "cityscapes"}, "layout"),
        ({"batch_size": 1}, "batch_size"),
    ],
)
def test_settings_that_cannot_be_are_refused(voc: Path, change: dict, message: str):
    content = recipe(voc)
    content["data"] |= change
    with pytest.raises(UserError) as error:
        check(SegmentSettings, content, "tiny.yaml")
    assert message in str(error.value)


def colours(image: torch.Tensor) -> np.ndarray:
    """The class that a normalized image's pixels show by their strongest channel; -1 where it is the mean."""
    pixels = image * torch.tensor(STD)[:, None, None] + torch.tensor(MEAN)[:, None, None]
    padded = (image.abs() < 0.03).all(0)  # the mean, rounded to a value of 8 bits
    return np.where(padded, -1, pixels.argmax(0)).astype(int)


@pytest.mark.parametrize("crop", [8, 24, 50])
def test_image_and_mask_move_together(crop: int):
    image, mask = picture(3)
    transform = TrainingTransform(crop, (1.0, 1.0))
    mirrored = 0
    for seed in range(12):
        torch.manual_seed(seed)
        seen, labels = transform(Image.fromarray(image), mask)
        assert seen.shape == (3, crop, crop)
        assert labels.shape == (crop, crop)
        shown, labels = colours(seen), labels.numpy()
        known = labels != IGNORED
        assert np.array_equal(shown[known], labels[known])
        assert (labels[shown == -1] == IGNORED).all()
        if crop == 50:  # the picture lies in it whole
            assert (shown != -1).sum() == image.shape[0] * image.shape[1]
        bars = labels.max(0, where=known, initial=0) == 2
        mirrored += bool(bars.any() and bars.argmax() > crop / 2)
    if crop == 50:
        assert 0 < mirrored < 12


@pytest.mark.parametrize("factor", [0.5, 1.25, 2.0])
def test_a_picture_is_scaled_before_it_is_cropped(factor: float):
    image, mask = picture(1)
    seen, labels = TrainingTransform(100, (factor, factor))(Image.fromarray(image), np.zeros_like(mask))
    assert int((labels == 0).sum()) == round(24 * factor) * round(36 * factor)
    assert int((colours(seen) != -1).sum()) == round(24 * factor) * round(36 * factor)


@pytest.mark.parametrize("factor", [0.6, 0.9, 1.3, 1.7])
def test_a_scaled_mask_stays_where_its_image_is(factor: float):
    rows = np.repeat(np.arange(40) >= 20, 30).reshape(40, 30)  # the lower half is another class
    image = Image.fromarray(np.where(rows[..., None], (0, 255, 0), (255, 0, 0)).astype(np.uint8))
    transform = TrainingTransform(80, (factor, factor))
    offsets = []
    for seed in range(8):
        torch.manual_seed(seed)
        seen, labels = transform(image, rows.astype(np.uint8))
        column = int((labels != IGNORED).any(0).nonzero()[0])
        inside = labels[:, column] != IGNORED
        green = seen[1, :, column][inside] * STD[1] + MEAN[1]  # its sum counts the pixels of the lower half
        offsets.append(float((labels[:, column][inside] == 1).sum() - green.sum()))
    assert np.abs(offsets).max() < 0.3


def test_scales_are_drawn_from_all_of_the_range():
    image, mask = picture(1)
    transform, heights = TrainingTransform(100, (0.5, 2.0)), []
    for seed in range(60):
        torch.manual_seed(seed)
        _, labels = transform(Image.fromarray(image), np.zeros_like(mask))
        heights.append(int((labels == 0).any(1).sum()))
    assert min(heights) < 24 * 0.6
    assert max(heights) > 24 * 1.9
    assert abs(float(np.mean(heights)) - 24 * 1.25) < 3


def test_what_is_random_follows_from_the_seed_of_an_item(voc: Path):
    pairs = AugmentedPairs(open_pairs(photographs(voc), "train", "train"), TrainingTransform(16, (0.5, 2.0)))
    one, again, other = pairs[2, 5], pairs[2, 5], pairs[2, 6]
    assert all(map(torch.equal, one, again))
    assert not torch.equal(one[0], other[0])


def test_judged_images_are_whole(voc: Path):
    pairs = open_pairs(photographs(voc), "val", "val")
    for number, (image, mask) in enumerate(still_pairs(pairs, range(len(pairs)), 0, torch.device("cpu"))):
        assert image.shape == (1, 3, 24, 42 + number)
        assert np.array_equal(mask[0].numpy(), picture(6 + number, (24, 42 + number))[1])
        assert mask.dtype == torch.int64
    x, _ = StillTransform()(Image.new("RGB", (5, 4), (255, 0, 51)), np.zeros((4, 5), np.uint8))
    expected = [(value - mean) / std for value, mean, std in zip((1, 0, 0.2), MEAN, STD, strict=True)]
    assert x[:, 2, 2].tolist() == pytest.approx(expected, rel=1e-5)
