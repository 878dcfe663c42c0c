"""`fairdarts evolve`: search the models that a trained supernet judges best, or compare strategies on a table."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from fairdarts.cli.begin import add_options, check_settings, is_alone, print_config, run_until_stopped
from fairdarts.cli.recipe import help_text
from fairdarts.cli.words import Parser, parse_words
from fairdarts.config import UserError
from fairdarts.evolution.settings import EvolveSettings
from fairdarts.options import resolve, words_of
from fairdarts.runs.callbacks import Callbacks
from fairdarts.runs.progress import ProgressBar
from fairdarts.runs.request import EVOLVE, Request
from fairdarts.runs.strategies import SEEDS, check_asked, strategies


def main(argv: Sequence[str]) -> int:
    parser = Parser("evolve", "Search models with a trained supernet as judge, or compare strategies on a table.")
    parser.usage = "fairdarts evolve [RUN] [options], RUN being that of a supernet"
    parser.epilog = (
        f"Without --config the recipe is {EVOLVE.usual}; those of a comparison are all, or some: --config A,B.\n"
    )
    parser.epilog += f"A comparison goes into runs/evolve-FILE.\n\n{help_text(EvolveSettings)}"
    add_options(parser, EVOLVE)
    parser.add_argument(
        "--benchmark", type=Path, metavar="FILE", help="without RUN: the table that judges, a benchmark's file"
    )
    parser.add_argument("--column", metavar="NAME", help="its column of truth")
    parser.add_argument("--seeds", type=int, help=f"without RUN: searches by each strategy (default {SEEDS})")
    parser.add_argument("--json", action="store_true", help="what was found as JSON")
    args, rest = parse_words(parser, EvolveSettings, argv, "run")
    if not args.resume and any(word.partition("=")[0] == "--supernet" for word in rest):
        raise UserError("evolve: --supernet: is what RUN says, the first word")
    if args.run or args.resume:
        for word, setting in (("benchmark", "truth"), ("column", "truth_columns")):
            if value := getattr(args, word):
                which = f"is for a comparison on a table; to hold a search against the truth, say --{setting} {value}"
                raise UserError(f"evolve: --{word} {value}: {which}")
        if args.seeds is not None:
            raise UserError(f"evolve: --seeds {args.seeds}: is for a comparison on a table; a search has --seed")
        return search(parser, args, rest)
    if args.column and not args.benchmark:
        raise UserError(f"evolve: --column {args.column}: is a column of --benchmark FILE, which is missing")
    if args.benchmark:
        return compared(parser, args, rest)
    first = "evolve: the first word should be a RUN of `fairdarts supernet`, which judges"
    raise UserError(f"{first}; to compare strategies on a table, name a --benchmark FILE")


def search(parser: Parser, args: Namespace, rest: Sequence[str]) -> int:
    """The search that the words ask for; gives the exit status."""
    if args.resume and (args.run or args.config or args.out):
        what = "takes its supernet, settings and place from the run itself"
        raise UserError(f"evolve: --resume {args.resume} {what}")
    settings = words_of(EvolveSettings, rest, parser.options)
    if args.run:
        settings["supernet"] = str(Path(args.run))
    asked = Request(args.config or EVOLVE.usual, settings, None, args.out, args.resume)
    if args.print_config:
        return print_config(EVOLVE, asked)
    check_settings(EVOLVE, asked)

    # here, as torch takes seconds to load, and words can be wrong before
    from fairdarts.cli.evolve_show import show
    from fairdarts.runs import evolve
    from fairdarts.runs.evolved import check_found
    from fairdarts.runtime import distributed

    with distributed.joined():
        shown = ProgressBar()
        finished, status = run_until_stopped(lambda: evolve.carry_out(asked, Callbacks(shown)), shown)
        if finished is None or distributed.rank() > 0:
            return status
        check_found(finished)
        show(finished, args.json)
    return 0


def compared(parser: Parser, args: Namespace, rest: Sequence[str]) -> int:
    """The comparison of strategies that the words ask for; gives the exit status."""
    seeds = SEEDS if args.seeds is None else args.seeds
    words = resolve(EvolveSettings, rest, parser.options)
    check_asked(seeds, words)
    if is_alone():
        strategies(args.config, words)

    # here, as torch takes seconds to load, and words can be wrong before
    from fairdarts.cli.evolve_compared import show
    from fairdarts.runs import compare
    from fairdarts.runtime import distributed

    with distributed.joined():
        watch = Callbacks(ProgressBar())
        found = compare.carry_out(args.benchmark, args.config, args.column, seeds, words, args.out, watch)
        if distributed.rank() == 0:
            show(found, args.json)
    return 0
