"""Can the runs of a study of recipes begin, go on and be judged? Before any of them runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fairdarts.config import UserError, nearest
from fairdarts.differentiable.derive import check_rule
from fairdarts.ranking.benchmarks import columns_in
from fairdarts.ranking.truth import truth_of
from fairdarts.runs.new import fitting
from fairdarts.runs.recipe import over, read_recipe, settings_of
from fairdarts.runs.request import KINDS, TRAIN, Request, resumed_settings
from fairdarts.runs.study.form import RandomCells, RecipeStudy
from fairdarts.runs.study.jobs import Job, check_same
from fairdarts.runs.zoo import check_prior
from fairdarts.runtime.run import SETTINGS, open_run
from fairdarts.runtime.shape import shape_of
from fairdarts.spaces.space import load_space


def check_rows(study: RecipeStudy, jobs: Sequence[Job]) -> None:
    """Raises UserError where the truth of a space cannot be read, or a row could not be judged: before any of its runs
    begins."""
    read: set[tuple[str, str, tuple[str, ...]]] = set()
    for job in jobs:
        if job.verb == TRAIN.verb:  # which has the space of what it trains
            continue
        settings, place = job_settings(job)
        space = load_space(settings.space, f"{place}: space")
        key = (settings.space, settings.truth, settings.truth_columns)
        if settings.truth and key not in read:
            read.add(key)
            truth_of(settings, space)
            columns = columns_in(Path(settings.truth))
            for printed in study.published:
                for column in printed.numbers.keys() - columns if columns else ():
                    what = f"{study.name}: published: {printed.name}: {column}: is no column of {settings.truth}"
                    raise UserError(f"{what}{nearest(column, columns)}")
        for row in study.stopped:
            if row.derive and job.path.name == f"{row.of}-seed{job.seed}":
                check_rule(row.derive, space, f"{study.name}: stopped: {row.name}: derive.")


def job_settings(job: Job) -> tuple[Any, str]:
    """The settings of a run, and where its recipe stands."""
    kind, laid = KINDS[job.verb], Request(settings=job.changes, data=job.data).laid
    if kind is TRAIN and (shape := shape_of(job.path)):  # then it has begun, with what fits these images
        laid = over(laid, fitting(read_recipe(kind.model, job.recipe)[0], shape))
    return settings_of(kind.model, job.recipe, laid)


def check_job(job: Job, told: Mapping[str, Any], of_training: Mapping[str, Any]) -> None:
    """Raises UserError where a run could not begin, or has begun with other settings: before any of them runs. `told`
    are those that are laid over all runs, and `of_training` over all trainings."""
    kind = KINDS[job.verb]
    if (job.path / SETTINGS).is_file():
        resumed_settings(kind, open_run(job.path), of_training if kind is TRAIN else told)
    settings, place = job_settings(job)
    check_same(job.path, kind, settings)
    if kind is not TRAIN:
        load_space(settings.space, f"{place}: space")
    elif isinstance(job.cells, RandomCells):
        try:
            check_prior(job.cells.space, 1, job.cells.skips, job.cells.madds)
        except UserError as error:
            raise UserError(str(error).replace("zoo sample: --", f"study: {job.cells.name}: ")) from None
