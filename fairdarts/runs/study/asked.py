"""What is asked of a study? Its options, its kind, where it lies. It loads no torch."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from fairdarts import resources
from fairdarts.checking import check
from fairdarts.config import UserError
from fairdarts.runs.recipe import Recipe, content_of
from fairdarts.runs.request import SEARCH, SUPERNET, Kind
from fairdarts.runs.study.form import FactorStudy, RecipeStudy, SpaceStudy, StudyTraining, read_study
from fairdarts.runtime.verb import stated_verb


class Asked(NamedTuple):
    """What is asked for; as `study` has it."""

    study: str | Path | Mapping[str, Any]
    out: str | Path | None = None
    benchmarks: str | Path | None = None
    only: str | None = None
    settings: Mapping[str, Any] = {}
    data: Any = None
    train: Recipe | None = None
    """by which the cells are trained, in the place of what the study says of that"""
    trained: Mapping[str, Any] = {}
    """settings that are laid over their trainings"""


def read_asked(asked: Asked) -> FactorStudy | RecipeStudy:
    """The study that is asked for. Raises UserError where an option is not for it, or one is missing."""
    form, place = read_study(asked.study)
    if isinstance(form, FactorStudy):
        if asked.benchmarks is None:
            files = ", ".join(dict.fromkeys(" or ".join(space.files) for space in form.spaces))
            raise UserError(f"study: --benchmarks FOLDER is missing, the folder of {files}")
        if asked.data is not None:
            raise UserError("study: data: is for a study of recipes; one of factors has its recipes' images")
        if asked.train is not None or asked.trained:
            raise UserError("study: --train: is for a study of recipes; one of factors trains supernets alone")
        return form
    if asked.only is not None:
        raise UserError(f"study: --only: is for a study of factors, but {place} has no spaces")
    assert isinstance(form, RecipeStudy), "there are two kinds"
    if asked.train is not None:
        train = check(StudyTraining, {"config": asked.train}, "study: train")
        form = form.model_copy(update={"train": train})
    if asked.trained and not form.train:
        key = next(iter(asked.trained), "…")
        raise UserError(f"study: train.{key}: {place} trains no cells; --train RECIPE does")
    if form.files and asked.benchmarks is None:
        raise UserError(f"study: --benchmarks FOLDER is missing, the folder of {' or '.join(form.files)}")
    if asked.benchmarks is not None and not form.files:
        raise UserError(f"study: --benchmarks: {place} names no benchmark")
    if form.files:
        file_in(Path(str(asked.benchmarks)), form.files)
    return form


def file_in(folder: Path, files: Sequence[str]) -> str:
    """The first of some files that lies in the folder that --benchmarks names. Raises UserError where none does."""
    for file in files:
        if (folder / file).is_file():
            return file
    if len(files) > 1:
        raise UserError(f"{folder}: holds none of {', '.join(files)}; --benchmarks should be the folder of one of them")
    raise UserError(f"{folder / files[0]}: no such file; --benchmarks should be the folder of {files[0]}")


def apart(settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings that lie over the runs of a study, and those that begin with `train.`, which lie over the trainings."""
    searches: dict[str, Any] = {}
    trainings: dict[str, Any] = {}
    for key, value in settings.items():
        if str(key).startswith("train."):
            trainings[key.removeprefix("train.")] = value
        elif key == "train" and isinstance(value, Mapping):
            trainings |= value
        else:
            searches[key] = value
    return searches, trainings


def place_of(study: str | Path | Mapping[str, Any]) -> str:
    """Where a study stands, for messages."""
    return "study" if isinstance(study, Mapping) else str(resources.find("studies", str(study)))


def folder_of(study: FactorStudy | RecipeStudy, asked: Asked) -> Path:
    """Where the runs of a study lie."""
    return Path(asked.out or Path("runs") / study.name)


def kind_of(verb: str, recipe: Recipe) -> Kind:
    """The kind of a study's run. Raises UserError where a study runs none of that verb."""
    kind = next((kind for kind in (SEARCH, SUPERNET) if kind.verb == verb), None)
    if kind is None:
        stated = recipe if isinstance(recipe, str) else "config"
        raise UserError(f"{stated}: is a recipe of `fairdarts {verb}`, which a study does not run")
    return kind


def verb_of(recipe: Recipe) -> str:
    """The verb of a recipe."""
    content, place = content_of(recipe)
    return stated_verb(content, Path(place))


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
