"""Which images, and how they are served: the `data` section of a settings file."""

from typing import Annotated, Literal

from pydantic import Field

from fairdarts.config import Settings


class _Data(Settings):
    batch_size: int = Field(ge=2)
    """images a batch"""
    train_portion: float = Field(gt=0, le=1)
    """share of the training set that trains the weights; the rest trains the architecture"""
    cutout: int = Field(ge=0)
    """side of the square that cutout blanks, in pixels; 0 for none"""
    workers: int = Field(ge=0)
    """processes that load images; 0 loads in the main process; digits and CIFAR are kept in memory and need none"""


class Digits(_Data):
    """scikit-learn's bundled digits: 1,797 images of 8×8 pixels, 10 classes."""

    kind: Literal["digits"]
    """digits | cifar10 | cifar100 | folder | fake"""


class Cifar10(_Data):
    """CIFAR-10 through torchvision, downloaded where it is absent."""

    kind: Literal["cifar10"]
    """digits | cifar10 | cifar100 | folder | fake"""
    root: str
    """folder of the data set"""


class Cifar100(_Data):
    """CIFAR-100 through torchvision, downloaded where it is absent."""

    kind: Literal["cifar100"]
    """digits | cifar10 | cifar100 | folder | fake"""
    root: str
    """folder of the data set"""


class Folder(_Data):
    """Any images in class folders: root/CLASS/IMAGE, or root/train/CLASS/IMAGE."""

    kind: Literal["folder"]
    """digits | cifar10 | cifar100 | folder | fake"""
    root: str
    """folder of the data set"""
    image_size: int = Field(default=32, ge=4)
    """height and width of the images, in pixels"""


class Fake(_Data):
    """Random images, for trying a search without data."""

    kind: Literal["fake"]
    """digits | cifar10 | cifar100 | folder | fake"""
    images: int = Field(default=256, ge=4)
    """number of images"""
    image_size: int = Field(default=32, ge=4)
    """height and width of the images, in pixels"""
    classes: int = Field(default=10, ge=2)
    """number of classes"""


DataSettings = Annotated[Digits | Cifar10 | Cifar100 | Folder | Fake, Field(discriminator="kind")]
