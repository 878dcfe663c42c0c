"""How are measured numbers read and written? A record's may be missing, an interval be unknown."""

import math
from collections.abc import Sequence

import numpy as np

from fairdarts.ranking.tau import Measured


def measured_text(measured: Measured, sign: str = "") -> str:
    """'0.71 [0.66, 0.75]', '0.71' where no interval can be told, or why there is no such number."""
    if math.isnan(measured.value):
        return f"– ({measured.reason})" if measured.reason else "–"
    interval = "" if math.isnan(measured.low) else f" [{measured.low:{sign}.2f}, {measured.high:{sign}.2f}]"
    return f"{measured.value:{sign}.2f}{interval}"


def column(records: Sequence[dict], name: str) -> np.ndarray:
    """A number of every record; not a number where a record lacks it."""
    return np.asarray([record.get(name, np.nan) for record in records], dtype=float)
