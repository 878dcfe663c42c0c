"""How a run begins or goes on, and how it ends before its time: what searches and trainings of supernets share."""

import re
from argparse import Namespace
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from fairdarts.cli.recipe import names_of, open_images, open_recipe
from fairdarts.cli.words import Parser, say
from fairdarts.config import Settings, UserError, check, nearest, parse_overrides
from fairdarts.data.settings import DataSettings
from fairdarts.data.sources import Source
from fairdarts.own import PLUGINS
from fairdarts.runtime import distributed
from fairdarts.runtime.checkpoint import BadState
from fairdarts.runtime.device import memory_advice, use_threads
from fairdarts.runtime.records import mend
from fairdarts.runtime.run import Run, changed_versions, create, is_free, open_run, read_settings
from fairdarts.runtime.shape import file_of
from fairdarts.runtime.stop import Diverged, Interrupted, Stop, catch_signals
from fairdarts.spaces.space import FORMS, KINDS, Space, load_space

T = TypeVar("T")


class Kind(NamedTuple):
    """A kind of run."""

    verb: str
    what: str
    """what it is called: a search, a training"""
    model: type[Settings]
    """its settings"""
    may_change: tuple[str, ...]
    """dotted keys that a resumed run may be told anew"""


def add_options(parser: Parser, kind: Kind) -> None:
    """The options by which a run begins or goes on."""
    parser.add_argument("--config", metavar="RECIPE", help="a shipped recipe or a YAML file")
    parser.add_argument("--resume", type=Path, metavar="RUN", help=f"continue the {kind.what} of a run directory")
    parser.add_argument("--out", type=Path, metavar="RUN", help="run directory (default: runs/RECIPE-seedSEED)")


def in_all_processes(kind: Kind, read: Callable[[], tuple[Settings, ...]]) -> tuple[Any, ...]:
    """What the first process reads, in all of them: settings, space, and if so a genotype. They run on the threads that
    the settings say."""
    parts = distributed.first(read)
    if distributed.ranks() > 1:  # the others may not see the files
        for file in distributed.shared([*map(str, PLUGINS)]):  # but those of parts, which are code, they have to
            import_module("fairdarts.plugins").load_plugin(file)
        texts = distributed.shared([part.model_dump(mode="json", by_alias=True) for part in parts] if parts else None)
        space = texts[1]["kind"]
        forms = (kind.model, KINDS[space], FORMS[space])[: len(texts)]
        names = ("settings.yaml", "space.yaml", "genotypes/final.yaml")[: len(texts)]
        parts = tuple(map(check, forms, texts, names))
    use_threads(parts[0].threads)
    return parts


def read_words(kind: Kind, args: Namespace, rest: Sequence[str]) -> tuple[Settings, Space]:
    """Settings and space of a recipe, or of a run to be continued."""
    if args.resume and (args.config or args.out):
        raise UserError(f"{kind.verb}: --resume {args.resume} takes its settings and place from the run itself")
    if args.resume:
        return reopened(kind, open_run(args.resume), rest)
    if args.config:
        return open_recipe(kind.verb, kind.model, args.config, rest)
    raise UserError(f"{kind.verb}: --config or --resume is missing{nearest('', names_of(kind.model))}")


def reopened(kind: Kind, run: Run, rest: Sequence[str]) -> tuple[Settings, Space]:
    """Settings and space of a run to be continued; says so where it was begun under other versions."""
    settings = resumed_settings(kind, run, parse_overrides(rest))
    use_threads(settings.threads)
    if differences := changed_versions(run):
        say(f"the run was begun elsewhere, so its last digits may differ: {differences}")
    with run.held():
        mend(run)
    return settings, load_space(str(run.path / "space.yaml"))


def resumed_settings(kind: Kind, run: Run, overrides: dict[str, str]) -> Any:
    """The run's own settings. Raises UserError where the command line would change what it computes."""
    path = run.path / "settings.yaml"
    if run.verb != kind.verb:
        raise UserError(f"{run.path}: is a run of `fairdarts {run.verb}`, which resumes it")
    content = read_settings(path)
    begun = check(kind.model, content, path)
    asked = check(kind.model, content, path, overrides)
    for key in overrides:
        before, after = value_of(begun, key), value_of(asked, key)
        if before != after and key not in kind.may_change:
            advice = f"a resumed {kind.what} keeps its settings; leave the option out, or start a new one"
            raise UserError(f"{path}: {key}: {before}, but the command line says {after}: {advice}")
    return asked


def value_of(settings: Settings, key: str) -> Any:
    """The value of a dotted key."""
    value: Any = settings
    for part in key.split("."):
        value = getattr(value, part, None)
    return value


class Begun(NamedTuple):
    """What a run begins with, or goes on."""

    settings: Any
    space: Space
    source: Source
    run: Run


def begin(kind: Kind, args: Namespace, rest: Sequence[str], check_fit: Callable[..., Any]) -> Begun:
    """The run that the words ask for, a new one or one to be continued, in all processes; says which one it is.

    `check_fit` is given settings, space and images, and gives the indices of those that train and of those held out.
    """
    settings, space = in_all_processes(kind, lambda: read_words(kind, args, rest))
    source = open_images(settings.data, new=not args.resume)
    with distributed.together():
        trained, _ = check_fit(settings, space, source)
        path = args.resume or args.out or free_path(settings)
        if distributed.rank() == 0 and not args.resume:
            create(path, settings, space, file_of(source.shape))
    run = Run(Path(distributed.shared(str(path))))
    share = f" share {settings.compute.parallel}" if hasattr(settings.compute, "parallel") else ""
    several = f", {distributed.ranks()} processes{share}" if distributed.ranks() > 1 else ""
    say(f"run {run.path}: {settings.name}, seed {settings.seed}, epochs {settings.epochs}{several}")
    tell_images(settings.data, len(trained), len(source.dataset))
    return Begun(settings, space, source, run)


def has_finished(kind: Kind, run: Run) -> bool:
    """Whether nothing of a run is left to do, which is then said; all processes get what the first one sees."""
    if done := distributed.shared(distributed.first(lambda: run.state == "finished")):
        say(f"this {kind.what} has already finished")
    return done


def tell_images(data: DataSettings, trained: int, every: int) -> None:
    """Says how many of the images train the weights; loudly where most of them do not."""
    if trained * 2 >= every:
        say(f"images     {trained:,} of {every:,} train the weights, {every - trained:,} are held out")
        return
    key = "train_portion" if hasattr(data, "train_portion") else "held_out"
    why = f"as data.{key} is {getattr(data, key)}; --data.{key} takes another share"
    say(f"images     ONLY {trained:,} of {every:,} train the weights, {why}")


def free_path(settings: Any) -> Path:
    """runs/NAME-seedSEED, or with the first of -2, -3, … that is not taken."""
    name = re.sub(r"[^\w.-]+", "-", settings.name)  # a recipe's name may hold what a folder's may not
    path = Path("runs") / f"{name}-seed{settings.seed}"
    number, free = 1, path
    while not is_free(free):
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free


def run_until_stopped(work: Callable[[Stop], T], run: Run, again: str) -> tuple[T | None, int]:
    """What a run's work gives, and 0; or None and an exit status, if a signal ended it before its time.

    Where `again`, a command line, would continue it, that is said. Raises InUse where another process is at work on the
    run.
    """
    with ExitStack() as stack:
        distributed.first(lambda: stack.enter_context(run.held()))
        try:
            with catch_signals(patient=distributed.launched() > 1) as stop, memory_advice():
                return work(stop), 0
        except Interrupted as interrupted:
            say(f"{interrupted}: the state is saved; continue with\n{again}")
            return None, 128 + interrupted.signal
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
