"""Where training images come from: torchvision's data sets, class folders, scikit-learn's digits."""

import hashlib
import os
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple
from urllib.error import URLError

import torch
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset
from torchvision import datasets
from torchvision.datasets.folder import IMG_EXTENSIONS
from torchvision.transforms import v2

from fairdarts.config import UserError, plain
from fairdarts.data.examine import examine
from fairdarts.data.images import is_hidden, read_image
from fairdarts.data.settings import Cifar10, Cifar100, DataSettings, Digits, Fake, Folder, ImageNet
from fairdarts.runtime.shape import Shape

# Per-channel mean and standard deviation of the training images, in [0, 1].
CIFAR10_STATISTICS = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
CIFAR100_STATISTICS = (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)
IMAGENET_STATISTICS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
DIGITS_STATISTICS = (0.305,), (0.376,)
FAKE_STATISTICS = (0.5, 0.5, 0.5), (0.29, 0.29, 0.29)

CIFAR = {"cifar10": (datasets.CIFAR10, CIFAR10_STATISTICS), "cifar100": (datasets.CIFAR100, CIFAR100_STATISTICS)}
"""kind of settings → torchvision's data set, its statistics"""


class Source(NamedTuple):
    """A training set and the facts that a network and the transforms need of it."""

    dataset: Dataset
    """items are (image, label): a PIL image, or uint8 [C, H, W] with values from 0 to 255, as it is stored (not yet
    normalized); a TensorDataset of uint8 [N, C, H, W] and int64 [N] is served from memory"""
    classes: tuple[str, ...]
    image: int
    """height and width that the transforms bring images to"""
    mean: tuple[float, ...]
    """per channel; their number is that of the image's channels"""
    std: tuple[float, ...]
    flip: bool = True
    """whether a mirrored image keeps its label"""
    listing: str = ""
    """of class folders, a hash of the classes' and files' names"""

    @property
    def shape(self) -> Shape:
        """The images, as far as a network's size depends on them."""
        return Shape(self.image, len(self.mean), len(self.classes))


def open_source(settings: DataSettings, least: int = 2) -> Source:
    """The training set that settings name, of at least so many classes. Raises UserError naming the folder or file that
    is missing or broken."""
    match settings:
        case Digits():
            return digits()
        case Cifar10() | Cifar100():
            return cifar(settings)
        case Folder():
            return kept(folder(Path(settings.root), settings.image_size, settings.white, least), settings)
        case ImageNet():
            root = Path(settings.root)  # what lies in root/val is a test set, and never read
            root = root / "train" if (root / "val").is_dir() else root
            return folder(root, settings.image_size, settings.white, least)
        case Fake():
            size = (3, settings.image_size, settings.image_size)
            names = tuple(map(str, range(settings.classes)))
            fake = datasets.FakeData(settings.images, size, settings.classes)
            return Source(fake, names, settings.image_size, *FAKE_STATISTICS)


def check_pixels(images: Tensor, channels: int) -> Tensor:
    """The images [..., C, H, W] themselves. Raises UserError unless they are uint8, of so many channels."""
    if images.dtype != torch.uint8:
        has = f"{str(images.dtype).removeprefix('torch.')} from {images.min():.4g} to {images.max():.4g}"
        advice = "of values in [0, 1] that is (255 * images).round().to(torch.uint8)"
        raise UserError(f"images: {has}; should be uint8 from 0 to 255, as normalizing comes later: {advice}")
    if images.ndim < 3 or images.shape[-3] != channels:
        shape = f"[{', '.join(map(str, images.shape))}]"
        raise UserError(f"images: of shape {shape}; should be [C, H, W] with C = {channels}, the means' number")
    return images


def check_tensors(source: Source) -> None:
    """Raises UserError where a source in memory does not hold what a TensorDataset of a Source should."""
    images, labels, *more = source.dataset.tensors if isinstance(source.dataset, TensorDataset) else (None, None)
    if images is None:
        return
    if more or images.ndim != 4:
        has = f"{len(more) + 2} tensors, the first of {images.ndim} dimensions"
        raise UserError(f"images: {has}; should be [N, C, H, W], [N]")
    check_pixels(images, len(source.mean))
    if labels.dtype != torch.int64 or labels.ndim != 1:
        has = f"{str(labels.dtype).removeprefix('torch.')} of {labels.ndim} dimensions"
        raise UserError(f"labels: {has}; should be int64 [N], numbers of classes")
    if len(labels) and not (labels.min() >= 0 and labels.max() < len(source.classes)):
        has = f"from {labels.min()} to {labels.max()}"
        should = f"should be from 0 to {len(source.classes) - 1}, of {len(source.classes)} classes"
        raise UserError(f"labels: {has}; {should}")


def digits() -> Source:
    """scikit-learn's digits: values 0 to 16 become 0 to 255. A mirrored digit is another digit, so none is flipped."""
    from sklearn.datasets import load_digits  # takes two seconds to import, and only this data set needs it

    bundle = load_digits()
    images = torch.from_numpy(bundle.images * (255 / 16)).round().to(torch.uint8)[:, None]
    labels = torch.from_numpy(bundle.target).long()
    return Source(TensorDataset(images, labels), tuple("0123456789"), 8, *DIGITS_STATISTICS, flip=False)


def as_imagenet(settings: DataSettings) -> bool:
    """Whether CIFAR's images are enlarged, and so treated as ImageNet's are."""
    return isinstance(settings, Cifar10 | Cifar100) and settings.image_size > 32


def cifar(settings: Cifar10 | Cifar100, train: bool = True) -> Source:
    """CIFAR-10 or CIFAR-100, the training or the test images, as uint8 [N, 3, 32, 32] in channels_last; downloaded into
    root where it is absent."""
    kind, statistics = CIFAR[settings.kind]
    root = settings.root
    try:
        dataset = kind(root, train=train)
    except RuntimeError:  # torchvision: not found or corrupted
        there = Path(root).is_dir()
        try:
            dataset = kind(root, train=train, download=True)
        except (URLError, OSError, RuntimeError) as error:
            reason = str(getattr(error, "reason", error)).splitlines()[0]
            if not there:
                with suppress(OSError):
                    Path(root).rmdir()  # the download made it, and left it empty
            missing = f"no {kind.__name__} ({kind.base_folder}) in {root}"
            raise UserError(f"data.root: {missing}, and it could not be downloaded: {reason}") from None
    images = torch.from_numpy(dataset.data).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
    statistics = IMAGENET_STATISTICS if as_imagenet(settings) else statistics
    labels = torch.tensor(dataset.targets)
    return Source(TensorDataset(images, labels), tuple(dataset.classes), settings.image_size, *statistics)


class ClassFolders(datasets.ImageFolder):
    """Images in class folders; `white` is that of `read_image`. Hidden folders and files are no data."""

    def __init__(self, root: Path, white: float | None):
        super().__init__(
            str(root), loader=partial(read_image, white=white), is_valid_file=self.is_image, allow_empty=True
        )

    def find_classes(self, directory: str | Path) -> tuple[list[str], dict[str, int]]:
        names = class_names(Path(directory))
        return names, {name: number for number, name in enumerate(names)}

    def is_image(self, path: str) -> bool:
        """Whether a file of a class folder is an image, by its name."""
        hidden = any(map(is_hidden, path[len(self.root) :].split(os.sep)))
        return not hidden and path.lower().endswith(IMG_EXTENSIONS)


def folder(root: Path, image_size: int, white: float | None = None, least: int = 2) -> Source:
    """Class folders of images, at least so many, in root or in root/train; no image is opened."""
    if not root.is_dir():
        raise UserError(f"data.root: {root}: no such folder")
    inner = root / "train"
    root = inner if inner.is_dir() and class_names(inner) else root
    classes = class_names(root)
    if len(classes) < least:
        wrong = f"class folders (root/CLASS/IMAGE): {len(classes)}, should be at least {least}"
        raise UserError(f"data.root: {root}: {wrong}")
    for name in classes:  # a network is told of them
        if plain(name) != name:
            raise UserError(f"data.root: {root / name}: should be a name in UTF-8 without control characters")
    dataset = ClassFolders(root, white)
    for index in sorted(set(range(len(classes))) - set(dataset.targets)):
        empty = root / classes[index]
        raise UserError(f"data.root: {empty}: no image in this class folder{_endings(empty)}")
    names = "\n".join(path[len(str(root)) :] for path, _ in dataset.samples)
    listing = hashlib.sha256(os.fsencode(names)).hexdigest()[:16]
    return Source(dataset, tuple(classes), image_size, *IMAGENET_STATISTICS, listing=listing)


def class_names(root: Path) -> list[str]:
    """The class folders in a folder, sorted."""
    return sorted(entry.name for entry in root.iterdir() if entry.is_dir() and not is_hidden(entry.name))


def _endings(folder: Path) -> str:
    """What is said of a folder that has files, but no image."""
    endings = {path.suffix or path.name for path in folder.rglob("*") if path.is_file() and not is_hidden(path.name)}
    has = f" (it has {', '.join(sorted(endings)[:5])}; images end with {', '.join(IMG_EXTENSIONS)})"
    return has if endings else ""


def kept(source: Source, settings: Folder) -> Source:
    """Class folders as the settings have them served: from files, or from memory, for which all are examined first."""
    if not settings.in_memory:
        return source
    paths = [path for path, _ in source.dataset.samples]
    examine(paths, settings.white, f"data.root: {source.dataset.root}", seen_of(settings))
    return in_memory(source)


def seen_of(settings: Folder | ImageNet) -> str:
    """What a network sees of images that are not square."""
    if isinstance(settings, ImageNet):
        return "parts of them train, the centre square judges"
    if settings.in_memory:
        return "with in_memory only the centre square is ever seen"
    return "a random square of the shorter side trains, that at the centre judges"


def in_memory(source: Source) -> Source:
    """Images of class folders as uint8 [N, 3, size, size] in channels_last: the shorter side resized, the centre taken.

    Raises UserError naming the file where one cannot be decoded.
    """
    square = v2.Compose([v2.ToImage(), v2.Resize(source.image, antialias=True), v2.CenterCrop(source.image)])
    images = torch.empty(len(source.dataset), 3, source.image, source.image, dtype=torch.uint8)
    images = images.contiguous(memory_format=torch.channels_last)
    for pixels, (image, _) in zip(images, source.dataset, strict=True):
        pixels.copy_(square(image))
    return source._replace(dataset=TensorDataset(images, torch.tensor(source.dataset.targets)))
