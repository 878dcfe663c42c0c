"""How the training of a stand-alone network begins, goes on and ends: what `train` and `segment` share."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from fairdarts.config import UserError
from fairdarts.genotype import Genotype, to_yaml
from fairdarts.networks.models import Named, models, name_of
from fairdarts.networks.zoo import load_genotype
from fairdarts.plot.tensorboard import log_network
from fairdarts.runs.begin import at_work, free_path, has_finished, in_all_processes, reopened
from fairdarts.runs.callbacks import Callback, Callbacks, watching
from fairdarts.runs.new import Begun
from fairdarts.runs.recipe import merged
from fairdarts.runs.request import Kind, Request
from fairdarts.runs.result import Run
from fairdarts.runs.tensorboard import logged
from fairdarts.runtime import checkpoint, distributed
from fairdarts.runtime import run as folder
from fairdarts.runtime.position import IMAGES, check_identity
from fairdarts.runtime.run import create
from fairdarts.runtime.shape import file_of
from fairdarts.spaces.space import Space
from fairdarts.training import loop
from fairdarts.training.settings import NetworkTraining
from fairdarts.training.task import Task

Initialize = Callable[[nn.Module], list[str]]
"""puts weights into a network; gives notes of what stays fresh"""


def new_request(
    genotype: Named,
    settings: Mapping[str, Any] | None,
    named: Mapping[str, Any],
    init_from: str | Path | Run | None,
    **others: Any,
) -> Request:
    """The request for a new training, as Python's arguments say it."""
    asked = merged(settings, named)
    if init_from is not None:
        asked["init_from"] = str(path_of(init_from))
    return Request(settings=asked, genotype=genotype, **others)


def path_of(what: str | Path | Run) -> str | Path:
    """The path of a run or a file."""
    return what.path if isinstance(what, Run) else what


def read(kind: Kind, asked: Request, watch: Callback, begun: Callable[[], Begun]) -> Begun:
    """What a new training begins with, which `begun` reads, or a run that goes on; in all processes, as the first one
    reads it."""

    def parts() -> tuple[NetworkTraining, Space, Genotype]:
        if asked.resume:
            run = folder.open_run(Path(asked.resume))
            settings, _ = reopened(kind, run, asked.settings, watch)
            genotype, space = load_genotype(str(run.path))
        else:
            settings, genotype, space = begun()
        return settings, space, genotype

    settings, space, genotype = in_all_processes(kind, parts)
    return Begun(settings, genotype, space)


def carry_out_training(
    kind: Kind, asked: Request, begun: Begun, task: Task, initializer: Callable[[], Initialize], watch: Callbacks
) -> Run:
    """The training that is asked for, in all processes that share it. `initializer` reads the weights that the settings
    begin with; that they do not fit shows before a run begins."""
    settings, genotype, _ = begun
    first, resumed = distributed.rank() == 0, bool(asked.resume)
    with distributed.together():
        initialize, path = None, Path(asked.resume or "")
        if first and settings.init_from and not (resumed and folder.RunDirectory(path).last.is_file()):
            initialize = initializer()
            notes = initialize(task.build())
            watch.note("\n           ".join([f"weights    from {settings.init_from}", *notes]))
        if first and not resumed:
            path = new_run(asked, begun, task)
    run = Run(distributed.shared(str(path)))
    several = f", {distributed.ranks()} processes" if distributed.ranks() > 1 else ""
    what = f"{genotype.name} by {settings.name}, seed {settings.seed}, epochs {settings.epochs}{several}"
    watch.note(f"run {run.path}: {what}")
    if has_finished(kind, run.directory, watch):
        distributed.first(check_results, run.directory, task)
        return run
    purge = run.directory.logged() + 1 if resumed else None
    with (
        at_work(run.directory) as stop,
        watching(run, watch),
        logged(run.directory, watch, log_network, purge) as observer,
    ):
        loop.train(settings, task, run.directory, observer, stop, resumed, initialize)
    return run


def new_run(asked: Request, begun: Begun, task: Task) -> Path:
    """A new run directory, with the genotype in it."""
    settings, genotype, space = begun
    name = name_of(asked.genotype)
    model = name if name in models() else genotype.name
    path = asked.out or free_path(settings.model_copy(update={"name": f"{model}-{settings.name}"}))
    others = {"genotypes/final.yaml": to_yaml(genotype)} | file_of(task.shape, task.kind, task.identity[IMAGES])
    return create(Path(path), settings, space, others).path


def check_results(run: folder.RunDirectory, task: Task) -> None:
    """Raises UserError where the results of a finished training are damaged, or the run's files are no longer those of
    this training."""
    path = run.path / "results.json"
    check_identity(checkpoint.load(run.last), task.identity, run)
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
        if task.test is None and results == {}:
            return
        facts = [results["on"], results["best_by"], int(results["images"])]
        for epoch in (results["last"], *([results["best"]] if "best" in results else [])):
            facts += [int(epoch["epoch"]), float(epoch[task.numbers[0]]), *(epoch[name] for name in task.numbers)]
        if None in facts:
            raise ValueError("a number is missing")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        again = f"remove it, and --resume {run.path} writes it again"
        raise UserError(f"{path}: not the results of a training; {again}") from None
