"""Shipped models as parameters of tests: of the many that differ in their genotype alone, most are slow."""

from collections.abc import Iterable
from typing import Any

import pytest

KIN = ("random-m2", "darts-noise", "sgas")


def as_parameters(names: Iterable[str]) -> list[Any]:
    return [pytest.param(name, marks=pytest.mark.slow) if name.startswith(KIN) else name for name in names]
