"""A search against the truth, as a figure: which numbers stand in it."""

from pathlib import Path
from typing import Any

import numpy as np

from fairdarts.plot.evolved_truth import draw_told, told_figure, told_info


def record(generation: int, best: float | None, within: float | None, mean: float, volume: float) -> dict[str, Any]:
    """A generation of eight; the best of the space has 90 %."""
    regret = None if best is None else 90 - best
    return {
        "generation": generation,
        "evaluations": 8 * generation,
        "truth": {"test": best, "valid": 1.0},
        "regret": {"test": regret, "valid": 2.0},
        "truth_within": {"madds <= 3e+07": {"test": within, "valid": 1.0}},
        "front_truth": {"test": {"known": 3, "mean": mean, "best": mean + 5, "hypervolume": volume}},
    }


RECORDS = [record(1, None, 60.0, 70.0, 0.5), record(2, 80.0, None, 71.0, 0.6), record(3, 85.0, 75.0, 74.0, 0.75)]


def test_a_line_for_the_best_every_budget_and_the_front_by_the_first_column():
    info = told_info(RECORDS)
    assert info is not None
    assert info.column == "test"
    assert info.evaluations.tolist() == [8, 16, 24]
    assert info.hypervolume.tolist() == [50, 60, 75]
    assert info.best == 90
    expected = {
        "best by the judge": [np.nan, 80, 85],
        "with madds <= 3e+07": [60, np.nan, 75],
        "front, best": [75, 76, 79],
        "front, mean": [70, 71, 74],
    }
    assert list(info.accuracies) == list(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(info.accuracies[name], values)


def test_generations_that_were_not_told_are_left_out_and_of_none_there_is_no_figure(tmp_path: Path):
    bare = {"generation": 1, "evaluations": 8, "best": {"": 30.0}}
    info = told_info([bare, *RECORDS[1:]])
    assert info is not None
    assert info.evaluations.tolist() == [16, 24]
    assert told_info([bare]) is None
    assert draw_told([bare], tmp_path) == []


def test_the_figure_has_them(tmp_path: Path):
    info = told_info(RECORDS)
    assert info is not None
    left, right = told_figure(info).axes
    names = [line.get_label() for line in left.get_lines()]
    assert names == ["best of the space", *info.accuracies]
    assert right.get_lines()[0].get_ydata().tolist() == [50, 60, 75]
    assert [path.name for path in draw_told(RECORDS, tmp_path)] == ["evolved-truth.svg", "evolved-truth.png"]
