"""How words begin a run or let it go on, and what is said where it ends before its time."""

from argparse import Namespace
from collections.abc import Callable, Sequence
from typing import TypeVar

from fairdarts.cli.words import Parser, command, say
from fairdarts.config import UserError, nearest, parse_overrides
from fairdarts.runs.begin import Kind, Request
from fairdarts.runs.progress import ProgressBar
from fairdarts.runs.recipe import Words, names_of
from fairdarts.runtime.checkpoint import BadState
from fairdarts.runtime.stop import Diverged, Interrupted

T = TypeVar("T")


def add_options(parser: Parser, kind: Kind) -> None:
    """The options by which a run begins or goes on."""
    parser.add_argument("--config", metavar="RECIPE", help="a shipped recipe or a YAML file")
    parser.add_argument("--resume", metavar="RUN", help=f"continue the {kind.what} of a run directory")
    parser.add_argument("--out", metavar="RUN", help="run directory (default: runs/RECIPE-seedSEED)")


def request_of(kind: Kind, args: Namespace, rest: Sequence[str]) -> Request:
    """What the words ask for."""
    if args.resume and (args.config or args.out):
        raise UserError(f"{kind.verb}: --resume {args.resume} takes its settings and place from the run itself")
    if not (args.resume or args.config):
        raise UserError(f"{kind.verb}: --config or --resume is missing{nearest('', names_of(kind.model))}")
    return Request(args.config, Words(parse_overrides(rest)), None, args.out, args.resume)


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
