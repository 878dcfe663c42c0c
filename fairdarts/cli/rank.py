"""`fairdarts rank`: does the supernet of a run rank as stand-alone training does?"""

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fairdarts.cli.analyse import analyse
from fairdarts.cli.rank_table import about, brief, show
from fairdarts.cli.recipe import open_images
from fairdarts.cli.words import Parser, say, to_json, tracked
from fairdarts.config import UserError
from fairdarts.oneshot.evaluate import Evaluator
from fairdarts.oneshot.settings import Statistics, read_statistics
from fairdarts.plot.ranking import draw_rankings
from fairdarts.ranking import report
from fairdarts.runtime import distributed
from fairdarts.runtime.device import use_threads
from fairdarts.runtime.run import Run, open_run

PATHS = 200
"""architectures that "How to Train Your Super-Net" ranks (arXiv:2003.04276, section 3)"""
MOST = 1_000_000
"""of architectures and images that one may ask for"""

EPILOG = """measures, each with a 95% bootstrap interval over the architectures, where it can be told:
  τ, ρ             Kendall's and Spearman's rank correlation of one-shot accuracy and truth
  sparse τ         τ of the truth rounded to 0.1%, half-way to the even step
  τ of top         τ of the 20 best by truth
  P > R            probability that the best of the 10 highest ranked surpasses 10 random ones
  truth of 3 best  mean truth of the 3 highest ranked
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
    statistics = statistics_of(args.statistics) if args.statistics is not None else None
    for name in ("paths", "images"):
        if (value := getattr(args, name)) is not None and not 2 <= value <= MOST:
            raise UserError(f"rank: --{name} {value}: should be at least 2, at most {MOST}")
    check_words(args)
    runs = list(dict.fromkeys(path.resolve() for path in args.runs))
    args.runs = [next(path for path in args.runs if path.resolve() == run) for run in runs]
    if args.analyse:
        return analyse(args.runs, args.layer, args.seed or 0, args.root, args.out)
    if not args.runs:
        raise UserError("rank: no RUN is named; `fairdarts supernet` makes one")
    folder = args.out or (Run(args.runs[0]).figures if len(args.runs) == 1 else Path("figures"))
    with distributed.joined():
        recipes = report.recipes_told_apart([open_run(path) for path in args.runs])
        check_spaces(args.runs)
        folder.mkdir(parents=True, exist_ok=True)  # if it cannot be, that is better said now
        rankings = [ranked(run, args, statistics) for run in args.runs]
        if distributed.rank() > 0:
            return 0
        rankings = [ranking | {"recipe": name} for ranking, name in zip(rankings, recipes, strict=True)]
        check_alike(rankings)
        figures = draw_rankings(rankings, folder)
        if args.json:
            sys.stdout.write(to_json(list(map(brief, rankings))))
            return 0
        print(about(rankings))
        show(rankings)
        for figure in figures:
            print(figure)
    return 0


def check_words(args: Namespace) -> None:
    """Raises UserError where an option would be without effect."""
    kept = "again", "takes what was measured before", ("benchmark", "column", "paths", "seed", "images")
    other = "analyse", "measures no ranking", ("benchmark", "column", "paths", "images", "json", "again")
    for option, why, deaf in (kept, other):
        for name in deaf:
            if getattr(args, option) and getattr(args, name):
                raise UserError(f"rank: --{name}: should be left out with --{option}, which {why}")
    if args.column and not args.benchmark:
        raise UserError(f"rank: --column {args.column}: is a column of --benchmark FILE, which is missing")


def check_spaces(runs: Sequence[Path]) -> None:
    """Raises UserError where runs are of different spaces, before any of them is judged."""
    names = [report.open_training(open_run(run))[1].name for run in runs]
    for run, name in zip(runs, names, strict=True):
        if name != names[0]:
            raise UserError(f"rank: {run} is of space {name}, {runs[0]} of {names[0]}: rank them one by one")


def check_alike(rankings: Sequence[dict[str, Any]]) -> None:
    """Raises UserError where rankings do not say the same of the same architectures."""
    for key in ("benchmark", "column", "images", "paths"):
        for ranking in rankings[1:]:
            if ranking[key] != rankings[0][key]:
                one, other = (f"{run['run']}: {_shown(run[key])}" for run in (rankings[0], ranking))
                raise UserError(f"rank: the runs were ranked by different {key}: {one}; {other}; leave --again out")


def _shown(value: Any) -> str:
    return f"{len(value)} of their own" if isinstance(value, list) else str(value)


def statistics_of(word: str) -> Statistics:
    """What BatchNorms take. Raises UserError where it is neither a word nor a number of batches."""
    try:
        return read_statistics(word)
    except ValueError as error:
        raise UserError(f"rank: --statistics {error}") from None


def ranked(path: Path, args: Namespace, statistics: Statistics | None) -> dict[str, Any]:
    """The ranking of a run: made, and written into it, or (again) read."""
    with distributed.together():
        run = open_run(path)
        settings, space = report.open_training(run)
        statistics = statistics or report.own_statistics(settings)
        if args.again:
            return report.read_ranking(run, statistics)
        benchmark = None
        if args.benchmark:
            benchmark = report.open_benchmark(args.benchmark, space, args.column)
            for what, count in benchmark.left_out.items():
                say(f"{args.benchmark}: left out {count:,} entries {what}")
    if args.root:
        settings = settings.model_copy(update={"data": settings.data.model_copy(update={"root": args.root})})
    use_threads(settings.threads)
    seed = args.seed or 0
    paths = report.chosen_paths(space, benchmark, args.paths or PATHS, seed)
    evaluator, facts = report.judge(run, settings, space, open_images(settings.data), statistics, args.images)
    unfinished = "" if facts["epochs"] == settings.epochs else f", after {facts['epochs']} of {settings.epochs} epochs"
    say(f"{path}: judging {len(paths)} architectures by {facts['images']:,} images{unfinished}")
    watch(evaluator, facts)
    ranking = report.ranking_of(evaluator, facts, paths, benchmark, seed)
    if distributed.rank() == 0:
        report.write_ranking(run, ranking)
    return ranking


def watch(evaluator: Evaluator, facts: dict[str, Any]) -> None:
    """Shows on a terminal how many of the held-out images have been gone through."""
    inner, batches = evaluator.held_out, -(-facts["images"] // facts["batch_size"])
    evaluator.held_out = lambda: tracked(inner(), batches, what="judging")
