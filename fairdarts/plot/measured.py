"""How is a measured number written? With its 95% interval, where that can be told."""

import math

from fairdarts.ranking.tau import Measured


def measured_text(measured: Measured, sign: str = "") -> str:
    """'0.71 [0.66, 0.75]', '0.71' where no interval can be told, or why there is no such number."""
    if math.isnan(measured.value):
        return f"– ({measured.reason})" if measured.reason else "–"
    interval = "" if math.isnan(measured.low) else f" [{measured.low:{sign}.2f}, {measured.high:{sign}.2f}]"
    return f"{measured.value:{sign}.2f}{interval}"
