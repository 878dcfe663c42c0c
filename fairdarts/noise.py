"""What noise and dropout a search can be told to disturb its operations with."""

import math
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from fairdarts.config import Settings
from fairdarts.own import PartName

SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda done: 1.0,
    "cosine": lambda done: (1 + math.cos(math.pi * done)) / 2,
    "exponential": lambda done: math.exp(-5 * done),
    "falling": lambda done: 1 - done,
    "rising": lambda done: done,
}
"""name → strength as a share of the full one, by the share of the epochs that are done: from 1 down, or (rising) up"""


Operations = Annotated[
    tuple[str, ...], BeforeValidator(lambda given: (given,) if isinstance(given, str) else given), Field(min_length=1)
]
"""one name or several"""


class NoiseSettings(Settings):
    """Noise of mean 0 on some operations (FairDARTS, section 6.3)."""

    on: Literal["gate", "output"]
    """gate: added to α, before the relaxation; output: added to every value that the operation gives"""
    distribution: Literal["gaussian", "uniform"]
    """its distribution"""
    std: float = Field(gt=0)
    """standard deviation at full strength"""
    schedule: Annotated[str, PartName("schedule", *SCHEDULES)]
    """strength over the epochs"""
    operations: Operations
    """which operations"""


class DropoutSettings(Settings):
    """Dropout behind some operations (FairDARTS, supplementary, Table 3)."""

    unit: Literal["element", "image"]
    """what is dropped at once: a value (P-DARTS), or all that an operation gives for an image (RobustDARTS)"""
    rate: float = Field(gt=0, lt=1)
    """share that is dropped at full strength; the rest is scaled up"""
    schedule: Annotated[str, PartName("schedule", *SCHEDULES)]
    """strength over the epochs"""
    operations: Operations
    """which operations"""
