"""The training of a one-shot supernet, from a recipe to its last checkpoint."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fairdarts.oneshot import train
from fairdarts.oneshot.train import check_fit
from fairdarts.plot.tensorboard import log_training
from fairdarts.ranking.truth import truth_of
from fairdarts.runs.begin import at_work, begin, has_finished
from fairdarts.runs.callbacks import Callbacks, Watches, watching
from fairdarts.runs.recipe import Recipe, merged
from fairdarts.runs.request import SUPERNET, Request
from fairdarts.runs.result import Run
from fairdarts.runs.tensorboard import logged
from fairdarts.runtime import distributed


def train_supernet(
    recipe: Recipe,
    data: Any = None,
    settings: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    callbacks: Sequence[Watches] | Watches = (),
    **named: Any,
) -> Run:
    """Trains a one-shot supernet, fairly or as its rivals do: `fairdarts supernet`. Its parameters are those of
    `search`.

    >>> run = fairdarts.train_supernet("fairnas-macro-small", data=(images, labels), epochs=2)
    >>> fairdarts.rank(run, benchmark="nas-bench-macro_cifar10.json")
    """
    asked = Request(recipe, merged(settings, named), data, out)
    with distributed.joined():
        return carry_out(asked, Callbacks(callbacks))


def resume(path: str | Path, data: Any, settings: Mapping[str, Any], callbacks: Sequence[Watches] | Watches) -> Run:
    """Goes on with a training that was stopped; `settings` are of those that it may be told anew."""
    with distributed.joined():
        return carry_out(Request(None, settings, data, resume=path), Callbacks(callbacks))


def carry_out(asked: Request, watch: Callbacks) -> Run:
    """The training that is asked for, in all processes that share it, or in this one alone."""
    begun = begin(SUPERNET, asked, watch, check_fit)
    run, directory, resumed = Run(begun.run.path), begun.run, bool(asked.resume)
    with distributed.together():
        truth = truth_of(begun.settings, begun.space)
    if not has_finished(SUPERNET, directory, watch):
        purge = directory.logged() + 1 if resumed else None
        with (
            at_work(directory) as stop,
            watching(run, watch),
            logged(directory, watch, log_training, purge) as observer,
        ):
            train.train(*begun, observer, stop, resumed, truth.about_path if truth else None)
    return run
