"""`fairdarts evolve`: search the models that a trained supernet judges best, or compare strategies on a table."""

import hashlib
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch

from fairdarts.cli.begin import Kind, add_options, free_path, in_all_processes, reopened, run_until_stopped
from fairdarts.cli.evolve_show import LATENCY, finish, line_of
from fairdarts.cli.evolve_tabular import compare
from fairdarts.cli.progress import tensorboard
from fairdarts.cli.rank import watch
from fairdarts.cli.recipe import help_text, open_images, open_settings
from fairdarts.cli.words import Parser, command, say
from fairdarts.config import UserError
from fairdarts.cost.latency import latency_csv, measure_latency, read_latency
from fairdarts.cost.parts import stated_shape
from fairdarts.cost.table import Table, count_tables
from fairdarts.data.sources import Source
from fairdarts.data.split import fingerprint
from fairdarts.evolve.archive import Archive
from fairdarts.evolve.loop import JudgePaths, check_fit, evolve
from fairdarts.evolve.problem import Problem
from fairdarts.evolve.settings import MAY_CHANGE, EvolveSettings
from fairdarts.oneshot.evaluate import Evaluator
from fairdarts.oneshot.settings import TrainingSettings, read_statistics
from fairdarts.plot.tensorboard import log_generation
from fairdarts.ranking.report import judge, open_benchmark, open_training, own_statistics
from fairdarts.runtime import distributed
from fairdarts.runtime.device import pick
from fairdarts.runtime.position import identity_of
from fairdarts.runtime.run import Run, create, open_run
from fairdarts.runtime.shape import Shape, file_of, shape_of
from fairdarts.runtime.stop import Interrupted, Stop
from fairdarts.spaces.space import Space, load_space, sized

EVOLVE = Kind("evolve", "search", EvolveSettings, MAY_CHANGE)
DEFAULT = "moremnas"
"""the recipe of a search where none is named: that of FairNAS"""


def main(argv: Sequence[str]) -> int:
    parser = Parser("evolve", "Search models with a trained supernet as judge, or compare strategies on a table.")
    parser.usage = "fairdarts evolve [RUN] [options], RUN being that of a supernet"
    parser.epilog = f"Without --config the recipe is {DEFAULT}; those of a comparison are all, or some: --config A,B.\n"
    parser.epilog += f"A comparison goes into runs/evolve-FILE.\n\n{help_text(EvolveSettings)}"
    add_options(parser, EVOLVE)
    parser.add_argument(
        "--benchmark",
        type=Path,
        metavar="FILE",
        help="the truth: what it says of the models found; without RUN, the judge",
    )
    parser.add_argument("--column", metavar="NAME", help="the benchmark's column of truth")
    parser.add_argument("--seeds", type=int, help="without RUN: searches by each strategy (default 50)")
    parser.add_argument("--json", action="store_true", help="what was found as JSON")
    # A RUN is the first word alone: elsewhere it would be taken for the value of a setting, and such a value for it.
    named = bool(argv) and not argv[0].startswith("-")
    args, rest = parser.parse_known_args(argv[named:])
    args.run = Path(argv[0]) if named else None
    if not args.resume and any(word.partition("=")[0] == "--supernet" for word in rest):
        raise UserError("evolve: --supernet: is what RUN says, the first word")
    if args.column and not args.benchmark:
        raise UserError(f"evolve: --column {args.column}: is a column of --benchmark FILE, which is missing")
    if args.run or args.resume:
        if args.seeds is not None:
            raise UserError(f"evolve: --seeds {args.seeds}: is for a comparison on a table; a search has --seed")
        with distributed.joined():
            return search(args, rest)
    if args.benchmark:
        with distributed.joined():
            return compare(args, rest, EVOLVE)
    first = "evolve: the first word should be a RUN of `fairdarts supernet`, which judges"
    raise UserError(f"{first}; to compare strategies on a table, name a --benchmark FILE")


def search(args: Namespace, rest: Sequence[str]) -> int:
    """The search that the words ask for, in all processes that share it; gives the exit status."""
    first, resume = distributed.rank() == 0, bool(args.resume)
    settings, space = in_all_processes(EVOLVE, lambda: read(args, rest))
    space = space.fixed_topology("space")
    with distributed.together():
        truth = open_benchmark(args.benchmark, space, args.column) if args.benchmark and first else None
    trained = supernet_of(settings, space)
    shape = Shape(*distributed.shared(distributed.first(counted_shape, settings, space, trained.source, args.resume)))
    say(f"costs      counted for {shape} of {shape.classes} classes")
    latency = distributed.shared(distributed.first(latency_of, settings, space, shape, args.resume))
    tables = count_tables(space, shape) | ({"latency": Table(*latency)} if latency else {})
    problem = Problem(sized(space, shape), settings.wanted, settings.limits, tables)
    with distributed.together():
        check_fit(settings, problem)
    evaluator, make = supernet_judge(settings, trained)
    with distributed.together():
        path, images = args.resume or args.out or free_path(settings), fingerprint(trained.source)
        if first and not resume:
            measured = {LATENCY: latency_csv(tables["latency"], space)} if latency else {}
            create(path, settings, space, measured | file_of(shape, trained.training.data.kind, images))
    run = Run(Path(distributed.shared(str(path))))
    identity = identity_of(settings, MAY_CHANGE, space, images)
    identity |= {"supernet: weights": weights_of(evaluator.supernet)}
    identity |= {LATENCY: str(tables["latency"])} if latency else {}
    planned = f"{settings.generations} generations of {settings.population} models"
    say(f"run {run.path}: {settings.name}, seed {settings.seed}, {planned}")
    again = command("evolve", "--resume", run.path)

    def work(stop: Stop) -> Archive:
        with observing(run, settings, resume) as observe:
            return evolve(settings, problem, make(stop), run, identity, observe, stop, resume)

    archive, status = run_until_stopped(work, run, again)
    if status or not first:
        return status
    finish(run, settings, archive, truth, args.json)
    return 0


def read(args: Namespace, rest: Sequence[str]) -> tuple[EvolveSettings, Any]:
    """Settings, and the space of the models."""
    if args.resume:
        if args.run or args.config or args.out:
            what = "takes its supernet, settings and place from the run itself"
            raise UserError(f"evolve: --resume {args.resume} {what}")
        return reopened(EVOLVE, open_run(args.resume), rest)
    words = [*rest, f"--supernet={args.run}"]
    settings, path = open_settings("evolve", EvolveSettings, args.config or DEFAULT, words)
    trained_in = open_training(open_run(args.run))[1]
    return settings, load_space(settings.space, f"{path}: space") if settings.space else trained_in


class Trained(NamedTuple):
    """The supernet that judges."""

    run: Run
    training: TrainingSettings
    space: Space
    source: Source


def supernet_of(settings: EvolveSettings, space: Space) -> Trained:
    """The run of the supernet, and its images. Raises UserError where its space has other choices."""
    with distributed.together():
        run = open_run(Path(settings.supernet))
        training, trained_in = open_training(run)
        if trained_in.choices != space.choices:
            problem = f"has other choices than {trained_in.name}, which {run.path} was trained in"
            raise UserError(f"space: {space.name}: {problem}")
    data = training.data.model_copy(update={"root": settings.root}) if settings.root else training.data
    training = training.model_copy(update={"data": data, "device": settings.device})
    return Trained(run, training, trained_in, open_images(data))


def counted_shape(settings: EvolveSettings, space: Space, source: Source, resumed: Path | None) -> Shape:
    """The images that models are counted for: those of the supernet's run, or where the models are of another space,
    those that it was made for. A run keeps those that it began with, and one of version 0.1 those of the space."""
    shape = shape_of(resumed) if resumed else None if settings.space else source.shape
    return shape or stated_shape(space)


def supernet_judge(settings: EvolveSettings, trained: Trained) -> tuple[Evaluator, Callable[[Stop], JudgePaths]]:
    """The evaluator of the supernet, and what makes a judge of it that a signal can stop."""
    asked = settings.judge.statistics
    statistics = own_statistics(trained.training) if asked is None else read_statistics(asked)
    with distributed.together():
        evaluator, facts = judge(*trained, statistics, settings.judge.images)
    say(f"judge      {trained.run.path}: {facts['epochs']} epochs, {facts['images']:,} held-out images")
    watch(evaluator, facts)
    inner = evaluator.held_out

    def make(stop: Stop) -> JudgePaths:
        evaluator.held_out = lambda: stopping(inner(), stop)
        return evaluator

    return evaluator, make


def stopping(batches: Iterable[Any], stop: Stop) -> Iterator[Any]:
    """The batches, until a signal ends the search: between two of them, where no other process waits for this one."""
    for batch in batches:
        if stop.signal and distributed.ranks() == 1:
            raise Interrupted(stop.signal)
        yield batch


def weights_of(supernet: torch.nn.Module) -> str:
    """What tells one supernet's weights from another's."""
    total = hashlib.sha256()
    for name, tensor in supernet.state_dict().items():
        total.update(name.encode())
        total.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return total.hexdigest()


def latency_of(settings: EvolveSettings, space: Space, shape: Shape, resumed: Path | None) -> Table | None:
    """The table of latencies, where one is needed: the user's, or measured here once; a run keeps the one it began
    with."""
    if "latency" not in settings.quantities:
        return None
    if resumed and Run(resumed).last.is_file():
        return read_latency(resumed / LATENCY, space)
    if settings.latency:
        return read_latency(Path(settings.latency), space)
    device = pick(settings.device)
    say(f"measuring latency per choice on {device}")
    return measure_latency(space, device, shape=shape)


@contextmanager
def observing(run: Run, settings: EvolveSettings, resume: bool) -> Iterator[Callable[[dict[str, Any]], None]]:
    """What takes the record of every generation: the first process shows it, the others do nothing."""
    if distributed.rank() > 0:
        yield lambda _: None
        return
    records = run.records() if resume else []
    purge = records[-1].get("evaluations", 0) + 1 if records else None
    with tensorboard(run, purge) as writer:

        def observe(record: dict[str, Any]) -> None:
            say(line_of(record, settings))
            log_generation(writer, record)
            writer.flush()

        yield observe
