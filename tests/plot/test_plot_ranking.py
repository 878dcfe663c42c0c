"""Rankings against the truth, their scores and budgets, on numbers small enough to count by hand."""

from pathlib import Path

import numpy as np
import pytest

from fairdarts.plot import ranking, style
from fairdarts.plot.budget import budget_figure, budget_info
from fairdarts.plot.scores import BARS, scores_figure, scores_info

TRUTH, SCORE = (90.0, 92.0, 91.0, 93.0), (50.0, 60.0, 55.0, 60.0)


def made(recipe: str = "fair", seed: int = 0, tau: float | None = 0.5, **other) -> dict:
    kendall = {"value": tau, "low": 0.25, "high": 0.75, "n": 4, "reason": "" if tau is not None else "too few"}
    return {
        "run": f"{recipe}-seed{seed}",
        "recipe": recipe,
        "sampler": "strict_fair",
        "seed": seed,
        "passes": 100,
        "batch_size": 64,
        "images": 20,
        "benchmark": "bench",
        "statistics": "tracked",
        "column": "acc",
        "truth": list(TRUTH),
        "score": list(SCORE),
        "measured": {"kendall": kendall},
    } | other


UNKNOWN = {"benchmark": None, "column": None, "truth": None, "measured": None}


@pytest.mark.parametrize(
    ("values", "expected"),
    [([5.0, 9.0, 7.0], [3, 1, 2]), ([1.0, 2.0, 2.0, 0.0], [3, 1.5, 1.5, 4]), ([4.0] * 3, [2] * 3), ([], [])],
)
def test_ranks_count_from_the_highest_and_ties_share_the_mean(values: list[float], expected: list[float]):
    assert ranking.ranks(np.asarray(values)).tolist() == expected


def test_rankings_with_a_truth_are_shown():
    info = ranking.rankings_info([made(), made("spos", **UNKNOWN), made("ef", tau=None, score=[None, 1.0, 2.0, 3.0])])
    assert info.recipes == ("fair", "spos", "ef")
    assert [own.series for own in info.rankings] == [0, 2]
    assert info.rankings[0].tau == "τ = 0.50 [0.25, 0.75]"
    assert info.rankings[1].tau == "no τ: too few"
    assert info.rankings[1].truth.tolist() == [92, 91, 93]
    assert info.source == "bench, acc; BatchNorm: tracked"
    assert ranking.rankings_info([made(), made(column="other")]).source == ""


def test_an_interval_that_cannot_be_told_is_not_written():
    kendall = {"value": 1.0, "low": None, "high": None, "n": 4, "reason": ""}
    rankings = ranking.rankings_info([made(), made(measured={"kendall": kendall})]).rankings
    assert [own.tau for own in rankings] == ["τ = 0.50 [0.25, 0.75]", "τ = 1.00"]


def test_the_scatter_has_truth_across_and_score_up():
    figure = ranking.scatter_figure(ranking.rankings_info([made(), made("spos")]))
    (line,) = figure.axes[1].lines
    assert (line.get_xdata().tolist(), line.get_ydata().tolist()) == (list(TRUTH), list(SCORE))
    assert line.get_color() == style.SERIES[1][0]
    assert figure.axes[0].get_title() == "fair-seed0\nτ = 0.50 [0.25, 0.75]"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["fair", "spos"]


def test_lines_run_from_rank_to_rank_in_the_colour_of_the_truth():
    figure = ranking.lines_figure(ranking.rankings_info([made()]))
    lines = figure.axes[0].collections[0]
    assert [segment[:, 1].tolist() for segment in lines.get_segments()] == [[4, 4], [3, 3], [2, 1.5], [1, 1.5]]
    assert lines.get_colors()[-1, :3] == pytest.approx(ranking.COLOURS(0.0)[:3])
    assert figure.axes[0].get_ylim() == (4.5, 0.5)


@pytest.mark.parametrize(("recipes", "seeds", "columns"), [(5, 3, 3), (1, 3, 3), (1, 9, 5), (3, 1, 3), (5, 1, 4)])
def test_seeds_of_a_recipe_stand_in_a_row(recipes: int, seeds: int, columns: int):
    info = ranking.rankings_info([made(str(recipe), seed) for recipe in range(recipes) for seed in range(seeds)])
    figure = ranking.scatter_figure(info)
    assert figure.axes[0].get_gridspec().ncols == columns


def test_more_rankings_than_panels_are_said():
    figure = ranking.scatter_figure(ranking.rankings_info([made(seed=seed) for seed in range(17)]))
    assert sum(ax.get_visible() for ax in figure.axes) == ranking.PANELS
    assert figure.get_suptitle().startswith("the first 15 of 17 rankings")


def test_scores_of_seeds_are_pooled_into_bins_that_all_share():
    info = scores_info([made(), made(seed=1, score=[50.0, 50.0, 50.0, float("nan")]), made("spos", score=[20.0] * 4)])
    assert np.diff(info.edges) == pytest.approx(5)  # accuracies of 20 images lie so far apart
    assert info.edges[0] == 17.5
    assert info.edges[-1] == 62.5
    assert info.shares["fair"] == pytest.approx(np.array([0, 0, 0, 0, 0, 0, 4, 1, 2]) / 7 * 100)
    assert info.shares["spos"].tolist() == [100, *[0] * 8]
    assert info.notes["fair"] == "strict fair; 7 accuracies from 2 seeds, 50.0 to 60.0 %"
    figure = scores_figure(info)
    assert [patch.get_data().values.tolist() for patch in figure.axes[1].patches] == [[100, *[0] * 8]]


def test_every_bin_holds_as_many_possible_accuracies():
    scores = np.round(np.arange(10, 90, 0.1), 1).tolist()
    info = scores_info([made(images=1000, score=scores)])
    assert len(info.edges) - 1 <= BARS
    assert np.ptp(info.shares["fair"][:-1]) == pytest.approx(0)


def test_scores_of_other_budgets_have_a_row_of_their_own():
    info = scores_info([made(), made(seed=1, passes=200), made("spos")])
    assert list(info.shares) == ["fair, 6,400 image passes", "fair, 12,800 image passes", "spos"]
    assert list(info.series.values()) == [0, 0, 1]


def test_scores_may_all_be_missing():
    info = scores_info([made(score=[float("nan")] * 4)])
    assert info.shares["fair"].sum() == 0
    assert info.notes["fair"] == "strict fair; no accuracy is a number"


BUDGETS = [
    made(passes=400, tau=0.75),
    made(tau=0.5),
    made(seed=1, tau=0.25),
    made("spos", tau=None),
    made("spos", passes=200, tau=0.5),
]


def test_budgets_are_image_passes_in_ascending_order():
    info = budget_info(BUDGETS)
    assert info.taus == {"fair": {6400: (0.5, 0.25), 25600: (0.75,)}, "spos": {12800: (0.5,)}}
    assert info.series == {"fair": 0, "spos": 1}
    figure = budget_figure(info)
    ax = figure.axes[0]
    assert ax.get_xscale() == "linear"
    assert ax.lines[0].get_ydata().tolist() == [0.375, 0.75]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["fair", "spos"]
    (whisker,) = (own.get_segments() for own in ax.collections if len(own.get_segments()))
    assert np.ptp(whisker[0][:, 1]) == pytest.approx(2 * np.std([0.5, 0.25], ddof=1))


def test_a_recipe_keeps_its_colour_where_another_has_no_tau():
    figure = budget_figure(budget_info([made("ef", tau=None), made(), made(passes=200)]))
    assert figure.axes[0].lines[0].get_color() == style.SERIES[1][0]


def test_budgets_far_apart_have_a_logarithmic_scale():
    figure = budget_figure(budget_info([made(), made(passes=500)]))
    assert figure.axes[0].get_xscale() == "log"


@pytest.mark.parametrize(
    ("rankings", "names"),
    [
        ([], ()),
        ([made(**UNKNOWN)], ("histogram",)),
        ([made(), made("spos", passes=200)], ("scatter", "lines", "histogram")),
        (BUDGETS, ("scatter", "lines", "histogram", "budget")),
        ([made(tau=None, score=[None] * 4)], ("scatter", "lines", "histogram")),
    ],
)
def test_figures_are_those_that_the_rankings_allow(rankings: list[dict], names: tuple[str, ...], tmp_path: Path):
    paths = ranking.draw_rankings(rankings, tmp_path)
    assert [path.name for path in paths] == [f"ranking-{name}.{kind}" for name in names for kind in ("svg", "png")]
    assert all(path.is_file() for path in paths)
