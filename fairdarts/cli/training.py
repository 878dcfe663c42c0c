"""The words of a training, and what is said at its end: what `train` and `segment` share."""

from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fairdarts.cli.begin import add_options
from fairdarts.cli.words import Parser, parse_words, say
from fairdarts.config import UserError
from fairdarts.options import words_of
from fairdarts.runs.request import Kind, Request

if TYPE_CHECKING:
    from fairdarts.runs.result import Run


def parse(parser: Parser, kind: Kind, argv: Sequence[str], weights: str) -> tuple[Namespace, Request]:
    """The words of a training, of which the first may be the genotype, and what they ask for; `weights` are those that
    it may begin with."""
    add_options(parser, kind)
    parser.add_argument("--init-from", metavar="FROM", help=f"weights to begin with: {weights}")
    args, rest = parse_words(parser, kind.model, argv, "genotype")
    genotype = args.genotype
    if args.resume and (genotype or args.config or args.out or args.init_from):
        raise UserError(f"{kind.verb}: --resume {args.resume} takes its genotype, settings and place from the run")
    if not (args.resume or genotype):
        raise UserError(f"{kind.verb}: the first word should be a GENOTYPE, or --resume a RUN")
    settings = words_of(kind.model, rest, parser.options)
    if args.init_from is not None:
        settings["init_from"] = args.init_from
    return args, Request(args.config or None, settings, None, args.out, args.resume, genotype)


def tell_results(run: "Run", numbers: str, otherwise: str) -> None:
    """Says what the last and the best epoch are worth, as `numbers` tells a result, or that no images told it."""
    results = run.results
    for which in ("last", "best"):
        if which in results:
            worth = numbers.format(**results[which])
            say(f"{which} epoch {results[which]['epoch']:>3}  {worth} of {results['images']:,} {results['on']} images")
    if not results:
        say(f"           there are no images to judge it by: {otherwise}")
    elif results["best_by"] == results["on"]:
        say(f"           the best epoch was chosen by these very {results['on']} images, so its numbers are too good")


def tell_places(run: "Run") -> None:
    """Says where what a training leaves is to be found."""
    say(f"run        {run.path}")
    say(f"figures    {run.directory.figures}")
    say(f"curves     tensorboard --logdir {run.path}")
