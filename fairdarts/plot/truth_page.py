"""Which recipe finds the best architectures, by a benchmark's truth? Table, figures and page of a study of recipes."""

import html
from collections.abc import Iterator
from pathlib import Path

from matplotlib.figure import Figure

from fairdarts.plot import style
from fairdarts.plot.document import document, faint, folded, image, listed, table
from fairdarts.plot.truth import column_title, lines_figure, lines_info
from fairdarts.plot.truth_panels import (
    curvature_figure,
    curvature_info,
    dots_figure,
    dots_info,
    finals_figure,
    finals_info,
)
from fairdarts.ranking.compared import METHOD, Comparison, RowResult, Summary

NOTES = (
    f"Numbers over seeds: {METHOD}. Nothing in brackets where fewer than two seeds are known.",
    "True accuracy: of the architecture that is kept, as the benchmark's file tells it; of a supernet, of the watched "
    "path with the highest one-shot accuracy. n of n known: the benchmark knows nothing of what is no path, such as a "
    "layer of two choices.",
    "Regret: percentage points to the best of the space. Supernet: its own held-out accuracy in the end, of a search "
    "under its gates, of a supernet that of the path which is chosen.",
    "Random: exact mean and standard deviation over all architectures of the benchmark; no run.",
)
"""below the table"""


def titles(comparison: Comparison) -> tuple[str, ...]:
    """The titles of the table's columns; `table_rows` fills them."""
    shown = comparison.table.shown if comparison.table else ()
    regret = (f"regret, {column_title(shown[0])}",) if shown else ()
    # what else is measured of the rows, such as their cells trained alone, gets its columns here and in `_cells`
    return ("method", "seeds", *(f"{column_title(column)}, %" for column in shown), *regret, "skips", "supernet, %")


def table_rows(comparison: Comparison) -> list[list[str]]:
    """A row a method, as on the terminal and on the page; then what is published, random cells, and the best."""
    rows = [_cells(row, comparison) for row in comparison.rows]
    if not (whole := comparison.table):
        return rows
    empty = [""] * (len(titles(comparison)) - 2 - len(whole.shown))
    for row in comparison.published:
        numbers = [row.numbers.get(column) for column in whole.shown]
        printed = ["" if number is None else plus_minus(*number) for number in numbers]
        rows.append([f"{row.name} (published)", "", *printed, *empty])
    spread = [plus_minus(whole.mean[column], whole.deviation[column]) for column in whole.shown]
    regret = [f"{whole.best[whole.shown[0]] - whole.mean[whole.shown[0]]:.2f}", *empty[1:]]
    rows.append([f"random, {whole.architectures:,} cells", "", *spread, *regret])
    best = [f"{whole.best[column]:.2f}" for column in whole.shown]
    return [*rows, ["best of the space", "", *best, "0.00", *empty[1:]]]


def _cells(row: RowResult, comparison: Comparison) -> list[str]:
    shown = comparison.table.shown if comparison.table else ()
    asked = len(comparison.seeds)
    seeds = str(asked) if len(row.seeds) == asked else f"{len(row.seeds)} of {asked}"
    truths = [summary_text(row.truth(column)) for column in shown]
    regret = [plus_minus(found.mean, found.deviation) for found in (row.regret(column) for column in shown[:1])]
    return [row.name, seeds, *truths, *regret, *(plus_minus(one.mean, one.deviation, 1) for one in _others(row))]


def _others(row: RowResult) -> tuple[Summary, Summary]:
    return row.skips, row.accuracy


def summary_text(found: Summary) -> str:
    """'93.23 ± 0.18 [93.02, 93.41]', and of how many seeds, where not of all."""
    text = plus_minus(found.mean, found.deviation)
    if found.low is not None and found.high is not None:
        text += f" [{found.low:.2f}, {found.high:.2f}]"
    return text + (f" ({found.n} of {found.of} known)" if found.n < found.of else "")


def plus_minus(mean: float | None, deviation: float | None, digits: int = 2) -> str:
    """'93.23 ± 0.18', or '–'."""
    if mean is None:
        return "–"
    return f"{mean:.{digits}f}" + ("" if deviation is None else f" ± {deviation:.{digits}f}")


def figures_of(comparison: Comparison) -> Iterator[tuple[str, str, Figure]]:
    """Name, title and figure of all that can be drawn."""
    rows, whole = comparison.rows, comparison.table
    for column in whole.shown if whole else ():
        name = "final" if whole and column == whole.shown[0] else f"final-{column}"
        yield name, f"Final true accuracy, {column_title(column)}", finals_figure(finals_info(comparison, column))
    main = column_title(whole.columns[0]) if whole else ""
    if lines := lines_info(rows, "truth"):
        title = f"True accuracy of what would be derived, {main}"
        random = whole.mean[whole.columns[0]] if whole else None
        yield "truth", title, lines_figure(lines, f"true accuracy, {main}, %", random)
    if lines := lines_info(rows, "skips"):
        yield "skips", "Skip connections of what would be derived", lines_figure(lines, "skip connections")
    if panels := curvature_info(rows):
        yield "eigenvalue", "Largest eigenvalue of the Hessian, and true accuracy", curvature_figure(panels)
    if dots := dots_info(rows):
        yield "supernet", "The supernet's own accuracy, and the true one", dots_figure(dots)


def draw_comparison(comparison: Comparison, folder: Path) -> list[Path]:
    """Writes `final`, `truth`, `skips`, `eigenvalue` and `supernet` into `folder` and gives their paths."""
    return [path for name, _, figure in figures_of(comparison) for path in style.save(figure, folder, name)]


def page(comparison: Comparison) -> str:
    """The whole page."""
    blocks = [f"<p>{html.escape(comparison.source)}</p>"]
    if comparison.deviations:
        blocks += ["<p>Where this study departs from it:</p>", listed(comparison.deviations)]
    if comparison.missing:
        blocks.append(f"<p><b>Not done yet: {html.escape(', '.join(comparison.missing))}.</b></p>")
    blocks += [table(titles(comparison), table_rows(comparison)), folded("what the numbers are", listed(NOTES))]
    for name, title, figure in figures_of(comparison):
        blocks += [f"<h2>{html.escape(title)}</h2>", image(figure, title)]
        if name == "eigenvalue":
            blocks.append(faint("ρ: Spearman's correlation of eigenvalue and true accuracy over the epochs of a run."))
    blocks += ["<h2>Rows</h2>", table(("row", "verb", "recipe", "judged"), [_about(row) for row in comparison.rows])]
    blocks.append(_runs(comparison))
    if comparison.published:
        blocks.append(table(("published", "source"), [(row.name, row.source) for row in comparison.published]))
    return document(f"{comparison.name}: what recipes find, and what it is worth", blocks)


def _about(row: RowResult) -> list[str]:
    return [row.name, row.verb, row.recipe, f"on the runs of {row.of}, {row.rule}" if row.of else "on its own runs"]


def _runs(comparison: Comparison) -> str:
    """All runs, behind a click."""
    columns = comparison.table.columns if comparison.table else ()
    rows = [
        [
            row.name, seed.seed, seed.kept, seed.ended or "–",
            *("not known" if (value := seed.truth.get(column)) is None else f"{value:.2f}" for column in columns),
            "–" if seed.skips is None else seed.skips,
            "–" if seed.accuracy is None else f"{seed.accuracy:.1f}",
        ]
        for row in comparison.rows
        for seed in row.seeds
    ]  # fmt: skip
    heads = ("row", "seed", "epoch kept", "stopped", *map(column_title, columns), "skips", "supernet, %")
    return folded("numbers, by seed", table(heads, rows))
