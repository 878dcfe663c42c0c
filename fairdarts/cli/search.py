"""`fairdarts search`: search an architecture, or continue a search."""

import sys
from collections.abc import Sequence

from fairdarts.cli.begin import add_options, request_of, run_until_stopped
from fairdarts.cli.recipe import help_text
from fairdarts.cli.summary import summarize
from fairdarts.cli.words import Parser, command, say
from fairdarts.genotype import to_yaml
from fairdarts.runs.callbacks import Callbacks
from fairdarts.runs.figures import figures_of
from fairdarts.runs.progress import ProgressBar
from fairdarts.runs.search import SEARCH, carry_out
from fairdarts.runtime import distributed
from fairdarts.search.settings import SearchSettings


def main(argv: Sequence[str]) -> int:
    parser = Parser("search", "Search an architecture by gradient descent.", help_text(SearchSettings))
    add_options(parser, SEARCH)
    args, rest = parser.parse_known_args(argv)
    with distributed.joined():
        shown = ProgressBar()
        asked = request_of(SEARCH, args, rest)
        run, status = run_until_stopped(lambda: carry_out(asked, Callbacks(shown)), shown)
        if run is None or distributed.rank() > 0:
            return status
    try:
        figures_of(run.directory, run.directory.figures)
    except KeyboardInterrupt:
        say(f"SIGINT: the search is finished, but not all of it is drawn; draw it with\n{command('draw', run.path)}")
        return 130
    summarize(run)
    sys.stdout.write(to_yaml(run.genotype))
    return 0
