"""What happens to images: their shape, their numbers, what cutout blanks."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fairdarts.data import transforms
from fairdarts.data.loader import Augmented
from fairdarts.data.settings import Cifar10, Digits, Folder, ImageNet
from fairdarts.data.sources import CIFAR10_STATISTICS, DIGITS_STATISTICS, IMAGENET_STATISTICS, Source
from fairdarts.data.transforms import (
    AUTO_AUGMENT,
    Cutout,
    evaluation_transform,
    padded_crop,
    resized_crop,
    training_transform,
)

KINDS = {
    "digits": Source(None, (), 8, *DIGITS_STATISTICS, flip=False),
    "cifar": Source(None, (), 32, *CIFAR10_STATISTICS),
    "folder": Source(None, (), 16, *IMAGENET_STATISTICS),
}
IMAGENET = Source(None, (), 48, *IMAGENET_STATISTICS)
STILL = (0.0, 0.0, 0.0, 0.0)


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
    out = padded_crop(source, cutout)(picture(source, height, width))
    assert type(out) is torch.Tensor
    assert out.dtype == torch.float32
    assert out.shape == (len(source.mean), source.image, source.image)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [0, 77, 255])
def test_numbers_are_normalized_by_the_source_s_statistics(kind: str, value: int):
    source = KINDS[kind]
    out = padded_crop(source, 0)(picture(source, source.image, source.image, value))
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
    transform = padded_crop(KINDS["digits"], 0)
    assert all(leans_left(transform(half)) for _ in range(64))
    transform = padded_crop(KINDS["digits"]._replace(flip=True), 0)
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


def levels(image: torch.Tensor) -> torch.Tensor:
    """The normalized image [3, H, W] as values from 0 to 255."""
    mean, std = (torch.tensor(value)[:, None, None] for value in IMAGENET_STATISTICS)
    return (image * std + mean) * 255


@pytest.mark.parametrize("jitter", [STILL, (0.4, 0.4, 0.4, 0.2)])
@pytest.mark.parametrize(("height", "width"), [(48, 48), (375, 500), (50, 20), (1, 1), (1, 40), (90, 2)])
def test_a_part_of_any_image_becomes_a_square(height: int, width: int, jitter: tuple[float, float, float, float]):
    torch.manual_seed(0)
    for _ in range(10):
        out = resized_crop(IMAGENET, (0.08, 1.0), jitter)(picture(IMAGENET, height, width))
        assert type(out) is torch.Tensor
        assert out.dtype == torch.float32
        assert out.shape == (3, 48, 48)


@pytest.mark.parametrize("value", [0, 77, 255])
def test_parts_are_normalized_by_imagenet_s_statistics(value: int):
    out = resized_crop(IMAGENET, (0.1, 1.0), STILL)(picture(IMAGENET, 60, 70, value))
    for channel, mean, std in zip(out, *IMAGENET_STATISTICS, strict=True):
        torch.testing.assert_close(channel, torch.full_like(channel, (value / 255 - mean) / std))


def test_a_part_has_its_share_of_the_area_and_a_moderate_aspect_and_may_be_mirrored():
    columns, rows = np.meshgrid(np.arange(200, dtype=np.uint8), np.arange(160, dtype=np.uint8))
    image = Image.fromarray(np.stack([columns, rows, rows], axis=-1))
    transform = resized_crop(IMAGENET, (0.3, 0.5), STILL)
    torch.manual_seed(0)
    ramps = [levels(transform(image)) for _ in range(200)]
    widths = torch.stack([(ramp[0, 24, -2] - ramp[0, 24, 1]) * 48 / 45 for ramp in ramps])  # borders are rounded off
    heights = torch.stack([(ramp[1, -2, 24] - ramp[1, 1, 24]) * 48 / 45 for ramp in ramps])
    assert bool((heights > 0).all())
    assert 60 < int((widths > 0).sum()) < 140
    shares, aspects = widths.abs() * heights / (200 * 160), widths.abs() / heights
    assert 0.29 < float(shares.min()) < 0.33
    assert 0.47 < float(shares.max()) < 0.51
    assert 0.73 < float(aspects.min()) < 0.8
    assert 1.25 < float(aspects.max()) < 1.36


def test_a_part_is_averaged_where_it_is_made_smaller():
    stripes = np.zeros((480, 480, 3), dtype=np.uint8)
    stripes[:, np.arange(480) // 2 % 2 == 0] = 255  # ten pixels become one, of which the middle two are of one stripe
    out = levels(resized_crop(IMAGENET, (1.0, 1.0), STILL)(Image.fromarray(stripes)))
    assert float((out - 127.5).abs().max()) < 10


@pytest.mark.parametrize(
    ("jitter", "changed"),
    [
        (STILL, set()),
        ((0.4, 0.0, 0.0, 0.0), {"mean", "contrast", "chroma"}),
        ((0.0, 0.4, 0.0, 0.0), {"contrast", "chroma"}),
        ((0.0, 0.0, 0.4, 0.0), {"chroma"}),
        ((0.0, 0.0, 0.0, 0.3), {"hue"}),
        ((0.1, 0.1, 0.1, 0.1), {"mean", "contrast", "chroma", "hue"}),
    ],
)
def test_jitter_changes_what_it_names(jitter: tuple[float, float, float, float], changed: set[str]):
    gray = np.full((48, 48, 3), 60, dtype=np.uint8)
    gray[:24] = 120
    color = np.full((48, 48, 3), (150, 100, 50), dtype=np.uint8)
    transform = resized_crop(IMAGENET, (1.0, 1.0), jitter)
    torch.manual_seed(0)
    found = {"mean": [], "contrast": [], "chroma": [], "hue": []}
    for _ in range(40):
        shades, pixel = levels(transform(Image.fromarray(gray))), levels(transform(Image.fromarray(color)))[:, 0, 0]
        found["mean"].append(float(shades.mean()))
        found["contrast"].append(float(shades.max() - shades.min()))
        found["chroma"].append(float(pixel.max() - pixel.min()))
        found["hue"].append(float((pixel[1] - pixel.min()) / (pixel.max() - pixel.min())) * 60)  # where red is most
    assert {name for name, values in found.items() if max(values) - min(values) > 3} == changed


def test_an_image_is_augmented_as_its_seed_says():
    pixels = np.random.default_rng(0).integers(0, 256, (60, 70, 3), dtype=np.uint8)
    dataset = Augmented([(Image.fromarray(pixels), 0)], resized_crop(IMAGENET, (0.3, 1.0), (0.4, 0.4, 0.4, 0.2)))
    seen = []
    for seed in (1, 2, 1, 2):
        torch.manual_seed(len(seen))
        seen.append(dataset[0, seed][0])
    assert torch.equal(seen[0], seen[2])
    assert torch.equal(seen[1], seen[3])
    assert not torch.equal(seen[0], seen[1])


def test_settings_choose_the_transform():
    jitter, scale = (0.4, 0.4, 0.4, 0.2), (0.3, 0.6)
    served = {"root": "images", "batch_size": 2, "workers": 0}
    large = ImageNet(kind="imagenet", held_out=1, crop_scale=scale, color_jitter=jitter, **served)
    small = Folder(kind="folder", train_portion=0.5, cutout=9, **served)
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 70, 3), dtype=np.uint8))
    for settings, expected in ((large, resized_crop(IMAGENET, scale, jitter)), (small, padded_crop(IMAGENET, 9))):
        outs = []
        for transform in (training_transform(IMAGENET, settings), expected):
            torch.manual_seed(3)
            outs.append(transform(image))
        assert torch.equal(*outs)


SERVED = {"batch_size": 2, "workers": 0}
CIFAR = {"kind": "cifar10", "root": "images", "train_portion": 1, "cutout": 0, **SERVED}


def augmenting(policy: str) -> list[tuple[Source, Digits | Cifar10 | Folder | ImageNet]]:
    """A source and settings of every kind of crop, gray images and enlarged ones among them."""
    portioned = {"train_portion": 1, "cutout": 0, "auto_augment": policy, **SERVED}
    return [
        (KINDS["digits"], Digits(kind="digits", **portioned)),
        (KINDS["cifar"], Cifar10(**{**CIFAR, "auto_augment": policy})),
        (KINDS["folder"], Folder(kind="folder", root="images", image_size=16, **portioned)),
        (IMAGENET, ImageNet(kind="imagenet", root="images", image_size=48, auto_augment=policy, **SERVED)),
        (IMAGENET, Cifar10(**{**CIFAR, "auto_augment": policy, "image_size": 48})),
    ]


def noise(source: Source, settings: object, size: int) -> Image.Image | torch.Tensor:
    """An image of noise as the source holds it: PIL's, or a tensor where it is kept in memory."""
    pixels = np.random.default_rng(0).integers(0, 256, (size, size, len(source.mean)), dtype=np.uint8)
    if isinstance(settings, Digits | Cifar10):
        return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
    return Image.fromarray(pixels)


def seeded(transform: torch.nn.Module, image: Image.Image | torch.Tensor, seed: int) -> torch.Tensor:
    torch.manual_seed(seed)
    return transform(image)


@pytest.mark.parametrize("policy", ["cifar10", "imagenet"])
@pytest.mark.parametrize("number", range(5))
def test_auto_augment_changes_images_and_nothing_of_their_form(policy: str, number: int):
    (source, settings), (_, plain) = augmenting(policy)[number], augmenting("none")[number]
    image = noise(source, settings, source.image if source.image < 48 else 40)
    outs = [[seeded(training_transform(source, own), image, seed) for own in (settings, plain)] for seed in range(24)]
    for augmented, still in outs:
        assert type(augmented) is torch.Tensor
        assert augmented.dtype == torch.float32
        assert augmented.shape == still.shape == (len(source.mean), source.image, source.image)
        values = augmented.flatten(1).T * torch.tensor(source.std) + torch.tensor(source.mean)
        assert -1e-5 < float(values.min()) <= float(values.max()) < 1 + 1e-5
    changed = sum(not torch.equal(*pair) for pair in outs)
    assert changed > 8  # a policy leaves some as they are, by chance


@pytest.mark.parametrize("number", range(5))
def test_an_image_is_auto_augmented_as_its_seed_says(number: int):
    source, settings = augmenting("imagenet")[number]
    image = noise(source, settings, source.image if source.image < 48 else 40)
    dataset = Augmented([(image, 0)], training_transform(source, settings))
    outs = []
    for seed in (*range(8), *range(8)):
        torch.manual_seed(len(outs))
        outs.append(dataset[0, seed][0])
    assert all(torch.equal(one, other) for one, other in zip(outs[:8], outs[8:], strict=True))
    assert any(not torch.equal(outs[0], other) for other in outs[1:8])


@pytest.mark.parametrize("policy", ["cifar10", "imagenet"])
def test_where_auto_augment_moves_an_image_there_is_gray(policy: str):
    """A white image has more than one shade where a corner was moved in, which is 128."""
    (augment,) = AUTO_AUGMENT[policy]
    image = Image.fromarray(np.full((32, 32, 3), 255, dtype=np.uint8))
    torch.manual_seed(0)
    mixed = [values for _ in range(200) if len(values := set(np.asarray(augment(image)).flatten().tolist())) > 1]
    assert len(mixed) > 20
    assert sum(128 in values for values in mixed) > len(mixed) / 2  # contrast or brightness may have come behind it


def test_nothing_is_judged_augmented():
    for (source, settings), (_, plain) in zip(augmenting("imagenet"), augmenting("none"), strict=True):
        image = noise(source, settings, 40)
        outs = [seeded(evaluation_transform(source, own), image, seed) for own in (settings, plain) for seed in (0, 1)]
        assert all(torch.equal(outs[0], other) for other in outs[1:])


def test_cutout_comes_last():
    """Nothing changes what it blanked."""
    source = KINDS["cifar"]
    settings = Cifar10(**{**CIFAR, "auto_augment": "cifar10", "cutout": 40})
    image = noise(source, settings, 32)
    assert all(
        float(seeded(training_transform(source, settings), image, seed)[:, 9:23, 9:23].abs().sum()) == 0
        for seed in range(9)
    )


def test_enlarged_cifar_is_cropped_as_inception_crops():
    settings = Cifar10(**{**CIFAR, "image_size": 48})
    image = noise(IMAGENET, settings, 32)
    expected = resized_crop(IMAGENET, (0.08, 1.0), STILL)
    for seed in range(4):
        assert torch.equal(*(seeded(own, image, seed) for own in (training_transform(IMAGENET, settings), expected)))
    assert torch.equal(
        *(
            seeded(own, image, 3)
            for own in (training_transform(KINDS["cifar"], Cifar10(**CIFAR)), padded_crop(KINDS["cifar"], 0))
        )
    )
