"""What is asked of a study, and does it fit? It loads no torch."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from fairdarts import resources
from fairdarts.config import UserError, nearest
from fairdarts.options import Words
from fairdarts.runs.recipe import Recipe, content_of, settings_of
from fairdarts.runs.request import SEARCH, SUPERNET, Kind
from fairdarts.runs.study.form import FactorStudy, RecipeStudy, SpaceStudy, read_study, texts
from fairdarts.runtime.verb import stated_verb


class Asked(NamedTuple):
    """What is asked for; as `study` has it."""

    study: str | Path | Mapping[str, Any]
    out: str | Path | None = None
    benchmarks: str | Path | None = None
    only: str | None = None
    settings: Mapping[str, Any] = {}


def read_asked(asked: Asked) -> FactorStudy | RecipeStudy:
    """The study that is asked for. Raises UserError where an option is not for it, or one is missing."""
    form, place = read_study(asked.study)
    if isinstance(form, FactorStudy):
        if asked.benchmarks is None:
            files = ", ".join(dict.fromkeys(" or ".join(space.files) for space in form.spaces))
            raise UserError(f"study: --benchmarks FOLDER is missing, the folder of {files}")
        return form
    for option, value in (("benchmarks", asked.benchmarks), ("only", asked.only)):
        if value is not None:
            raise UserError(f"study: --{option}: is for a study of factors, but {place} has no spaces")
    assert isinstance(form, RecipeStudy), "there are two kinds"
    return form


def check_settings(study: FactorStudy | RecipeStudy, asked: Asked) -> None:
    """Raises UserError where a recipe of a study refuses the settings that are laid over all of its runs."""
    if isinstance(study, FactorStudy):
        for space in resolved(study, asked.only, asked.settings).spaces:
            with blaming(f"{study.name}: {space.name}"):
                settings_of(SUPERNET.model, space.config, Words(texts(study.shared) | texts(space.changes)))
        return
    for run in study.runs:
        changes = texts(study.shared | run.changes) | texts(asked.settings)
        kind = kind_of(f"{run.name}-seed{study.seeds[0]}", verb_of(run.config), run.config, changes)
        settings_of(kind.model, run.config, Words(changes))


def folder_of(study: FactorStudy | RecipeStudy, asked: Asked) -> Path:
    """Where the runs of a study lie."""
    return Path(asked.out or Path("runs") / study.name)


def kind_of(name: str, verb: str, recipe: Recipe, changes: Mapping[str, Any]) -> Kind:
    """The kind of a study's run. Raises UserError where a study runs none of that verb, or its seed is changed."""
    if "seed" in changes:
        raise UserError(f"{name}: seed: a study's seeds stand in its file; leave --seed out")
    kind = next((kind for kind in (SEARCH, SUPERNET) if kind.verb == verb), None)
    if kind is None:
        stated = recipe if isinstance(recipe, str) else "config"
        problem = f"is a recipe of `fairdarts {verb}`, which a study does not run"
        raise UserError(f"{name}: {stated}: {problem}")
    return kind


def verb_of(recipe: Recipe) -> str:
    """The verb of a recipe."""
    content, place = content_of(recipe)
    return stated_verb(content, Path(place))


def resolved(study: FactorStudy, only: str | None, settings: Mapping[str, Any]) -> FactorStudy:
    """The study with settings laid over it, and cut down to one space.

    They lie over all but what a factor itself changes. Raises UserError where there is no such space.
    """
    names = [space.name for space in study.spaces]
    if only not in (None, *names):
        raise UserError(f"study: --only {only}: is no space of {study.name}{nearest(str(only), names)}")
    spaces = [
        space.model_copy(update={"changes": space.changes | texts(settings)})
        for space in study.spaces
        if only in (None, space.name)
    ]
    return study.model_copy(update={"spaces": tuple(spaces)})


def recipe_of(space: SpaceStudy, folder: Path) -> Path:
    """The recipe of a space: the copy that its runs lie beside, once they have begun.

    It is data, whose `plugins` nobody has named: what runs is the recipe that the study names.
    """
    copy = folder / space.name / "recipe.yaml"
    return copy if copy.is_file() else resources.find("recipes", space.config)


@contextmanager
def blaming(place: str) -> Iterator[None]:
    """Within it, a UserError blames a place of the study where it would blame the command line."""
    try:
        yield
    except UserError as error:
        raise UserError(re.sub(r"^command line: (--)?", f"{place}: ", str(error))) from None
