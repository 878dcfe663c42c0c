"""How is a study of recipes run? Every recipe with every seed; one that fails does not keep the others from running.

A study that trains its cells has a second run behind each search, NAME-seedN-train, which trains what the search has
found; and one for each pair of random cells, which no search is before.
"""

from collections.abc import Callable
from pathlib import Path

from fairdarts.config import UserError
from fairdarts.options import Words
from fairdarts.reading import dump_yaml, read_yaml
from fairdarts.runs.callbacks import Callbacks
from fairdarts.runs.request import KINDS, TRAIN
from fairdarts.runs.result import Run
from fairdarts.runs.study.asked import Asked, file_in, verb_of
from fairdarts.runs.study.checks import check_job, check_rows
from fairdarts.runs.study.form import STUDY, RandomCells, RecipeStudy
from fairdarts.runs.study.jobs import Job, told, work_off
from fairdarts.runs.study.laid import laid_over_part, laid_over_training
from fairdarts.runs.study.results import StudyResult, conclude
from fairdarts.runtime import distributed
from fairdarts.runtime.checkpoint import write_atomically
from fairdarts.runtime.lock import InUse


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
    check_rows(study, jobs)
    if first:
        begin(study, folder, asked)
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
    concluded = conclude(folder) if whole else None
    result = StudyResult(study.name, folder, [job.path for job in jobs], failed, whole, concluded)
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
