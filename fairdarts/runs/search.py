"""A differentiable search, from a recipe to a genotype."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fairdarts.differentiable import loop
from fairdarts.differentiable.setup import check_fit
from fairdarts.plot.tensorboard import log_epoch
from fairdarts.runs.begin import at_work, begin, has_finished
from fairdarts.runs.callbacks import Callbacks, Watches, watching
from fairdarts.runs.cost import costs_of, file_of_costs
from fairdarts.runs.recipe import Recipe, merged
from fairdarts.runs.request import SEARCH, Request
from fairdarts.runs.result import Run
from fairdarts.runs.tensorboard import logged
from fairdarts.runtime import distributed


def search(
    recipe: Recipe,
    data: Any = None,
    settings: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    callbacks: Sequence[Watches] | Watches = (),
    **named: Any,
) -> Run:
    """Searches an architecture by gradient descent, as `fairdarts search` does, and gives the finished run.

    `recipe` is a shipped recipe's name (`fairdarts recipes search`), a YAML file, or what such a file holds. `data` are
    images of one's own (see docs/data.md) in the place of the recipe's. `settings` are laid over the recipe by dotted
    key, `{"weights.lr": 0.01}`; those without a dot may be named: `epochs=5, seed=1`. The run directory is `out`, or
    runs/RECIPE-seedSEED. Raises UserError in one line; KeyboardInterrupt once Ctrl-C has stopped it, the state saved.

    >>> run = fairdarts.search("fairdarts-s1-digits", epochs=5, callbacks=print)
    >>> run.genotype
    """
    asked = Request(recipe, merged(settings, named), data, out)
    with distributed.joined():
        return carry_out(asked, Callbacks(callbacks))


def resume(path: str | Path, data: Any, settings: Mapping[str, Any], callbacks: Sequence[Watches] | Watches) -> Run:
    """Goes on with a search that was stopped; `settings` are of those that it may be told anew."""
    with distributed.joined():
        return carry_out(Request(None, settings, data, resume=path), Callbacks(callbacks))


def carry_out(asked: Request, watch: Callbacks) -> Run:
    """The search that is asked for, in all processes that share it, or in this one alone."""
    settings, space, source, directory, truth = begin(SEARCH, asked, watch, check_fit, file_of_costs)
    if settings.relaxation == "softmax" and settings.zero_one.weight > 0:
        watch.note("zero_one: under softmax the zero-one loss is of little use (FairDARTS, supplementary 4.2)")
    run, resumed = Run(directory.path), bool(asked.resume)
    if has_finished(SEARCH, directory, watch):
        return run
    costs = costs_of(settings, space, source.shape, watch, directory)
    purge = directory.logged() if resumed else None

    def log(writer: Any, record: dict[str, Any]) -> None:
        log_epoch(writer, record, space)

    with at_work(directory) as stop, watching(run, watch), logged(directory, watch, log, purge) as observer:
        about = truth.about if truth else None
        loop.search(settings, space, source, directory, observer, stop, resumed, about, costs)
    return run
