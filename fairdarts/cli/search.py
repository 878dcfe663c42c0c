"""`fairdarts search`: search an architecture, or continue a search."""

import sys
from argparse import Namespace
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

from fairdarts.cli.begin import Begun, Kind, add_options, begin, has_finished, run_until_stopped
from fairdarts.cli.draw import figures_of
from fairdarts.cli.progress import search_progress, watched
from fairdarts.cli.recipe import help_text
from fairdarts.cli.summary import summarize
from fairdarts.cli.words import Parser, command, say
from fairdarts.genotype import Genotype, to_yaml
from fairdarts.networks.zoo import load_genotype
from fairdarts.plot.tensorboard import log_epoch
from fairdarts.runtime import distributed
from fairdarts.runtime.stop import Stop
from fairdarts.search.loop import search
from fairdarts.search.settings import MAY_CHANGE, SearchSettings
from fairdarts.search.setup import check_fit

SEARCH = Kind("search", "search", SearchSettings, MAY_CHANGE)


def main(argv: Sequence[str], alone: bool = False) -> int:
    """Search; `alone` also where torchrun started several processes, which else share the search."""
    parser = Parser("search", "Search an architecture by gradient descent.", help_text(SearchSettings))
    add_options(parser, SEARCH)
    args, rest = parser.parse_known_args(argv)
    with nullcontext() if alone else distributed.joined():
        return run_search(args, rest)


def run_search(args: Namespace, rest: Sequence[str]) -> int:
    """The search that the words ask for, alone or in all processes that share it; gives the exit status."""
    first = distributed.rank() == 0
    settings, space, source, run = begun = begin(SEARCH, args, rest, check_fit)
    if settings.relaxation == "softmax" and settings.zero_one.weight > 0:
        say("zero_one: under softmax the zero-one loss is of little use (FairDARTS, supplementary 4.2)")
    if has_finished(SEARCH, run):
        genotype = load_genotype(str(run.path))[0] if first else None
    else:
        again = command("search", "--resume", run.path)
        genotype, status = run_until_stopped(lambda stop: watched_search(begun, stop, bool(args.resume)), run, again)
        if status:
            return status
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


def watched_search(begun: Begun, stop: Stop, resume: bool) -> Genotype:
    """The search, with its progress shown by the first process."""
    purge = begun.run.logged() if resume else None
    progress = search_progress(begun.settings, begun.space)

    def log(writer: Any, record: dict[str, Any]) -> None:
        log_epoch(writer, record, begun.space)

    with watched(begun.run, progress, log, purge) as observer:
        return search(*begun, observer, stop, resume)
