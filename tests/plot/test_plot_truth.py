"""Figures, table and page of a study against a benchmark, from results made by hand."""

from typing import Any

import numpy as np
import pytest

from fairdarts.plot.truth import TOGETHER, column_title, lines_figure, lines_info, run_blocks, run_info, told
from fairdarts.plot.truth_page import figures_of, page, plus_minus, summary_text, table_rows, titles
from fairdarts.plot.truth_panels import curvature_info, dots_figure, dots_info, finals_figure, finals_info
from fairdarts.ranking.compared import Comparison, PublishedResult, RowResult, SeedResult, Summary, TableResult

COLUMN = "cifar10_test200"


def seed(number: int, truth: list[float | None], skips: list[int], **others: Any) -> SeedResult:
    """A seed of so many epochs."""
    epochs = {"epoch": list(range(len(truth))), "truth": truth, "skips": skips, **others}
    accuracy = others.get("accuracy", [None])[-1]
    last, regret = {COLUMN: truth[-1]}, {COLUMN: None if truth[-1] is None else 94.0 - truth[-1]}
    return SeedResult(number, f"a-seed{number}", len(truth) - 1, "", last, regret, skips[-1], accuracy, epochs)


RATES = {"eigenvalue": [None, 1.0, 2.0, 3.0], "accuracy": [None, 30.0, 40.0, 50.0]}
DARTS = RowResult(
    "darts", "search", "r", "", "", (seed(0, [93, 92, 80, 54], [0, 1, 4, 6], **RATES), seed(1, [91, 90], [2, 2]))
)
PLUS = RowResult("plus", "search", "r", "darts", "stopped by skips, limit 3", (seed(0, [93, 92], [0, 1]),))
LOST = RowResult("lost", "search", "r", "darts", "derived by edge", (seed(0, [None], [0]), seed(1, [90], [1])))
TABLE = TableResult("bench.csv", (COLUMN,), 15625, {COLUMN: 87.06}, {COLUMN: 12.7}, {COLUMN: 94.0})
PAPER = PublishedResult("paper", "Table 2", {COLUMN: (93.23, 0.18)})


@pytest.fixture
def study() -> Comparison:
    return Comparison("s", "tests", (), (0, 1), TABLE, (DARTS, PLUS, LOST), (PAPER,), ("lost-seed1",))


def test_lines_are_mean_and_range_and_what_has_stopped_stays():
    lines = lines_info([DARTS, PLUS], "truth")
    assert lines["darts"].mean.tolist() == [92, 91, 85, 72]
    assert (lines["darts"].low.tolist(), lines["darts"].high.tolist()) == ([91, 90, 80, 54], [93, 92, 90, 90])
    assert (lines["darts"].seeds, lines["plus"].epochs.tolist()) == (2, [0, 1])
    unknown = lines_info([LOST], "truth")["lost"]
    assert (unknown.mean.tolist(), unknown.low.tolist()) == ([90], [90])
    assert lines_info([PLUS], "eigenvalue") == {}


@pytest.mark.parametrize("methods", [2, TOGETHER + 1])
def test_many_methods_have_a_panel_each(methods: int):
    lines = lines_info([DARTS._replace(name=f"m{number}") for number in range(methods)], "skips")
    figure = lines_figure(lines, "skip connections")
    assert sum(ax.get_visible() for ax in figure.axes) == (1 if methods == 2 else methods)


def test_panels_hold_the_runs_that_measured_it(study):
    (panel,) = curvature_info(study.rows)
    assert (panel.name, panel.seed, panel.correlation) == ("darts", 0, pytest.approx(-1))
    assert np.array_equal(panel.eigenvalue, [np.nan, 1, 2, 3], equal_nan=True)
    dots = dots_info(study.rows)
    assert list(dots) == ["darts"]
    assert dots["darts"].accuracy.tolist() == [30, 40, 50]
    assert dots["darts"].truth.tolist() == [92, 80, 54]
    short = dots["darts"]._replace(epochs=np.asarray([1.0, 2.0, 6.0]))
    assert dots_figure({**dots, "other": short}).axes[-1].get_ylabel() == "epoch, as a share of all"


def test_finals_are_dots_means_and_what_is_published(study):
    info = finals_info(study, COLUMN)
    assert [(row.name, row.values, row.published) for row in info.rows] == [
        ("darts", (54, 90), False),
        ("plus", (92,), False),
        ("lost", (90,), False),
        ("paper", (), True),
    ]
    assert info.rows[0].summary.mean == 72
    assert (info.random, info.best) == ((87.06, 12.7), 94.0)
    figure = finals_figure(info)
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["all", "the last 3 points"]
    texts = [text.get_text() for text in figure.axes[-1].texts]
    assert texts == ["72.00 ± 25.46", "92.00", "90.00 (1 of 2 known)", "93.23 ± 0.18"]


def test_the_table_has_rows_published_random_and_best(study):
    assert titles(study) == (
        "method", "seeds", "CIFAR-10 test, %", "regret, CIFAR-10 test", "skips", "supernet, %",
    )  # fmt: skip
    assert table_rows(study) == [
        ["darts", "2", "72.00 ± 25.46 [54.00, 90.00]", "22.00 ± 25.46", "4.0 ± 2.8", "50.0"],
        ["plus", "1 of 2", "92.00", "2.00", "1.0", "–"],
        ["lost", "2", "90.00 (1 of 2 known)", "4.00", "0.5 ± 0.7", "–"],
        ["paper (published)", "", "93.23 ± 0.18", "", "", ""],
        ["random, 15,625 cells", "", "87.06 ± 12.70", "6.94", "", ""],
        ["best of the space", "", "94.00", "0.00", "", ""],
    ]


def test_the_page_tells_all_of_it(study):
    assert [name for name, _, _ in figures_of(study)] == ["final", "truth", "skips", "eigenvalue", "supernet"]
    text = page(study)
    for told_there in ("Not done yet: lost-seed1.", "on the runs of darts, stopped by skips, limit 3", "93.23 ± 0.18"):
        assert told_there in text


def test_numbers_are_written_as_they_are_known():
    assert column_title("imagenet16_valid200") == "ImageNet16-120 valid"
    assert column_title("mean_acc") == "mean_acc"
    assert (plus_minus(None, None), plus_minus(3.14159, None, 1), plus_minus(1, 0.5)) == ("–", "3.1", "1.00 ± 0.50")
    assert summary_text(Summary(0, 2)) == "– (0 of 2 known)"


def test_a_run_that_was_told_a_truth_shows_it():
    def record(epoch: int, test: float | None) -> dict[str, Any]:
        truth = {"cifar10_test200": test, "cifar10_valid200": 80.0}
        return {
            "epoch": epoch,
            "truth": truth,
            "regret": {"cifar10_test200": test and 94 - test, "cifar10_valid200": 1.0},
        }

    records = [record(0, 93.5), record(1, None)]
    info = run_info(records, [1, 2])
    assert list(info.truth) == ["cifar10_test200"]
    assert np.array_equal(info.truth["cifar10_test200"], [93.5, np.nan], equal_nan=True)
    blocks = "".join(run_blocks(records, [1, 2]))
    assert "<td>not known</td>" in blocks
    assert "<td>CIFAR-10 valid</td><td>80.00</td><td>1.00</td>" in blocks
    assert not told([{"epoch": 0}])
    assert list(run_blocks([{"epoch": 0}], ())) == []
