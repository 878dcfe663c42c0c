"""How is a study of factors run? Supernets trained and judged, factor by factor, each on what earlier ones kept."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from fairdarts.checking import check
from fairdarts.config import UserError
from fairdarts.oneshot.settings import TrainingSettings
from fairdarts.oneshot.train import check_sampler
from fairdarts.reading import dump_yaml, read_text, read_yaml
from fairdarts.resources import find
from fairdarts.runs.callbacks import Callbacks
from fairdarts.runs.recipe import Recipe, read_recipe
from fairdarts.runs.request import SUPERNET
from fairdarts.runs.result import Run
from fairdarts.runs.study.asked import file_in
from fairdarts.runs.study.form import BEST, STUDY, FactorStudy, SpaceStudy
from fairdarts.runs.study.jobs import Job, check_same, counted, told, work_off
from fairdarts.runs.study.judging import Truths, score, truths_of
from fairdarts.runs.study.plan import Step, identity, planned
from fairdarts.runs.study.results import StudyResult, conclude
from fairdarts.runtime.checkpoint import write_atomically
from fairdarts.runtime.stop import Diverged
from fairdarts.supernet.settings import check_supernet


def run_factors(
    study: FactorStudy,
    folder: Path,
    benchmarks: Path,
    first: bool,
    watch: Callbacks,
    finish: Callable[[Run], None],
) -> StudyResult:
    """Runs what is left to run of a study; its first process waits for the others, and makes numbers and page."""
    recipes = {space.name: read_recipe(TrainingSettings, space.config)[0] for space in study.spaces}
    check_begun(study, folder)
    truths = {space.name: truths_of(study, space, benchmarks) for space in study.spaces}
    steps = list(_checked(study, folder, truths))
    if first:
        begin(study, folder)
        tell_plan(study, recipes, steps, folder, watch)

    def work(job: Job) -> None:
        try:
            if not job.trained:
                finish(job.train(watch))
        except Diverged as error:  # which is a result: a setting that cannot be trained with
            watch.note(f"{job.path.name}: {error}")
        else:
            score(job.path, truths[job.place], study.images, watch)

    every: list[Job] = []
    for space, step in _checked(study, folder, truths):
        jobs = jobs_of(study, space, recipes[space.name], step, folder)
        place = f"{space.name}: {step.factor.name} keeps the best" if step.factor.keep == BEST else None
        work_off(study.name, jobs, folder, work, watch, place)
        every += jobs
    paths = list(dict.fromkeys(job.path for job in every))
    if not first:
        return StudyResult(study.name, folder, paths)
    work_off(study.name, every, folder, work, watch, study.name)
    return StudyResult(study.name, folder, paths, whole=True, concluded=conclude(folder))


def _checked(study: FactorStudy, folder: Path, truths: Mapping[str, Truths]) -> Iterator[tuple[SpaceStudy, Step]]:
    """All factors of all spaces, each as it is asked for. Raises UserError as `check_step`."""
    for space in study.spaces:
        for step in planned(study, space, folder):
            check_step(step, truths[space.name], space.name)
            yield space, step


def tell_plan(
    study: FactorStudy,
    recipes: Mapping[str, Recipe],
    steps: list[tuple[SpaceStudy, Step]],
    folder: Path,
    watch: Callbacks,
) -> None:
    """Says what is about to run: of all, and a line a factor."""
    every: dict[Path, Job] = {}
    lines = []
    for space, step in steps:
        jobs = {
            job.path: job for job in jobs_of(study, space, recipes[space.name], step, folder) if job.path not in every
        }
        every |= jobs
        labels = ", ".join(row.label for row in step.rows)
        keeps = "; the best is kept" if step.factor.keep == BEST else ""
        open_yet = "" if step.settled else "; begins with the best of earlier factors, which is not known yet"
        lines.append(f"{space.name}: {step.factor.name}: {labels}: {counted(list(jobs.values()))}{keeps}{open_yet}")
    for line in (told(study.name, list(every.values()), folder), *lines):
        watch.note(line)


def jobs_of(study: FactorStudy, space: SpaceStudy, recipe: Recipe, step: Step, folder: Path) -> list[Job]:
    """All runs of a factor, each once, seed by seed, so that a comparison is whole as early as it can be."""
    jobs: dict[Path, Job] = {}
    for number, seed in enumerate(study.seeds):
        for row in step.rows:
            path = row.runs[number]
            jobs.setdefault(path, Job(path, space.name, "supernet", recipe, seed, row.changes, judged=row.settings))
    return list(jobs.values())


def with_files(study: FactorStudy, folder: Path) -> FactorStudy:
    """The study with one file of truth a space: the first of its files that lies in the folder.

    Raises UserError where there is none.
    """
    spaces = [space.model_copy(update={"benchmark": file_in(folder, space.files)}) for space in study.spaces]
    return study.model_copy(update={"spaces": tuple(spaces)})


def check_begun(study: FactorStudy, folder: Path) -> None:
    """Raises UserError where the folder holds runs that were judged by something else."""
    file = folder / STUDY
    if not file.is_file():
        if (folder / "settings.yaml").is_file():
            raise UserError(f"{folder}: is a run, and no folder of a study; name another --out")
        return
    begun = check(FactorStudy, read_yaml(file), file)
    before = {space.name: space for space in begun.spaces}
    pairs: list[tuple[str, Any, Any, tuple[str, ...]]] = [("", begun, study, ("name", "architectures", "images"))]
    pairs += [
        (f"{space.name}: ", before[space.name], space, ("benchmark", "column"))
        for space in study.spaces
        if space.name in before
    ]
    for place, old, new, keys in pairs:
        for key in keys:
            if getattr(old, key) != getattr(new, key):
                change = f"{getattr(old, key)}, but now it is {getattr(new, key)}"
                advice = "the runs of one folder are judged alike; name another --out"
                raise UserError(f"{file}: {place}{key}: {change}: {advice}")
    for space in study.spaces:
        copy, original = folder / space.name / "recipe.yaml", find("recipes", space.config)
        if copy.is_file() and _content(copy) != _content(original):
            raise UserError(f"{copy}: {original} is no longer the recipe that the runs began with; name another --out")


def _content(recipe: Path) -> str:
    """What a recipe computes."""
    settings = check(TrainingSettings, read_yaml(recipe), recipe)
    return identity(settings.model_copy(update={"source": "", "deviations": (), "plugins": ()}))


def begin(study: FactorStudy, folder: Path) -> None:
    """Leaves in the folder what `fairdarts report` needs to know: the study, and the recipes that it begins with.

    Spaces that were run before are kept, so that those run one by one come together.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / STUDY
    if file.is_file():
        asked = {space.name: space for space in study.spaces}
        before = check(FactorStudy, read_yaml(file), file).spaces
        spaces = {space.name: asked.get(space.name, space) for space in before} | asked
        study = study.model_copy(update={"spaces": tuple(spaces.values())})
    for space in study.spaces:
        (folder / space.name).mkdir(exist_ok=True)
        copy = folder / space.name / "recipe.yaml"
        if not copy.is_file():
            write_atomically(copy, read_text(find("recipes", space.config)).encode())
    write_atomically(file, dump_yaml(study).encode())


def check_step(step: Step, truths: Truths, space: str) -> None:
    """Raises UserError where a setting could not run, or be judged, or has begun as something else."""
    for row in step.rows:
        search_space = truths(row.settings).space
        check_supernet(row.settings.supernet, search_space)
        check_sampler(row.settings.sampler.kind, search_space)
        if not row.settings.data.holds_out:
            place = f"{space}: {step.factor.name} {row.label}: data.train_portion 1.0"
            raise UserError(f"{place}: no images are held out to judge architectures by")
        for run in row.runs if step.settled else ():
            check_same(run, SUPERNET, row.settings)
