"""`fairdarts study`: many runs, those that are done skipped and those that were stopped continued."""

import io
import os
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from fairdarts import resources
from fairdarts.cli.begin import resumed_settings
from fairdarts.cli.report import main as report
from fairdarts.cli.search import SEARCH
from fairdarts.cli.search import main as search
from fairdarts.cli.study_factors import LOCKS, run_study
from fairdarts.cli.study_form import NAME, FactorStudy, Study, Value, texts, words_of
from fairdarts.cli.supernet import SUPERNET
from fairdarts.cli.supernet import main as supernet
from fairdarts.cli.words import Parser, say
from fairdarts.config import Settings, UserError, check, parse_overrides, read_yaml
from fairdarts.runtime import distributed
from fairdarts.runtime.lock import InUse, held
from fairdarts.runtime.run import SETTINGS, open_run
from fairdarts.runtime.verb import read_verb
from fairdarts.spaces.space import load_space


class StudyRun(Settings):
    """One line of a study: a recipe, and what is changed in it."""

    name: str = Field(pattern=NAME)
    """what its runs are called"""
    config: str
    """a shipped recipe or a YAML file"""
    changes: dict[str, Value] = Field(default={})
    """settings by dotted key, laid over the recipe and over what is shared"""


class StudySettings(Study):
    """Recipes × seeds."""

    runs: tuple[StudyRun, ...] = Field(min_length=1)
    """the recipes"""


KINDS = {"search": SEARCH, "supernet": SUPERNET}
"""verb → its kind of run"""


class Job(NamedTuple):
    """One run of a study."""

    path: Path
    config: str
    seed: int
    changes: dict[str, str]
    """settings by dotted key, as the command line writes them"""

    @property
    def verb(self) -> str:
        """`search` or `supernet`, as the recipe says."""
        return read_verb(resources.find("recipes", self.config))

    @property
    def done(self) -> bool:
        """Whether the run has finished."""
        return (self.path / SETTINGS).is_file() and open_run(self.path).state == "finished"


def main(argv: Sequence[str]) -> int:
    epilog = f"studies: {', '.join(resources.names('studies'))}\n\nAny setting of a recipe is an option, for all runs."
    epilog += "\nUnder torchrun each process takes its share of the runs, as do several studies in one folder."
    parser = Parser(
        "study", "Run a list of recipes with several seeds; run again, it goes on where it stopped.", epilog
    )
    parser.add_argument("study", help="a shipped study or a YAML file")
    parser.add_argument("--out", type=Path, help="folder of its runs (default: runs/STUDY)")
    parser.add_argument("--benchmarks", type=Path, metavar="FOLDER", help="of a study of factors: where its truth lies")
    parser.add_argument("--only", metavar="SPACE", help="of a study of factors: one of its spaces")
    args, rest = parser.parse_known_args(argv)
    path = resources.find("studies", args.study)
    content = read_yaml(path)
    if "spaces" in content:
        return run_study(check(FactorStudy, content, path), args, rest)
    for option in ("benchmarks", "only"):
        if getattr(args, option) is not None:
            raise UserError(f"study: --{option}: is for a study of factors, but {path} has no spaces")
    study = check(StudySettings, content, path)
    folder = args.out or Path("runs") / study.name
    jobs = jobs_of(study, folder, parse_overrides(rest))
    for job in jobs:
        check_job(job)
    rank, ranks = int(os.environ.get("RANK", 0)), distributed.launched()
    failed, ran, elsewhere = [], False, []
    for number, job in enumerate(jobs, start=1):
        if number % ranks != rank % ranks or job.done:
            continue
        try:
            with held(folder / LOCKS / job.path.name, job.path):
                if job.done:  # by another process, while this one looked
                    continue
                say(f"{study.name}: run {number} of {len(jobs)}: {job.path.name}")
                ran, status = True, run_job(job)
        except InUse as error:
            say(f"{study.name}: run {number} of {len(jobs)}: {error}")
            elsewhere.append(job.path.name)
            continue
        except UserError as error:
            say(f"{job.path.name}: {error}")
            failed.append(job.path.name)
            continue
        if status:
            return status
    left = [job.path.name for job in jobs if not job.done]
    elsewhere = [name for name in elsewhere if name in left]
    others = f"; other processes are at {len(elsewhere)} of them" if elsewhere else ""
    say(f"{study.name}: {len(jobs) - len(left)} of {len(jobs)} runs are done, in {folder}{others}")
    if set(left) <= set(failed) and len(left) < len(jobs) and (ran or rank == 0):
        if all(job.verb == "search" for job in jobs):
            report([str(folder)])
        else:
            say(f"rank them with: fairdarts rank {folder}/* --benchmark FILE --out figures")
    if failed:
        problem = f"{study.name}: {len(failed)} of its runs failed: {', '.join(failed)}"
        if ranks == 1:
            raise UserError(problem)
        say(problem)  # an error would make torchrun end the other ranks
    return 0


def run_job(job: Job) -> int:
    """Runs it, or the rest of it; gives the exit status."""
    words = words_of(job.path, job.config, job.seed, job.changes)
    with redirect_stdout(io.StringIO()):  # its genotype lies in the run
        return (search if job.verb == "search" else supernet)(words, alone=True)


def jobs_of(study: StudySettings, folder: Path, overrides: dict[str, str]) -> list[Job]:
    """All runs of a study, seed by seed, so that each seed's comparison is whole as early as it can be."""
    jobs = []
    for seed in study.seeds:
        for run in study.runs:
            changes = texts(study.shared | run.changes) | overrides
            jobs.append(Job(folder / f"{run.name}-seed{seed}", run.config, seed, changes))
    return jobs


def check_job(job: Job) -> None:
    """Raises UserError where a run could not begin, or has begun with other settings: before any of them runs."""
    if "seed" in job.changes:
        raise UserError(f"{job.path.name}: seed: a study's seeds stand in its file; leave --seed out")
    kind = KINDS.get(job.verb)
    if kind is None:
        problem = f"is a recipe of `fairdarts {job.verb}`, which a study does not run"
        raise UserError(f"{job.path.name}: {job.config}: {problem}")
    if (job.path / "settings.yaml").is_file():
        resumed_settings(kind, open_run(job.path), job.changes)
        return
    recipe = resources.find("recipes", job.config)
    settings = check(kind.model, read_yaml(recipe), recipe, job.changes)
    load_space(settings.space, f"{recipe}: space")
