"""Images as they are: served once each, from files or from memory, and what a network is judged by."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import TensorDataset
from torchvision.transforms.v2.functional import normalize, resize, to_dtype

from fairdarts.config import UserError
from fairdarts.data.images import read_image
from fairdarts.data.loader import ADVICE
from fairdarts.data.serve import evaluation_batches, kept_in_memory, server
from fairdarts.data.settings import Cifar10, Digits, Folder, ImageNet
from fairdarts.data.sources import CIFAR10_STATISTICS, IMAGENET_STATISTICS, Source, in_memory, open_source
from fairdarts.data.split import fingerprint, halves
from fairdarts.data.transforms import evaluation_transform, training_transform
from fairdarts.runtime.device import LAYOUTS

SERVED = {"batch_size": 4, "workers": 0}
PORTIONED = {**SERVED, "train_portion": 0.5, "cutout": 0}
CPU = torch.device("cpu")
LAST = torch.channels_last


def folder(root: Path, memory: bool = False, size: int = 16) -> Folder:
    return Folder(kind="folder", root=str(root), image_size=size, in_memory=memory, **PORTIONED)


def write(root: Path, sizes: list[tuple[int, int]]) -> Path:
    """Class folders a and b, each with an image of noise of every (width, height)."""
    random = np.random.default_rng(0)
    for label in "ab":
        (root / label).mkdir(parents=True)
        for number, (width, height) in enumerate(sizes):
            pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / label / f"{number}.png")
    return root


def served(settings: Folder | Digits | ImageNet, indices: list[int]) -> tuple[list[int], Tensor, Tensor]:
    """Sizes of the batches, and all images and labels."""
    batches = list(evaluation_batches(open_source(settings), settings, indices, CPU, LAST))
    images, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    return [len(labels) for _, labels in batches], images, labels


@pytest.mark.parametrize(
    ("size", "sizes"), [(16, [(16, 16)] * 3), (12, [(16, 16), (24, 24), (12, 12)]), (16, [(5, 5), (16, 16), (40, 40)])]
)
def test_square_images_are_the_same_from_memory(tmp_path: Path, size: int, sizes: list[tuple[int, int]]):
    root, order = write(tmp_path, sizes), [5, 0, 3, 1, 4, 2]
    for one, other in zip(*(served(folder(root, memory, size), order) for memory in (False, True)), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_images_of_a_source_s_size_are_kept_pixel_by_pixel(tmp_path: Path):
    source = open_source(folder(write(tmp_path, [(16, 16)] * 2), memory=True))
    assert isinstance(source.dataset, TensorDataset)
    images, labels = source.dataset.tensors
    assert images.dtype == torch.uint8
    assert images.is_contiguous(memory_format=torch.channels_last)
    for own, path in zip(images, sorted(tmp_path.glob("*/*.png")), strict=True):
        assert np.array_equal(own.permute(1, 2, 0), np.asarray(Image.open(path)))
    assert labels.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(("width", "height"), [(16, 24), (24, 16), (17, 16)])
def test_of_other_images_the_centre_is_kept(tmp_path: Path, width: int, height: int):
    root = write(tmp_path, [(width, height)])
    images = open_source(folder(root, memory=True)).dataset.tensors[0]
    for own, path in zip(images, sorted(root.glob("*/*.png")), strict=True):
        left, top = round((width - 16) / 2), round((height - 16) / 2)
        expected = Image.open(path).crop((left, top, left + 16, top + 16))
        assert np.array_equal(own.permute(1, 2, 0), np.asarray(expected))


def test_the_shorter_side_is_resized_first(tmp_path: Path):
    """Black, white, black, of which the middle square is the centre: none of the black is left."""
    for label in "ab":
        (tmp_path / label).mkdir()
        pixels = np.zeros((32, 96, 3), dtype=np.uint8)
        pixels[:, 30:66] = 255
        Image.fromarray(pixels).save(tmp_path / label / "0.png")
    images = open_source(folder(tmp_path, memory=True)).dataset.tensors[0]
    assert images.shape == (2, 3, 16, 16)
    assert bool((images == 255).all())


def test_in_memory_a_source_is_else_the_same(tmp_path: Path):
    root = write(tmp_path, [(16, 16), (20, 30), (16, 16)])
    files, memory = (open_source(folder(root, kept)) for kept in (False, True))
    assert fingerprint(files) == fingerprint(memory)
    assert files.listing in fingerprint(memory)
    assert files._replace(dataset=None) == memory._replace(dataset=None)
    assert halves(folder(root), files, 0) == halves(folder(root, True), memory, 0)
    assert [label for _, label in memory.dataset] == [label for _, label in files.dataset]


@pytest.mark.parametrize("content", [b"", b"not an image"])
def test_a_broken_file_is_named_when_images_are_read(tmp_path: Path, content: bytes):
    broken = write(tmp_path, [(16, 16)] * 3) / "b" / "1.png"
    broken.write_bytes(content)
    source = open_source(folder(tmp_path))  # whose images are not opened yet
    for read, advice in (
        (lambda: open_source(folder(tmp_path, memory=True)), "; mend or remove it"),
        (lambda: in_memory(source), ""),
        (lambda: list(evaluation_batches(source, folder(tmp_path), [0, 1, 4], CPU, LAST)), f"; {ADVICE}"),
    ):
        with pytest.raises(UserError) as error:
            read()
        assert str(error.value) == f"{broken}: cannot be decoded as an image{advice}"


def test_training_batches_come_from_memory(tmp_path: Path):
    """With other augmentation than files, but of the same images in the same order."""
    root = write(tmp_path, [(16, 16)] * 8)
    labels = []
    for memory in (False, True):
        settings = folder(root, memory)
        stream = server(open_source(settings), settings, CPU, LAST)(indices=list(range(16)), seed=3, start=5)
        labels.append([next(stream)[1].tolist() for _ in range(6)])
        stream.close()
    assert labels[0] == labels[1]


def test_every_index_is_served_once_in_order():
    settings = Digits(kind="digits", **PORTIONED)
    indices = [*range(20, 0, -2), 20]
    sizes, images, labels = served(settings, indices)
    source = open_source(settings)
    assert sizes == [4, 4, 3]
    for image, label, index in zip(images, labels, indices, strict=True):
        pixels, expected = source.dataset[index]
        torch.testing.assert_close(image, (pixels / 255 - source.mean[0]) / source.std[0])
        assert label == expected
    assert list(evaluation_batches(source, settings, [], CPU, LAST)) == []


@pytest.mark.parametrize("memory", [False, True])
def test_a_layout_changes_no_number(tmp_path: Path, memory: bool):
    settings = folder(write(tmp_path, [(16, 16)] * 8), memory)
    source, found = open_source(settings), []
    for layout in LAYOUTS.values():
        stream = server(source, settings, CPU, layout)(indices=list(range(16)), seed=3, start=0)
        found.append(
            [next(stream)[0], *(images for images, _ in evaluation_batches(source, settings, [1, 4, 9], CPU, layout))]
        )
        stream.close()
        assert all(images.is_contiguous(memory_format=layout) for images in found[-1])
    assert all(map(torch.equal, *found))


IMAGENET = Source(None, (), 224, *IMAGENET_STATISTICS)


def levels(image: Tensor) -> Tensor:
    """A normalized image's values from 0 to 255."""
    mean, std = (torch.tensor(values)[:, None, None] for values in IMAGENET_STATISTICS)
    return (image * std + mean) * 255


@pytest.mark.parametrize(("width", "height"), [(256, 256), (300, 256), (256, 400)])
def test_of_imagenet_s_images_the_shorter_side_becomes_256_and_the_centre_is_224(width: int, height: int):
    settings = ImageNet(kind="imagenet", root="images", **SERVED)
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    out = evaluation_transform(IMAGENET, settings)(Image.fromarray(pixels))
    assert out.dtype == torch.float32
    top, left = round((height - 224) / 2), round((width - 224) / 2)
    expected = torch.from_numpy(pixels[top : top + 224, left : left + 224]).permute(2, 0, 1).float()
    torch.testing.assert_close(levels(out), expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize(("size", "resized"), [(224, 256), (112, 128), (160, 182), (48, 54), (4, 4)])
def test_the_share_that_the_centre_has_is_the_same_at_other_sizes(size: int, resized: int):
    """Of an image twice as large as it becomes, whose columns are their numbers, the middle is seen."""
    settings = ImageNet(kind="imagenet", root="images", image_size=size, **SERVED)
    ramp = np.linspace(0, 255, 2 * resized).round().astype(np.uint8)
    picture = Image.fromarray(np.broadcast_to(ramp, (2 * resized, 2 * resized)).copy()).convert("RGB")
    out = levels(evaluation_transform(IMAGENET._replace(image=size), settings)(picture))
    assert out.shape == (3, size, size)
    margin = (resized - size) / 2
    seen = [(margin + 0.5) * 2 * 255 / (2 * resized), (margin + size - 0.5) * 2 * 255 / (2 * resized)]
    slack = 255 / resized  # of half a pixel on either side, and rounding
    assert [float(out[0, 0, 0]), float(out[0, 0, -1])] == pytest.approx(seen, abs=slack + 1)


@pytest.mark.parametrize(("width", "height"), [(16, 16), (32, 16), (20, 32), (7, 9)])
def test_training_and_judging_see_things_in_one_shape(width: int, height: int):
    """A disc at the centre is round for both, whatever the image around it, and is the whole of what is judged."""
    rows, columns = np.indices((height, width))
    side = min(width, height)
    disc = np.hypot(rows - (height - 1) / 2, columns - (width - 1) / 2) < side / 4
    picture = Image.fromarray(np.where(disc, 255, 0).astype(np.uint8)).convert("RGB")
    source, settings = IMAGENET._replace(image=16, flip=False), folder(Path("images"))
    judged = levels(evaluation_transform(source, settings)(picture))[0]
    assert judged.shape == (16, 16)
    spans = [float(judged.amax(axis).sum()) / 255 for axis in (0, 1)]  # how wide and how high it is seen
    assert spans == pytest.approx([8, 8], abs=2.5)
    assert spans[0] == pytest.approx(spans[1], abs=1.5)
    torch.manual_seed(0)
    crop = training_transform(source, settings)
    assert any(torch.equal(judged, levels(crop(picture))[0]) for _ in range(600))  # one of the squares is the centre


def test_square_images_of_files_are_squashed_by_pil():
    """A level of 255 at most beside torch's own kernel, in a few pixels."""
    source, settings = IMAGENET._replace(image=16), folder(Path("images"))
    for side in (16, 9, 40):
        pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
        seen = evaluation_transform(source, settings)(Image.fromarray(pixels))
        small = torch.from_numpy(np.array(Image.fromarray(pixels).resize((16, 16), Image.BILINEAR))).permute(2, 0, 1)
        assert torch.equal(seen, normalize(to_dtype(small, torch.float32, scale=True), *IMAGENET_STATISTICS))
        squashed = resize(torch.from_numpy(pixels).permute(2, 0, 1), [16, 16], antialias=True)
        assert (small.int() - squashed.int()).abs().max() <= 1
        assert (small != squashed).float().mean() < 0.05


def small_cifar(size: int = 32, count: int = 12, policy: str = "none", workers: int = 0) -> tuple[Source, Cifar10]:
    """CIFAR-10 with so few images, of noise, and its settings."""
    told = {"kind": "cifar10", "root": "images", "image_size": size, "auto_augment": policy, **PORTIONED}
    pixels = torch.randint(256, (count, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    statistics = IMAGENET_STATISTICS if size > 32 else CIFAR10_STATISTICS
    images = TensorDataset(pixels.contiguous(memory_format=torch.channels_last), torch.arange(count) % 10)
    return Source(images, tuple("0123456789"), size, *statistics), Cifar10(**{**told, "workers": workers})


@pytest.mark.parametrize(("size", "policy", "kept"), [(32, "none", True), (32, "cifar10", False), (48, "none", False)])
def test_what_is_augmented_image_by_image_is_not_served_from_memory(size: int, policy: str, kept: bool):
    source, settings = small_cifar(size, policy=policy)
    assert kept_in_memory(source, settings) is kept
    assert server(source, settings, CPU, LAST).func.__name__ == ("kept_batches" if kept else "batches")


@pytest.mark.parametrize(("size", "policy"), [(32, "none"), (32, "cifar10"), (48, "none"), (48, "imagenet")])
def test_training_batches_are_those_of_their_seed_and_number(size: int, policy: str):
    """Whatever the augmentation: the same again, also from a later batch on, and others under another seed."""
    source, settings = small_cifar(size, policy=policy)

    def some(seed: int, start: int, count: int) -> list[Tensor]:
        stream = server(source, settings, CPU, LAST)(indices=list(range(12)), seed=seed, start=start)
        found = [next(stream)[0] for _ in range(count)]
        stream.close()
        return found

    first, again, later, other = some(1, 0, 5), some(1, 0, 5), some(1, 3, 2), some(2, 0, 1)
    assert first[0].shape == (4, 3, size, size)
    assert all(map(torch.equal, first, again))
    assert all(map(torch.equal, first[3:], later))
    assert not torch.equal(first[0], other[0])


def test_auto_augment_and_memory_serve_the_same_images_in_the_same_order():
    labels = []
    for policy in ("none", "cifar10"):
        source, settings = small_cifar(policy=policy)
        stream = server(source, settings, CPU, LAST)(indices=list(range(12)), seed=3, start=1)
        labels.append([next(stream)[1].tolist() for _ in range(5)])
        stream.close()
    assert labels[0] == labels[1]


def test_enlarged_cifar_is_judged_at_its_centre():
    """Resized to 256, of which the middle 224 are seen, with ImageNet's statistics."""
    source, settings = small_cifar(224, count=2)
    ((images, _),) = evaluation_batches(source, settings, [0, 1], CPU, LAST)
    assert images.shape == (2, 3, 224, 224)
    whole = resize(source.dataset.tensors[0], [256, 256], antialias=True)
    for own, expected in zip(images, whole[:, :, 16:240, 16:240], strict=True):
        torch.testing.assert_close(levels(own), expected.float(), rtol=0, atol=1e-3)


@pytest.mark.parametrize("size", [32, 48])
def test_images_in_memory_are_judged_a_batch_at_a_time_as_one_by_one(size: int):
    source, settings = small_cifar(size)
    transform, order = evaluation_transform(source, settings), [7, 3, 11, 0, 5, 2]
    batches = list(evaluation_batches(source, settings, order, CPU, LAST))
    assert [len(labels) for _, labels in batches] == [4, 2]
    assert all(images.is_contiguous(memory_format=torch.channels_last) for images, _ in batches)
    expected = torch.stack([transform(source.dataset[index][0]) for index in order])
    torch.testing.assert_close(torch.cat([images for images, _ in batches]), expected, rtol=0, atol=0)


def wrong(images: Tensor, labels: Tensor, size: int = 32) -> str:
    """What is said of a source of these tensors, whether they train or judge."""
    source, settings = small_cifar()
    source = source._replace(dataset=TensorDataset(images, labels), image=size)
    with pytest.raises(UserError) as trained:
        next(server(source, settings, CPU, LAST)(indices=list(range(8)), seed=0, start=0))
    said = str(trained.value)
    assert "\n" not in said
    if "the source's image" not in said:
        with pytest.raises(UserError) as judged:
            list(evaluation_batches(source, settings, [0, 1], CPU, LAST))
        assert str(judged.value) == said
    return said


PIXELS, LABELS = torch.zeros(12, 3, 32, 32, dtype=torch.uint8), torch.arange(12) % 10


@pytest.mark.parametrize(
    ("images", "labels", "said"),
    [
        (torch.rand(12, 3, 32, 32), LABELS, "images: float32 from "),
        (PIXELS.long(), LABELS, "images: int64 from 0 to 0; should be uint8 from 0 to 255"),
        (PIXELS[:, :1], LABELS, "images: of shape [12, 1, 32, 32]; should be [C, H, W] with C = 3"),
        (PIXELS.permute(0, 2, 3, 1), LABELS, "images: of shape [12, 32, 32, 3]; should be [C, H, W] with C = 3"),
        (PIXELS[:, 0], LABELS, "images: 2 tensors, the first of 3 dimensions; should be [N, C, H, W], [N]"),
        (PIXELS[..., :24], LABELS, "images: of 32×24 pixels (height × width); should be 32×32, the source's image"),
        (PIXELS, LABELS.float(), "labels: float32 of 1 dimensions; should be int64 [N], numbers of classes"),
        (PIXELS, LABELS[:, None], "labels: int64 of 2 dimensions; should be int64 [N], numbers of classes"),
        (PIXELS, LABELS + 1, "labels: from 1 to 10; should be from 0 to 9, of 10 classes"),
        (PIXELS, LABELS - 1, "labels: from -1 to 8; should be from 0 to 9, of 10 classes"),
    ],
)  # fmt: skip
def test_tensors_of_another_form_are_refused(images: Tensor, labels: Tensor, said: str):
    assert wrong(images, labels).startswith(said)


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(
    ("image", "said"),
    [
        (torch.ones(3, 32, 32), "images: float32 from "),
        (torch.zeros(1, 32, 32, dtype=torch.uint8), "images: of shape [1, 32, 32]; should be [C, H, W] with C = 3"),
        (Image.new("L", (32, 32)), "images: of shape [1, 32, 32]; should be [C, H, W] with C = 3"),
    ],
)
def test_a_data_set_s_images_are_uint8_of_the_means_channels(image: Tensor | Image.Image, said: str, workers: int):
    """One channel would be normalized into three without a word."""
    source, settings = small_cifar(workers=workers)
    source = source._replace(dataset=[(image, 0)] * 12)
    with pytest.raises(UserError) as error:
        next(server(source, settings, CPU, LAST)(indices=list(range(8)), seed=0, start=0))
    assert str(error.value).startswith(said)
    with pytest.raises(UserError) as error:
        list(evaluation_batches(source, settings, [0, 1], CPU, LAST))
    assert str(error.value).startswith(said)


@pytest.mark.parametrize(("width", "height"), [(32, 32), (128, 32), (48, 90), (20, 24)])
@pytest.mark.parametrize("how", [1, 6])
def test_the_code_in_the_docs_shows_a_network_what_judges_it(tmp_path: Path, width: int, height: int, how: int):
    """That of docs/train.md, which prepares images without this package."""
    text = (Path(__file__).parents[2] / "docs" / "train.md").read_text(encoding="utf-8")
    code = [line.strip() for line in text.splitlines() if line.startswith("    image = ")]
    columns, rows = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    pixels = np.stack([columns, rows, 255 - columns], -1).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = how
    Image.fromarray(pixels).save(path := tmp_path / "a.png", exif=exif)
    mean, std = (list(values) for values in IMAGENET_STATISTICS)
    known = {"np": np, "Image": Image, "ImageOps": ImageOps, "path": path, "facts": {"mean": mean, "std": std}}
    exec("\n".join(code), known)
    judged = evaluation_transform(IMAGENET._replace(image=32), folder(Path("images")))(read_image(path))
    shown = levels(torch.from_numpy(known["image"]).permute(2, 0, 1))
    assert float((shown - levels(judged)).abs().max()) < (0.01 if width == height else 6)
