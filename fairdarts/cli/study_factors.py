"""How a study of factors is run: supernets trained, each judged, what is done skipped, what was stopped continued."""

import io
import os
import time
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import NamedTuple

from fairdarts.cli.recipe import open_images
from fairdarts.cli.study_form import BEST, FactorStudy, SpaceStudy, words_of
from fairdarts.cli.study_plan import Row, Step, check_same, identity, outcome, planned, recipe_of
from fairdarts.cli.study_results import STUDY, conclude
from fairdarts.cli.supernet import main as supernet
from fairdarts.cli.words import say
from fairdarts.config import UserError, check, dump_yaml, nearest, parse_overrides, read_text, read_yaml
from fairdarts.oneshot.settings import TrainingSettings
from fairdarts.oneshot.train import check_sampler
from fairdarts.ranking.benchmarks import Benchmark
from fairdarts.ranking.report import chosen_paths, judge, open_benchmark, own_statistics, ranking_of, write_ranking
from fairdarts.resources import find
from fairdarts.runtime import distributed
from fairdarts.runtime.checkpoint import write_atomically
from fairdarts.runtime.device import use_threads
from fairdarts.runtime.lock import InUse, held
from fairdarts.runtime.run import SETTINGS, open_run, read_settings
from fairdarts.runtime.stop import Diverged
from fairdarts.spaces.gates import SinglePath
from fairdarts.spaces.space import Space, load_space
from fairdarts.supernet.settings import check_supernet

SEED = 0
"""draws the architectures that all runs of a space rank"""
PATIENCE = 5.0
"""seconds between two looks at what other processes have done"""
LOCKS = ".locks"
"""folder of a study in which processes say which of its runs they are at"""


class Job(NamedTuple):
    """A run of a study."""

    space: SpaceStudy
    row: Row
    run: Path


class Truth(NamedTuple):
    """What the supernets of a space are judged by."""

    space: Space
    benchmark: Benchmark
    paths: list[SinglePath]


Truths = Callable[[TrainingSettings], Truth]
"""gives that of the space that a training is in"""


def run_study(study: FactorStudy, args: Namespace, rest: Sequence[str]) -> int:
    """Runs what is left to run of a study, and makes tables and page; gives the exit status."""
    if args.benchmarks is None:
        files = ", ".join(dict.fromkeys(" or ".join(space.files) for space in study.spaces))
        raise UserError(f"study: --benchmarks FOLDER is missing, the folder of {files}")
    study = with_files(resolved(study, args.only, rest), args.benchmarks)
    folder = args.out or Path("runs") / study.name
    distributed.launched()
    first = int(os.environ.get("RANK", 0)) == 0
    check_begun(study, folder)
    truths = {space.name: truths_of(study, space, args.benchmarks) for space in study.spaces}
    for space in study.spaces:
        for step in planned(study, space, folder):
            check_step(step, truths[space.name], space.name)
    if first:
        begin(study, folder)
    every: list[Job] = []
    for space in study.spaces:
        for step in planned(study, space, folder):
            jobs = [Job(space, row, run) for row, run in runs_of(step, study)]
            check_step(step, truths[space.name], space.name)
            place = f"{space.name}: {step.factor.name} keeps the best" if step.factor.keep == BEST else None
            if status := work_off(study, jobs, folder, truths, place):
                return status
            every += jobs
    if not first:
        return 0
    if status := work_off(study, every, folder, truths, study.name):
        return status
    conclude(folder)
    return 0


def work_off(
    study: FactorStudy, jobs: Sequence[Job], folder: Path, truths: Mapping[str, Truths], place: str | None
) -> int:
    """Does the jobs that are not done, but for those that other processes are at; gives the exit status.

    With a place, it comes back when all are done: it waits for the others, and takes over what they leave.
    """
    announced = False
    while left := [job for job in jobs if outcome(job.run, job.row.settings) is None]:
        for job in left:
            with suppress(InUse), held(folder / LOCKS / f"{job.space.name}-{job.run.name}"):
                if outcome(job.run, job.row.settings) is not None:
                    continue
                if status := run_row(study, job.space, job.row, job.run, truths[job.space.name]):
                    return status
        if place is None:
            return 0
        left = [job for job in left if outcome(job.run, job.row.settings) is None]
        if left and not announced:
            names = ", ".join(job.run.name for job in left)
            say(f"{place}: waiting for other processes, which have {len(left)} runs to do: {names}")
            announced = True
        if left:
            time.sleep(PATIENCE)
    return 0


def resolved(study: FactorStudy, only: str | None, rest: Sequence[str]) -> FactorStudy:
    """The study with the settings of the command line laid over it, and cut down to one space.

    They lie over all but what a factor itself changes. Raises UserError where there is no such space.
    """
    names = [space.name for space in study.spaces]
    if only not in (None, *names):
        raise UserError(f"study: --only {only}: is no space of {study.name}{nearest(only, names)}")
    overrides = parse_overrides(rest)
    spaces = [
        space.model_copy(update={"changes": space.changes | overrides})
        for space in study.spaces
        if only in (None, space.name)
    ]
    return study.model_copy(update={"spaces": tuple(spaces)})


def with_files(study: FactorStudy, folder: Path) -> FactorStudy:
    """The study with one file of truth a space: the first of its files that lies in the folder.

    Raises UserError where there is none.
    """
    spaces = []
    for space in study.spaces:
        file = next((file for file in space.files if (folder / file).is_file()), None)
        if file is None:
            names = ", ".join(space.files)
            if len(space.files) > 1:
                raise UserError(f"{folder}: holds none of {names}; --benchmarks should be the folder of one of them")
            raise UserError(f"{folder / names}: no such file; --benchmarks should be the folder of {names}")
        spaces.append(space.model_copy(update={"benchmark": file}))
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
    pairs = [("", begun, study, ("name", "architectures", "images"))]
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
    return identity(settings.model_copy(update={"source": "", "deviations": ()}))


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
            write_atomically(copy, read_text(recipe_of(space, folder)).encode())
    write_atomically(file, dump_yaml(study).encode())


def truths_of(study: FactorStudy, space: SpaceStudy, folder: Path) -> Truths:
    """Gives the truth by which a training of this space is judged, read once for every search space."""
    known: dict[str, Truth] = {}

    def truth(settings: TrainingSettings) -> Truth:
        if settings.space not in known:
            search_space = load_space(settings.space, f"{study.name}: {space.name}: space")
            benchmark = open_benchmark(folder / space.files[0], search_space, space.column)
            paths = chosen_paths(search_space, benchmark, study.architectures, SEED)
            known[settings.space] = Truth(search_space, benchmark, paths)
        return known[settings.space]

    return truth


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
            check_same(run, row.settings)


def runs_of(step: Step, study: FactorStudy) -> list[tuple[Row, Path]]:
    """All runs of a factor, each once, seed by seed, so that a comparison is whole as early as it can be."""
    found: dict[Path, Row] = {}
    for number in range(len(study.seeds)):
        for row in step.rows:
            found.setdefault(row.runs[number], row)
    return [(row, run) for run, row in found.items()]


def run_row(study: FactorStudy, space: SpaceStudy, row: Row, run: Path, truths: Truths) -> int:
    """Trains a run, or the rest of it, and judges it; gives the exit status."""
    say(f"{study.name}: {space.name}: {run.name}")
    if not ((run / SETTINGS).is_file() and open_run(run).state == "finished"):
        words = words_of(run, recipe_of(space, run.parents[1]), study.seeds[row.runs.index(run)], row.changes)
        try:
            with redirect_stdout(io.StringIO()):
                status = supernet(words, alone=True)
        except Diverged as error:  # which is a result: a setting that cannot be trained with
            say(f"{run.name}: {error}")
            return 0
        if status:
            return status
    settings = check(TrainingSettings, read_settings(run / "settings.yaml"), run / "settings.yaml")
    score(run, settings, truths(settings), study.images)
    return 0


def score(path: Path, settings: TrainingSettings, truth: Truth, images: int | None) -> None:
    """Judges a supernet, and leaves its ranking in the run."""
    use_threads(settings.threads)
    run = open_run(path)
    evaluator, facts = judge(run, settings, truth.space, open_images(settings.data), own_statistics(settings), images)
    say(f"{path.name}: judging {len(truth.paths)} architectures by {facts['images']:,} images")
    write_ranking(run, ranking_of(evaluator, facts, truth.paths, truth.benchmark, SEED))
