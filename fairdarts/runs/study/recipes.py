"""How is a study of recipes run? Every recipe with every seed; one that fails does not keep the others from running.

A study that trains its cells has a second run behind each search, NAME-seedN-train, which trains what the search has
found; and one for each pair of random cells, which no search is before.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fairdarts.config import UserError
from fairdarts.options import Words
from fairdarts.runs.callbacks import Callbacks
from fairdarts.runs.recipe import over, read_recipe, settings_of
from fairdarts.runs.request import KINDS, TRAIN, Request, resumed_settings
from fairdarts.runs.result import Run
from fairdarts.runs.study.asked import Asked, laid_over_part, laid_over_training, verb_of
from fairdarts.runs.study.form import RandomCells, RecipeStudy
from fairdarts.runs.study.jobs import Job, check_same, told, work_off
from fairdarts.runs.study.results import StudyResult
from fairdarts.runs.train import fitting
from fairdarts.runs.zoo import check_prior
from fairdarts.runtime import distributed
from fairdarts.runtime.lock import InUse
from fairdarts.runtime.run import SETTINGS, open_run
from fairdarts.runtime.shape import shape_of
from fairdarts.spaces.space import load_space


def run_recipes(
    study: RecipeStudy,
    folder: Path,
    asked: Asked,
    first: bool,
    watch: Callbacks,
    finish: Callable[[Run], None],
) -> StudyResult:
    """Runs what is left to run of a study; the process that ends last is the one to tell of it."""
    jobs = jobs_of(study, folder, asked)
    for job in jobs:
        check_job(job, asked.settings, asked.trained)
    if first:
        watch.note(told(study.name, jobs, folder))
        for cells in study.random if not study.train else ():
            watch.note(f"{study.name}: {cells.name}: random cells are trained and not searched; --train RECIPE does")
    failed: list[str] = []
    ran = False

    def work(job: Job) -> None:
        nonlocal ran
        ran = True
        try:
            finish(job.train(watch))
        except InUse:
            raise
        except UserError as error:
            watch.note(f"{job.path.name}: {error}")
            failed.append(job.path.name)

    elsewhere = work_off(study.name, jobs, folder, work, watch)
    failed += [job.path.name for job in jobs if isinstance(job.cells, Path) and job.cells.name in failed]
    left = [job.path.name for job in jobs if not job.done]
    others = f"; other processes are at {len(elsewhere)} of them" if elsewhere else ""
    watch.note(f"{study.name}: {len(jobs) - len(left)} of {len(jobs)} runs are done, in {folder}{others}")
    whole = set(left) <= set(failed) and len(left) < len(jobs) and (ran or first)
    result = StudyResult(study.name, folder, [job.path for job in jobs], failed, whole)
    if failed and distributed.launched() > 1:
        watch.note(result.problem)
    return result


def jobs_of(study: RecipeStudy, folder: Path, asked: Asked) -> list[Job]:
    """All runs of a study, seed by seed, so that each seed's comparison is whole as early as it can be."""
    jobs: list[Job] = []
    verbs = {run.name: verb_of(run.config) for run in study.runs}
    laid = {run.name: laid_over_part(study, run, asked, KINDS[verbs[run.name]].model) for run in study.runs}
    trained = {run.name: laid_over_training(study, run, asked) for run in study.runs} if study.train else {}

    def train(cells: Path | RandomCells, name: str, seed: int, changes: Words) -> None:
        assert study.train is not None, "else nothing is trained"
        path = folder / f"{name}-seed{seed}-train"
        jobs.append(Job(path, "", TRAIN.verb, study.train.config, seed, changes, asked.data, cells=cells))

    for seed in study.seeds:
        for run in study.runs:
            path = folder / f"{run.name}-seed{seed}"
            jobs.append(Job(path, "", verbs[run.name], run.config, seed, laid[run.name], asked.data))
            if study.train:
                train(path, run.name, seed, trained[run.name])
        for cells in study.random if study.train else ():  # of the same images as the first search's
            train(cells, cells.name, seed, trained[study.runs[0].name])
    return [job._replace(place=f"run {number} of {len(jobs)}") for number, job in enumerate(jobs, start=1)]


def check_job(job: Job, told: Mapping[str, Any], of_training: Mapping[str, Any] = {}) -> None:
    """Raises UserError where a run could not begin, or has begun with other settings: before any of them runs. `told`
    are those that are laid over all runs, and `of_training` over all trainings."""
    kind = KINDS[job.verb]
    if (job.path / SETTINGS).is_file():
        resumed_settings(kind, open_run(job.path), of_training if kind is TRAIN else told)
    laid = Request(settings=job.changes, data=job.data).laid
    if kind is TRAIN and (shape := shape_of(job.path)):  # then it has begun, with what fits these images
        laid = over(laid, fitting(read_recipe(kind.model, job.recipe)[0], shape))
    settings, place = settings_of(kind.model, job.recipe, laid)
    check_same(job.path, kind, settings)
    if kind is not TRAIN:
        load_space(settings.space, f"{place}: space")
    elif isinstance(job.cells, RandomCells):
        try:
            check_prior(job.cells.space, 1, job.cells.skips, job.cells.madds)
        except UserError as error:
            raise UserError(str(error).replace("zoo sample: --", f"study: {job.cells.name}: ")) from None
