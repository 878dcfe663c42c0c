"""How is a study of recipes run? Every recipe with every seed; one that fails does not keep the others from running."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fairdarts.config import UserError, nearest
from fairdarts.differentiable.derive import check_rule
from fairdarts.ranking.benchmarks import columns_in
from fairdarts.ranking.truth import truth_of
from fairdarts.reading import dump_yaml, read_yaml
from fairdarts.runs.callbacks import Callbacks
from fairdarts.runs.recipe import settings_of
from fairdarts.runs.request import KINDS, Request, resumed_settings
from fairdarts.runs.result import Run
from fairdarts.runs.study.asked import Asked, file_in, kind_of, laid_over_part, verb_of
from fairdarts.runs.study.form import STUDY, RecipeStudy
from fairdarts.runs.study.jobs import Job, check_same, told, work_off
from fairdarts.runs.study.results import StudyResult, conclude
from fairdarts.runtime import distributed
from fairdarts.runtime.checkpoint import write_atomically
from fairdarts.runtime.lock import InUse
from fairdarts.runtime.run import SETTINGS, open_run
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
        check_job(job, asked.settings)
    check_rows(study, jobs)
    if first:
        begin(study, folder, asked)
        watch.note(told(study.name, jobs, folder))
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
    left = [job.path.name for job in jobs if not job.done]
    others = f"; other processes are at {len(elsewhere)} of them" if elsewhere else ""
    watch.note(f"{study.name}: {len(jobs) - len(left)} of {len(jobs)} runs are done, in {folder}{others}")
    whole = set(left) <= set(failed) and len(left) < len(jobs) and (ran or first)
    concluded = conclude(folder) if whole else None
    result = StudyResult(study.name, folder, [job.path for job in jobs], failed, whole, concluded)
    if failed and distributed.launched() > 1:
        watch.note(result.problem)
    return result


def jobs_of(study: RecipeStudy, folder: Path, asked: Asked) -> list[Job]:
    """All runs of a study, seed by seed, so that each seed's comparison is whole as early as it can be."""
    lines = [(seed, run) for seed in study.seeds for run in study.runs]
    verbs = {run.name: verb_of(run.config) for run in study.runs}
    return [
        Job(
            folder / f"{run.name}-seed{seed}",
            f"run {number} of {len(lines)}",
            verbs[run.name],
            run.config,
            seed,
            laid_over_part(study, run, asked, KINDS[verbs[run.name]].model),
            asked.data,
        )
        for number, (seed, run) in enumerate(lines, start=1)
    ]


def begin(study: RecipeStudy, folder: Path, asked: Asked) -> None:
    """Leaves in the folder what `fairdarts report` needs to know: the study, and where its benchmark lies."""
    file = folder / STUDY
    if file.is_file() and "spaces" in read_yaml(file):
        raise UserError(f"{file}: is of a study of factors; name another --out")
    if study.files and asked.benchmarks is not None:
        benchmark = Path(asked.benchmarks) / file_in(Path(asked.benchmarks), study.files)
        study = study.model_copy(update={"benchmark": str(benchmark.absolute())})
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(file, dump_yaml(study).encode())


def check_rows(study: RecipeStudy, jobs: Sequence[Job]) -> None:
    """Raises UserError where the truth of a space cannot be read, or a row could not be judged: before any of its runs
    begins."""
    read: set[tuple[str, str, tuple[str, ...]]] = set()
    for job in jobs:
        settings, place = job_settings(job)
        space = load_space(settings.space, f"{place}: space")
        key = (settings.space, settings.truth, settings.truth_columns)
        if settings.truth and key not in read:
            read.add(key)
            truth_of(settings, space)
            columns = columns_in(Path(settings.truth))
            for row in study.published:
                for column in row.numbers.keys() - columns if columns else ():
                    what = f"{study.name}: published: {row.name}: {column}: is no column of {settings.truth}"
                    raise UserError(f"{what}{nearest(column, columns)}")
        for row in study.stopped:
            if row.derive and job.path.name == f"{row.of}-seed{job.seed}":
                check_rule(row.derive, space, f"{study.name}: stopped: {row.name}: derive.")


def job_settings(job: Job) -> tuple[Any, str]:
    """The settings of a run, and where its recipe stands."""
    return settings_of(
        kind_of(job.verb, job.recipe).model, job.recipe, Request(settings=job.changes, data=job.data).laid
    )


def check_job(job: Job, told: Mapping[str, Any]) -> None:
    """Raises UserError where a run could not begin, or has begun with other settings: before any of them runs. `told`
    are those that are laid over all runs."""
    kind = kind_of(job.verb, job.recipe)
    if (job.path / SETTINGS).is_file():
        resumed_settings(kind, open_run(job.path), told)
    settings, place = job_settings(job)
    check_same(job.path, kind, settings)
    load_space(settings.space, f"{place}: space")
