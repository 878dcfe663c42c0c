"""How the training of a stand-alone network begins, goes on and ends: what `train` and `segment` share."""

import json
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from fairdarts.cli import begin
from fairdarts.cli.begin import Kind
from fairdarts.cli.words import Parser, command, say
from fairdarts.config import UserError
from fairdarts.genotype import Genotype, to_yaml
from fairdarts.networks.models import Model, models
from fairdarts.networks.zoo import load_genotype
from fairdarts.plot.tensorboard import log_network
from fairdarts.runtime import checkpoint, distributed
from fairdarts.runtime.position import IMAGES, check_identity
from fairdarts.runtime.run import Run, create, open_run
from fairdarts.runtime.shape import file_of
from fairdarts.runtime.stop import Stop
from fairdarts.spaces.space import Space
from fairdarts.train.loop import train
from fairdarts.train.settings import NetworkTraining
from fairdarts.train.task import Task

Initialize = Callable[[nn.Module], list[str]]
"""puts weights into a network; gives notes of what stays fresh"""


class Ended(NamedTuple):
    """How a training has ended."""

    run: Run
    results: dict[str, Any] | None
    status: int
    """that of the process; where it is not 0, there are no results"""


def parse(parser: Parser, kind: Kind, argv: Sequence[str], weights: str) -> tuple[Namespace, list[str]]:
    """The words of a training, of which the first may be the genotype, and the settings among them; `weights` are those
    that it may begin with."""
    begin.add_options(parser, kind)
    parser.add_argument("--init-from", metavar="FROM", help=f"weights to begin with: {weights}")
    # The genotype is the first word alone: elsewhere it would be taken for the value of a setting.
    named = bool(argv) and not argv[0].startswith("-")
    args, rest = parser.parse_known_args(argv[named:])
    args.genotype = argv[0] if named else None
    return args, rest


def read_words(
    kind: Kind, args: Namespace, rest: Sequence[str], begun: Callable[[], tuple[NetworkTraining, Genotype, Space]]
) -> tuple[Any, Genotype, Space]:
    """Settings, genotype and space of a new training, which `begun` reads, or of a run to be continued; in all
    processes, as the first one reads them."""

    def read() -> tuple[NetworkTraining, Space, Genotype]:
        if args.resume:
            if args.genotype or args.config or args.out or args.init_from:
                what = "takes its genotype, settings and place from the run"
                raise UserError(f"{kind.verb}: --resume {args.resume} {what}")
            settings, _ = begin.reopened(kind, open_run(args.resume), rest)
            genotype, space = load_genotype(str(args.resume))
        elif args.genotype:
            settings, genotype, space = begun()
        else:
            raise UserError(f"{kind.verb}: the first word should be a GENOTYPE, or --resume a RUN")
        return settings, space, genotype

    settings, space, genotype = begin.in_all_processes(kind, read)
    return settings, genotype, space


def carry_out_training(
    kind: Kind,
    args: Namespace,
    settings: NetworkTraining,
    genotype: Genotype,
    space: Space,
    task: Task,
    initializer: Callable[[], Initialize],
    progress: RunProgress,
) -> Ended:
    """The training that the words ask for, in all processes that share it. `initializer` reads the weights that the
    settings begin with; that they do not fit shows before a run begins."""
    first, resume = distributed.rank() == 0, bool(args.resume)
    with distributed.together():
        begun = resume and Run(args.resume).last.is_file()
        initialize = None
        if first and settings.init_from and not begun:
            initialize = initializer()
            notes = initialize(task.build())
            say("\n           ".join([f"weights    from {settings.init_from}", *notes]))
        path = (args.resume or new_run(args, settings, genotype, space, task).path) if first else ""
    run = Run(Path(distributed.shared(str(path))))
    several = f", {distributed.ranks()} processes" if distributed.ranks() > 1 else ""
    say(f"run {run.path}: {genotype.name} by {settings.name}, seed {settings.seed}, epochs {settings.epochs}{several}")
    if begin.has_finished(kind, run):
        return Ended(run, distributed.first(read_results, run, task), 0)

    def work(stop: Stop) -> dict[str, Any]:
        with watched(run, progress, log_network, run.logged() + 1 if resume else None) as observer:
            return train(settings, task, run, observer, stop, resume, initialize)

    return Ended(run, *begin.run_until_stopped(work, run, command(kind.verb, "--resume", run.path)))


def new_run(args: Namespace, settings: NetworkTraining, genotype: Genotype, space: Space, task: Task) -> Run:
    """A new run directory, with the genotype in it."""
    model = args.genotype if args.genotype in models() else genotype.name
    named = settings.model_copy(update={"name": f"{model}-{settings.name}"})
    others = {"genotypes/final.yaml": to_yaml(genotype)} | file_of(task.shape, task.kind, task.identity[IMAGES])
    return create(args.out or begin.free_path(named), settings, space, others)


def words_of(model: Model, args: Namespace, rest: Sequence[str]) -> list[str]:
    """The settings that a model's name, and after it the command line, lay over a recipe."""
    network = model.network.model_dump(exclude_defaults=True)
    words = [*(f"--network.{key}={value}" for key, value in network.items()), *rest]
    return words + ([f"--init_from={args.init_from}"] if args.init_from is not None else [])


def tell_results(results: dict[str, Any], numbers: str) -> None:
    """Says what the last and the best epoch are worth; `numbers` is how a result tells it."""
    for which in ("last", "best"):
        if which in results:
            worth = numbers.format(**results[which])
            say(f"{which} epoch {results[which]['epoch']:>3}  {worth} of {results['images']:,} {results['on']} images")
    if results and results["best_by"] == results["on"]:
        say(f"           the best epoch was chosen by these very {results['on']} images, so its numbers are too good")


def tell_places(run: Run) -> None:
    """Says where what a training leaves is to be found."""
    say(f"run        {run.path}")
    say(f"figures    {run.figures}")
    say(f"curves     tensorboard --logdir {run.path}")


def read_results(run: Run, task: Task) -> dict[str, Any]:
    """The results of a finished training; empty where no images tell them. Raises UserError where they are damaged, or
    the run's files are no longer those of this training."""
    path = run.path / "results.json"
    check_identity(checkpoint.load(run.last), task.identity, run)
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
        if task.test is None and results == {}:
            return {}
        facts = [results["on"], results["best_by"], int(results["images"])]
        for epoch in (results["last"], *([results["best"]] if "best" in results else [])):
            facts += [int(epoch["epoch"]), float(epoch[task.numbers[0]]), *(epoch[name] for name in task.numbers)]
        if None in facts:
            raise ValueError("a number is missing")
        return results
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        again = f"remove it, and --resume {run.path} writes it again"
        raise UserError(f"{path}: not the results of a training; {again}") from None
