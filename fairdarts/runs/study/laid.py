"""What is laid over the recipes of a study, and where does each of it stand? It loads no torch."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from fairdarts.config import Settings, UserError, nearest
from fairdarts.options import Words, by_key
from fairdarts.runs.recipe import laid_over, read_recipe
from fairdarts.runs.request import SEARCH, SUPERNET, TRAIN, Request, which_images, words_for
from fairdarts.runs.study.asked import Asked, file_in, place_of
from fairdarts.runs.study.form import FactorStudy, RecipeStudy, SpaceStudy, StudyRun, texts


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
