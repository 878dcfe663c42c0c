"""How words begin a run or let it go on, and what is said where it ends before its time."""

import os
import sys
import warnings
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from fairdarts.cli.words import Parser, add_recipe, command, say
from fairdarts.config import Notice, Settings, UserError
from fairdarts.options import words_of
from fairdarts.reading import dump_yaml
from fairdarts.runs.progress import ProgressBar
from fairdarts.runs.recipe import settings_of
from fairdarts.runs.request import Kind, Request, resumed_settings
from fairdarts.runtime.checkpoint import BadState
from fairdarts.runtime.run import open_run
from fairdarts.runtime.stop import Diverged, Interrupted

T = TypeVar("T")


def add_options(parser: Parser, kind: Kind) -> None:
    """The options by which a run begins or goes on."""
    add_recipe(parser)
    parser.add_argument("--resume", metavar="RUN", help=f"continue the {kind.what} of a run directory")
    parser.add_argument("--out", metavar="RUN", help="run directory (default: runs/RECIPE-seedSEED)")


def request_of(kind: Kind, parser: Parser, args: Namespace, rest: Sequence[str]) -> Request:
    """What the words ask for; that its settings can be is checked now, before torch is loaded."""
    if args.resume and (args.config or args.out):
        raise UserError(f"{kind.verb}: --resume {args.resume} takes its settings and place from the run itself")
    if not (args.resume or args.config):
        first = "the first word should be a RECIPE, or --resume a RUN"
        raise UserError(f"{kind.verb}: {first}; `fairdarts recipes {kind.verb}` lists recipes")
    asked = Request(args.config, words_of(kind.model, rest, parser.options), None, args.out, args.resume)
    check_settings(kind, asked)
    return asked


def check_settings(kind: Kind, asked: Request) -> None:
    """Refuses wrong settings, of a new run or of one that goes on, before torch is loaded."""
    if not is_alone():
        return
    if not asked.resume:
        settings_of(kind.model, asked.recipe or kind.usual, asked.settings)
        return
    with warnings.catch_warnings(action="ignore", category=Notice):  # which come once more as the run is opened
        run = open_run(Path(asked.resume))
    resumed_settings(kind, run, asked.settings)


def is_alone() -> bool:
    """Whether this process has been started alone: of several the first one reads files, once they have met, since the
    others may not see them."""
    return os.environ.get("WORLD_SIZE", "1") == "1"


def print_config(kind: Kind, asked: Request, read: Callable[[], Settings] | None = None) -> int:
    """Prints all settings that are asked for, as YAML, which `read` gives where a recipe alone does not say them; gives
    the exit status."""
    if asked.resume is not None:
        place = f"{asked.resume}/settings.yaml"
        raise UserError(f"{kind.verb}: --print-config: is for a new run; {place} has the settings of this one")
    assert read is not None or asked.recipe is not None, "a new run has a recipe"
    sys.stdout.write(dump_yaml(read() if read else settings_of(kind.model, asked.recipe, asked.settings)[0]))  # type: ignore[arg-type]
    return 0


def run_until_stopped(work: Callable[[], T], shown: ProgressBar) -> tuple[T | None, int]:
    """What a run's work gives, and 0; or None and an exit status, if a signal ended it before its time.

    The command that would continue it is said then, and where a UserError ended it.
    """
    try:
        return work(), 0
    except Interrupted as interrupted:
        say(f"{interrupted}: the state is saved; continue with\n{again(shown)}")
        return None, 128 + interrupted.signal
    except (Diverged, BadState):
        raise
    except UserError as error:
        if shown.run is None or not (shown.run.path / "checkpoints" / "last.pt").is_file():
            raise
        raise UserError(f"{error}; then continue with: {again(shown)}") from None


def again(shown: ProgressBar) -> str:
    """The command that continues the run that is shown."""
    assert shown.run is not None, "only a run that has begun can be continued"
    return command(shown.run.verb, "--resume", shown.run.path)
