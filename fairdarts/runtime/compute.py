"""How a step is computed, whatever it trains: settings that searches and supernets share."""

from typing import Literal

from pydantic import Field

from fairdarts.config import Settings


class Compute(Settings):
    """What a step costs, not what it means."""

    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """of the weights' work, by autocast; all else stays in float32. auto: bfloat16 on CUDA, float32 on the CPU"""
    layout: Literal["channels_last", "contiguous"] = "channels_last"
    """of images and weights in memory; on the CPU a mixed cell trains in channels_last in any case"""
    accumulate: int = Field(default=1, ge=1)
    """parts in which a process goes through its share of a batch, one after another: less memory, and BatchNorm sees
    the parts"""
