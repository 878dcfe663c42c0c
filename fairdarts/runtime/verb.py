"""The verb that a recipe, or the settings.yaml of a run, is for."""

from pathlib import Path
from typing import Any

from fairdarts.config import UserError, nearest
from fairdarts.reading import read_yaml

SECTIONS = {
    "search": "architect",
    "supernet": "sampler",
    "evolve": "evolve",
    "segment": "deeplab",
    "train": "optimizer",
    "transfer": "base",
}
"""verb → the section that its files, and none of a later verb, have: by it those of version 0.1 are known, which name
no verb"""


def verb_of(content: dict[str, Any], path: Path) -> str | None:
    """The verb that a file's content names, or shows by its sections; None where it does neither.

    Raises UserError where it names one that has no such files.
    """
    if "verb" not in content:
        return next((verb for verb, section in SECTIONS.items() if section in content), None)
    verb = content["verb"]
    if verb not in list(SECTIONS):
        raise UserError(f"{path}: verb: {verb!r}: is no verb with recipes{nearest(str(verb), SECTIONS)}")
    return str(verb)


def read_verb(path: Path) -> str:
    """The verb of a file, which is said or shown there. Raises UserError where it is neither."""
    return stated_verb(read_yaml(path), path)


def stated_verb(content: dict[str, Any], path: Path) -> str:
    """The verb of a file's content, as `read_verb` gives it."""
    verb = verb_of(content, path)
    if verb is None:
        raise UserError(f"{path}: verb: is missing; should be one of {', '.join(SECTIONS)}")
    return verb
