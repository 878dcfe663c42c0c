"""`fairdarts evolve`: search the models that a trained supernet judges best, or compare strategies on a table."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from fairdarts.cli.begin import add_options, print_config, run_until_stopped
from fairdarts.cli.evolve_compared import show as show_comparison
from fairdarts.cli.evolve_show import show
from fairdarts.cli.recipe import help_text
from fairdarts.cli.words import Parser, parse_words
from fairdarts.config import UserError
from fairdarts.evolution.settings import EvolveSettings
from fairdarts.options import resolve, words_of
from fairdarts.runs import compare, evolve
from fairdarts.runs.callbacks import Callbacks
from fairdarts.runs.compare import SEEDS
from fairdarts.runs.evolve import DEFAULT
from fairdarts.runs.evolved import check_found
from fairdarts.runs.progress import ProgressBar
from fairdarts.runs.request import EVOLVE, Request
from fairdarts.runtime import distributed


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
    parser.add_argument("--seeds", type=int, help=f"without RUN: searches by each strategy (default {SEEDS})")
    parser.add_argument("--json", action="store_true", help="what was found as JSON")
    args, rest = parse_words(parser, EvolveSettings, argv, "run")
    if not args.resume and any(word.partition("=")[0] == "--supernet" for word in rest):
        raise UserError("evolve: --supernet: is what RUN says, the first word")
    if args.column and not args.benchmark:
        raise UserError(f"evolve: --column {args.column}: is a column of --benchmark FILE, which is missing")
    if args.run or args.resume:
        if args.seeds is not None:
            raise UserError(f"evolve: --seeds {args.seeds}: is for a comparison on a table; a search has --seed")
        with distributed.joined():
            return search(parser, args, rest)
    if args.benchmark:
        with distributed.joined():
            return compared(parser, args, rest)
    first = "evolve: the first word should be a RUN of `fairdarts supernet`, which judges"
    raise UserError(f"{first}; to compare strategies on a table, name a --benchmark FILE")


def search(parser: Parser, args: Namespace, rest: Sequence[str]) -> int:
    """The search that the words ask for, in all processes that share it; gives the exit status."""
    if args.resume and (args.run or args.config or args.out):
        what = "takes its supernet, settings and place from the run itself"
        raise UserError(f"evolve: --resume {args.resume} {what}")
    settings = words_of(EvolveSettings, rest, parser.options)
    if args.run:
        settings["supernet"] = str(Path(args.run))
    asked = Request(args.config or DEFAULT, settings, None, args.out, args.resume)
    if args.print_config:
        return print_config(EVOLVE, asked)
    shown = ProgressBar()
    work = lambda: evolve.carry_out(asked, Callbacks(shown), args.benchmark, args.column)  # noqa: E731
    finished, status = run_until_stopped(work, shown)
    if finished is None or distributed.rank() > 0:
        return status
    check_found(finished)
    show(finished, args.json)
    return 0


def compared(parser: Parser, args: Namespace, rest: Sequence[str]) -> int:
    """The comparison of strategies that the words ask for; gives the exit status."""
    seeds = SEEDS if args.seeds is None else args.seeds
    words, watch = resolve(EvolveSettings, rest, parser.options), Callbacks(ProgressBar())
    found = compare.carry_out(args.benchmark, args.config, args.column, seeds, words, args.out, watch)
    if distributed.rank() == 0:
        show_comparison(found, args.json)
    return 0
