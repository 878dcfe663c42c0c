"""What transfers are told: the recipe of a detector, and formats of files by name."""

import json
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field, field_validator

from fairdarts.config import UserError, nearest
from fairdarts.runtime.settings import Described

PREFIX = "detect-"
"""what the names of detectors' recipes begin with"""

SUFFIXES = {
    "onnx": ".onnx",
    "safetensors": ".safetensors",
    "torchscript": ".torchscript.pt",
    "torch-export": ".pt2",
}
"""format of a file that holds a whole model → what its name ends with"""
USUAL = ("onnx", "safetensors")
"""the formats where none is named"""


def check_formats(names: Sequence[str], place: str) -> None:
    """Raises UserError where one is not a format."""
    for name in names:
        if name not in SUFFIXES:
            raise UserError(f"{place}: '{name}' is not a format{nearest(name, SUFFIXES)}")


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
