"""What the training of a segmentation network can be told: the settings of its recipe."""

from typing import Literal, Self

from pydantic import Field, model_validator

from fairdarts.config import Settings
from fairdarts.data.settings import IGNORED
from fairdarts.networks.settings import DeepLabSettings
from fairdarts.training.settings import NetworkTraining


class Photographs(Settings):
    """Images with a class for every pixel."""

    root: str
    """folder of the data set"""
    layout: Literal["voc", "camvid"] = "voc"
    """voc: JPEGImages/NAME.jpg, MASKS/NAME.png, ImageSets/Segmentation/SPLIT.txt with names; camvid: SPLIT/NAME.png,
    SPLITannot/NAME.png"""
    masks: str = "SegmentationClass"
    """in voc, the folder of the masks: SegmentationClassAug for the extra annotations"""
    train: str
    """split that trains"""
    val: str | None
    """split that judges; null for none"""
    classes: tuple[str, ...] = Field(min_length=2, max_length=255)
    """their names; pixel values of a mask are their places from 0 on"""
    void: tuple[int, ...] = (IGNORED,)
    """pixel values of no class, which count for nothing"""
    white: float | None = Field(default=None, gt=0)
    """the value that is white in gray images of more than 8 bits, such as 4095; 65535 of integers and 1 of floats where
    it is null"""
    crop: int = Field(ge=16, le=8192)
    """height and width of what is cut from a training image"""
    scale: tuple[float, float]
    """smallest and largest factor by which a training image is resized first"""
    batch_size: int = Field(ge=2)
    """images a batch, of all processes together"""
    workers: int = Field(ge=0, le=1024)
    """processes that load images; 0 loads in the main process"""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError(f"scale {list(self.scale)}: should be two factors above 0, the smaller one first")
        for name in self.classes:
            if self.classes.count(name) > 1:
                raise ValueError(f"classes: {name}: stands twice among them; should have names of their own")
        for value in self.void:
            if not len(self.classes) <= value <= 255:
                raise ValueError(f"void {value}: should be from {len(self.classes)}, behind the classes, to 255")
        return self


class SegmentSettings(NetworkTraining):
    """A complete training of a segmentation network. Shipped recipes and a run's settings.yaml are files of this
    form."""

    verb: Literal["segment"] = "segment"
    data: Photographs
    """the images"""
    deeplab: DeepLabSettings
    """what stands on the genotype's network"""


class JudgeSettings(Settings):
    """What a judgement reads of a run's settings."""

    data: Photographs
    """the images"""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """where to run"""
    threads: int | None = Field(default=None, ge=1, le=1024)
    """CPU threads"""
