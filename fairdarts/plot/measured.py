"""How is a measured number written? With its 95% interval, where that can be told."""

import math

from fairdarts.ranking.tau import Measured


def measured_text(own: Measured, sign: str = "") -> str:
    """'0.71 [0.66, 0.75]', '0.71' where no interval can be told, or why there is no such number."""
    if math.isnan(own.value):
        return f"– ({own.reason})" if own.reason else "–"
    interval = "" if math.isnan(own.low) else f" [{own.low:{sign}.2f}, {own.high:{sign}.2f}]"
    return f"{own.value:{sign}.2f}{interval}"
