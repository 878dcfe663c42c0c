"""How verbs read their words and speak: arguments, messages on stderr, commands to copy."""

import argparse
import json
import math
import shlex
import shutil
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from rich.console import Console
from rich.progress import track
from rich.table import Table

from fairdarts.config import LARGEST, UserError, plain
from fairdarts.cost.count import cost_text as cost_text
from fairdarts.runtime import distributed

T = TypeVar("T")


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are UserErrors: one line, no usage text in front."""

    def __init__(self, verb: str, description: str, epilog: str = ""):
        super().__init__(
            prog=f"fairdarts {verb}",
            description=description,
            epilog=epilog,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self.register("type", int, _whole)

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{self.prog.removeprefix('fairdarts ')}: {message}")


def _whole(text: str) -> int:
    number = int(text)
    if abs(number) > LARGEST:
        raise argparse.ArgumentTypeError(f"'{text}': should be within ±{LARGEST}")
    return number


def say(message: str) -> None:
    """A message: to stderr, since stdout is for results. Of several processes the first one speaks.

    A run does not end because nobody can hear it.
    """
    if distributed.rank() == 0:
        with suppress(OSError):
            print(plain(message), file=sys.stderr, flush=True)


def to_json(value: Any) -> str:
    """A result as JSON that any terminal can show and any program read: in ASCII, null for what is no finite number."""
    return json.dumps(_finite(value), indent=1, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def tracked(items: Iterable[T], total: float | None = None, *, what: str) -> Iterable[T]:
    """The items, while a terminal shows how many are done, and `what` is; of several processes the first one's."""
    console = Console(stderr=True)
    if distributed.rank() > 0 or not console.is_terminal:
        return items
    return track(items, what, total, console=console, transient=True)


def command(*words: object) -> str:
    """A command line to copy, which runs this very installation from the current directory."""
    script = Path(sys.executable).with_name("fairdarts")
    on_path = shutil.which("fairdarts")
    if on_path and Path(on_path).resolve() == script.resolve():
        start = ["fairdarts"]
    else:
        program = script if script.is_file() else Path(sys.executable)
        here = program.is_relative_to(Path.cwd())
        start = [str(program.relative_to(Path.cwd()) if here else program)]
        start += [] if script.is_file() else ["-m", "fairdarts"]
    return shlex.join([*start, *map(str, words)])


def empty_table(*titles: str, words: int = 1) -> Table:
    """A table of these columns: the first ones, so many, hold words, the others numbers."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, title in enumerate(titles):
        table.add_column(title, justify="left" if number < words else "right")
    return table


def print_table(table: Table) -> None:
    """A table on stdout: as wide as the terminal, and as wide as it needs where there is none."""
    # Without markup, as names of classes and files are a user's and may hold brackets.
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else 240, highlight=False, markup=False).print(table)
