"""A study from beginning to end: many runs, those that are done skipped and those that were stopped continued."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fairdarts.config import UserError
from fairdarts.runs.callbacks import Callbacks, Watches
from fairdarts.runs.recipe import Recipe, merged
from fairdarts.runs.result import Run
from fairdarts.runs.study.asked import Asked, apart, folder_of, read_asked
from fairdarts.runs.study.factors import run_factors, with_files
from fairdarts.runs.study.form import FactorStudy
from fairdarts.runs.study.laid import resolved
from fairdarts.runs.study.problems import check_settings
from fairdarts.runs.study.recipes import run_recipes
from fairdarts.runs.study.results import StudyResult
from fairdarts.runtime import distributed


def study(
    study: str | Path | Mapping[str, Any],
    out: str | Path | None = None,
    benchmarks: str | Path | None = None,
    only: str | None = None,
    settings: Mapping[str, Any] | None = None,
    callbacks: Sequence[Watches] | Watches = (),
    data: Any = None,
    train: Recipe | None = None,
) -> StudyResult:
    """Runs a study's recipes with all its seeds, or its factors one after the other, as `fairdarts study` does.

    `study` is a shipped name, a YAML file, or what such a file holds; there a run's `config` may also be what a recipe
    holds. Its runs lie in `out`, or runs/STUDY: those that are done are skipped, those that were stopped go on, and
    several processes may share them. `settings` are laid over all runs by dotted key. One that names a benchmark, as
    those of factors do, also wants `benchmarks`, the folder of that file; one of factors may be cut down to `only` one
    space. `data` are images of one's own, as in `search`, in the place of those of all recipes. `train` is a recipe of
    `train` by which the cells of every search are trained, NAME-seedN-train, in the place of what the study says of
    that; settings that begin with `train.` are laid over these trainings, and `trained` of what it gives has their
    numbers. Raises UserError in one line, that of runs that fail after all others have run; KeyboardInterrupt once
    Ctrl-C has stopped it, the state saved.

    >>> recipe = yaml.safe_load(open("mine.yaml"))
    >>> runs = [{"name": "fair", "config": recipe}, {"name": "darts", "config": {**recipe, "relaxation": "softmax"}}]
    >>> done = fairdarts.study({"name": "mine", "source": "me", "seeds": [0, 1], "runs": runs}, callbacks=print)
    >>> [run.genotype for run in done.runs]
    """
    searches, trainings = apart(merged(settings))
    asked = Asked(study, out, benchmarks, only, searches, data, train, trainings)
    check_settings(read_asked(asked), asked)
    result = carry_out(asked, Callbacks(callbacks))
    refuse_failed(result)
    return result


def carry_out(asked: Asked, watch: Callbacks, finish: Callable[[Run], None] = lambda run: None) -> StudyResult:
    """What is left to run of a study, in this process, which takes its share of it; `finish` is given every run that
    has come to its end here."""
    form = read_asked(asked)
    folder = folder_of(form, asked)
    if isinstance(form, FactorStudy):
        assert asked.benchmarks is not None, "it was asked for"
        benchmarks = Path(asked.benchmarks)
        form = with_files(resolved(form, asked.only, asked.settings), benchmarks)
        return run_factors(form, folder, benchmarks, _first(), watch, finish)
    return run_recipes(form, folder, asked, _first(), watch, finish)


def refuse_failed(result: StudyResult) -> None:
    """Raises UserError where runs have failed; of several processes none does, as torchrun would end the others."""
    if result.failed and distributed.launched() == 1:
        raise UserError(result.problem)


def _first() -> bool:
    """Whether this is the first of the processes that torchrun started, if it did."""
    return distributed.launched() == 1 or os.environ["RANK"] == "0"
