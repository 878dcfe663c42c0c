"""What is wrong with the recipes of a study, and with what is laid over them? All of it at once, without torch."""

from contextlib import suppress

from fairdarts.checking import Refused, in_one_line
from fairdarts.config import UserError
from fairdarts.runs.recipe import laid_over, read_recipe, settings_of
from fairdarts.runs.request import SEARCH, SUPERNET, TRAIN, Request
from fairdarts.runs.study.asked import Asked, kind_of, place_of, verb_of
from fairdarts.runs.study.form import FactorStudy, RecipeStudy, SpaceStudy, StudyRun
from fairdarts.runs.study.laid import laid_over_part, laid_over_training, resolved


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
