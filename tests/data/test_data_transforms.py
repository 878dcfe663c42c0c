"""What happens to images: their shape, their numbers, what cutout blanks."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fairdarts.data import transforms
from fairdarts.data.sources import CIFAR10_STATISTICS, DIGITS_STATISTICS, IMAGENET_STATISTICS, Source
from fairdarts.data.transforms import Cutout, training_transform

KINDS = {
    "digits": Source(None, (), 8, *DIGITS_STATISTICS, flip=False),
    "cifar": Source(None, (), 32, *CIFAR10_STATISTICS),
    "folder": Source(None, (), 16, *IMAGENET_STATISTICS),
}


def picture(source: Source, height: int, width: int, value: int = 128) -> Image.Image | torch.Tensor:
    if len(source.mean) == 1:
        return torch.full((1, height, width), value, dtype=torch.uint8)
    return Image.fromarray(np.full((height, width, 3), value, dtype=np.uint8))


@pytest.mark.parametrize(
    ("kind", "height", "width"),
    [("digits", 8, 8), ("cifar", 32, 32), ("folder", 16, 16), ("folder", 20, 50), ("folder", 50, 20), ("folder", 5, 9)],
)
@pytest.mark.parametrize("cutout", [0, 4])
def test_every_image_becomes_a_square_of_the_source_s_size(kind: str, height: int, width: int, cutout: int):
    source = KINDS[kind]
    out = training_transform(source, cutout)(picture(source, height, width))
    assert type(out) is torch.Tensor
    assert out.dtype == torch.float32
    assert out.shape == (len(source.mean), source.image, source.image)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [0, 77, 255])
def test_numbers_are_normalized_by_the_source_s_statistics(kind: str, value: int):
    source = KINDS[kind]
    out = training_transform(source, 0)(picture(source, source.image, source.image, value))
    border = source.image // 8  # there the crop may show its padding
    inner = out[:, border:-border, border:-border]
    for channel, mean, std in zip(inner, source.mean, source.std, strict=True):
        torch.testing.assert_close(channel, torch.full_like(channel, (value / 255 - mean) / std))


def leans_left(image: torch.Tensor) -> bool:
    return bool(image[..., :4].mean() > image[..., 4:].mean())


def test_digits_are_never_mirrored_and_other_images_are():
    half = torch.zeros(1, 8, 8, dtype=torch.uint8)
    half[..., :4] = 255
    torch.manual_seed(0)
    transform = training_transform(KINDS["digits"], 0)
    assert all(leans_left(transform(half)) for _ in range(64))
    transform = training_transform(KINDS["digits"]._replace(flip=True), 0)
    assert {leans_left(transform(half)) for _ in range(64)} == {True, False}


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 14), st.integers(0, 2**30))
def test_cutout_blanks_one_rectangle_of_at_most_its_side(height: int, width: int, side: int, seed: int):
    image = torch.ones(3, height, width)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        out = Cutout(side)(image)
    assert bool((image == 1).all())  # the caller's image is not touched
    blank = out == 0
    assert bool((blank[0] == blank).all())
    rows, columns = blank[0].any(1), blank[0].any(0)
    assert torch.equal(blank[0], rows[:, None] & columns[None, :])
    assert 1 <= int(rows.sum()) <= min(side, height)
    assert 1 <= int(columns.sum()) <= min(side, width)
    assert bool((out[~blank] == 1).all())


@pytest.mark.parametrize(
    ("center", "side", "rows", "columns"),
    [
        ((5, 6), 4, range(3, 7), range(4, 8)),  # away from borders: exactly side²
        ((5, 6), 3, range(4, 7), range(5, 8)),
        ((0, 0), 4, range(2), range(2)),  # cut at the upper left
        ((9, 11), 4, range(7, 10), range(9, 12)),  # cut at the lower right
        ((0, 6), 1, range(1), range(6, 7)),
        ((5, 6), 40, range(10), range(12)),
    ],
)
def test_cutout_is_cut_at_borders(monkeypatch, center: tuple[int, int], side: int, rows: range, columns: range):
    drawn = iter(center)
    monkeypatch.setattr(transforms.torch, "randint", lambda high, size: torch.tensor(next(drawn)))
    expected = torch.ones(1, 10, 12)
    expected[:, rows.start : rows.stop, columns.start : columns.stop] = 0
    assert torch.equal(Cutout(side)(torch.ones(1, 10, 12)), expected)


def test_cutout_reaches_every_pixel():
    torch.manual_seed(0)
    counts = sum((Cutout(2)(torch.ones(1, 5, 4)) == 0).int() for _ in range(400))
    assert int(counts.min()) > 0
