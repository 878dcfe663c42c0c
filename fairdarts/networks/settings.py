"""What can be told of a stand-alone network, and of one for segmentation."""

from typing import Annotated, Any, Literal, get_args

from pydantic import Field, field_validator

from fairdarts.config import Settings, UserError
from fairdarts.own import PartName
from fairdarts.runtime.shape import LARGEST_SIDE, sides

Size = Literal["cifar", "imagenet"]
SIZES: tuple[Size, ...] = get_args(Size)
"""whose stems and auxiliary heads there are"""


class NetworkSettings(Settings):
    """How the stand-alone network of a genotype is built."""

    size: Size | None = None
    """whose size, of those that the space states, and for cells whose stem; the space's first where it is null"""
    cells: int | None = Field(default=None, ge=1, le=1000)
    """number of cells; that of the size where it is null"""
    channels: int | None = Field(default=None, ge=2, le=4096)
    """channels of the first cell; those of the size where it is null"""
    dropout: float | None = Field(default=None, ge=0, lt=1)
    """dropout before the classifier; the space's where it is null, and none in networks of cells"""
    se_ratio: float = Field(default=0.0, ge=0, le=1)
    """width of squeeze-and-excitation in the layers of a chain, as a share of a block's input; 0 for none"""
    activation: Annotated[str, PartName("activation", "relu6", "relu", "swish")] = "relu6"
    """in the layers of a chain"""
    outer_activation: Annotated[str | None, PartName("activation", "relu6", "relu", "swish")] = None
    """before and behind the layers of a chain; as in them where it is null"""


AS_NAMED = NetworkSettings()
"""nothing is said of how a network is built, but by its name or its space"""


class NetworkOptions(Settings):
    """What a command line may say of a network."""

    network: NetworkSettings = AS_NAMED
    """how the network of a genotype is built"""


def check_size(classes: int | None, image: int | tuple[int, int] | None, place: str = "") -> None:
    """Raises UserError where no network has so many classes, or no image is of this size."""
    heights = [] if image is None else [("image", side, 1, LARGEST_SIDE) for side in sides(image)]
    for key, value, least, most in (("classes", classes, 2, 1_000_000), *heights):
        if value is not None and not least <= value <= most:
            raise UserError(f"{place}{key}: {value}: should be {least} or more, at most {most}")


class DeepLabSettings(Settings):
    """How a network of the zoo becomes one of segmentation."""

    output_stride: Literal[8, 16] = 16
    """of the image, that the encoder's features have; dilation takes the place of the strides beyond it"""
    aspp: bool = True
    """atrous spatial pyramid pooling: three dilated convolutions beside the 1×1 convolution and the image's mean"""
    decoder: bool = True
    """low-level features, of stride 4, join before the classifier"""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """behind the branches; the default is that of the authors' code (tensorflow/models, research/deeplab/model.py)"""

    @field_validator("output_stride", mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        return int(value) if isinstance(value, str) and value.isdecimal() else value  # from the command line it is text
