"""`fairdarts search`: search an architecture, or continue a search."""

import re
import sys
from argparse import Namespace
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from fairdarts import resources
from fairdarts.cli.draw import figures_of
from fairdarts.cli.progress import SearchProgress
from fairdarts.cli.recipe import help_text, open_images, open_recipe
from fairdarts.cli.summary import summarize
from fairdarts.cli.words import Parser, command, say
from fairdarts.config import UserError, check, nearest, parse_overrides, read_yaml
from fairdarts.data.sources import Source
from fairdarts.genotype import Genotype, to_yaml
from fairdarts.networks.zoo import load_genotype
from fairdarts.plot.tensorboard import log_epoch
from fairdarts.runtime import distributed
from fairdarts.runtime.checkpoint import BadState
from fairdarts.runtime.device import memory_advice, use_threads
from fairdarts.runtime.run import Run, changed_versions, create, open_run
from fairdarts.runtime.stop import Interrupted, Stop, catch_signals
from fairdarts.search.loop import Diverged, search
from fairdarts.search.settings import MAY_CHANGE, SearchSettings
from fairdarts.search.setup import check_fit
from fairdarts.spaces.space import KINDS, Space, load_space


def main(argv: Sequence[str], alone: bool = False) -> int:
    """Search; `alone` also where torchrun started several processes, which else share the search."""
    parser = Parser("search", "Search an architecture by gradient descent.", help_text())
    parser.add_argument("--config", metavar="RECIPE", help="a shipped recipe or a YAML file")
    parser.add_argument("--resume", type=Path, metavar="RUN", help="continue the search of a run directory")
    parser.add_argument("--out", type=Path, metavar="RUN", help="run directory (default: runs/RECIPE-seedSEED)")
    args, rest = parser.parse_known_args(argv)
    with nullcontext() if alone else distributed.joined():
        return run_search(args, rest)


def run_search(args: Namespace, rest: Sequence[str]) -> int:
    """The search that the words ask for, alone or in all processes that share it; gives the exit status."""
    first, resume = distributed.rank() == 0, bool(args.resume)
    with distributed.together():
        told = read_words(args, rest) if first else None
    settings, space = hand_on(told)
    use_threads(settings.threads)
    source = open_images(settings.data)
    with distributed.together():
        check_fit(settings, space, source)
        path = (args.resume or create(args.out or free_path(settings), settings, space).path) if first else ""
    run = Run(Path(distributed.shared(str(path))))

    if settings.relaxation == "softmax" and settings.zero_one.weight > 0:
        say("zero_one: under softmax the zero-one loss is of little use (FairDARTS, supplementary 4.2)")
    several = f", {distributed.ranks()} processes" if distributed.ranks() > 1 else ""
    say(f"run {run.path}: {settings.name}, seed {settings.seed}, epochs {settings.epochs}{several}")
    if distributed.shared(resume and (run.path / "genotypes" / "final.yaml").is_file()):
        say("this search has already finished")
        genotype = load_genotype(str(run.path))[0] if first else None
    else:
        again = command("search", "--resume", run.path)
        try:
            with catch_signals(patient=distributed.launched() > 1) as stop, memory_advice():
                genotype = watched_search(settings, space, source, run, stop, resume)
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
    if not first:
        return 0
    try:
        figures_of(run, run.figures)
    except KeyboardInterrupt:
        say(f"SIGINT: the search is finished, but not all of it is drawn; draw it with\n{command('draw', run.path)}")
        return 130
    summarize(genotype, space, source, settings, run)
    sys.stdout.write(to_yaml(genotype))
    return 0


def read_words(args: Namespace, rest: Sequence[str]) -> tuple[SearchSettings, Space]:
    """Settings and space of a recipe, or of a run to be continued."""
    if args.resume and (args.config or args.out):
        raise UserError(f"search: --resume {args.resume} takes its settings and place from the run itself")
    if args.resume:
        run = open_run(args.resume)
        settings = resumed_settings(run, parse_overrides(rest))
        use_threads(settings.threads)
        if differences := changed_versions(run):
            say(f"the run was begun elsewhere, so its last digits may differ: {differences}")
        return settings, load_space(str(run.path / "space.yaml"))
    if args.config:
        return open_recipe("search", args.config, rest)
    raise UserError(f"search: --config or --resume is missing{nearest('', resources.names('recipes'))}")


def hand_on(told: tuple[SearchSettings, Space] | None) -> tuple[SearchSettings, Space]:
    """What the first process read, in all of them: the others may not see its files."""
    if distributed.ranks() == 1:
        return told
    texts = distributed.shared([part.model_dump(mode="json", by_alias=True) for part in told] if told else None)
    return check(SearchSettings, texts[0], "settings.yaml"), check(KINDS[texts[1]["kind"]], texts[1], "space.yaml")


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

    def __init__(self, progress: SearchProgress, writer: Any, space: Space):
        self.step, self.progress, self.writer, self.space = progress.step, progress, writer, space

    def epoch(self, record: dict[str, Any]) -> None:
        self.progress.epoch(record)
        log_epoch(self.writer, record, self.space)
        self.writer.flush()


class _Silence:
    """Shows nothing."""

    def step(self, *_: Any) -> None: ...

    def epoch(self, record: dict[str, Any]) -> None: ...


def watched_search(
    settings: SearchSettings, space: Space, source: Source, run: Run, stop: Stop, resume: bool
) -> Genotype:
    """The search, with its progress shown by the first process."""
    if distributed.rank() > 0:
        return search(settings, space, source, run, _Silence(), stop, resume)
    from torch.utils.tensorboard import SummaryWriter  # takes a second to import, and only a search needs it

    purge = len(run.records()) if resume else None
    with (
        SummaryWriter(run.path / "tensorboard", purge_step=purge) as writer,
        SearchProgress(settings, space) as progress,
    ):
        return search(settings, space, source, run, _Watcher(progress, writer, space), stop, resume)
