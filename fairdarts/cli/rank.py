"""`fairdarts rank`: does the supernet of a run rank as stand-alone training does?"""

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from fairdarts.cli.words import Parser, to_json
from fairdarts.config import UserError
from fairdarts.runs.progress import ProgressBar
from fairdarts.runs.request import PATHS
from fairdarts.runtime.run import RunDirectory

EPILOG = """measures, each with a 95% bootstrap interval over the architectures, where it can be told:
  τ, ρ             Kendall's and Spearman's rank correlation of one-shot accuracy and truth
  sparse τ         τ of the truth rounded to 0.1%, half-way to the even step
  τ of top         τ of the 20 best by truth
  P > R            probability that the best of the 10 highest ranked surpasses 10 random ones
  truth of 3 best  mean truth of the 3 highest ranked
  truth of best    truth of the highest ranked alone, and regret: what it lacks to the best of the benchmark
  δ, λ             range of the accuracies, one-shot and stand-alone, and the gap between the two"""


def main(argv: Sequence[str]) -> int:
    parser = Parser("rank", "Measure how well supernets rank, or how alike their choices are.", EPILOG)
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN", help="run directories of `fairdarts supernet`")
    parser.add_argument("--benchmark", type=Path, metavar="FILE", help="the truth: a benchmark's file, or any CSV")
    parser.add_argument("--column", metavar="NAME", help="the benchmark's column of truth")
    parser.add_argument("--paths", type=int, help=f"architectures to rank, at most (default {PATHS})")
    parser.add_argument("--seed", type=int, help="which architectures (default 0)")
    parser.add_argument("--images", type=int, help="held-out images to judge by (default: all)")
    parser.add_argument(
        "--statistics", help="BatchNorm's: tracked, batch (the defaults), or a number of training batches a path"
    )
    parser.add_argument("--root", help="folder of the images, where it is no longer that of the runs")
    parser.add_argument("--out", type=Path, help="folder of figures (default: the run's own; figures for several runs)")
    parser.add_argument("--again", action="store_true", help="draw and list what was measured before; judge nothing")
    parser.add_argument("--json", action="store_true", help="the measures as a list of objects")
    parser.add_argument("--analyse", action="store_true", help="curves, likeness of choices, and Lemma 2.1 instead")
    parser.add_argument("--layer", type=int, default=0, help="with --analyse: the layer whose choices are drawn")
    args = parser.parse_args(argv)

    # here, as torch takes seconds to load, and words can be wrong before
    from fairdarts.cli.rank_table import about, show
    from fairdarts.runs.rank import Asked, carry_out, check_asked, draw, once_each, told_apart
    from fairdarts.runtime import distributed

    asked = Asked(**{name: getattr(args, name) for name in Asked._fields if name != "data"})
    check_asked(asked)
    if args.analyse:
        return analysed(args)
    runs = once_each(args.runs)
    folder = args.out or (RunDirectory(runs[0]).figures if len(runs) == 1 else Path("figures"))
    with distributed.joined():
        told_apart(runs)
        folder.mkdir(parents=True, exist_ok=True)  # if it cannot be, that is better said now
        rankings = carry_out(runs, asked, ProgressBar())
        if distributed.rank() > 0:
            return 0
        figures = draw(rankings, folder)
        if args.json:
            sys.stdout.write(to_json([ranking.facts for ranking in rankings]))
            return 0
        print(about(rankings))
        show(rankings)
        for figure in figures:
            print(figure)
    return 0


def analysed(args: Namespace) -> int:
    """Lists how alike the choices of layers are, and the figures that were drawn; gives the exit status."""
    for name in ("benchmark", "column", "paths", "images", "json", "again"):
        if getattr(args, name):
            raise UserError(f"rank: --{name}: should be left out with --analyse, which measures no ranking")
    from fairdarts.runs.analyse import analyse

    found = analyse(args.runs, args.layer, args.seed or 0, args.root, args.out, callbacks=ProgressBar())
    for run, cosines in found.likeness.items():
        for number, cosine in enumerate(cosines):
            print(f"{run}  layer {number:>2}  cosine of choices {cosine:.3f}")
    for figure in found.figures:
        print(figure)
    return 0
