"""How do the factors of a supernet's training rank? A page of figures, and tables as 10 to 12 of arXiv:2003.04276."""

import html
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from fairdarts.plot import style
from fairdarts.plot.document import document, faint, folded, image, listed, pre, table
from fairdarts.plot.factor_panels import influence_figure, influence_info, settings_figure, settings_info
from fairdarts.plot.measured import measured_text
from fairdarts.plot.relations import relations_figure, relations_info
from fairdarts.ranking.factor_study import METRICS, FactorResult, SettingResult, SpaceResult, Spread

COLUMNS = (
    "supernet accuracy, %",
    "over architectures",
    "sparse τ [95% interval]",
    "P > R",
    "final performance, %",
    "Δ sparse τ [95% interval]",
    "Δ final performance",
)
"""what a table says of a setting"""

NOTES = (
    "Supernet accuracy: mean over the architectures and seeds; ± is the standard deviation over the seeds. Beside it "
    "the standard deviation over the architectures, which the paper's ± seems to be (mostly 0.13 in its "
    "NAS-Bench-201).",
    "Sparse τ: Kendall's τ of the truth, rounded to 0.1%, and of the accuracies averaged over the seeds' supernets "
    "(appendix B.2), so that it is mostly higher than that of one supernet. Its interval is a bootstrap over the "
    "architectures, and says nothing of other seeds.",
    "P > R: probability that the best of the 10 highest ranked surpasses the best of 10 random architectures. Final "
    "performance: mean truth of the 3 highest ranked. Both: mean over the seeds, ± their standard deviation.",
    "Δ: less that of the factor's baseline. Of sparse τ with a 95% interval: a bootstrap over the architectures, the "
    "same for both, and over the seeds' supernets (of one seed each: over the architectures alone); only where both "
    "ranked the same architectures. Of final performance ± one standard error over the seeds, √(s₁²/n₁ + s₂²/n₂).",
    "An interval stands where it can be told: not where all resamples agree, as those of few runs or seeds may do.",
    "N/A: all runs diverged. A setting of which one run diverged is never the best; its numbers are those of the rest.",
)
"""below the tables"""


class Facts(NamedTuple):
    """What a page says of the study as a whole."""

    name: str
    source: str
    deviations: tuple[str, ...]
    seeds: tuple[int, ...]
    recipes: dict[str, str]
    """name of a space → the recipe that its first factor begins with, with all that lies over it"""


def page(facts: Facts, spaces: Sequence[SpaceResult]) -> str:
    """The whole page."""
    blocks = [f"<p>{html.escape(facts.source)}</p>"]
    if facts.deviations:
        blocks += ["<p>Where this study departs from it:</p>", listed(facts.deviations)]
    blocks += ["<h2>What was run</h2>", table(RUN, [_run(space, facts) for space in spaces])]
    bars = influence_info(spaces)
    if bars.rows:
        blocks += ["<h2>Influence of the factors</h2>", image(influence_figure(bars), "influence of the factors")]
    for space in spaces:
        blocks += _space(space, facts)
    return document(f"{facts.name}: what the training of supernets depends on", blocks)


RUN = ("space", "recipe", "truth", "architectures", "held-out images", "seeds", "supernets", "diverged")
"""columns of what was run"""


def _run(space: SpaceResult, facts: Facts) -> list[object]:
    setting_of = {run: setting for factor in space.factors for setting in factor.settings for run in setting.runs}
    lost = sum({setting.runs: setting.numbers.diverged for setting in setting_of.values()}.values())
    judged = sum({setting.runs: setting.numbers.supernets for setting in setting_of.values()}.values())
    what = [space.title, space.recipe, space.truth, space.architectures, f"{space.images:,}"]
    return [*what, len(facts.seeds), judged, lost]


def _space(space: SpaceResult, facts: Facts) -> list[str]:
    blocks = [f"<h2>{html.escape(space.title)}</h2>", table(("factor", "setting", *COLUMNS), table_rows(space))]
    blocks.append(faint("◂ baseline: what the factor began with. ✓ kept: what later factors begin with."))
    blocks.append(folded("what the numbers are", listed(NOTES)))
    for factor in space.factors:
        blocks.append(f"<h3>{html.escape(factor.title)}</h3>")
        blocks.append(faint(_kept(factor)))
        blocks.append(image(settings_figure(settings_info(factor, space.title)), f"settings of {factor.title}"))
        rows: list[list[object]] = []
        for setting in factor.settings:
            changes = ", ".join(f"{key} {value}" for key, value in setting.changes.items()) or "–"
            passes = "–" if setting.numbers.passes is None else f"{setting.numbers.passes:,}"
            rows.append([setting.label, changes, passes, *setting.runs])
        seeds = [f"seed {seed}" for seed in facts.seeds]
        blocks.append(folded("settings and runs", table(("setting", "changes", "image passes", *seeds), rows)))
    if space.points:
        blocks += ["<h3>What tells of the final performance?</h3>"]
        blocks.append(image(relations_figure(relations_info(space)), "supernet accuracy, sparse τ, final performance"))
        rows = []
        for pair, rho in space.correlations.items():
            one, other = pair.split(", ")
            rows.append([f"{METRICS[one]}, {METRICS[other]}", measured_text(rho), rho.n])
        blocks.append(table(("Spearman's ρ of", "value [95% interval over runs]", "runs"), rows))
    return [*blocks, pre("recipe", facts.recipes[space.name])]


def table_rows(space: SpaceResult) -> list[list[str]]:
    """Factor, setting and COLUMNS of all settings of a space; the factor stands at its first setting alone."""
    rows = []
    for factor in space.factors:
        for number, setting in enumerate(factor.settings):
            marks = " ◂" * setting.baseline + " ✓" * setting.kept
            rows.append([factor.title if number == 0 else "", setting.label + marks, *_cells(setting)])
    return rows


def _cells(setting: SettingResult) -> list[str]:
    numbers = setting.numbers
    if not numbers.supernets:
        return ["N/A" if numbers.diverged else "–"] * len(COLUMNS)
    lost = f" ({numbers.supernets} of {len(setting.runs)} supernets)" if numbers.supernets < len(setting.runs) else ""
    gained = numbers.performance_gain
    return [
        spread_text(numbers.accuracy, 1) + lost,
        f"{numbers.scatter:.1f}",
        measured_text(numbers.sparse),
        spread_text(numbers.surpass, 2),
        spread_text(numbers.performance, 2),
        measured_text(numbers.sparse_gain, "+") if numbers.sparse_gain else "",
        f"{gained.value:+.2f}" + ("" if math.isnan(gained.error) else f" ± {gained.error:.2f}") if gained else "",
    ]


def spread_text(spread: Spread, digits: int) -> str:
    """'92.31 ± 0.15', mean and standard deviation over seeds."""
    if not spread.known:
        return "–"
    return f"{spread.mean:.{digits}f}" + ("" if math.isnan(spread.deviation) else f" ± {spread.deviation:.{digits}f}")


def _kept(factor: FactorResult) -> str:
    kept = next((setting.label for setting in factor.settings if setting.kept), None)
    if factor.keep is None:
        return "Later factors begin with the baseline."
    how = "the setting of highest final performance" if factor.keep == "best" else "as the study says"
    return f"Later factors begin with {kept}: {how}." if kept else "Nothing is kept yet."


def draw_factors(spaces: Sequence[SpaceResult], folder: Path) -> list[Path]:
    """Writes the page's figures into `folder` and gives their paths: `factor-SPACE-FACTOR`, `influence`,
    `relations-SPACE`."""
    paths: list[Path] = []
    bars = influence_info(spaces)
    if bars.rows:
        paths += style.save(influence_figure(bars), folder, "influence")
    for space in spaces:
        for factor in space.factors:
            figure = settings_figure(settings_info(factor, space.title))
            paths += style.save(figure, folder, f"factor-{space.name}-{factor.name}")
        if space.points:
            paths += style.save(relations_figure(relations_info(space)), folder, f"relations-{space.name}")
    return paths
