"""Which images, and how they are served: the `data` section of a settings file."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from fairdarts.config import Settings, UserError
from fairdarts.runtime.shape import AsWritten, Size, TrainingSize, at_least

IGNORED = 255
"""the value of pixels of a mask that neither train nor judge: borders, what has no class"""


class _Data(Settings):
    batch_size: int = Field(ge=2)
    """images a batch"""
    workers: int = Field(ge=0, le=1024)
    """processes that load images; 0 loads in the main process. Digits, CIFAR and arrays are kept in memory and need
    none, but for AutoAugment and for enlarged images"""
    auto_augment: Literal["none", "cifar10", "imagenet"] = "none"
    """policy of AutoAugment (arXiv:1805.09501) that training images go through; it costs time, so use workers"""


class _Files(_Data):
    root: str
    """folder of the data set"""
    white: float | None = Field(default=None, gt=0)
    """the value that is white in gray images of more than 8 bits, such as 4095; 65535 of integers and 1 of floats where
    it is null"""


class _Portioned(_Data):
    train_portion: float = Field(gt=0, le=1)
    """share of the training set that trains the weights; the rest trains the architecture, or judges paths"""
    split: Literal["shuffled", "stratified"] = "shuffled"
    """which images train: a random part of all (default, but of images of one's own), or of every class its share"""
    cutout: int = Field(ge=0)
    """side of the square that cutout blanks, in pixels; 0 for none"""

    @property
    def holds_out(self) -> bool:
        """Whether images are held out of training, to train the architecture."""
        return self.train_portion < 1


class Digits(_Portioned):
    """scikit-learn's bundled digits: 1,797 images of 8×8 pixels, 10 classes."""

    kind: Literal["digits"]


class _Cifar(_Portioned):
    root: str
    """folder of the data set"""
    image_size: Annotated[Size, at_least(32), AsWritten] = 32
    """height and width, 96x64 where they differ; above 32 images are cropped, enlarged and normalized as ImageNet's
    are, for its networks"""

    @field_validator("image_size")
    @classmethod
    def _without_cutout(cls, size: Size, info: ValidationInfo) -> Size:
        if size != 32 and info.data.get("cutout"):
            raise ValueError(f"{size}: needs cutout 0, not {info.data['cutout']}: enlarged images have none")
        return size


class Cifar10(_Cifar):
    """CIFAR-10 through torchvision, downloaded where it is absent."""

    kind: Literal["cifar10"]


class Cifar100(_Cifar):
    """CIFAR-100 through torchvision, downloaded where it is absent."""

    kind: Literal["cifar100"]


class _Balanced(Settings):
    balance: Literal["none", "sampling", "loss"] = "none"
    """what lets classes of unequal numbers count alike: sampling draws every class as often, with replacement; loss
    weighs an image inversely to its class's number, with mean 1 over the training images. It holds for all images that
    train, in a search those of α too, and for none that judge"""


class Own(_Portioned, _Balanced):
    """Images of one's own."""

    split: Literal["shuffled", "stratified"] = "stratified"
    """which images train: a random part of all (default, but of images of one's own), or of every class its share"""
    flip: bool = True
    """whether a mirrored image keeps its label, so that training may mirror images"""
    mean: tuple[float, ...] | None = None
    """the mean of every channel, of values from 0, black, to 1, white; measured on the training set where it is null,
    and of class folders ImageNet's"""
    std: tuple[float, ...] | None = None
    """the standard deviation of every channel; where it is null as the mean"""

    @field_validator("mean", "std")
    @classmethod
    def _of_channels(cls, values: tuple[float, ...] | None, info: ValidationInfo) -> tuple[float, ...] | None:
        if values is not None and not values:
            raise ValueError("[]: should be a number for every channel, or null")
        if values and info.field_name == "std" and min(values) <= 0:
            raise ValueError(f"{list(values)}: should be above 0")
        return values


class _OwnFiles(_Files, Own):
    image_size: TrainingSize = 32
    """height and width of the images, in pixels, 96x64 where they differ: an image is resized to cover that, and a part
    of this size cut out"""
    in_memory: bool = False
    """read all images once and serve them from memory: for many passes over small images; of images of another shape
    only the centre is ever seen"""


class Folder(_OwnFiles):
    """Any images in class folders: root/CLASS/IMAGE, or root/train/CLASS/IMAGE."""

    kind: Literal["folder"]


class _Named(Settings):
    classes: tuple[str, ...] | None = None
    """names of all classes, in the order of their numbers; those that the data have where it is null"""

    @field_validator("classes")
    @classmethod
    def _distinct(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if names is not None and (len(names) < 2 or len(set(names)) < len(names)):
            raise ValueError(f"{list(names)}: should be at least 2 names, each once")
        return names


class Csv(_OwnFiles, _Named):
    """Any images that a CSV file lists: a line PATH,LABEL for each, the path as seen from the file's folder."""

    kind: Literal["csv"]
    root: str
    """the file that lists the training images"""
    test_root: str | None = None
    """the file that lists the test images"""


class _Arrays(Own, _Named):
    image_size: TrainingSize | None = None
    """height and width to bring the images to, in pixels, 96x64 where they differ: an image is resized to cover that,
    and its centre taken; where it is null, the images' shorter side is both"""
    range: tuple[float, float] | None = None
    """the values that are black and white, such as [0, 1] or [-1, 1]; only of uint8 it may be null, [0, 255]"""

    @field_validator("range")
    @classmethod
    def _ordered(cls, limits: tuple[float, float] | None) -> tuple[float, float] | None:
        if limits and not limits[0] < limits[1]:
            raise ValueError(f"{list(limits)}: should be the value of black and a larger one of white")
        return limits


class Npz(_Arrays):
    """Images and labels in an .npz file, as images and labels, train_images, …, test_labels, or x_train, …, y_test."""

    kind: Literal["npz"]
    root: str
    """the .npz file"""


class Given(_Arrays):
    """Images that were handed over from Python: arrays, tensors, or a data set."""

    kind: Literal["given"]
    number: int | None = Field(default=None, ge=1)
    """number of training images; measured, and checked where it is told, as when a run is resumed"""
    fingerprint: str | None = None
    """hash of pixels and labels, as the number measured and checked; behind a + that of a test set"""


class ImageNet(_Files, _Balanced):
    """ImageNet and sets of its form: root/train/CLASS/IMAGE, or root/CLASS/IMAGE. root/val is left for testing."""

    kind: Literal["imagenet"]
    image_size: TrainingSize = 224
    """height and width of the images, in pixels, 96x64 where they differ"""
    held_out: int = Field(default=50, ge=0)
    """images of every class that train the architecture, judge paths or choose the best epoch; the rest trains"""
    crop_scale: tuple[float, float] = (0.08, 1.0)
    """smallest and largest share of an image's area that a random resized crop takes"""
    color_jitter: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    """largest change of brightness, contrast, saturation and hue (of hue: 0.5 is half the circle); 0 for none"""

    @field_validator("crop_scale")
    @classmethod
    def _shares(cls, scale: tuple[float, float]) -> tuple[float, float]:
        if not 0 < scale[0] <= scale[1] <= 1:
            raise ValueError(f"{list(scale)}: should be a smallest and a largest share, above 0 and up to 1")
        return scale

    @field_validator("color_jitter")
    @classmethod
    def _changes(cls, jitter: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        if min(jitter) < 0 or jitter[3] > 0.5:
            raise ValueError(f"{list(jitter)}: should be 0 or more each, and hue, the last, up to 0.5")
        return jitter

    @property
    def holds_out(self) -> bool:
        """Whether images are held out of training, to train the architecture."""
        return self.held_out > 0


class Fake(_Portioned):
    """Random images, for trying a search without data."""

    kind: Literal["fake"]
    images: int = Field(default=256, ge=4, le=10_000_000)
    """number of images"""
    image_size: TrainingSize = 32
    """height and width of the images, in pixels, 96x64 where they differ"""
    classes: int = Field(default=10, ge=2, le=1_000_000)
    """number of classes"""


DataSettings = Annotated[
    Digits | Cifar10 | Cifar100 | Folder | ImageNet | Fake | Npz | Csv | Given, Field(discriminator="kind")
]


def kind_of(path: str | Path) -> Literal["npz", "csv", "folder"]:
    """The kind of settings that reads a file or folder. Raises UserError where it is missing, or none of them."""
    path = Path(path)
    if path.is_dir():
        return "folder"
    if not path.exists():
        raise UserError(f"{path}: no such file or folder")
    match path.suffix.lower():
        case ".npz":
            return "npz"
        case ".csv":
            return "csv"
    raise UserError(f"{path}: should be an .npz file, a .csv file, or a folder of class folders")
