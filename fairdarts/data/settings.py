"""Which images, and how they are served: the `data` section of a settings file."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from fairdarts.config import Settings

IGNORED = 255
"""the value of pixels of a mask that neither train nor judge: borders, what has no class"""


class _Data(Settings):
    batch_size: int = Field(ge=2)
    """images a batch"""
    workers: int = Field(ge=0, le=1024)
    """processes that load images; 0 loads in the main process. Digits and CIFAR are kept in memory and need none, but
    for AutoAugment and for enlarged images"""
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
    """which images train: a random part of all (default, but of class folders), or of every class its share"""
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
    image_size: int = Field(default=32, ge=32, le=8192)
    """height and width; above 32 images are cropped, enlarged and normalized as ImageNet's are, for its networks"""

    @field_validator("image_size")
    @classmethod
    def _without_cutout(cls, size: int, info: ValidationInfo) -> int:
        if size > 32 and info.data.get("cutout"):
            raise ValueError(f"{size}: needs cutout 0, not {info.data['cutout']}: enlarged images have none")
        return size


class Cifar10(_Cifar):
    """CIFAR-10 through torchvision, downloaded where it is absent."""

    kind: Literal["cifar10"]


class Cifar100(_Cifar):
    """CIFAR-100 through torchvision, downloaded where it is absent."""

    kind: Literal["cifar100"]


class Folder(_Files, _Portioned):
    """Any images in class folders: root/CLASS/IMAGE, or root/train/CLASS/IMAGE."""

    kind: Literal["folder"]
    split: Literal["shuffled", "stratified"] = "stratified"
    """which images train: a random part of all (default, but of class folders), or of every class its share"""
    image_size: int = Field(default=32, ge=4, le=8192)
    """height and width of the images, in pixels: the shorter side is resized, and a square cut out"""
    in_memory: bool = False
    """read all images once and serve them from memory: for many passes over small images; of images that are not square
    only the centre is ever seen"""


class ImageNet(_Files):
    """ImageNet and sets of its form: root/train/CLASS/IMAGE, or root/CLASS/IMAGE. root/val is left for testing."""

    kind: Literal["imagenet"]
    image_size: int = Field(default=224, ge=4, le=8192)
    """height and width of the images, in pixels"""
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
    image_size: int = Field(default=32, ge=4, le=8192)
    """height and width of the images, in pixels"""
    classes: int = Field(default=10, ge=2, le=1_000_000)
    """number of classes"""


DataSettings = Annotated[Digits | Cifar10 | Cifar100 | Folder | ImageNet | Fake, Field(discriminator="kind")]
