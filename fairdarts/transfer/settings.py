"""What transfers are told: the recipe of a detector, formats of files by name, and how such files are made."""

import json
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from typing import Any, Literal

from pydantic import Field, field_validator

from fairdarts.config import UserError, nearest
from fairdarts.runtime.settings import Described

PREFIX = "detect-"
"""what the names of detectors' recipes begin with"""

SUFFIXES = {
    "onnx": ".onnx",
    "onnx-int8": ".int8.onnx",
    "openvino": ".xml",
    "safetensors": ".safetensors",
    "torchscript": ".torchscript.pt",
    "torch-export": ".pt2",
}
"""format of a file that holds a whole model → what its name ends with"""
BESIDE = {"openvino": ".bin"}
"""format → what the name of a second file ends with that belongs to the first"""
USUAL = ("onnx", "safetensors")
"""the formats where none is named"""
INT8 = "onnx-int8"
"""the format that is made with images"""
CALIBRATION = 128
"""training images that tell the ranges of int8 numbers, where nothing is said"""
FIRST_OPSET = 18
"""the earliest that torch's exporter writes; asked for an earlier one it may write this one all the same"""


def check_formats(names: Sequence[str], place: str) -> None:
    """Raises UserError where one is not a format."""
    for name in names:
        if name not in SUFFIXES:
            raise UserError(f"{place}: '{name}' is not a format{nearest(name, SUFFIXES)}")


def of_images(settings: Iterable[str]) -> list[str]:
    """The dotted keys of settings that say which images there are."""
    return [key for key in settings if key.partition(".")[0] == "data"]


def check_making(
    formats: Sequence[str],
    opset: int | None,
    dynamic: bool,
    calibration: int,
    images: Sequence[str],
    place: str = "",
) -> None:
    """Raises UserError where what is asked for goes with no format that is made, or there is no such opset. `images`
    are the options given that say some."""
    for option in images:
        if INT8 not in formats:
            raise UserError(f"{place}{option}: goes with the format {INT8}, which alone is made with images")
    if calibration < 1:
        raise UserError(f"{place}calibration: {calibration}: should be 1 or more")
    if dynamic and "torch-export" in formats:
        why = "torch keeps in its file which heights and widths are odd on the way"
        raise UserError(f"{place}dynamic: not with the format torch-export: {why}; should be onnx or another")
    if opset is None:
        return
    if not {"onnx", INT8} & {*formats}:
        raise UserError(f"{place}opset: {opset}: goes with the formats onnx and {INT8}")
    if find_spec("onnx") is None:
        return  # which the format says, with the line that installs it
    import onnx

    last = onnx.defs.onnx_opset_version()
    if not FIRST_OPSET <= opset <= last:
        raise UserError(
            f"{place}opset: {opset}: should be from {FIRST_OPSET} to {last}, the last of onnx {onnx.__version__}"
        )


class DetectorSettings(Described):
    """A detector: a config of mmdet, and what is laid over it."""

    verb: Literal["transfer"] = "transfer"
    """the verb of `fairdarts` that the recipe is for"""
    name: str
    """name of the recipe"""
    source: str
    """paper and section its values come from"""
    deviations: tuple[str, ...] = ()
    """where and why it differs from its source"""
    base: str
    """the config that is inherited, as PACKAGE::FILE"""
    strides: tuple[int, ...] = Field(min_length=1)
    """of the feature maps that the neck takes; from which of them its pyramid begins is the neck's start_level"""
    frozen_stride: int
    """of a backbone with trained weights: what makes the features of this stride is not trained further"""
    norm_eval: bool
    """of a backbone with trained weights: whether BatchNorm statistics stay as they are"""
    config: dict[str, Any]
    """laid over the inherited config: mappings over mappings, while anything else takes the place of what was there"""
    cpu: dict[str, Any] = Field(default_factory=dict)
    """laid over that where mmcv's operations are not compiled"""

    @field_validator("strides")
    @classmethod
    def _rising(cls, strides: tuple[int, ...]) -> tuple[int, ...]:
        if list(strides) != sorted(set(strides)):
            raise ValueError(f"{list(strides)}: should rise, each of them once")
        return strides

    @field_validator("config", "cpu")
    @classmethod
    def _writable(cls, config: dict[str, Any]) -> dict[str, Any]:
        for key in config:
            if not str(key).isidentifier() or key in ("_base_", "custom_imports"):
                raise ValueError(f"{key}: cannot be laid over a config; should be the name of a section such as model")
        try:
            json.dumps(config, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{error}; should be of mappings, lists, texts and numbers") from None
        return config
