"""How are the runs of a study worked off? What is done is skipped, what was stopped goes on, processes share them."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fairdarts.checking import check
from fairdarts.config import Settings, UserError
from fairdarts.genotype import Genotype
from fairdarts.networks.zoo import load_genotype
from fairdarts.oneshot.settings import TrainingSettings
from fairdarts.options import Words
from fairdarts.ranking.factor_study import DIVERGED
from fairdarts.ranking.report import own_statistics, read_ranking
from fairdarts.runs.callbacks import Callbacks
from fairdarts.runs.recipe import Recipe
from fairdarts.runs.request import Kind, Request
from fairdarts.runs.result import Run, make
from fairdarts.runs.study.form import RandomCells
from fairdarts.runs.zoo import sample_genotypes
from fairdarts.runtime import distributed
from fairdarts.runtime import run as directory
from fairdarts.runtime.lock import InUse, held
from fairdarts.runtime.position import flat
from fairdarts.spaces.space import Space, load_space

PATIENCE = 5.0
"""seconds between two looks at what other processes have done"""
LOCKS = ".locks"
"""folder of a study in which processes say which of its runs they are at"""
NAMED = 8
"""runs that a message names, at most"""


class Job(NamedTuple):
    """A run of a study."""

    path: Path
    place: str
    """where in the study it stands: its number, or its space"""
    verb: str
    """search, supernet or train"""
    recipe: Recipe
    seed: int
    changes: Mapping[str, str]
    """laid over the recipe, by dotted key, as the command line writes it"""
    data: Any = None
    """the images, where they are not the recipe's"""
    judged: TrainingSettings | None = None
    """of a supernet that is judged once it is trained: its settings, but for the seed"""
    cells: Path | RandomCells | None = None
    """of a training: the search that finds what is trained, or from where it is drawn"""

    @property
    def ready(self) -> bool:
        """Whether it can begin: a training waits for the search that finds its cells."""
        return not isinstance(self.cells, Path) or is_finished(self.cells)

    @property
    def trained(self) -> bool:
        """Whether the run has finished."""
        return is_finished(self.path)

    @property
    def done(self) -> bool:
        """Whether nothing of it is left to do; of what is judged, a training that diverged is a result as well."""
        return outcome(self.path, self.judged) is not None if self.judged else self.trained

    def train(self, watch: Callbacks) -> Run:
        """The run, or the rest of it, in this process alone."""
        if (self.path / directory.SETTINGS).is_file():
            asked = Request(None, Words(self.changes), self.data, resume=self.path)
        else:
            changes = Words({**self.changes, "seed": str(self.seed)})
            genotype = genotype_of(self.cells, self.seed) if self.cells else None
            asked = Request(self.recipe, changes, self.data, self.path, None, genotype, fit=genotype is not None)
        run: Run = make(self.verb).carry_out(asked, watch)
        return run


def is_finished(path: Path) -> bool:
    """Whether there is a run that has finished."""
    return (path / directory.SETTINGS).is_file() and directory.open_run(path).state == "finished"


def genotype_of(cells: Path | RandomCells, seed: int) -> tuple[Genotype, Space]:
    """What a search has found, or what is drawn with a seed, and its space. Raises UserError where nothing can be."""
    if isinstance(cells, Path):
        return load_genotype(str(cells))
    [drawn] = sample_genotypes(**cells.model_dump(exclude={"name"}), seed=seed)
    return drawn.genotype, load_space(cells.space)


def work_off(
    name: str,
    jobs: Sequence[Job],
    folder: Path,
    work: Callable[[Job], None],
    watch: Callbacks,
    waits: str | None = None,
) -> list[Job]:
    """Does the jobs of a study that are ready, not done, and that no other process is at; gives those that others are
    at.

    Where it `waits`, it comes back when all are done: it waits for the others, and takes over what they leave.
    """
    named: set[Path] = set()
    waiting = False
    while True:
        elsewhere = []
        for job in jobs:
            if job.done or not job.ready:
                continue
            try:
                with held(folder / LOCKS / "-".join(job.path.relative_to(folder).parts), job.path):
                    if not job.done:  # by another process, while this one looked
                        watch.note(f"{name}: {job.place}: {job.path.name}")
                        work(job)
            except InUse as error:
                elsewhere.append(job)
                if distributed.launched() == 1 and job.path not in named:  # those that torchrun started are expected
                    watch.note(f"{name}: {job.place}: {error}")
                named.add(job.path)
        left = [job for job in jobs if not job.done]
        if waits is None or not left:
            return [job for job in elsewhere if job in left]
        if not waiting:
            names = ", ".join(job.path.name for job in left)
            watch.note(f"{waits}: waiting for other processes, which have {len(left)} runs to do: {names}")
        waiting = True
        time.sleep(PATIENCE)


def told(name: str, jobs: Sequence[Job], folder: Path) -> str:
    """What a study is about to run."""
    left = [str(job.path.relative_to(folder)) for job in jobs if not job.done]
    others = f" and {len(left) - NAMED} more" if len(left) > NAMED else ""
    begins = f"; to run: {', '.join(left[:NAMED])}{others}" if left else ""
    return f"{name}: {counted(jobs)}, in {folder}{begins}"


def counted(jobs: Sequence[Job]) -> str:
    """'4 runs, 1 of them done'."""
    return f"{len(jobs)} run{'' if len(jobs) == 1 else 's'}, {sum(job.done for job in jobs)} of them done"


def outcome(path: Path, settings: TrainingSettings) -> dict[str, Any] | str | None:
    """What a run has come to: its ranking, DIVERGED, or None as long as there is neither."""
    run = directory.RunDirectory(path)
    if run.divergence is not None:
        return DIVERGED
    try:
        return read_ranking(run, own_statistics(settings))
    except UserError:  # none, or a damaged one, which is made again
        return None


def check_same(path: Path, kind: Kind, settings: Settings) -> None:
    """Raises UserError where a run that has begun follows other settings than the study says."""
    if not (file := path / directory.SETTINGS).is_file():
        return
    before, now = map(flat, (check(kind.model, directory.read_settings(file), file), settings))
    for key in before | now:
        free = key in kind.may_change or key.partition(".")[0] in ("seed", "name", "source", "deviations", "plugins")
        measured = key.startswith("data.") and now.get(key) == "None" and before.get("data.kind") == "given"
        if before.get(key) != now.get(key) and not free and not measured:
            advice = "it goes on with the settings that it began with; or name another --out"
            raise UserError(f"{file}: {key}: {before.get(key)}, but the study says {now.get(key)}: {advice}")
