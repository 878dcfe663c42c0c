"""Which images, and how they are served: the `data` section of a settings file."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from fairdarts.config import Settings


class _Data(Settings):
    batch_size: int = Field(ge=2)
    """images a batch"""
    workers: int = Field(ge=0)
    """processes that load images; 0 loads in the main process; digits and CIFAR are kept in memory and need none"""


class _Portioned(_Data):
    train_portion: float = Field(gt=0, le=1)
    """share of the training set that trains the weights; the rest trains the architecture, or judges paths"""
    cutout: int = Field(ge=0)
    """side of the square that cutout blanks, in pixels; 0 for none"""

    @property
    def holds_out(self) -> bool:
        """Whether images are held out of training, to train the architecture."""
        return self.train_portion < 1


class Digits(_Portioned):
    """scikit-learn's bundled digits: 1,797 images of 8×8 pixels, 10 classes."""

    kind: Literal["digits"]
    """digits | cifar10 | cifar100 | folder | imagenet | fake"""


class Cifar10(_Portioned):
    """CIFAR-10 through torchvision, downloaded where it is absent."""

    kind: Literal["cifar10"]
    """digits | cifar10 | cifar100 | folder | imagenet | fake"""
    root: str
    """folder of the data set"""


class Cifar100(_Portioned):
    """CIFAR-100 through torchvision, downloaded where it is absent."""

    kind: Literal["cifar100"]
    """digits | cifar10 | cifar100 | folder | imagenet | fake"""
    root: str
    """folder of the data set"""


class Folder(_Portioned):
    """Any images in class folders: root/CLASS/IMAGE, or root/train/CLASS/IMAGE."""

    kind: Literal["folder"]
    """digits | cifar10 | cifar100 | folder | imagenet | fake"""
    root: str
    """folder of the data set"""
    image_size: int = Field(default=32, ge=4)
    """height and width of the images, in pixels"""
    in_memory: bool = False
    """read all images once and serve them from memory: for many passes over small images; they are cut to squares"""


class ImageNet(_Data):
    """ImageNet and sets of its form: root/train/CLASS/IMAGE, or root/CLASS/IMAGE. root/val is left for testing."""

    kind: Literal["imagenet"]
    """digits | cifar10 | cifar100 | folder | imagenet | fake"""
    root: str
    """folder of the data set"""
    image_size: int = Field(default=224, ge=4)
    """height and width of the images, in pixels"""
    held_out: int = Field(default=50, ge=1)
    """images of every class that train the architecture, or judge paths; the rest trains the weights"""
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
        return True


class Fake(_Portioned):
    """Random images, for trying a search without data."""

    kind: Literal["fake"]
    """digits | cifar10 | cifar100 | folder | imagenet | fake"""
    images: int = Field(default=256, ge=4)
    """number of images"""
    image_size: int = Field(default=32, ge=4)
    """height and width of the images, in pixels"""
    classes: int = Field(default=10, ge=2)
    """number of classes"""


DataSettings = Annotated[Digits | Cifar10 | Cifar100 | Folder | ImageNet | Fake, Field(discriminator="kind")]
