"""What a run reads: what `--config` names, with the settings of the command line laid over it, and the images."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from fairdarts import resources
from fairdarts.cli.words import tracked
from fairdarts.config import Settings, UserError, check, describe, nearest, parse_overrides, read_text, read_yaml
from fairdarts.data.examine import examine
from fairdarts.data.settings import DataSettings
from fairdarts.data.sources import ClassFolders, Source, open_source, seen_of
from fairdarts.data.split import tell_split
from fairdarts.runtime import distributed
from fairdarts.runtime.device import use_threads
from fairdarts.runtime.verb import SECTIONS, verb_of
from fairdarts.spaces.space import Space, load_space


def names_of(model: type[Settings]) -> list[str]:
    """The shipped recipes of a form; each begins with its verb."""
    head = f"verb: {model.model_fields['verb'].default}\n"
    paths = {name: resources.find("recipes", name) for name in resources.names("recipes")}
    return [name for name, path in paths.items() if read_text(path, len(head)) == head]


def help_text(model: type[Settings]) -> str:
    """What `--help` says of recipes and their settings."""
    return f"recipes: {', '.join(names_of(model))}\n\nevery setting of a recipe is an option:\n{describe(model)}"


def open_recipe(verb: str, model: type[Settings], name: str | None, words: Sequence[str]) -> tuple[Any, Space]:
    """Settings and space of a shipped recipe or a YAML file; from here on it runs on the threads that they say.

    Raises UserError, also where the recipe is one of another verb.
    """
    settings, path = open_settings(verb, model, name, words)
    return settings, load_space(settings.space, f"{path}: space")


def open_settings(verb: str, model: type[Settings], name: str | None, words: Sequence[str]) -> tuple[Any, Path]:
    """Settings of a recipe, as `open_recipe` reads them, and the recipe's file."""
    if not name:
        raise UserError(f"{verb}: --config is missing{nearest('', names_of(model))}")
    path = resources.find("recipes", name)
    settings = check(model, read_recipe(model, path), path, parse_overrides(words))
    use_threads(settings.threads)
    return settings, path


def read_recipe(model: type[Settings], path: Path) -> dict[str, Any]:
    """What the file of a recipe of a form holds. Raises UserError where it is one of another verb."""
    content, verb = read_yaml(path), model.model_fields["verb"].default
    if content.get("plugins"):
        from fairdarts.plugins import load_recipe_plugins  # which loads all that can be registered

        load_recipe_plugins(content, path)
    if (stated := verb_of(content, path)) and stated != verb:
        sections = f": it has the section {SECTIONS[stated]}, and not the section {SECTIONS[verb]}"
        why = "" if "verb" in content else sections
        raise UserError(f"{path}: is a recipe of `fairdarts {stated}`, not of `fairdarts {verb}`{why}")
    return content


def open_images(data: DataSettings, new: bool = False, least: int = 2) -> Source:
    """The images, of at least so many classes; where they are downloaded first, one process of a machine does it. Of a
    new run they are examined."""
    for turn in (True, False):
        with distributed.together():
            if distributed.leads_machine() == turn:
                source = open_source(data, least)
    if new:
        examine_images(data, source)
        with distributed.together():
            tell_split(data, source)
    return source


def examine_images(data: DataSettings, source: Source, indices: Sequence[int] | None = None) -> None:
    """Examines the files of a source, or those of some indices; one process of a machine does it, with a bar on a
    terminal. Raises UserError as `examine` does, in all processes."""
    if not isinstance(source.dataset, ClassFolders):
        return
    samples = source.dataset.samples
    paths = [samples[index][0] for index in (range(len(samples)) if indices is None else indices)]
    shown = partial(tracked, what="looking at the images")
    look = partial(examine, paths, data.white, f"data.root: {source.dataset.root}", seen_of(data), shown)
    distributed.wait_for(look if distributed.leads_machine() else None)
