"""Which rows of a study of recipes are not run? Those judged on another row's runs, and those that others published."""

import re
from typing import Annotated, NamedTuple, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from fairdarts.config import Settings
from fairdarts.differentiable.settings import DeriveSettings
from fairdarts.differentiable.stopping import StoppingSettings

NAME = r"^[\w.-]+$"
PUBLISHED = re.compile(r"(\d+(?:\.\d+)?)(?:\s*(?:±|\+-)\s*(\d+(?:\.\d+)?))?")
"""a mean, and its deviation where one is published"""


class PublishedNumber(NamedTuple):
    """A number of a paper, in percent."""

    mean: float
    deviation: float | None
    """None where none is published"""


def published_number(text: str) -> PublishedNumber:
    """'93.23 ± 0.18' or '93.23' as numbers. Raises ValueError where the text is neither."""
    found = PUBLISHED.fullmatch(text.strip())
    if not found:
        raise ValueError(f"'{text}': should be a number in percent, such as 93.23, or 93.23 ± 0.18")
    mean, deviation = found.groups()
    return PublishedNumber(float(mean), None if deviation is None else float(deviation))


def _checked(text: str) -> str:
    published_number(text)
    return text


def _as_text(number: object) -> object:
    return str(number) if isinstance(number, int | float) and not isinstance(number, bool) else number


class StoppedRow(Settings):
    """What another row's searches would have come to: had they stopped by a rule, or been derived by another one."""

    name: str = Field(pattern=NAME)
    """what the row is called"""
    of: str
    """the row whose runs it is judged on, of a recipe of `fairdarts search`"""
    stopping: StoppingSettings | None = None
    """when they would have stopped; eigenvalue wants runs that record it, by curvature true"""
    derive: DeriveSettings | None = None
    """how their genotypes would have been derived"""

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        if (self.stopping is None) == (self.derive is None):
            raise ValueError(f"{self.name}: should have either stopping or derive")
        return self


class PublishedRow(Settings):
    """What a paper prints, shown beside; nothing is computed from it."""

    name: str = Field(min_length=1)
    """what the row is called"""
    source: str
    """where it is printed: paper and table"""
    numbers: dict[str, Annotated[str, BeforeValidator(_as_text), AfterValidator(_checked)]] = Field(min_length=1)
    """column of the benchmark → accuracy in percent, alone or with its deviation: 93.23 ± 0.18"""
