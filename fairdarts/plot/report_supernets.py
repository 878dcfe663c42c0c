"""How did supernets train, and how do they rank? The part of a report that tells of one-shot trainings."""

import math
from collections.abc import Sequence
from statistics import fmean
from typing import Any, NamedTuple

from fairdarts.plot.document import by_epoch, faint, folded, image, pre, run_head, table
from fairdarts.plot.measured import measured_text
from fairdarts.plot.ranking import lines_figure, rankings_info, scatter_figure
from fairdarts.plot.scores import scores_figure, scores_info
from fairdarts.plot.supernet import training_figure, training_info, trainings_figure, trainings_info
from fairdarts.plot.truth import run_blocks
from fairdarts.plot.updates import updates_figure, updates_info
from fairdarts.ranking.tau import MEASURES, Measured


class SupernetRun(NamedTuple):
    """The training of one supernet."""

    name: str
    recipe: str
    sampler: str
    space: str
    settings: str
    """its settings.yaml"""
    records: list[dict[str, Any]]
    ended: str
    """how far it is; empty where it took all its epochs"""
    rankings: list[dict[str, Any]]
    """what `fairdarts rank` left in the run, one a kind of BatchNorm's statistics"""
    skips: tuple[int | None, ...] = ()
    """skip connections of the best watched path of every record; none where the run was told no truth"""


TITLES = ("run", "space", "sampler", "epochs", "passes", "updates of a choice", "their variance", "accuracy, training")
NOTE = (
    "Passes: batches that went forward and backward. Updates of a choice: mean over the choices of a choice point, and "
    "variance between them, a mean over the points; 0 is strict fairness (FairNAS, arXiv:1907.01845). Watched paths: "
    "one-shot accuracy of a few paths on held-out images, mean ± standard deviation between them."
)


def supernets(runs: Sequence[SupernetRun]) -> list[str]:
    """A table of all, what compares them, and every one by itself."""
    parts = [table((*TITLES, "watched paths, held out"), [_row(run) for run in runs]), faint(NOTE)]
    if len(runs) > 1:
        parts += _comparison(runs)
    for run in runs:
        parts += _run(run)
    return parts


def _row(run: SupernetRun) -> list[object]:
    last = run.records[-1]
    means = last.get("updates_mean", [])
    updates = "–" if not means else f"{min(means):,.0f}" + (f"–{max(means):,.0f}" if min(means) < max(means) else "")
    variances = last.get("updates_variance", [])
    variance = f"{sum(variances) / len(variances):,.1f}" if variances else "–"
    watched = f"{last['watched_mean']:.1f} ± {last['watched_std']:.1f} %" if "watched_mean" in last else "–"
    trained = f"{100 * last['train_accuracy']:.1f} %" if "train_accuracy" in last else "–"
    return [run.name, run.space, run.sampler, last["epoch"], f"{last['passes']:,}", updates, variance, trained, watched]


def _comparison(runs: Sequence[SupernetRun]) -> list[str]:
    blocks = ["<h2>Comparison</h2>"]
    lines = trainings_info([(run.name, run.records) for run in runs])
    if lines.seeds:
        blocks.append(image(trainings_figure(lines), "accuracy of watched paths over the epochs"))
    ranked = [ranking for run in runs for ranking in run.rankings]
    if len(ranked) > 1:
        blocks += ["<h3>Rankings</h3>", _measures(ranked)]
        blocks.append(image(scores_figure(scores_info(ranked)), "histograms of one-shot accuracies"))
    return blocks


def _run(run: SupernetRun) -> list[str]:
    blocks = [*run_head(run.name, f"Recipe {run.recipe}.", run.ended), "<h3>Training</h3>"]
    blocks.append(image(training_figure(training_info(run.records)), "accuracy, loss and learning rate"))
    keys = ("train_loss", "train_accuracy", "watched_mean", "watched_std", "lr")
    known = [key for key in keys if any(key in record for record in run.records)]
    blocks.append(by_epoch(run.records, known))
    blocks += run_blocks(run.records, run.skips)
    if "updates" in run.records[-1]:
        blocks.append("<h3>Updates of every choice</h3>")
        blocks.append(image(updates_figure(updates_info(run.records[-1])), "updates of every choice"))
        counts = run.records[-1]["updates"]
        titles = ["choice point", *(f"choice {number}" for number in range(max(map(len, counts))))]
        rows = [[point, *row, *[""] * (len(titles) - 1 - len(row))] for point, row in enumerate(counts)]
        blocks.append(folded("numbers", table(titles, rows)))
    return [*blocks, *_ranking(run), pre("settings", run.settings)]


def _ranking(run: SupernetRun) -> list[str]:
    """What is known of how it ranks; where nothing is, how one finds out."""
    if not run.rankings:
        return [faint("No ranking: `fairdarts rank RUN --benchmark FILE` makes one, and a later report shows it.")]
    blocks = ["<h3>Ranking</h3>", _measures(run.rankings)]
    info = rankings_info(run.rankings)
    if info.rankings:
        blocks.append(image(scatter_figure(info), "stand-alone and one-shot accuracy"))
        blocks.append(image(lines_figure(info), "ranks by truth and by one-shot accuracy"))
    return [*blocks, image(scores_figure(scores_info(run.rankings)), "histogram of one-shot accuracies")]


def _measures(rankings: Sequence[dict[str, Any]]) -> str:
    """A measure a row, a ranking a column."""
    rows = [[title, *(_measured(ranking, name) for ranking in rankings)] for name, title in MEASURES.items()]
    for key, title in (("truth", "truth of best"), ("regret", "regret of best")):
        best = [ranking.get("best") for ranking in rankings]
        rows.append([title, *(f"{one[key]:.2f}" if one else "–" for one in best)])
    rows = [row for row in rows if any(cell != "–" for cell in row[1:])]
    rows.append(["mean one-shot, %", *(f"{fmean(ranking['score']):.2f}" for ranking in rankings)])
    rows.append(["architectures", *(len(ranking["score"]) for ranking in rankings)])
    rows.append(["held-out images", *(f"{ranking['images']:,}" for ranking in rankings)])
    truths = ([ranking["benchmark"], ranking["column"]] for ranking in rankings)
    rows.append(["truth", *(", ".join(truth) if truth[0] else "none" for truth in truths)])
    return table(["measure [95% interval]", *(ranking["run"] for ranking in rankings)], rows)


def _measured(ranking: dict[str, Any], name: str) -> str:
    if not ranking["measured"]:
        return "–"
    measured = ranking["measured"][name]
    numbers = (math.nan if measured[key] is None else measured[key] for key in ("value", "low", "high"))
    return measured_text(Measured(*numbers, measured["n"], measured["reason"]))
