"""Figures and page of a study of factors, from results made by hand."""

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from fairdarts.plot.factor_page import COLUMNS, Facts, draw_factors, page, table_rows
from fairdarts.plot.factor_panels import (
    SettingInfo,
    _marks,
    influence_figure,
    influence_info,
    settings_figure,
    settings_info,
)
from fairdarts.plot.measured import measured_text
from fairdarts.plot.relations import relations_figure, relations_info
from fairdarts.ranking.factor_study import (
    FactorResult,
    Gain,
    Numbers,
    Point,
    SettingResult,
    SpaceResult,
    Spread,
    correlations_of,
)
from fairdarts.ranking.tau import Measured

NOTHING = Measured(math.nan, math.nan, math.nan, 0, "no supernet has been judged")


def setting(label: str, performance: float | None, baseline: bool = False, kept: bool = False) -> SettingResult:
    """A setting of three seeds; all diverged where its performance is None."""
    runs = tuple(f"{label}-seed{seed}" for seed in range(3))
    if performance is None:
        none = Spread((None,) * 3)
        numbers = Numbers(0, 3, None, none, math.nan, NOTHING, none, none, none, NOTHING, None)
        return SettingResult(label, {"weights.lr": label}, runs, baseline, kept, numbers)
    spread = Spread((performance - 0.2, performance, performance + 0.2))
    gains = (None, None) if baseline else (Measured(0.1, -0.05, 0.25, 200), Gain(performance - 92, 0.3))
    numbers = Numbers(
        3, 0, 640, Spread((30.0, 31.0, 32.0)), 7.5, Measured(0.6, 0.5, 0.7, 200), Spread((0.4, 0.45, 0.5)),
        Spread((0.8, 0.9, 1.0)), spread, *gains,
    )  # fmt: skip
    return SettingResult(label, {"weights.lr": label}, runs, baseline, kept, numbers)


def space(name: str = "bench") -> SpaceResult:
    rates = tuple(setting(label, value, label == "0.025", label == "0.05") for label, value in RATES.items())
    others = setting("baseline", 92.5, baseline=True), setting("operations on nodes", 91), setting("OFA kernel", 92)
    factors = (
        FactorResult("learning-rate", "learning rate", "protocol", "best", rates),
        FactorResult("other", "other", "implementation", None, others),
    )
    random = np.random.default_rng(0)
    points = tuple(
        Point(f"run{number}", "protocol" if number % 2 else "implementation", *random.random(3)) for number in range(9)
    )
    return SpaceResult(
        name, name.title(), "tiny", "bench, accuracy", 200, 2000, factors, points, correlations_of(points)
    )


RATES = {"0.005": 91.0, "0.01": 91.5, "0.025": 92.0, "0.05": 92.5, "0.1": 90.0, "0.2": None}


def apart(figure: Figure) -> None:
    """Asserts that no label of an axis stands on another."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    for ax in figure.axes:
        for axis, low, high in ((ax.xaxis, "x0", "x1"), (ax.yaxis, "y0", "y1")):
            boxes = [
                label.get_window_extent() for label in axis.get_ticklabels() if label.get_text() and label.get_visible()
            ]
            boxes.sort(key=lambda box: getattr(box, low))
            assert all(getattr(one, high) <= getattr(other, low) for one, other in pairwise(boxes)), ax.get_title()


@pytest.mark.parametrize("number", [0, 1])
def test_a_factor_shows_its_settings_side_by_side(number: int):
    info = settings_info(space().factors[number], "Bench")
    figure = settings_figure(info)
    apart(figure)
    assert [ax.get_title(loc="left").split(",")[0] for ax in figure.axes] == [
        "supernet accuracy", "sparse τ (bar: of mean accuracies)", "truth of the 3 highest ranked",
    ]  # fmt: skip
    bold = [tick.get_text() for tick in figure.axes[0].get_xticklabels() if tick.get_fontweight() == "bold"]
    assert bold == (["0.05"] if number == 0 else [])


def test_what_a_panel_shows_of_a_setting():
    info = settings_info(space().factors[0], "Bench")
    assert info.title == "Bench: learning rate"
    sparse, performance = info.panels["sparse"][0], info.panels["performance"][0]
    assert (sparse.seeds, sparse.middle, sparse.low, sparse.high) == ((0.4, 0.45, 0.5), 0.6, 0.5, 0.7)
    assert performance.middle == pytest.approx(91)
    assert math.isnan(performance.low)
    assert info.baseline.index(True) == 2
    assert info.diverged == ("",) * 5 + ("3 of 3",)


def test_an_interval_that_leaves_out_its_value_is_drawn_from_end_to_end():
    ax = Figure().subplots()
    _marks(ax, 1, SettingInfo("0.1", (0.4, 0.5), 0.45, 0.5, 0.7), "#000000")
    (whisker,) = ax.collections
    assert whisker.get_segments()[0].tolist() == pytest.approx(np.asarray([[1, 0.5], [1, 0.7]]))
    assert ax.lines[1].get_ydata().tolist() == [0.45, 0.45]


def test_influence_is_that_on_each_factors_baseline():
    info = influence_info([space("one"), space("other")])
    assert info.rows == tuple(
        [("learning rate", label) for label in RATES if label != "0.025"]
        + [("other", "operations on nodes"), ("other", "OFA kernel")]
    )
    bars = info.spaces["One"]
    assert bars["learning rate", "0.1"].gain == pytest.approx(-2)
    assert bars["learning rate", "0.2"].note == "diverged"
    assert bars["other", "OFA kernel"].group == "implementation"
    apart(influence_figure(info))


def test_of_a_handful_of_runs_in_one_order_no_interval_is_written():
    few = tuple(Point(f"run{number}", "protocol", 30.0 + number, number / 9, 91.0 + number) for number in range(4))
    result = space()._replace(points=few, correlations=correlations_of(few))
    figure = relations_figure(relations_info(result))
    assert all(ax.get_xlabel().endswith("ρ = 1.00, n = 4") for ax in figure.axes)
    assert measured_text(next(iter(result.correlations.values()))) == "1.00"


def test_metrics_over_runs_with_their_correlations():
    info = relations_info(space())
    figure = relations_figure(info)
    apart(figure)
    for ax, found in zip(figure.axes, info.correlations.values(), strict=True):
        assert f"ρ = {found.value:.2f}" in ax.get_xlabel()
        assert sum(len(line.get_xdata()) for line in ax.lines) == 9


def test_the_page_holds_every_number_and_figure(monkeypatch: pytest.MonkeyPatch):
    own = space()
    rows = table_rows(own)
    assert [row[0] for row in rows] == ["learning rate", *[""] * 5, "other", "", ""]
    assert rows[2][1] == "0.025 ◂"
    assert rows[3][1:] == [
        "0.05 ✓", "31.0 ± 1.0", "7.5", "0.60 [0.50, 0.70]", "0.90 ± 0.10", "92.50 ± 0.20", "+0.10 [-0.05, +0.25]",
        "+0.50 ± 0.30",
    ]  # fmt: skip
    assert rows[5][2:] == ["N/A"] * len(COLUMNS)
    text = page(Facts("tiny", "a paper", ("smaller & quicker",), (0, 1, 2), {"bench": "epochs: 1"}), [own])
    for part in ("92.50 ± 0.20", "smaller &amp; quicker", "epochs: 1", "0.05-seed2", "Bench", "mostly 0.13"):
        assert part in text
    assert text.count("<img ") == 4
    assert "http" not in text.replace("http://www.w3.org", "")
    monkeypatch.setattr("fairdarts.plot.style.save", lambda figure, folder, name: [folder / f"{name}.svg"])
    names = [path.name for path in draw_factors([own], Path("figures"))]
    assert names == ["influence.svg", *(f"factor-bench-{name}.svg" for name in ("learning-rate", "other")), names[-1]]
    assert names[-1] == "relations-bench.svg"
