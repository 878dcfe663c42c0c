"""Where training images come from: torchvision's data sets, class folders and lists of files, arrays, digits."""

import math
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.error import URLError

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset

from fairdarts.config import UserError
from fairdarts.data.examine import examine
from fairdarts.data.files import class_folders, listed
from fairdarts.data.geometry import centre, enlarged
from fairdarts.data.npz import Pair, read_npz
from fairdarts.data.pixels import (
    PART,
    Gathered,
    array_of,
    as_uint8,
    channels_first,
    fingerprint_of,
    gather,
    numbers_of,
    tell,
)
from fairdarts.data.settings import (
    Cifar10,
    Cifar100,
    Csv,
    DataSettings,
    Digits,
    Fake,
    Folder,
    Given,
    ImageNet,
    Npz,
)
from fairdarts.runtime.shape import Shape, Size, sides, size_text

# Per-channel mean and standard deviation of the training images, in [0, 1].
CIFAR10_STATISTICS = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
CIFAR100_STATISTICS = (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)
IMAGENET_STATISTICS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
DIGITS_STATISTICS = (0.305,), (0.376,)
FAKE_STATISTICS = (0.5, 0.5, 0.5), (0.29, 0.29, 0.29)

CIFAR = {"cifar10": ("CIFAR10", CIFAR10_STATISTICS), "cifar100": ("CIFAR100", CIFAR100_STATISTICS)}
"""kind of settings → name of torchvision's data set, its statistics"""
LOOKED_AT = 1024
"""images of a list of files, evenly spread over it, whose mean and deviation are measured"""


class Source(NamedTuple):
    """A training set and the facts that a network and the transforms need of it."""

    dataset: Any
    """items are (image, label): a PIL image, or uint8 [C, H, W] with values from 0 to 255, as it is stored (not yet
    normalized); a TensorDataset of uint8 [N, C, H, W] and int64 [N] is served from memory"""
    classes: tuple[str, ...]
    image: Size
    """height and width that the transforms bring images to"""
    mean: tuple[float, ...]
    """per channel; their number is that of the image's channels"""
    std: tuple[float, ...]
    flip: bool = True
    """whether a mirrored image keeps its label"""
    listing: str = ""
    """what tells one set from another of so many images: of files a hash of their names, of arrays one of the pixels"""
    test: "Source | None" = None
    """the test set that came with it"""
    resize: Size | None = None
    """what judging resizes images to cover, before the centre is cut out; where it is None, as their settings say"""

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
        case Csv():
            return kept(csv(Path(settings.root), settings, least), settings)
        case Npz():
            return npz(Path(settings.root), settings, least)
        case Given():
            again = "hand them over again, or name a file of them: --data.kind npz --data.root FILE"
            raise UserError(f"data.kind: given: these images were handed over from Python (data=…): {again}")
        case Fake():
            from torchvision import datasets  # takes a second to import, and few data sets need it

            size = (3, *sides(settings.image_size))
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
    if not isinstance(source.dataset, TensorDataset):
        return
    images, labels, *more = source.dataset.tensors
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
    return isinstance(settings, Cifar10 | Cifar100) and settings.image_size != 32


def judged_size(settings: DataSettings, image: Size) -> Size:
    """What images are resized to cover in judging: 8/7 of their size, as ImageNet's, or the size itself."""
    return enlarged(image) if isinstance(settings, ImageNet) or as_imagenet(settings) else image


def cifar(settings: Cifar10 | Cifar100, train: bool = True) -> Source:
    """CIFAR-10 or CIFAR-100, the training or the test images, as uint8 [N, 3, 32, 32] in channels_last; downloaded into
    root where it is absent."""
    from torchvision import datasets  # takes a second to import, and few data sets need it

    name, statistics = CIFAR[settings.kind]
    kind = getattr(datasets, name)
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


def folder(root: Path, image_size: Size, white: float | None = None, least: int = 2) -> Source:
    """Class folders of images, at least so many, in root or in root/train; no image is opened."""
    files, listing = class_folders(root, white, least)
    return Source(files, files.classes, image_size, *IMAGENET_STATISTICS, listing=listing)


def csv(path: Path, settings: Csv, least: int = 2) -> Source:
    """The images that a CSV file lists. Mean and deviation that are not told are those of up to LOOKED_AT of them."""
    place = f"data.root: {path}"
    files, listing = listed(path, settings.white, settings.classes, least)
    statistics: tuple[tuple[float, ...], tuple[float, ...]] = IMAGENET_STATISTICS
    if settings.mean is None or settings.std is None:
        few = range(0, len(files), -(-len(files) // LOOKED_AT))
        parts = (np.asarray(files[index][0]).transpose(2, 0, 1)[None] for index in few)
        gathered = gather(parts, len(few), settings.image_size, place, most=0)
        if gathered.span[0] == gathered.span[1]:
            examine(files.paths, settings.white, place)  # perhaps nothing says what is white
            raise UserError(f"{place}: all values are the same, {gathered.span[0]} of 255; should be images")
        statistics = gathered.mean, gathered.std
    return Source(files, files.classes, settings.image_size, *statistics, listing=listing)


def npz(path: Path, settings: Npz, least: int = 2) -> Source:
    """The images of an .npz file, with those of its test set where it has one."""
    training, test = read_npz(path)
    source = from_arrays(training, settings, least)
    return source._replace(test=test and from_arrays(test, measured(settings, source), 1))


def from_arrays(pair: Pair, settings: Npz | Given, least: int = 2) -> Source:
    """Images and labels in memory, as uint8 [N, C, H, W] and int64 [N], with what is measured of them."""
    images = channels_first(array_of(pair.images, pair.place, "biuf"), pair.place)
    labels, classes = numbers_of(pair.labels, len(images), settings.classes, pair.label_place, least)
    images = as_uint8(images, settings.range, pair.place)
    parts = (images[begin : begin + PART] for begin in range(0, len(images), PART))
    gathered = gather(parts, len(images), settings.image_size, pair.place, most=math.inf)
    return own(gathered, labels, classes, settings, pair.place)


def own(
    gathered: Gathered,
    labels: Tensor,
    classes: tuple[str, ...],
    settings: Npz | Given,
    place: str,
    dataset: Dataset | None = None,
) -> Source:
    """A source of images that were gone through: from memory where they were kept, else from a data set."""
    tell(gathered, place)
    served = dataset if gathered.images is None else TensorDataset(gathered.images, labels)
    listing = fingerprint_of(gathered, labels)
    return as_told(
        Source(served, classes, gathered.size, gathered.mean, gathered.std, listing=listing), settings, place
    )


def as_told(source: Source, settings: Folder | Csv | Npz | Given, place: str) -> Source:
    """A source with the statistics that settings tell. Raises UserError where they, or AutoAugment, are for images of
    other channels."""
    channels = len(source.mean)
    if settings.auto_augment != "none" and channels not in (1, 3):
        should = f"is for images of 1 or 3 channels, not of {channels}; should be none"
        raise UserError(f"{place}: data.auto_augment: {settings.auto_augment}: {should}")
    for key in ("mean", "std"):
        told = getattr(settings, key)
        if told and len(told) != channels:
            has = f"images of {channels} channel{'s' * (channels > 1)}"
            raise UserError(f"{place}: {has}, but data.{key} is of {len(told)}: {list(told)}")
    mean, std = settings.mean or source.mean, settings.std or source.std
    return source._replace(mean=mean, std=std, flip=settings.flip)


A = TypeVar("A", Npz, Given, Csv)


def measured(settings: A, source: Source) -> A:
    """Settings that tell what was measured of a source, so that other images are treated alike."""
    found = {"mean": source.mean, "std": source.std, "classes": source.classes, "image_size": source.image}
    return settings.model_copy(update=found)


def kept(source: Source, settings: Folder | Csv) -> Source:
    """Image files as the settings tell of them, and have them served: from disk, or from memory, for which all are
    examined first."""
    source = as_told(source, settings, f"data.root: {settings.root}")
    if not settings.in_memory:
        return source
    examine(
        source.dataset.paths, settings.white, f"data.root: {source.dataset.root}", seen_of(settings), image=source.image
    )
    return in_memory(source)


def seen_of(settings: Folder | Csv | ImageNet) -> str:
    """What a network sees of images that are of another shape than it wants."""
    square = " square" if isinstance(settings.image_size, int) else ""
    if isinstance(settings, ImageNet):
        return f"parts of them train, the centre{square} judges"
    if settings.in_memory:
        return f"with in_memory only the centre{square} is ever seen"
    random = "square of the shorter side" if square else f"part of the shape of {size_text(settings.image_size)}"
    return f"a random {random} trains, that at the centre judges"


def in_memory(source: Source) -> Source:
    """Images of files as uint8 [N, 3, H, W] in channels_last: resized to cover the size, the centre taken.

    Raises UserError naming the file where one cannot be decoded.
    """
    from torchvision.transforms.v2 import functional  # takes a second to import

    images = torch.empty(len(source.dataset), 3, *sides(source.image), dtype=torch.uint8)
    images = images.contiguous(memory_format=torch.channels_last)
    for pixels, (image, _) in zip(images, source.dataset, strict=True):
        pixels.copy_(functional.pil_to_tensor(centre(image, source.image, source.image)))
    return source._replace(dataset=TensorDataset(images, torch.tensor(source.dataset.targets)))
