"""Training sets: what they hold, and what is said where they are missing or broken."""

import io
import os
import shutil
import warnings
from multiprocessing import active_children
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import datasets

from fairdarts.config import UserError
from fairdarts.data.judging import images_of_test_set
from fairdarts.data.loader import ADVICE, Augmented, batches
from fairdarts.data.settings import Cifar10, Cifar100, Digits, Fake, Folder, Given, ImageNet
from fairdarts.data.sources import CIFAR, IMAGENET_STATISTICS, Source, cifar, open_source
from fairdarts.data.transforms import padded_crop

SERVED = {"batch_size": 2, "train_portion": 0.5, "cutout": 0, "workers": 0}


def open_folder(root: Path) -> Source:
    return open_source(Folder(kind="folder", root=str(root), image_size=16, **SERVED))


def open_imagenet(root: Path) -> Source:
    settings = {"held_out": 1, "crop_scale": (0.5, 1.0), "color_jitter": (0.0, 0.0, 0.0, 0.0), "image_size": 16}
    return open_source(ImageNet(kind="imagenet", root=str(root), batch_size=2, workers=0, **settings))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes of three images, one of them grayscale; every pixel of image n of class c is 100 c + n."""
    for label, name in enumerate(("cat", "dog")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(3):
            pixels = np.full((20, 30, 3), 100 * label + number, dtype=np.uint8)
            image = Image.fromarray(pixels).convert("L" if number == 0 else "RGB")
            image.save(tmp_path / "photos" / name / f"{number}.png")
    return tmp_path / "photos"


def message(error: pytest.ExceptionInfo[UserError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


def test_digits_are_uint8_images_over_the_full_range():
    source = open_source(Digits(kind="digits", **SERVED))
    assert len(source.dataset) == 1797
    assert source.classes == tuple("0123456789")
    images = torch.stack([image for image, _ in source.dataset])
    assert images.shape == (1797, 1, 8, 8)
    assert images.dtype == torch.uint8
    assert (int(images.min()), int(images.max())) == (0, 255)
    labels = torch.stack([label for _, label in source.dataset])
    assert labels.bincount().tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]  # as its description says
    assert labels[:10].tolist() == list(range(10))
    assert source.image == 8
    assert (images / 255).mean().item() == pytest.approx(source.mean[0], abs=5e-4)
    assert (images / 255).std().item() == pytest.approx(source.std[0], abs=5e-4)


def test_fake_images_are_as_asked_for_and_always_the_same():
    source = open_source(Fake(kind="fake", images=30, image_size=12, classes=4, **SERVED))
    assert len(source.dataset) == 30
    assert len(source.classes) == 4
    assert {label for _, label in source.dataset} == {0, 1, 2, 3}
    assert source.dataset[7][0].size == (12, 12)
    assert np.array_equal(np.asarray(source.dataset[7][0]), np.asarray(source.dataset[7][0]))
    assert not np.array_equal(np.asarray(source.dataset[7][0]), np.asarray(source.dataset[8][0]))


@pytest.mark.parametrize("inside", [".", "train"])
def test_a_folder_of_classes_gives_rgb_images(photos: Path, tmp_path: Path, inside: str):
    root = tmp_path / "root" / inside
    root.parent.mkdir(exist_ok=True)
    photos.rename(root)
    source = open_folder(tmp_path / "root")
    assert source.classes == ("cat", "dog")
    assert source.image == 16
    assert len(source.mean) == 3
    found = [(image.mode, image.getpixel((0, 0)), label) for image, label in source.dataset]
    assert found == [("RGB", (100 * label + n,) * 3, label) for label in (0, 1) for n in range(3)]


def test_a_missing_folder_is_named(tmp_path: Path):
    with pytest.raises(UserError) as error:
        open_folder(tmp_path / "nowhere")
    assert message(error) == f"data.root: {tmp_path}/nowhere: no such folder"


def test_one_class_is_not_enough(photos: Path):
    (photos / "dog").rename(photos.parent / "dog")
    with pytest.raises(UserError) as error:
        open_folder(photos)
    assert message(error).startswith(f"data.root: {photos}: class folders (root/CLASS/IMAGE): 1, should be")


def test_an_empty_class_is_named(photos: Path):
    (photos / "bird").mkdir()
    with pytest.raises(UserError) as error:
        open_folder(photos)
    assert message(error) == f"data.root: {photos}/bird: no image in this class folder"
    (photos / "bird" / "notes.txt").write_text("no image")
    Image.new("RGB", (9, 9)).save(photos / "bird" / "moving.gif")
    with pytest.raises(UserError) as error:
        open_folder(photos)
    said = f"data.root: {photos}/bird: no image in this class folder (it has .gif, .txt; images end with .jpg, .jpeg"
    assert message(error).startswith(said)


@pytest.mark.parametrize("opened", [open_folder, open_imagenet])
@pytest.mark.parametrize("inside", [".", "train", "val"])
def test_hidden_folders_and_files_are_neither_classes_nor_images(photos: Path, tmp_path: Path, inside: str, opened):
    """As Jupyter, macOS, its archives and Synology leave them: with whole images in them, and with others."""
    root = tmp_path / ".cache" / "root"  # what stands above the data set may be hidden
    (root / inside).parent.mkdir(parents=True, exist_ok=True)
    if inside == "val":  # as a test set
        shutil.copytree(photos, root / "train")
    photos.rename(root / inside)
    plain = opened(root) if inside != "val" else None
    for name in (".ipynb_checkpoints", "__MACOSX", "cat/.ipynb_checkpoints", "dog/@eaDir/0.png"):
        (root / inside / name).mkdir(parents=True)
        Image.new("RGB", (20, 20)).save(root / inside / name / "0.png")
    (root / inside / "cat" / "._0.png").write_bytes(b"no image")
    (root / inside / "cat" / ".DS_Store").write_bytes(b"no image")
    source = opened(root)
    if inside == "val":
        settings = Folder(kind="folder", root=str(root), image_size=16, **SERVED)
        source = images_of_test_set(settings, source).source
    else:
        assert source.listing == plain.listing
    assert source.classes == ("cat", "dog")
    assert [Path(path).name for path, _ in source.dataset.samples] == ["0.png", "1.png", "2.png"] * 2


def test_a_class_of_hidden_files_alone_is_empty(photos: Path):
    (photos / "bird").mkdir()
    (photos / "bird" / "._0.png").write_bytes(b"no image")
    with pytest.raises(UserError) as error:
        open_folder(photos)
    assert message(error) == f"data.root: {photos}/bird: no image in this class folder"


@pytest.mark.parametrize("inside", [".", "train"])
def test_imagenet_s_images_may_lie_deeper_and_are_not_opened_to_be_found(tmp_path: Path, inside: str):
    for name in ("n01", "n02"):
        (tmp_path / inside / name / "images").mkdir(parents=True)
        for number in range(3):
            (tmp_path / inside / name / "images" / f"{number}.JPEG").symlink_to("nowhere")
        (tmp_path / inside / name / f"{name}_boxes.txt").write_text("not an image")
    source = open_imagenet(tmp_path)
    assert source.classes == ("n01", "n02")
    assert source.image == 16
    assert [label for _, label in source.dataset.samples] == [0, 0, 0, 1, 1, 1]
    with pytest.raises(UserError) as error:
        source.dataset[0]
    assert message(error) == f"{tmp_path / inside}/n01/images/0.JPEG: No such file or directory"


def test_imagenet_s_test_images_are_never_read(photos: Path, tmp_path: Path):
    root = tmp_path / "root"
    for part in ("val", "test"):
        for name in ("cat", "dog"):
            (root / part / name).mkdir(parents=True)
            (root / part / name / "0.png").write_bytes((photos / name / "0.png").read_bytes())
    with pytest.raises(UserError) as error:
        open_imagenet(root)
    assert message(error) == f"data.root: {root}/train: no such folder"
    (root / "train").mkdir()
    with pytest.raises(UserError) as error:
        open_imagenet(root)
    assert message(error).startswith(f"data.root: {root}/train: class folders (root/CLASS/IMAGE): 0, should be")
    (root / "train").rmdir()
    photos.rename(root / "train")
    source = open_imagenet(root)
    assert len(source.dataset) == 6
    assert all(Path(path).is_relative_to(root / "train") for path, _ in source.dataset.samples)


def encoded(image: Image.Image, form: str, **how: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **how)
    return file.getvalue()


def palette() -> Image.Image:
    image = Image.new("P", (20, 20), 1)
    image.putpalette([0, 0, 0, 200, 100, 50, 255, 255, 255])
    return image


CMYK = encoded(Image.new("CMYK", (20, 20), (55, 155, 205, 0)), "JPEG", quality=95)
BROKEN_EXIF = b"Exif\0\0II*\0\x08\0\0\0\x05\0\x1a\x01\x05\0\x01\0\0\0\xff\xff\0\0"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(encoded(Image.new("L", (20, 20), 77), "JPEG"), (77, 77, 77), id="gray JPEG"),
        pytest.param(CMYK, (200, 100, 50), id="Adobe's CMYK JPEG"),
        pytest.param(encoded(palette(), "PNG"), (200, 100, 50), id="palette"),
        pytest.param(encoded(palette(), "PNG", transparency=1), (200, 100, 50), id="transparent colour"),
        pytest.param(encoded(palette(), "PNG", transparency=b"\xff\x80"), (200, 100, 50), id="palette with alpha"),
        pytest.param(encoded(Image.new("RGBA", (20, 20), (200, 100, 50, 99)), "PNG"), (200, 100, 50), id="RGBA"),
        pytest.param(encoded(Image.new("LA", (20, 20), (77, 99)), "PNG"), (77, 77, 77), id="gray with alpha"),
        pytest.param(encoded(Image.new("1", (20, 20), 1), "PNG"), (255, 255, 255), id="bits"),
        *(
            pytest.param(encoded(Image.fromarray(np.full((20, 20), value, dtype=np.uint16)), form), (level,) * 3, id=id)
            for form in ("PNG", "TIFF", "PPM")
            for value, level, id in ((77 * 256 + 200, 77, f"16-bit {form}"), (65535, 255, f"white 16-bit {form}"))
        ),
        pytest.param(
            encoded(Image.new("RGB", (20, 20), (77, 77, 77)), "JPEG", exif=BROKEN_EXIF), (77, 77, 77), id="broken EXIF"
        ),
    ],
)
def test_every_kind_of_image_becomes_rgb_without_a_word(photos: Path, content: bytes, expected: tuple[int, int, int]):
    (photos / "cat" / "0.png").write_bytes(content)  # what a file is, its content says, as in ImageNet itself
    with warnings.catch_warnings(action="error"):
        image, _ = open_folder(photos).dataset[0]
    assert image.mode == "RGB"
    assert image.size == (20, 20)
    colors = np.asarray(image).reshape(-1, 3)
    assert np.abs(colors.astype(int) - expected).max() <= 2  # JPEG rounds


def test_the_cmyk_image_of_this_test_is_adobe_s_and_the_exif_data_is_broken():
    assert b"Adobe" in CMYK
    content = encoded(Image.new("RGB", (20, 20)), "JPEG", exif=BROKEN_EXIF)
    with pytest.warns(UserWarning, match="File Read"), Image.open(io.BytesIO(content)) as image:
        image.load()


def undecodable(path: Path) -> None:
    path.write_text("not an image")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


@pytest.mark.parametrize(("spoil", "workers"), [(undecodable, 0), (empty, 0), (truncated, 0), (truncated, 1)])
def test_an_image_that_cannot_be_read_is_named(photos: Path, spoil, workers: int):
    broken = photos / "dog" / "1.png"
    spoil(broken)
    source = open_folder(photos)
    dataset = Augmented(source.dataset, padded_crop(source, 0))
    stream = batches(dataset, list(range(6)), 6, 0, 0, workers, torch.device("cpu"))
    with pytest.raises(UserError) as error:
        next(stream)
    assert message(error) == f"{broken}: cannot be decoded as an image; {ADVICE}"
    assert not active_children()  # a worker left behind speaks of its death when the process ends


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_an_image_that_is_cut_anywhere_is_named(photos: Path, form: str):
    path = photos / "cat" / "0.png"
    pixels = np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    content = encoded(Image.fromarray(pixels), form)
    dataset = open_folder(photos).dataset
    for length in range(0, len(content) - 20, 7):  # a PNG's last 20 bytes hold no pixels
        path.write_bytes(content[:length])
        with pytest.raises(UserError) as error:
            dataset[0]
        assert message(error) == f"{path}: cannot be decoded as an image"


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize(("settings", "kind"), [(Cifar10, "cifar10"), (Cifar100, "cifar100")])
@pytest.mark.parametrize("size", [32, 224])
def test_cifar_is_kept_as_it_is_and_enlarged_when_it_is_served(
    monkeypatch, settings, kind: str, train: bool, size: int
):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)

    class Small:
        """Stands in for torchvision's."""

        classes = ("ant", "bee")
        data, targets = pixels, [1, 0, 1]

        def __init__(self, root: str, train: bool):
            opened.append((root, train))

    opened, (name, own) = [], CIFAR[kind]
    monkeypatch.setattr(datasets, name, Small)
    source = cifar(settings(kind=kind, root="images", image_size=size, **SERVED), train)
    assert opened == [("images", train)]
    images, labels = source.dataset.tensors
    assert images.dtype == torch.uint8
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert np.array_equal(images.permute(0, 2, 3, 1), pixels)
    assert (labels.tolist(), source.classes, source.image) == ([1, 0, 1], ("ant", "bee"), size)
    assert (source.mean, source.std) == (own if size == 32 else IMAGENET_STATISTICS)


@pytest.mark.parametrize("reason", [URLError("no route to host"), OSError(28, "No space left on device")])
@pytest.mark.parametrize(("settings", "kind"), [(Cifar10, datasets.CIFAR10), (Cifar100, datasets.CIFAR100)])
def test_cifar_that_is_neither_there_nor_to_be_had(tmp_path: Path, monkeypatch, settings, kind, reason: OSError):
    def download(*_: object, **__: object) -> None:
        raise reason

    monkeypatch.setattr("torchvision.datasets.cifar.download_and_extract_archive", download)
    root = tmp_path / "images"
    with pytest.raises(UserError) as error:
        open_source(settings(kind=kind.__name__.lower(), root=str(root), **SERVED))
    assert message(error).startswith(f"data.root: no {kind.__name__} ({kind.base_folder}) in {root}, ")
    assert ("no route to host" if isinstance(reason, URLError) else "No space left") in message(error)


@pytest.mark.parametrize("name", ["a\x1b[31m", os.fsdecode(b"a\xff")])
def test_a_class_whose_name_cannot_be_shown_is_refused(tmp_path: Path, name: str):
    for folder in ("plain", name):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / folder / "1.png")
    with pytest.raises(UserError, match="should be a name in UTF-8 without control characters"):
        open_folder(tmp_path)


def test_of_class_folders_statistics_are_imagenet_s_unless_they_are_told(photos: Path):
    assert open_folder(photos)[3:6] == (*IMAGENET_STATISTICS, True)
    told = {"mean": (0.1, 0.2, 0.3), "flip": False}
    for memory in (False, True):
        data = Folder(kind="folder", root=str(photos), image_size=16, in_memory=memory, **told, **SERVED)
        assert open_source(data)[3:6] == ((0.1, 0.2, 0.3), IMAGENET_STATISTICS[1], False)
    with pytest.raises(UserError) as error:
        open_source(Folder(kind="folder", root=str(photos), std=(0.5,), **SERVED))
    assert message(error) == f"data.root: {photos}: images of 3 channels, but data.std is of 1: [0.5]"


def test_what_python_handed_over_is_not_found_by_its_settings():
    with pytest.raises(UserError, match=r"^data.kind: given: .*hand them over again, or name a file of them"):
        open_source(Given(kind="given", **SERVED))
