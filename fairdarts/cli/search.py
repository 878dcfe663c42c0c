"""`fairdarts search`: search an architecture, or continue a search."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fairdarts.cli.begin import add_options, print_config, request_of, run_until_stopped
from fairdarts.cli.recipe import help_text
from fairdarts.cli.words import Parser, command, parse_words, say
from fairdarts.differentiable.settings import SearchSettings
from fairdarts.genotype import to_yaml
from fairdarts.runs.callbacks import Callbacks
from fairdarts.runs.progress import ProgressBar
from fairdarts.runs.request import SEARCH

if TYPE_CHECKING:
    from fairdarts.runs.result import Run


def main(argv: Sequence[str]) -> int:
    parser = Parser("search", "Search an architecture by gradient descent.", help_text(SearchSettings))
    parser.usage = "fairdarts search RECIPE [options]\n       fairdarts search --resume RUN [options]"
    add_options(parser, SEARCH)
    args, rest = parse_words(parser, SearchSettings, argv)
    asked = request_of(SEARCH, parser, args, rest)
    if args.print_config:
        return print_config(SEARCH, asked)

    # here, as torch takes seconds to load, and words can be wrong before
    from fairdarts.runs.search import carry_out
    from fairdarts.runtime import distributed

    with distributed.joined():
        shown = ProgressBar()
        run, status = run_until_stopped(lambda: carry_out(asked, Callbacks(shown)), shown)
        if run is None or distributed.rank() > 0:
            return status
    finish(run)
    sys.stdout.write(to_yaml(run.genotype))
    return 0


def finish(run: "Run") -> None:
    """Draws a finished search, and says what it has found."""
    from fairdarts.cli.summary import summarize
    from fairdarts.runs.figures import figures_of

    try:
        figures_of(run.directory, run.directory.figures)
    except KeyboardInterrupt:
        say(f"SIGINT: the search is finished, but not all of it is drawn; draw it with\n{command('draw', run.path)}")
        raise
    summarize(run)
