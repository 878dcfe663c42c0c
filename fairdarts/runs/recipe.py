"""What a run is told: a recipe, with settings laid over it."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fairdarts import resources
from fairdarts.checking import COMMAND_LINE, check
from fairdarts.config import Settings, UserError
from fairdarts.options import Words, by_key
from fairdarts.reading import read_text, read_yaml
from fairdarts.runtime.verb import SECTIONS, verb_of
from fairdarts.transfer.settings import PREFIX, DetectorSettings

Recipe = str | Path | Mapping[str, Any]
"""a shipped recipe's name, a YAML file, or what such a file holds"""


def names_of(model: type[Settings]) -> list[str]:
    """The shipped recipes of a form; each begins with its verb."""
    head = f"verb: {model.model_fields['verb'].default}\n"
    paths = {name: resources.find("recipes", name) for name in resources.names("recipes")}
    return [name for name, path in paths.items() if read_text(path, len(head)) == head]


def detectors() -> list[str]:
    """The shipped detectors of `fairdarts transfer`, without what the names of their recipes begin with."""
    return [name.removeprefix(PREFIX) for name in names_of(DetectorSettings)]


def settings_of(model: type[Settings], recipe: Recipe, settings: Mapping[str, Any]) -> tuple[Any, str]:
    """Settings of a recipe, with others laid over it by dotted key, and where the recipe stands, for messages.

    Raises UserError, also where the recipe is one of another verb.
    """
    content, place = read_recipe(model, recipe)
    return laid_over(model, content, place, settings), place


def laid_over(model: type[Settings], content: dict[str, Any], place: str | Path, settings: Mapping[str, Any]) -> Any:
    """Checked settings from a recipe's content, with others laid over it. Raises UserError blaming who said what is
    wrong."""
    if isinstance(settings, Words):
        given, problems, asked, places = dict(settings), settings.problems, COMMAND_LINE, settings.places
    else:
        given, problems = by_key(model, merged(settings))
        asked, places = "settings: ", {}
    if "plugins" in given:
        del given["plugins"]
        what = "stands in recipes; should be fairdarts.load_plugin(FILE), or --plugin FILE"
        problems = [*problems, f"{places.get('plugins', f'{asked}plugins')}: {what}"]
    return check(model, content, place, given, asked, problems, places)


def merged(settings: Mapping[str, Any] | None, named: Mapping[str, Any] = {}) -> dict[str, Any]:
    """Settings that Python gives, and over them those that are named each. Raises UserError where they are none."""
    if not isinstance(settings, Mapping | None):
        raise UserError(f"settings: {settings!r}: should be a mapping, such as {{'data.batch_size': 64}}")
    asked = {**(settings or {}), **named}
    if "space" in asked and not isinstance(asked["space"], str | os.PathLike):
        advice = "one of your own is registered first, by fairdarts.register_space"
        raise UserError(f"settings: space: {type(asked['space']).__name__}: should be a name or a YAML file; {advice}")
    return {key: os.fspath(value) if isinstance(value, os.PathLike) else value for key, value in asked.items()}


def over(settings: Mapping[str, Any], under: Mapping[str, Any]) -> Mapping[str, Any]:
    """Settings by dotted key, over others that give way to them."""
    if not isinstance(settings, Words):
        return {**under, **settings}
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in under.items()}
    return Words({**texts, **settings}, settings.problems, settings.places)


def read_recipe(model: type[Settings], recipe: Recipe) -> tuple[dict[str, Any], str]:
    """What a recipe of a form holds, and its place. Raises UserError where it is one of another verb."""
    content, place = content_of(recipe)
    verb = model.model_fields["verb"].default
    if (stated := verb_of(content, Path(place))) and stated != verb:
        sections = f": it has the section {SECTIONS[stated]}, and not the section {SECTIONS[verb]}"
        why = "" if "verb" in content else sections
        raise UserError(f"{place}: is a recipe of `fairdarts {stated}`, not of `fairdarts {verb}`{why}")
    return content, place


def content_of(recipe: Recipe) -> tuple[dict[str, Any], str]:
    """What a recipe of any form holds, and its place; the files of parts of one's own that it names are loaded."""
    path = Path("recipe") if isinstance(recipe, Mapping) else resources.find("recipes", str(recipe))
    content = dict(recipe) if isinstance(recipe, Mapping) else read_yaml(path)
    if content.get("plugins"):
        from fairdarts.plugins import load_recipe_plugins  # which loads all that can be registered

        load_recipe_plugins(content, path)
    return content, str(path)
