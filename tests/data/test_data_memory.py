"""Batches from memory: the distribution of the torchvision transforms, and the order of the other loader."""

import pickle
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.data import TensorDataset
from torchvision import datasets
from torchvision.transforms.v2 import functional as F

from fairdarts.checking import check
from fairdarts.data.loader import EndlessBatches
from fairdarts.data.memory import batch_transform, kept_batches, mixed_radix, on_device
from fairdarts.data.settings import Cifar10, Cifar100, Digits
from fairdarts.data.sources import CIFAR10_STATISTICS, Source, open_source
from fairdarts.data.transforms import padded_crop
from fairdarts.differentiable.loop import search
from fairdarts.differentiable.settings import SearchSettings
from fairdarts.reading import read_yaml
from fairdarts.runtime import checkpoint
from fairdarts.runtime.run import RunDirectory, create, open_run
from fairdarts.runtime.shape import ImageSize, Size, sides, size_of
from fairdarts.runtime.stop import Interrupted, Stop
from fairdarts.spaces.space import load_space

CPU = torch.device("cpu")
SERVED = {"batch_size": 2, "train_portion": 0.5, "cutout": 0, "workers": 0}
MEAN, STD = (100.5 / 255, 60.5 / 255, 30.5 / 255), (0.25, 0.2, 0.3)  # no pixel's value is the mean, as cutout's is


def source_of(size: Size, flip: bool = True, channels: int = 3, images: Tensor | None = None) -> Source:
    labels = torch.arange(0 if images is None else len(images))
    dataset = None if images is None else TensorDataset(images, labels)
    return Source(dataset, (), size, MEAN[:channels], STD[:channels], flip)


def random_images(count: int, channels: int, size: Size, seed: int = 0) -> Tensor:
    shape = (count, channels, *sides(size))
    return torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def doubled(images: Tensor, source: Source) -> list[bytes]:
    """Of every image the doubled pixel values, as bytes: even ones of the image and its padding, odd ones of cutout."""
    mean, std = (torch.tensor(value)[:, None, None] for value in (source.mean, source.std))
    values = (images * std + mean) * 255 * 2
    assert (values - values.round()).abs().max() < 1e-3
    return [value.numpy().tobytes() for value in values.round().short().contiguous()]


def radices_of(source: Source, cutout: int) -> tuple[int, ...]:
    height, width = sides(source.image)
    return (2 * (height // 8) + 1, 2 * (width // 8) + 1, 1 + source.flip, *((height, width) if cutout else ()))


def assert_uniform(outcomes: list[int], radices: tuple[int, ...]) -> None:
    """Outcomes, and each of the digits they are made of, come equally often: χ² is near its mean, the freedom."""
    numbers = torch.tensor(outcomes)
    cells = [(numbers, int(np.prod(radices))), *zip(mixed_radix(numbers, radices), radices, strict=True)]
    for digits, count in cells:
        expected = len(outcomes) / count
        chi_square = float(((digits.bincount(minlength=count) - expected) ** 2 / expected).sum())
        assert abs(chi_square - (count - 1)) <= 5 * (2 * (count - 1)) ** 0.5, (count, chi_square)


@pytest.mark.parametrize(
    ("size", "flip", "cutout", "channels", "draws"),
    [(8, True, 4, 3, 12000), (8, False, 3, 1, 6000), (8, True, 0, 3, 900), (ImageSize(8, 16), True, 0, 1, 1500)],
)
def test_the_distribution_is_that_of_the_transforms(size: Size, flip: bool, cutout: int, channels: int, draws: int):
    image = random_images(1, channels, size)
    source = source_of(size, flip, channels, image.expand(64, -1, -1, -1))
    radices = radices_of(source, cutout)
    count = int(np.prod(radices))  # crops × flips × centres of cutout

    every = batch_transform(source, cutout, CPU)(
        image.permute(0, 2, 3, 1).expand(count, -1, -1, -1), torch.arange(count)
    )
    number_of = {key: number for number, key in enumerate(doubled(every, source))}
    assert len(number_of) == count

    torch.manual_seed(0)
    one_by_one = padded_crop(source, cutout)
    transformed = doubled(torch.stack([one_by_one(image[0]) for _ in range(draws)]), source)
    assert set(transformed) == set(number_of)
    assert_uniform([number_of[key] for key in transformed], radices)

    stream = kept_batches(on_device(source, CPU), cutout, list(range(64)), 64, 5, 0)
    served = [key for images, _ in islice(stream, draws // 64) for key in doubled(images, source)]
    assert_uniform([number_of[key] for key in served], radices)


@given(
    st.builds(size_of, st.integers(8, 19), st.integers(8, 19)),
    st.sampled_from([1, 3]),
    st.booleans(),
    st.integers(0, 24),
    st.lists(st.integers(0, 2**62 - 1), min_size=1, max_size=5),
)
def test_each_image_of_a_batch_is_what_the_digits_of_its_seed_say(
    size: Size, channels: int, flip: bool, cutout: int, seeds: list[int]
):
    source = source_of(size, flip, channels)
    images = random_images(len(seeds), channels, size)
    out = batch_transform(source, cutout, CPU)(images.permute(0, 2, 3, 1).contiguous(), torch.tensor(seeds).long())
    assert out.shape == images.shape
    for image, seed, found in zip(images, seeds, out, strict=True):
        rest, digits = seed, []
        for radix in radices_of(source, 1):
            rest, digit = divmod(rest, radix)
            digits.append(digit)
        top, left, mirrored, y, x = digits
        height, width = sides(size)
        expected = F.crop(F.pad(image, [width // 8, height // 8]), top, left, height, width)
        expected = F.horizontal_flip(expected) if mirrored else expected
        expected = F.normalize(F.to_dtype(expected, torch.float32, scale=True), source.mean, source.std)
        up, before = y - cutout // 2, x - cutout // 2
        expected[:, max(0, up) : max(0, up + cutout), max(0, before) : max(0, before + cutout)] = 0
        torch.testing.assert_close(found, expected, atol=2e-6, rtol=0)


def test_normalization_is_that_of_the_source():
    source = Source(None, (), 32, *CIFAR10_STATISTICS, flip=False)
    for value in (0, 77, 255):
        out = batch_transform(source, 0, CPU)(
            torch.full((2, 32, 32, 3), value, dtype=torch.uint8), torch.tensor([3, 8])
        )
        for channel, mean, std in zip(out[..., 4:-4, 4:-4].unbind(1), *CIFAR10_STATISTICS, strict=True):
            torch.testing.assert_close(channel, torch.full_like(channel, (value / 255 - mean) / std))


def numbered(count: int) -> Source:
    """Image i is full of the number i, and so is its label; the crop of 12 from 14 pixels never hides it."""
    numbers = torch.arange(count, dtype=torch.uint8)[:, None, None, None]
    return on_device(source_of(12, images=numbers.expand(-1, 3, 12, 12)), CPU)


@st.composite
def passes(draw: st.DrawFn) -> tuple[list[int], int, int]:
    """Indices, batch size, seed."""
    size = draw(st.integers(1, 40))
    return draw(st.permutations(range(60)))[:size], draw(st.integers(1, size)), draw(st.integers(0, 2**40))


@given(passes())
def test_batches_have_the_order_of_the_other_loader(given: tuple[list[int], int, int]):
    indices, batch_size, seed = given
    per_pass = len(indices) // batch_size
    stream = kept_batches(numbered(60), 0, indices, batch_size, seed, 0)
    served = [labels.tolist() for _, labels in islice(stream, 3 * per_pass)]
    expected = islice(EndlessBatches(indices, batch_size, seed), 3 * per_pass)
    assert served == [[index for index, _ in batch] for batch in expected]
    once = [label for batch in served[:per_pass] for label in batch]
    assert len(set(once)) == len(once) == per_pass * batch_size
    assert set(once) <= set(indices)


@given(passes(), st.integers(0, 50))
def test_a_start_at_n_is_what_follows_n_batches(given: tuple[list[int], int, int], start: int):
    indices, batch_size, seed = given
    source = on_device(source_of(8, images=random_images(60, 3, 8)), CPU)
    skipped = islice(kept_batches(source, 3, indices, batch_size, seed, 0), start, start + 3)
    for one, other in zip(skipped, kept_batches(source, 3, indices, batch_size, seed, start), strict=False):
        assert torch.equal(one[0], other[0])
        assert torch.equal(one[1], other[1])


@pytest.mark.parametrize("start", [0, 2, 5])  # three batches make a pass
@pytest.mark.parametrize("of", [2, 6])
def test_the_shards_of_a_batch_are_the_whole_batch(of: int, start: int):
    source = on_device(source_of(8, images=random_images(20, 3, 8)), CPU)

    def served(shard: tuple[int, int]) -> list[tuple[Tensor, Tensor]]:
        return list(islice(kept_batches(source, 3, list(range(1, 20)), 6, 4, start, shard), 4))

    for whole, *shards in zip(served((0, 1)), *(served((number, of)) for number in range(of)), strict=True):
        assert all(len(images) == len(labels) == 6 // of for images, labels in shards)
        for tensor, pieces in zip(whole, zip(*shards, strict=True), strict=True):
            assert torch.equal(torch.cat(pieces), tensor)


def test_batches_are_in_channels_last_each_label_with_its_image():
    source = numbered(60)
    for images, labels in islice(kept_batches(source, 0, list(range(60)), 7, 1, 0), 20):
        assert images.shape == (7, 3, 12, 12)
        assert images.dtype == torch.float32
        assert images.is_contiguous(memory_format=torch.channels_last)
        assert labels.dtype == torch.int64
        inner = images[..., 2:-2, 2:-2] * torch.tensor(STD)[:, None, None] + torch.tensor(MEAN)[:, None, None]
        assert torch.equal((inner * 255).round(), labels[:, None, None, None].expand_as(inner).float())


def test_an_image_is_augmented_anew_in_every_pass_and_by_every_seed():
    source = on_device(source_of(32, images=random_images(1, 3, 32)), CPU)
    kinds = {
        key
        for seed in range(4)
        for images, _ in islice(kept_batches(source, 16, [0], 1, seed, 0), 8)
        for key in doubled(images, source)
    }
    assert len(kinds) == 32


def test_the_global_generator_neither_decides_nor_moves():
    source = numbered(20)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = next(kept_batches(source, 4, list(range(20)), 8, 0, 0))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(next(kept_batches(source, 4, list(range(20)), 8, 0, 0))[0], one[0])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_serves_the_same_without_the_host_waiting():
    images, device = random_images(60, 3, 32), torch.device("cuda")
    streams = [
        kept_batches(on_device(source_of(32, images=images), place), 8, list(range(60)), 16, 0, 0)
        for place in (CPU, device)
    ]
    expected = list(islice(streams[0], 8))
    found = [next(streams[1])]
    torch.cuda.set_sync_debug_mode("error")
    found += islice(streams[1], 7)
    torch.cuda.set_sync_debug_mode("default")
    for (own_images, own_labels), (cpu_images, cpu_labels) in zip(found, expected, strict=True):
        assert own_images.device.type == own_labels.device.type == "cuda"
        assert own_images.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(own_images.cpu(), cpu_images)
        assert torch.equal(own_labels.cpu(), cpu_labels)


def test_digits_are_served_unmirrored():
    digits = open_source(Digits(kind="digits", **SERVED))
    halves = torch.zeros(64, 1, 8, 8, dtype=torch.uint8)
    halves[..., :4] = 255
    for flip, expected in ((digits.flip, {True}), (True, {True, False})):
        source = digits._replace(dataset=TensorDataset(halves, torch.zeros(64).long()), flip=flip)
        images, _ = next(kept_batches(on_device(source, CPU), 0, list(range(64)), 64, 0, 0))
        assert {bool(image[..., :4].mean() > image[..., 4:].mean()) for image in images} == expected


@pytest.mark.parametrize(("kind", "settings"), [(datasets.CIFAR10, Cifar10), (datasets.CIFAR100, Cifar100)])
def test_cifar_is_one_tensor_of_torchvision_s_images(tmp_path: Path, monkeypatch, kind, settings):
    folder = tmp_path / kind.base_folder
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, _ in kind.train_list:
        fine = [int(label) for label in rng.integers(0, 10, 4)]
        entry = {"data": rng.integers(0, 256, (4, 3072), dtype=np.uint8), "labels": fine}
        (folder / name).write_bytes(pickle.dumps(entry))
    (folder / kind.meta["filename"]).write_bytes(pickle.dumps({kind.meta["key"]: [*"abcdefghij"]}))
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)

    source = open_source(settings(kind=kind.__name__.lower(), root=str(tmp_path), **SERVED))
    expected = kind(str(tmp_path))
    images, labels = source.dataset.tensors
    assert images.dtype == torch.uint8
    assert labels.tolist() == expected.targets
    assert source.classes == tuple("abcdefghij")
    for image, (picture, _) in zip(images, expected, strict=True):
        assert torch.equal(image, F.pil_to_tensor(picture))
    assert on_device(source, CPU).dataset.tensors[0].data_ptr() == images.data_ptr()  # held once


class StopAfter:
    """Asks for a stop after a step, counted from 1 over the whole search."""

    def __init__(self, step: int):
        self.stop, self.at = Stop(), step

    def step(self, epoch: int, step: int, steps: int, sums: Tensor, alphas: dict) -> None:
        if (epoch - 1) * steps + step == self.at:
            self.stop.signal = 15

    def epoch(self, record: dict) -> None:
        pass


def test_a_search_on_digits_goes_on_to_the_same_bits(tiny_recipe: Path):
    overrides = {"data.kind": "digits", "data.batch_size": "64", "data.train_portion": "0.2", "epochs": "2"}
    settings = check(SearchSettings, read_yaml(tiny_recipe), tiny_recipe, overrides)
    space, source = load_space(settings.space), open_source(settings.data)
    whole, stopped = tiny_recipe.parent / "whole", tiny_recipe.parent / "stopped"
    never, early = StopAfter(0), StopAfter(8)  # five steps an epoch, and passes of held-out images three times as long
    search(settings, space, source, create(whole, settings, space), never, never.stop)
    with pytest.raises(Interrupted):
        search(settings, space, source, create(stopped, settings, space), early, early.stop)
    search(settings, space, source, open_run(stopped), never, never.stop, resume=True)
    one, other = (checkpoint.load(RunDirectory(path).last) for path in (whole, stopped))
    assert one["supernet"].keys() == other["supernet"].keys()
    for part in ("supernet", "alphas"):
        assert all(torch.equal(value, other[part][key]) for key, value in one[part].items())


@pytest.mark.parametrize("kind", ["digits", "fake"])
def test_a_search_takes_digits_from_memory_and_streams_the_rest(tiny_recipe: Path, monkeypatch, kind: str):
    taken = []
    for name in ("batches", "kept_batches"):
        monkeypatch.setattr(f"fairdarts.data.serve.{name}", lambda *_, name=name, **__: taken.append(name))
    settings = check(SearchSettings, read_yaml(tiny_recipe), tiny_recipe, {"data.kind": kind})
    space, source = load_space(settings.space), open_source(settings.data)
    with pytest.raises((TypeError, AttributeError)):  # there is nothing to search with
        search(settings, space, source, create(tiny_recipe.parent / "run", settings, space), StopAfter(0), Stop())
    assert taken == (["kept_batches"] if kind == "digits" else ["batches"]) * 3  # weights, α, curvature
