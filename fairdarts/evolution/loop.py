"""The search, from top to bottom: ask a strategy for models, judge them, tell it, save, generation after generation."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from fairdarts.config import UserError
from fairdarts.evolution.archive import Archive
from fairdarts.evolution.nsga2 import NSGA2
from fairdarts.evolution.problem import Problem
from fairdarts.evolution.rivals import MnasNet, RandomSearch, Regularized
from fairdarts.evolution.settings import EvolveSettings
from fairdarts.runtime import checkpoint, distributed
from fairdarts.runtime.checkpoint import BadState
from fairdarts.runtime.epochs import resumes
from fairdarts.runtime.position import check_identity
from fairdarts.runtime.records import kept_records, state_of_records
from fairdarts.runtime.run import RunDirectory
from fairdarts.runtime.seed import EVOLUTION, fold
from fairdarts.runtime.stop import Diverged, Interrupted, Stop
from fairdarts.spaces.gates import SinglePath

JudgePaths = Callable[[Sequence[SinglePath]], list[float]]
"""Gives the accuracy of each path in percent; of several processes all call it, and all get all."""


class Strategy(Protocol):
    """Chooses which models are judged next. It shares the archive and a generator with the loop."""

    @property
    def made(self) -> Mapping[str, int]:
        """How many of the models of the last `ask` were made in each way, where there are several."""

    def ask(self, count: int) -> list[SinglePath]:
        """The next paths, at most so many: all new, and within the limits; none where no more are left."""

    def tell(self, paths: Sequence[SinglePath]) -> None:
        """These paths, what `ask` gave, are in the archive now."""

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds of it, between a `tell` and the next `ask`."""

    def restore(self, state: dict[str, Any]) -> None:
        """Puts back what `state` gave."""


def check_fit(settings: EvolveSettings, problem: Problem) -> None:
    """Raises UserError where no path keeps the limits, or the strategy does not fit the space."""
    problem.check()
    strategy = settings.evolve
    if strategy.kind == "mnasnet" and problem.tables[strategy.cost].least <= 0:
        raise UserError(f"evolve.cost: {strategy.cost}: some path costs nothing, which the reward cannot divide by")
    weights = getattr(strategy, "prior_weights", None)
    if weights and tuple(map(len, weights)) != problem.widths:
        widths = ", ".join(map(str, problem.widths))
        raise UserError(f"evolve.prior_weights: should hold, of the points of {problem.space.name}, {widths} weights")


def make_strategy(settings: EvolveSettings, problem: Problem, archive: Archive, rng: np.random.Generator) -> Strategy:
    """What the settings ask for."""
    strategy = settings.evolve
    if strategy.kind == "nsga2":
        return NSGA2(strategy, settings.population, problem, archive, rng)
    if strategy.kind == "mnasnet":
        return MnasNet(strategy, problem, archive, rng)
    if strategy.kind == "regularized":
        return Regularized(strategy, problem, archive, rng)
    return RandomSearch(problem, archive, rng)


class Search:
    """A strategy at work, without a run directory: what the loop and the tabular comparison share."""

    def __init__(self, settings: EvolveSettings, problem: Problem):
        self.settings = settings
        self.rng = np.random.default_rng(fold(settings.seed, EVOLUTION))
        self.archive = Archive(problem)
        self.strategy = make_strategy(settings, problem, self.archive, self.rng)
        self.generation = 0
        """generations that are done"""

    def advance(self, judge: JudgePaths) -> int:
        """One more generation; gives how many models it had: fewer than N where no more are found."""
        done = 0
        while paths := self.strategy.ask(self.settings.population - done):
            self.archive.add(paths, judge(paths), self.generation + 1)
            self.strategy.tell(paths)
            done += len(paths)
            if done == self.settings.population:
                break
        self.generation += bool(done)
        return done

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        return {
            "generation": self.generation,
            "archive": self.archive.state(),
            "strategy": self.strategy.state(),
            "rng": json.dumps(self.rng.bit_generator.state),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Puts back what `state` gave, into a search that has not begun."""
        self.archive.restore(state["archive"])
        self.strategy.restore(state["strategy"])
        self.rng.bit_generator.state = json.loads(state["rng"])
        self.generation = int(state["generation"])


def evolve(
    settings: EvolveSettings,
    problem: Problem,
    judge: JudgePaths,
    run: RunDirectory,
    identity: dict[str, str],
    observe: Callable[[dict[str, Any]], None],
    stop: Stop,
    resume: bool = False,
    about: Callable[[Archive], dict[str, Any]] | None = None,
) -> Archive:
    """Searches from the start, or (resume) from the run's last checkpoint; gives all that it evaluated.

    Every record holds what the first process knows `about` all that was evaluated until then; nothing learns from it.
    The state is saved after every generation, so one that was stopped begins again. Of several processes the first
    one chooses and writes, and all judge; the archive of the others stays empty. `observe` is told every record of
    metrics.jsonl. Raises Interrupted once a signal stopped it, BadState where a checkpoint is not whole or of another
    search, UserError where data or disk fail.
    """
    leads = distributed.rank() == 0
    with distributed.together():
        search = Search(settings, problem)
    records: list[dict[str, Any]] = []

    def save() -> None:
        checkpoint.save(run.last, {"identity": identity, **search.state(), **state_of_records(records)})

    resume = resumes(run, resume)
    with distributed.together():
        if leads and resume:
            records += restored(search, run, identity)
            run.clear_divergence()
            if about:  # of the generations before, too
                records[:] = [one | about(search.archive.until(one["generation"])) for one in records]
                run.rewrite(records)
                save()
        elif leads:
            run.rewrite([])  # a run that was killed before its first checkpoint begins anew
            save()

    if not leads:
        while judged_together(None, judge, stop):
            pass
        return search.archive
    while search.generation < settings.generations:
        begun = time.monotonic()
        try:
            done = search.advance(lambda paths: judged_together(paths, judge, stop))
        except Diverged as error:
            with distributed.together():  # the others wait for the next paths
                run.note_divergence(str(error))
                raise
        if done:
            record = recorded(search, settings, done, time.monotonic() - begun)
            record |= about(search.archive) if about else {}
            try:
                records.append(record)
                run.log(record)
                save()
            except UserError as error:
                distributed.agree(error)
            observe(record)
        if done < settings.population:
            break  # no more models are found
    judged_together([], judge, stop)
    return search.archive


def judged_together(paths: Sequence[SinglePath] | None, judge: JudgePaths, stop: Stop) -> list[float]:
    """What the judge says of the paths of the first process, in all of them; nothing where it has none."""
    distributed.agree(None)
    shared = distributed.shared(None if paths is None else [list(path) for path in paths])
    if signal := distributed.highest(stop.signal or 0):
        raise Interrupted(signal)
    return judge([tuple(path) for path in shared]) if shared else []


def recorded(search: Search, settings: EvolveSettings, done: int, seconds: float) -> dict[str, Any]:
    """What metrics.jsonl says of a generation."""
    archive = search.archive
    best = {str(limit) if limit else "": archive.best_within(limit) for limit in settings.classes or (None,)}
    accuracy = archive.values["accuracy"]
    return {
        "generation": search.generation,
        "evaluations": len(archive),
        "hypervolume": archive.hypervolume(),
        "front": len(archive.front()),
        "made": dict(search.strategy.made),
        "best": {name: None if place is None else float(accuracy[place]) for name, place in best.items()},
        "seconds": round(seconds, 3),
        "evaluations_per_second": round(done / seconds, 2),
    }


def restored(search: Search, run: RunDirectory, identity: dict[str, str]) -> list[dict[str, Any]]:
    """Puts the last checkpoint of a run back; gives the records until then.

    Raises BadState where it is of another search, or not whole.
    """
    state = checkpoint.load(run.last)
    check_identity(state, identity, run)
    try:
        search.restore(state)
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError):
        raise BadState(f"{run.last}: does not fit the run's settings.yaml and space.yaml") from None
    return kept_records(run, state, search.generation)
