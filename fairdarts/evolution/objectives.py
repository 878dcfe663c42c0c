"""What a search wants of a model: quantities to be maximized or minimized, and limits to be kept."""

import math
import operator
import re
from typing import TYPE_CHECKING, NamedTuple

from fairdarts.config import nearest

if TYPE_CHECKING:  # settings are read before numpy is loaded
    import numpy as np

ACCURACY = "accuracy"
"""the quantity that needs a trained model; all others are known of a path alone"""
QUANTITIES = {ACCURACY: "%", "madds": "multiply-adds of an image", "params": "parameters", "latency": "milliseconds"}
"""what can be wanted, and its unit"""
DIRECTIONS = {"max": True, "min": False}

_LIMIT = re.compile(r"\s*(\w+)\s*(<=|>=)\s*([-+\w.]+)\s*")
_BOUNDS = {"<=": operator.le, ">=": operator.ge}


class Objective(NamedTuple):
    """A quantity, and whether more of it is better."""

    quantity: str
    maximized: bool


class Limit(NamedTuple):
    """A quantity must be at most, or at least, so much."""

    quantity: str
    sign: str
    """<= or >="""
    bound: float

    def __str__(self) -> str:
        millions = f"{self.bound / 1e6:g}"
        short = f"{millions}e6" if abs(self.bound) >= 1e6 and "e" not in millions else f"{self.bound:g}"
        return f"{self.quantity} {self.sign} {short if float(short) == self.bound else repr(self.bound)}"

    def excess(self, values: "np.ndarray") -> "np.ndarray":
        """By how much values go beyond it, as a share of its bound; 0 where they keep it."""
        beyond = values - self.bound if self.sign == "<=" else self.bound - values
        return beyond.clip(min=0) / (abs(self.bound) or 1)

    def kept(self, values: "np.ndarray") -> "np.ndarray":
        """Whether values keep it."""
        return _BOUNDS[self.sign](values, self.bound)


def read_objective(text: str) -> Objective:
    """`accuracy`, `madds`, `params:max`: accuracy is maximized and all else minimized if nothing is said.

    Raises ValueError saying what would be right.
    """
    quantity, colon, direction = text.strip().partition(":")
    _check_quantity(quantity)
    if colon and direction not in DIRECTIONS:
        raise ValueError(f"'{text}': should end in :max or :min, or neither")
    return Objective(quantity, DIRECTIONS[direction] if colon else quantity == ACCURACY)


def read_limit(text: str) -> Limit:
    """`madds <= 400e6`. Raises ValueError saying what would be right."""
    match = _LIMIT.fullmatch(text)
    if not match:
        raise ValueError(f"'{text}': should be a quantity, <= or >=, and a number, such as 'madds <= 400e6'")
    quantity, sign, number = match.groups()
    _check_quantity(quantity)
    try:
        bound = float(number)
    except ValueError:
        bound = math.nan
    if not math.isfinite(bound):
        raise ValueError(f"'{text}': {number}: should be a number, such as 400e6")
    return Limit(quantity, sign, bound)


def read_bound(text: str) -> Limit:
    """`madds <= 20e6`, a bound of a cost from above. Raises ValueError saying what would be right."""
    limit = read_limit(text)
    if limit.quantity == ACCURACY or limit.sign != "<=":
        raise ValueError(f"'{text}': should bound a cost from above, such as 'madds <= 20e6'")
    if limit.bound <= 0:
        raise ValueError(f"'{text}': should be more than 0")
    return limit


def amount(cost: float, quantity: str) -> str:
    """'19.8 M madds', '72.1 k params', '3.21 ms'."""
    if quantity == "latency":
        return f"{cost:.3g} ms"
    scale, unit = (1e6, " M") if cost >= 1e6 else (1e3, " k") if cost >= 1e3 else (1, "")
    return f"{cost / scale:.4g}{unit} {quantity}"


def _check_quantity(quantity: str) -> None:
    if quantity not in QUANTITIES:
        raise ValueError(f"'{quantity}' is not a quantity{nearest(quantity, QUANTITIES)}")
