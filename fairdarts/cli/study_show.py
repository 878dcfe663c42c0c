"""How `fairdarts study` and `fairdarts report` show what a study has found."""

from collections.abc import Sequence

from fairdarts.cli.words import empty_table, print_table
from fairdarts.plot.factor_page import COLUMNS, table_rows
from fairdarts.plot.measured import measured_text
from fairdarts.plot.truth_page import table_rows as rows_of_recipes
from fairdarts.plot.truth_page import titles
from fairdarts.ranking.compared import Comparison
from fairdarts.ranking.factor_study import METRICS
from fairdarts.runs.study import trained
from fairdarts.runs.study.compared import Compared
from fairdarts.runs.study.results import Concluded


def show(concluded: Concluded | Compared) -> None:
    """On stdout what was found; then where the page is."""
    if isinstance(concluded, Compared):
        show_recipes(concluded.comparison)
    else:
        show_factors(concluded)
    print(concluded.page)


def show_recipes(comparison: Comparison) -> None:
    """A recipe a row; what is published, random cells and the best of the space below."""
    if comparison.table:
        print(f"{comparison.name}: truth {comparison.table.file}; mean ± deviation [95% interval] over the seeds")
    table = empty_table(*titles(comparison), words=1)
    for row in rows_of_recipes(comparison):
        table.add_row(*row)
    print_table(table)


def show_factors(concluded: Concluded) -> None:
    """A table a space, a setting a row, and what correlates with what."""
    for space in concluded.spaces:
        print(f"{space.title}: recipe {space.recipe}; truth {space.truth}; {space.architectures} architectures")
        table = empty_table("factor", "setting", *COLUMNS, words=2)
        for row in table_rows(space):
            table.add_row(*row)
        print_table(table)
        for pair, correlation in space.correlations.items():
            one, other = pair.split(", ")
            print(f"ρ of {METRICS[one]} and {METRICS[other]}: {measured_text(correlation)}, {correlation.n} runs")


def show_trained(rows: Sequence[trained.TrainedRow]) -> None:
    """On stdout a table of the trained cells, a method a row; and which seeds have none, and why."""
    table = empty_table(*trained.COLUMNS)
    for row in rows:
        table.add_row(*trained.cells_of(row))
    print_table(table)
    for line in trained.told_missing(rows):
        print(line)
