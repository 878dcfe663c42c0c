"""What is asked of a study, and does it fit? It loads no torch."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from fairdarts import resources
from fairdarts.checking import Refused, check, in_one_line
from fairdarts.config import Settings, UserError, nearest
from fairdarts.options import Words, by_key
from fairdarts.runs.recipe import Recipe, content_of, laid_over, read_recipe, settings_of
from fairdarts.runs.request import SEARCH, SUPERNET, TRAIN, Kind, Request, which_images, words_for
from fairdarts.runs.study.form import FactorStudy, RecipeStudy, SpaceStudy, StudyRun, StudyTraining, read_study, texts
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


def check_settings(study: FactorStudy | RecipeStudy, asked: Asked) -> None:
    """Raises UserError with all that is wrong with the recipes of a study and what is laid over them."""
    place, told, read = place_of(asked.study), [], 0
    found: dict[str, list[str]] = {}
    parts = study.runs if isinstance(study, RecipeStudy) else resolved(study, asked.only, {}).spaces
    for part in parts:
        try:
            problems = _problems(study, part, asked)
        except UserError as error:
            told.append(f"{place}: {part.name}: {error}")
            continue
        read += 1
        for problem in problems:
            found.setdefault(problem, []).append(part.name)
    if isinstance(study, RecipeStudy) and not told and not found:
        told += _problems_of_stopped(study, asked)
    for problem, names in found.items():  # of all of them, or said to be of some
        said = len(names) == read or problem.startswith(f"{place}: {names[0]}: ")
        told.append(problem if said else f"{problem} (in {', '.join(names)})")
    if isinstance(study, RecipeStudy) and study.train:
        try:
            told += _problems_of_training(study, asked)
        except UserError as error:
            told.append(f"{place if asked.train is None else 'study'}: train: {error}")
    if told:
        raise UserError(in_one_line(told, ("command line: ", "settings: ", f"{place}: ")))


def _problems(study: FactorStudy | RecipeStudy, part: StudyRun | SpaceStudy, asked: Asked) -> list[str]:
    """What is wrong with a recipe of a study, and what is laid over it. Raises UserError where it is no such recipe."""
    kind = SUPERNET if isinstance(part, SpaceStudy) else kind_of(verb_of(part.config), part.config)
    recipe, of = read_recipe(kind.model, part.config)
    laid = laid_over_part(study, part, asked, kind.model)
    seeds = [f"{laid.places['seed']}: a study's seeds stand in its file; leave it out"] if "seed" in laid else []
    try:
        laid_over(kind.model, recipe, of, laid)
    except Refused as error:
        return seeds + error.problems
    return seeds


def _problems_of_training(study: RecipeStudy, asked: Asked) -> list[str]:
    """What is wrong with the recipe by which cells are trained, and what is laid over it. Raises UserError as
    `_problems`."""
    assert study.train is not None, "else nothing is trained"
    recipe, of = read_recipe(TRAIN.model, study.train.config)
    found: dict[str, None] = {}
    for run in study.runs:
        with suppress(UserError):  # which is told with the run
            if (verb := verb_of(run.config)) != SEARCH.verb:
                found[f"{place_of(asked.study)}: {run.name}: `fairdarts {verb}` finds no cells to train"] = None
        laid = laid_over_training(study, run, asked)
        if "seed" in laid:
            found[f"{laid.places['seed']}: a study's seeds stand in its file; leave it out"] = None
        try:
            laid_over(TRAIN.model, recipe, of, Request(settings=laid, data=asked.data).laid)
        except Refused as error:
            found |= dict.fromkeys(error.problems)
    return list(found)


def laid_over_training(study: RecipeStudy, run: StudyRun, asked: Asked) -> Words:
    """All that is laid over the recipe by which the cells of a run are trained, and where each of it stands; under it
    the images of their search, where no others are said."""
    assert study.train is not None, "else nothing is trained"
    words, changes = words_over(asked.trained, TRAIN.model, "train."), study.train.changes
    places = {key: f"{place_of(asked.study)}: train: {key}" for key in changes}
    places |= {key: words.places.get(key, f"command line: --train.{key}") for key in words}
    told = texts(changes) | words
    images: dict[str, Any] = {}
    with suppress(UserError):  # of a search that cannot be, which is told with it
        recipe, of = read_recipe(SEARCH.model, run.config)
        searched = Request(settings=laid_over_part(study, run, asked, SEARCH.model), data=asked.data).laid
        data = laid_over(SEARCH.model, recipe, of, searched).data
        if told.get("data.kind") in (None, data.kind):
            images = which_images(data.model_dump(mode="json"))
        for key in words_for(asked.data):  # which the training says itself of images that are handed over
            images.pop(key, None)
    return Words(texts(images) | told, words.problems, places)


def _problems_of_stopped(study: RecipeStudy, asked: Asked) -> list[str]:
    """What is wrong with the rows that are judged on the runs of another row."""
    place, rows, told = place_of(asked.study), {run.name: run for run in study.runs}, []
    for row in study.stopped:
        of, here = rows[row.of], f"{place}: stopped: {row.name}: of: '{row.of}'"
        kind = kind_of(verb_of(of.config), of.config)
        if kind is not SEARCH:
            told.append(f"{here} is of `fairdarts {kind.verb}`; should be a row of `fairdarts search`")
        elif row.stopping and row.stopping.kind == "eigenvalue":
            settings, _ = settings_of(kind.model, of.config, laid_over_part(study, of, asked, kind.model))
            if not settings.measures_curvature:
                told.append(f"{here} records no eigenvalue; give it changes: {{curvature: true}}")
    return told


def laid_over_part(
    study: FactorStudy | RecipeStudy, part: StudyRun | SpaceStudy, asked: Asked, model: type[Settings]
) -> Words:
    """All that is laid over the recipe of a run or a space, and where each of it stands."""
    place, words, told = place_of(asked.study), words_over(asked.settings, model), {}
    if isinstance(study, RecipeStudy) and study.files and asked.benchmarks is not None:
        folder = Path(asked.benchmarks)
        told["truth"] = str(folder / file_in(folder, study.files))
    places = dict.fromkeys(told, f"{place}: benchmark")
    places |= {key: f"{place}: shared: {key}" for key in study.shared}
    places |= {key: f"{place}: {part.name}: {key}" for key in part.changes}
    places |= {key: words.places.get(key, f"command line: --{key}") for key in words}
    return Words(told | texts(study.shared) | texts(part.changes) | words, words.problems, places)


def words_over(settings: Mapping[str, Any], model: type[Settings], under: str = "") -> Words:
    """The settings that are laid over all runs, as words; `under` is what Python's keys began with."""
    if isinstance(settings, Words):
        return settings
    given, problems = by_key(model, settings)
    problems = [problem.replace("settings: ", f"settings: {under}", 1) for problem in problems]
    return Words(texts(given), problems, {key: f"settings: {under}{key}" for key in given})


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


def resolved(study: FactorStudy, only: str | None, settings: Mapping[str, Any]) -> FactorStudy:
    """The study with settings laid over it, and cut down to one space.

    They lie over all but what a factor itself changes. Raises UserError where there is no such space.
    """
    names = [space.name for space in study.spaces]
    if only not in (None, *names):
        raise UserError(f"study: --only {only}: is no space of {study.name}{nearest(str(only), names)}")
    spaces = [
        space.model_copy(update={"changes": space.changes | words_over(settings, SUPERNET.model)})
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
