"""`fairdarts search`: search an architecture, or continue a search."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from fairdarts import resources
from fairdarts.cli.draw import figures_of
from fairdarts.cli.progress import SearchProgress
from fairdarts.cli.recipe import help_text, open_recipe
from fairdarts.cli.words import Parser, command, cost_text, say
from fairdarts.config import UserError, check, nearest, parse_overrides, read_yaml
from fairdarts.cost.count import count
from fairdarts.data.sources import Source, open_source
from fairdarts.genotype import CELLS, Genotype, live, to_yaml
from fairdarts.networks.cell import cifar_network
from fairdarts.networks.zoo import load_genotype
from fairdarts.plot.tensorboard import log_epoch
from fairdarts.runtime.checkpoint import BadState
from fairdarts.runtime.device import memory_advice, use_threads
from fairdarts.runtime.run import Run, changed_versions, create, open_run
from fairdarts.runtime.stop import Interrupted, Stop, catch_signals
from fairdarts.search.loop import Diverged, check_fit, search
from fairdarts.search.settings import MAY_CHANGE, SearchSettings
from fairdarts.search.stopping import verdict
from fairdarts.spaces.cell import CellSpace, load_space


def main(argv: Sequence[str]) -> int:
    parser = Parser("search", "Search an architecture by gradient descent.", help_text())
    parser.add_argument("--config", metavar="RECIPE", help="a shipped recipe or a YAML file")
    parser.add_argument("--resume", type=Path, metavar="RUN", help="continue the search of a run directory")
    parser.add_argument("--out", type=Path, metavar="RUN", help="run directory (default: runs/RECIPE-seedSEED)")
    args, rest = parser.parse_known_args(argv)
    if args.resume and (args.config or args.out):
        raise UserError(f"search: --resume {args.resume} takes its settings and place from the run itself")
    if args.resume:
        run = open_run(args.resume)
        settings = resumed_settings(run, parse_overrides(rest))
        use_threads(settings.threads)
        space = load_space(str(run.path / "space.yaml"))
        source = open_source(settings.data)
        if differences := changed_versions(run):
            say(f"the run was begun elsewhere, so its last digits may differ: {differences}")
    elif args.config:
        settings, space = open_recipe("search", args.config, rest)
        source = open_source(settings.data)
        check_fit(settings, space, len(source.dataset))
        run = create(args.out or free_path(settings), settings, space)
    else:
        raise UserError(f"search: --config or --resume is missing{nearest('', resources.names('recipes'))}")

    if settings.relaxation == "softmax" and settings.zero_one.weight > 0:
        say("zero_one: under softmax the zero-one loss is of little use (FairDARTS, supplementary 4.2)")
    say(f"run {run.path}: {settings.name}, seed {settings.seed}, epochs {settings.epochs}")
    if args.resume and (run.path / "genotypes" / "final.yaml").is_file():
        say("this search has already finished")
        genotype = load_genotype(str(run.path))[0]
    else:
        again = command("search", "--resume", run.path)
        try:
            with catch_signals() as stop, memory_advice():
                genotype = watched_search(settings, space, source, run, stop, bool(args.resume))
        except Interrupted as interrupted:
            say(f"{interrupted}: the state is saved; continue with\n{again}")
            return 128 + interrupted.signal
        except (Diverged, BadState):
            raise
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            raise UserError(f"a process that loads images died: {error}; continue with: {again}") from None
        except UserError as error:
            if not run.last.is_file():
                raise
            raise UserError(f"{error}; then continue with: {again}") from None
    try:
        figures_of(run, run.figures)
    except KeyboardInterrupt:
        say(f"SIGINT: the search is finished, but not all of it is drawn; draw it with\n{command('draw', run.path)}")
        return 130
    summarize(genotype, space, source, settings, run)
    sys.stdout.write(to_yaml(genotype))
    return 0


def resumed_settings(run: Run, overrides: dict[str, str]) -> SearchSettings:
    """The run's own settings. Raises UserError where the command line would change what it computes."""
    path = run.path / "settings.yaml"
    own = check(SearchSettings, read_yaml(path), path)
    asked = check(SearchSettings, read_yaml(path), path, overrides)
    for key in overrides:
        before, after = value_of(own, key), value_of(asked, key)
        if before != after and key not in MAY_CHANGE:
            raise UserError(
                f"{path}: {key}: {before}, but the command line says {after}: "
                "a resumed search keeps its settings; leave the option out, or start a new search"
            )
    return asked


def value_of(settings: SearchSettings, key: str) -> Any:
    """The value of a dotted key."""
    value: Any = settings
    for part in key.split("."):
        value = getattr(value, part, None)
    return value


def free_path(settings: SearchSettings) -> Path:
    """runs/NAME-seedSEED, or with the first of -2, -3, … that is not taken."""
    name = re.sub(r"[^\w.-]+", "-", settings.name)  # a recipe's name may hold what a folder's may not
    path = Path("runs") / f"{name}-seed{settings.seed}"
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free


class _Watcher:
    """Shows a search on the terminal and in TensorBoard."""

    def __init__(self, progress: SearchProgress, writer: Any, space: CellSpace):
        self.step, self.progress, self.writer, self.space = progress.step, progress, writer, space

    def epoch(self, record: dict[str, Any]) -> None:
        self.progress.epoch(record)
        log_epoch(self.writer, record, self.space)
        self.writer.flush()


def watched_search(
    settings: SearchSettings, space: CellSpace, source: Source, run: Run, stop: Stop, resume: bool
) -> Genotype:
    """The search, with its progress shown."""
    from torch.utils.tensorboard import SummaryWriter  # takes a second to import, and only a search needs it

    purge = len(run.records()) if resume else None
    with (
        SummaryWriter(run.path / "tensorboard", purge_step=purge) as writer,
        SearchProgress(settings, space) as progress,
    ):
        return search(settings, space, source, run, _Watcher(progress, writer, space), stop, resume)


def summarize(genotype: Genotype, space: CellSpace, source: Source, settings: SearchSettings, run: Run) -> None:
    """What was found, what it costs, where it lies, and how to go on."""
    rule = settings.derive
    counts = ", ".join(f"{len(live(getattr(genotype, cell))[0])} {cell}" for cell in CELLS)
    how = rule.method if rule.method == "argmax" else f"{rule.method} {rule.threshold}"
    unfed = sum(len(getattr(genotype, cell)) - len(live(getattr(genotype, cell))[0]) for cell in CELLS)
    ignored = f"; {unfed} more read a node that nothing feeds, and are ignored" if unfed else ""
    if ended := verdict(run.records(), settings.stopping):
        say(f"stopped    {ended.reason}")
    say(f"genotype   {genotype.name}: {counts} operations ({how}){ignored}")
    size = space.networks.cifar
    shape = f"{size.channels} channels, {size.cells} cells, {source.image}×{source.image} images"
    try:
        with torch.device("meta"):
            network = cifar_network(genotype, space, size.cells, size.channels, len(source.classes), len(source.mean))
        say(f"network    {cost_text(count(network, len(source.mean), source.image))} ({shape})")
    except UserError as error:
        gates = run.records()[-1]["gates"]
        strongest = ", ".join(f"{cell} {max(map(max, gates[cell])):.3f}" for cell in CELLS)
        say(f"network    none, as {error}; strongest gates: {strongest}")
    say(f"run        {run.path}")
    say(f"figures    {run.figures}")
    say(f"curves     tensorboard --logdir {run.path}")
    again = ("argmax",) if rule.method != "argmax" else ("threshold", "--threshold", 0.2)
    say(f"continue   {command('derive', run.path, '--method', *again)}")
