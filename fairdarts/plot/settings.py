"""What figures are told: the formats of their files."""

from collections.abc import Sequence

from fairdarts.config import UserError, nearest

FORMATS = ("svg", "png", "pdf")
"""formats that a figure is written in"""
USUAL = ("svg", "png")
"""the formats where none is named"""


def checked_formats(names: Sequence[str] | str, place: str) -> list[str]:
    """The formats that are named, one or several, each once. Raises UserError where one is none of FORMATS."""
    several = list(dict.fromkeys([names] if isinstance(names, str) else names))
    for name in several:
        if name not in FORMATS:
            raise UserError(f"{place}: '{name}' is not a format of figures{nearest(name, FORMATS)}")
    if not several:
        raise UserError(f"{place}: names no format; should be some of {', '.join(FORMATS)}")
    return several
