"""`fairdarts rank`: does the supernet of a run rank as stand-alone training does?"""

import json
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fairdarts.cli.analyse import analyse
from fairdarts.cli.rank_table import brief, show
from fairdarts.cli.recipe import open_images
from fairdarts.cli.words import Parser, say
from fairdarts.config import UserError
from fairdarts.oneshot.evaluate import Statistics
from fairdarts.plot.ranking import draw_rankings
from fairdarts.ranking.benchmarks import read_benchmark
from fairdarts.ranking.report import chosen_paths, judge, open_training, ranking_of, read_ranking, write_ranking
from fairdarts.runtime import distributed
from fairdarts.runtime.device import use_threads
from fairdarts.runtime.run import Run, open_run

EPILOG = """measures, each with a 95% bootstrap interval over the architectures:
  τ, ρ             Kendall's and Spearman's rank correlation of one-shot accuracy and truth
  sparse τ         τ of the truth rounded to 0.1%
  τ of top         τ of the 20 best by truth
  P > R            probability that the best of the 10 highest ranked surpasses 10 random ones
  truth of 3 best  mean truth of the 3 highest ranked
  δ, λ             range of the accuracies, one-shot and stand-alone, and the gap between the two"""


def main(argv: Sequence[str]) -> int:
    parser = Parser("rank", "Measure how well supernets rank, or how alike their choices are.", EPILOG)
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN", help="run directories of `fairdarts supernet`")
    parser.add_argument("--benchmark", type=Path, metavar="FILE", help="the truth: a benchmark's file, or any CSV")
    parser.add_argument("--column", metavar="NAME", help="the benchmark's column of truth")
    parser.add_argument("--paths", type=int, default=200, help="architectures to rank, at most (default 200)")
    parser.add_argument("--seed", type=int, default=0, help="which architectures (default 0)")
    parser.add_argument("--images", type=int, help="held-out images to judge by (default: all)")
    parser.add_argument(
        "--statistics", default="tracked", help="BatchNorm's: tracked, batch, or a number of training batches a path"
    )
    parser.add_argument("--root", help="folder of the images, where it is no longer that of the runs")
    parser.add_argument("--out", type=Path, help="folder of figures (default: the run's own; figures for several runs)")
    parser.add_argument("--again", action="store_true", help="draw and list what was measured before; judge nothing")
    parser.add_argument("--json", action="store_true", help="the measures as a list of objects")
    parser.add_argument("--analyse", action="store_true", help="curves, likeness of choices, and Lemma 2.1 instead")
    parser.add_argument("--layer", type=int, default=0, help="with --analyse: the layer whose choices are drawn")
    args = parser.parse_args(argv)
    statistics = statistics_of(args.statistics)
    for name in ("paths", "images"):
        if (value := getattr(args, name)) is not None and value < 2:
            raise UserError(f"rank: --{name} {value}: should be at least 2")
    if args.analyse:
        return analyse(args.runs, args.layer, args.seed, args.root, args.out)
    if not args.runs:
        raise UserError("rank: no RUN is named; `fairdarts supernet` makes one")
    with distributed.joined():
        rankings = [ranked(run, args, statistics) for run in args.runs]
        if distributed.rank() > 0:
            return 0
        folder = args.out or (Run(args.runs[0]).figures if len(args.runs) == 1 else Path("figures"))
        figures = draw_rankings(rankings, folder)
        if args.json:
            sys.stdout.write(json.dumps(list(map(brief, rankings)), indent=1) + "\n")
            return 0
        show(rankings)
        for figure in figures:
            print(figure)
    return 0


def statistics_of(word: str) -> Statistics:
    """What BatchNorms take. Raises UserError where it is neither a word nor a number of batches."""
    if word in ("tracked", "batch"):
        return word
    if word.isascii() and word.isdigit() and int(word) > 0:
        return int(word)
    raise UserError(f"rank: --statistics {word}: should be tracked, batch, or a number of batches such as 8")


def ranked(path: Path, args: Namespace, statistics: Statistics) -> dict[str, Any]:
    """The ranking of a run: made, and written into it, or (again) read."""
    with distributed.together():
        run = open_run(path)
        if args.again:
            return read_ranking(run, statistics)
        settings, space = open_training(run)
        benchmark = None
        if args.benchmark:
            benchmark = read_benchmark(args.benchmark, space.choices, space.name, args.column)
    if args.root:
        settings = settings.model_copy(update={"data": settings.data.model_copy(update={"root": args.root})})
    use_threads(settings.threads)
    paths = chosen_paths(space, benchmark, args.paths, args.seed)
    evaluator, facts = judge(run, settings, space, open_images(settings.data), statistics, args.images)
    say(f"{path}: judging {len(paths)} architectures by {facts['images']} images")
    ranking = ranking_of(evaluator, facts, paths, benchmark, args.seed)
    if distributed.rank() == 0:
        write_ranking(run, ranking)
    return ranking
