"""`fairdarts rank`: does the supernet of a run rank as stand-alone training does?"""

import json
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.console import Console
from rich.table import Table

from fairdarts.cli.analyse import analyse
from fairdarts.cli.recipe import open_images
from fairdarts.cli.words import Parser, say
from fairdarts.config import UserError
from fairdarts.oneshot.evaluate import Statistics
from fairdarts.plot.ranking import draw_rankings
from fairdarts.ranking.benchmarks import read_benchmark
from fairdarts.ranking.report import chosen_paths, judge, open_training, ranking_of, write_ranking
from fairdarts.runtime import distributed
from fairdarts.runtime.device import use_threads
from fairdarts.runtime.run import Run, open_run

MEASURES = {
    "kendall": "τ",
    "sparse_kendall": "sparse τ",
    "kendall_of_top": "τ of top",
    "spearman": "ρ",
    "surpass_random": "P > R",
    "truth_of_best": "truth of 3 best",
    "one_shot_range": "δ one-shot",
    "stand_alone_range": "δ stand-alone",
    "range_gap": "λ",
}
"""what a ranking measures → what it is called"""

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
    parser.add_argument("--again", action="store_true", help="draw and list what ranking.json holds; judge nothing")
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
    run = open_run(path)
    if args.again:
        return read_ranking(run)
    settings, space = open_training(run)
    if args.root:
        settings = settings.model_copy(update={"data": settings.data.model_copy(update={"root": args.root})})
    use_threads(settings.threads)
    benchmark = None
    if args.benchmark:
        benchmark = read_benchmark(args.benchmark, space.choices, space.name, args.column)
    paths = chosen_paths(space, benchmark, args.paths, args.seed)
    evaluator, facts = judge(run, settings, space, open_images(settings.data), statistics, args.images)
    say(f"{path}: judging {len(paths)} architectures by {facts['images']} images")
    ranking = ranking_of(evaluator, facts, paths, benchmark, args.seed)
    if distributed.rank() == 0:
        write_ranking(run, ranking)
    return ranking


def read_ranking(run: Run) -> dict[str, Any]:
    """What ranking.json of a run holds. Raises UserError where there is none."""
    path = run.path / "ranking.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; leave --again out to make it") from None
    except (ValueError, OSError) as error:
        raise UserError(f"{path}: not a ranking: {error}") from None


def show(rankings: Sequence[dict[str, Any]]) -> None:
    """A table on stdout, a ranking a row where there are several, else a measure a row."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    if len(rankings) == 1:
        for title in ("measure", "value", "95% interval", "n"):
            table.add_column(title, justify="left" if title == "measure" else "right")
        only = rankings[0]
        for name, title in MEASURES.items():
            if only["measured"]:
                number = only["measured"][name]
                table.add_row(title, *cells(number), str(number["n"]))
        score = only["score"]
        table.add_row(
            "mean one-shot", f"{fmean(score):.2f}", f"({min(score):.2f} to {max(score):.2f})", str(len(score))
        )
    else:
        table.add_column("run")
        for title in ("passes", *MEASURES.values(), "mean one-shot"):
            table.add_column(title, justify="right")
        for ranking in rankings:
            numbers = [cells(ranking["measured"][name])[0] if ranking["measured"] else "" for name in MEASURES]
            table.add_row(ranking["run"], f"{ranking['passes']:,}", *numbers, f"{fmean(ranking['score']):.2f}")
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else 200, highlight=False).print(table)


def cells(number: dict[str, Any]) -> tuple[str, str]:
    """Value and interval of a measure, or why there is none."""
    if number["value"] is None:
        return "–", number["reason"]
    return f"{number['value']:.3f}", f"{number['low']:.3f} to {number['high']:.3f}"
