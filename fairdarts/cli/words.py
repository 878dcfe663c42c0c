"""How verbs read their words and speak: arguments, messages on stderr, commands to copy."""

import argparse
import json
import math
import shlex
import shutil
import sys
from argparse import Namespace
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from fairdarts.config import LARGEST, Settings, UserError, plain
from fairdarts.options import check_words, described
from fairdarts.own import plugin_words
from fairdarts.runs.recipe import read_recipe

if TYPE_CHECKING:
    from rich.table import Table

T = TypeVar("T")
HELP = ("-h", "--help")


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

    @property
    def verb(self) -> str:
        """The verb whose words it reads."""
        return self.prog.removeprefix("fairdarts ")

    @property
    def options(self) -> list[str]:
        """The options that it knows, which are no settings."""
        return [word for action in self._actions for word in action.option_strings if word.startswith("--")]

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{self.verb}: {message}")


def add_recipe(parser: Parser) -> None:
    """The options by which a verb is told its settings."""
    parser.add_argument("--config", metavar="RECIPE", help="a shipped recipe (`fairdarts recipes`), or a YAML file")
    parser.add_argument("--print-config", action="store_true", help="print all settings as YAML, and do nothing else")
    # It is only told of here: `dispatch` takes it out of the words of any verb.
    parser.add_argument("--plugin", metavar="FILE", help="a Python file with parts of your own; as often as needed")


def parse_words(
    parser: Parser, model: type[Settings], argv: Sequence[str], first: str = "config"
) -> tuple[Namespace, list[str]]:
    """The options of a verb, and the words that are settings. The first word may be no option, but its `first`.

    With --help a recipe's settings are listed with their present values. Raises UserError.
    """
    # The first word alone: elsewhere it would be taken for the value of a setting, and such a value for it.
    named = bool(argv) and not argv[0].startswith("-")
    words = list(argv[named:])
    asked = [word for word in words if word not in HELP]
    help_wanted = len(asked) < len(words)
    has_recipe = (named and first == "config") or any(word.partition("=")[0] == "--config" for word in asked)
    args, rest = parser.parse_known_args(asked if has_recipe else words)
    word = argv[0] if named else None
    if first != "config":
        setattr(args, first, word)
    elif word and args.config:
        raise UserError(f"{parser.verb}: {word} and --config {args.config}: should be one recipe")
    elif word:
        args.config = word
    if help_wanted:
        settings = check_words(model, *read_recipe(model, args.config), rest, parser.options)
        parser.epilog = f"every setting is an option; {args.config} says:\n{described(settings)}\n\n"
        parser.epilog += f"Other kinds of a section have others: `fairdarts {parser.verb} --help` lists all."
        parser.print_help()
        parser.exit()
    return args, rest


def _whole(text: str) -> int:
    number = int(text)
    if abs(number) > LARGEST:
        raise argparse.ArgumentTypeError(f"'{text}': should be within ±{LARGEST}")
    return number


def say(message: str) -> None:
    """A message: to stderr, since stdout is for results. Of several processes the first one speaks.

    A run does not end because nobody can hear it.
    """
    if _is_first():
        with suppress(OSError):
            print(plain(message), file=sys.stderr, flush=True)


def _is_first() -> bool:
    """Whether this is the first process of a run; without torch, whose import takes a second, there are no others."""
    distributed = sys.modules.get("fairdarts.runtime.distributed")
    return distributed is None or distributed.rank() == 0


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
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    if not _is_first() or not console.is_terminal:
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
    return shlex.join([*start, *map(str, words), *plugin_words()])


def empty_table(*titles: str, words: int = 1) -> "Table":
    """A table of these columns: the first ones, so many, hold words, the others numbers."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, title in enumerate(titles):
        table.add_column(title, justify="left" if number < words else "right")
    return table


def print_table(table: "Table") -> None:
    """A table on stdout: as wide as the terminal, and as wide as it needs where there is none."""
    from rich.console import Console

    # Without markup, as names of classes and files are a user's and may hold brackets.
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else 240, highlight=False, markup=False).print(table)
