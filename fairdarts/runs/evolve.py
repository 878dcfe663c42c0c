"""An evolution: the search of the models that a trained supernet judges best."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fairdarts.config import UserError
from fairdarts.cost.latency import LATENCY, latency_csv, measure_latency, read_latency
from fairdarts.cost.table import Table, count_tables
from fairdarts.data.sources import Source
from fairdarts.data.split import fingerprint
from fairdarts.evolution import loop
from fairdarts.evolution.problem import Problem
from fairdarts.evolution.settings import MAY_CHANGE, EvolveSettings
from fairdarts.evolution.truth import held_against
from fairdarts.plot.tensorboard import log_generation
from fairdarts.ranking.report import open_training
from fairdarts.runs.begin import at_work, free_path, in_all_processes, reopened, told_truth
from fairdarts.runs.callbacks import Callback, Callbacks, Watches, watching
from fairdarts.runs.evolved import Finished, check_found, columns_of, conclude, models_of
from fairdarts.runs.judge import supernet_judge, supernet_of, weights_of
from fairdarts.runs.recipe import Recipe, merged, settings_of
from fairdarts.runs.request import EVOLVE, Request
from fairdarts.runs.result import Run
from fairdarts.runs.tensorboard import logged
from fairdarts.runtime import distributed
from fairdarts.runtime import run as folder
from fairdarts.runtime.device import pick, use_threads
from fairdarts.runtime.position import identity_of
from fairdarts.runtime.shape import Shape, file_of, shape_of
from fairdarts.spaces.space import Space, load_space, sized, stated_shape


def evolve(
    run: Run | str | Path | None = None,
    recipe: Recipe | None = None,
    settings: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    data: Any = None,
    callbacks: Sequence[Watches] | Watches = (),
    **named: Any,
) -> Run:
    """Searches the models that a trained supernet judges best, as `fairdarts evolve` does, and gives the finished run.

    `run` is the supernet's; where it is None, the setting `supernet` says it. `recipe` is by default moremnas, that of
    FairNAS. With the setting `truth`, a benchmark's file, every record says what the models found are worth. `data` are
    the images of a supernet that was handed them. All else is as in `search`; of every generation callbacks get the
    record, as of an epoch. Raises UserError where no model keeps the constraints; KeyboardInterrupt once Ctrl-C has
    stopped it, the state saved.

    >>> run = fairdarts.evolve("runs/supernet", budgets=["madds <= 400e6"])
    >>> [(model.name, model.accuracy, model.costs["madds"]) for model in run.models]
    """
    supernet = {} if run is None else {"supernet": str(run.path if isinstance(run, Run) else run)}
    asked = Request(EVOLVE.usual if recipe is None else recipe, merged(settings, {**named, **supernet}), data, out)
    with distributed.joined():
        return _concluded(asked, Callbacks(callbacks))


def resume(path: str | Path, data: Any, settings: Mapping[str, Any], callbacks: Sequence[Watches] | Watches) -> Run:
    """Goes on with an evolution that was stopped; of a finished one the models are chosen anew. `settings` are of those
    that it may be told anew: `supernet`, `root`, `device`, `models`, `budgets`, `truth`, `truth_columns`."""
    with distributed.joined():
        return _concluded(Request(None, settings, data, resume=path), Callbacks(callbacks))


def _concluded(asked: Request, watch: Callbacks) -> Run:
    finished = carry_out(asked, watch)
    distributed.first(check_found, finished)
    run = Run(finished.run.path)
    if distributed.rank() == 0:
        run.models = models_of(finished)
    return run


def carry_out(asked: Request, watch: Callbacks) -> Finished:
    """The search that is asked for, in all processes that share it; only in the first one it knows what it found."""
    resumed = Path(asked.resume) if asked.resume else None
    settings, space = in_all_processes(EVOLVE, lambda: _read(asked, watch))
    space = space.fixed_topology("space")
    truth = distributed.first(told_truth, settings, space, watch)
    trained = supernet_of(settings, space, asked.data, watch)
    shape = Shape(*distributed.shared(distributed.first(_counted_shape, settings, space, trained.source, resumed)))
    watch.note(f"costs      counted for {shape} of {shape.classes} classes")
    latency = distributed.shared(distributed.first(_latency_of, settings, space, shape, resumed, watch))
    tables = count_tables(space, shape) | ({"latency": Table(*latency)} if latency else {})
    problem = Problem(sized(space, shape), settings.wanted, settings.limits, tables)
    with distributed.together():
        loop.check_fit(settings, problem)
    evaluator, judge = supernet_judge(settings, trained, watch)
    with distributed.together():
        path, images = Path(resumed or asked.out or free_path(settings)), fingerprint(trained.source)
        if distributed.rank() == 0 and not resumed:
            measured = {LATENCY: latency_csv(tables["latency"], space)} if latency else {}
            folder.create(path, settings, space, measured | file_of(shape, trained.training.data.kind, images))
    directory = folder.RunDirectory(Path(distributed.shared(str(path))))
    identity = identity_of(settings, MAY_CHANGE, space, images)
    identity |= {"supernet: weights": weights_of(evaluator.supernet)}
    identity |= {LATENCY: str(tables["latency"])} if latency else {}
    planned = f"{settings.generations} generations of {settings.population} models"
    watch.note(f"run {directory.path}: {settings.name}, seed {settings.seed}, {planned}")
    with (
        at_work(directory) as stop,
        watching(Run(directory.path), watch),
        logged(directory, watch, log_generation, _purge(directory) if resumed else None) as observer,
    ):
        about = held_against(columns_of(truth), problem, settings.classes) if truth else None
        args = (directory, identity, observer.epoch, stop, bool(resumed), about)
        archive = loop.evolve(settings, problem, judge(stop), *args)
        finished = Finished(directory, settings, archive, truth)
        if distributed.rank() == 0:
            conclude(finished, watch)
    return finished


def _read(asked: Request, watch: Callback) -> tuple[EvolveSettings, Any]:
    """Settings, and the space of the models."""
    if asked.resume:
        return reopened(EVOLVE, folder.open_run(Path(asked.resume)), asked.settings, watch)
    assert asked.recipe is not None, "a new run has a recipe"
    settings, place = settings_of(EvolveSettings, asked.recipe, asked.settings)
    use_threads(settings.threads)
    if settings.supernet is None:
        raise UserError(f"{place}: supernet: is missing; should be a run of `fairdarts supernet`, which judges")
    trained_in = open_training(folder.open_run(Path(settings.supernet)))[1]
    return settings, load_space(settings.space, f"{place}: space") if settings.space else trained_in


def _counted_shape(settings: EvolveSettings, space: Space, source: Source, resumed: Path | None) -> Shape:
    """The images that models are counted for: those of the supernet's run, or where the models are of another space,
    those that it was made for. A run keeps those that it began with, and one of version 0.1 those of the space."""
    shape = shape_of(resumed) if resumed else None if settings.space else source.shape
    return shape or stated_shape(space)


def _latency_of(
    settings: EvolveSettings, space: Space, shape: Shape, resumed: Path | None, watch: Callback
) -> Table | None:
    """The table of latencies, where one is needed: the user's, or measured here once; a run keeps the one it began
    with."""
    if "latency" not in settings.quantities:
        return None
    if resumed and folder.RunDirectory(resumed).last.is_file():
        return read_latency(resumed / LATENCY, space)
    if settings.latency:
        return read_latency(Path(settings.latency), space)
    device = pick(settings.device)
    watch.note(f"measuring latency per choice on {device}")
    return measure_latency(space, device, shape=shape)


def _purge(directory: folder.RunDirectory) -> int | None:
    """What an interrupted run wrote for TensorBoard from this step, a model, on is hidden."""
    records = directory.records()
    return records[-1].get("evaluations", 0) + 1 if records else None
