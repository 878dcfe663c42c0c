"""What do the factors of a supernet's training change? As Figs. 4, 7 and 8 of arXiv:2003.04276."""

import math
import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from fairdarts.plot import style
from fairdarts.ranking.factor_study import FactorResult, SettingResult, SpaceResult

PANELS = {
    "accuracy": "supernet accuracy, %",
    "sparse": "sparse τ (bar: of mean accuracies)",
    "performance": "truth of the 3 highest ranked, %",
}
"""of a factor's figure → their titles"""
GROUPS = ("protocol", "sampling", "low-fidelity", "implementation")
"""of factors, in the order of Table 1"""
BASELINE = "#E9EEF6"
"""behind what the factor began with"""


class SettingInfo(NamedTuple):
    """A setting in one panel."""

    label: str
    seeds: tuple[float, ...]
    middle: float
    """mean of the seeds; of sparse τ that of the seeds' mean accuracies; nan where there is none"""
    low: float
    """of its interval; nan where there is none"""
    high: float


class SettingsInfo(NamedTuple):
    """A factor: what came of its settings."""

    title: str
    panels: dict[str, tuple[SettingInfo, ...]]
    """key of PANELS → settings"""
    baseline: tuple[bool, ...]
    """of every setting, whether the factor began with it"""
    kept: tuple[bool, ...]
    """whether later factors begin with it"""
    diverged: tuple[str, ...]
    """how many of its runs diverged, such as '1 of 3'; empty where none did"""


class Influence(NamedTuple):
    """A setting's bar: its final performance less that of its factor's baseline, in percentage points."""

    factor: str
    label: str
    group: str
    gain: float
    """nan where it has none"""
    error: float
    """standard error; nan where it is of one seed"""
    note: str
    """why there is no bar"""


class InfluenceInfo(NamedTuple):
    """All factors in all spaces."""

    spaces: dict[str, dict[tuple[str, str], Influence]]
    """title of the space → (factor, setting) → its bar"""
    rows: tuple[tuple[str, str], ...]
    """(factor, setting) of any space, in their order"""


def settings_info(factor: FactorResult, space: str) -> SettingsInfo:
    """Of a factor of a space, whose title is given, all its settings."""
    settings = factor.settings
    panels = {panel: tuple(_setting(setting, panel) for setting in settings) for panel in PANELS}
    lost = ((setting.numbers.diverged, len(setting.runs)) for setting in settings)
    diverged = tuple(f"{some} of {runs}" if some else "" for some, runs in lost)
    marks = (tuple(getattr(setting, mark) for setting in settings) for mark in ("baseline", "kept"))
    return SettingsInfo(f"{space}: {factor.title}", panels, *marks, diverged)


def _setting(setting: SettingResult, panel: str) -> SettingInfo:
    numbers = setting.numbers
    if panel == "sparse":
        middle, low, high = numbers.sparse.value, numbers.sparse.low, numbers.sparse.high
        return SettingInfo(setting.label, tuple(numbers.sparse_by_seed.known), middle, low, high)
    spread = getattr(numbers, panel)
    return SettingInfo(setting.label, tuple(spread.known), spread.mean, math.nan, math.nan)


def settings_figure(info: SettingsInfo) -> Figure:
    """A panel a metric, a place on the x axis a setting, a dot a seed."""
    count = len(info.baseline)
    labels = [textwrap.fill(setting.label, 9, break_long_words=False) for setting in info.panels["sparse"]]
    below = [f"\n{lost}\ndiverged" if lost else "" for lost in info.diverged]
    labels = [label + note for label, note in zip(labels, below, strict=True)]
    longest = max(len(line) for label in labels for line in label.split("\n"))
    width = max(2.9, count * (0.2 + 0.068 * longest))
    beside = width <= 4.2  # else the panels stand one above the other
    figure, axes = style.panels(len(PANELS), 3 if beside else 1, (width, 2.9) if beside else (max(7.0, width), 2.2))
    ink = style.series(0)["color"]
    for ax, (panel, settings) in zip(axes, info.panels.items(), strict=True):
        for place, setting in enumerate(settings):
            if info.baseline[place]:
                ax.axvspan(place - 0.5, place + 0.5, color=BASELINE, zorder=0)
            _marks(ax, place, setting, ink)
        ax.set_xlim(-0.5, count - 0.5)
        ax.set_xticks(range(count), labels, fontsize=8.5)
        for tick, kept in zip(ax.get_xticklabels(), info.kept, strict=True):
            tick.set_fontweight("bold" if kept else "normal")
        ax.set_title(PANELS[panel], fontsize=9.5, loc="left")
        style.tidy(ax)
        ax.grid(visible=False, axis="x")
        ax.margins(y=0.12)
    dot = Line2D([], [], color=ink, marker="o", linestyle="none", alpha=0.65, markersize=4.5)
    bar = Line2D([], [], color=style.INK, linewidth=2)
    handles, names = [dot, bar], ["a seed", "mean, 95% interval"]
    if any(info.baseline):
        handles, names = [*handles, Patch(color=BASELINE)], [*names, "baseline" + "; bold: kept" * any(info.kept)]
    figure.suptitle(info.title, fontsize=11)
    style.legend_below(figure, handles, names)
    return figure


def _marks(ax: Axes, place: int, setting: SettingInfo, ink: str) -> None:
    """The dots of a setting, its mean and interval."""
    shift = 0.1 * (np.arange(len(setting.seeds)) - (len(setting.seeds) - 1) / 2)
    ax.plot(place + shift, setting.seeds, color=ink, marker="o", linestyle="none", markersize=4.5, alpha=0.65, zorder=2)
    if math.isfinite(setting.middle):
        ax.plot([place - 0.27, place + 0.27], [setting.middle] * 2, color=style.INK, linewidth=2, zorder=3)
    if math.isfinite(setting.low):  # drawn from end to end, as a bootstrap interval may leave out the value
        middle, half = (setting.low + setting.high) / 2, (setting.high - setting.low) / 2
        ax.errorbar(place, middle, half, fmt="none", ecolor=style.INK, elinewidth=1.1, capsize=3.5, zorder=3)


def influence_info(spaces: Sequence[SpaceResult]) -> InfluenceInfo:
    """Of every setting that is not its factor's baseline."""
    of_spaces: dict[str, dict[tuple[str, str], Influence]] = {}
    for space in spaces:
        bars = of_spaces.setdefault(space.title, {})
        for factor in space.factors:
            for setting in factor.settings:
                if not setting.baseline:
                    bars[factor.title, setting.label] = _influence(factor, setting)
    rows = dict.fromkeys(key for bars in of_spaces.values() for key in bars)
    factors = list(dict.fromkeys(factor for factor, _ in rows))
    return InfluenceInfo(of_spaces, tuple(sorted(rows, key=lambda row: factors.index(row[0]))))


def _influence(factor: FactorResult, setting: SettingResult) -> Influence:
    numbers, known = setting.numbers, setting.numbers.performance_gain
    note = "diverged" if numbers.diverged and not numbers.supernets else "not known"
    value, error = (known.value, known.error) if known else (math.nan, math.nan)
    return Influence(factor.title, setting.label, factor.group, value, error, "" if known else note)


def influence_figure(info: InfluenceInfo) -> Figure:
    """A panel a space, a bar a setting, its whisker the standard error."""
    height = 1.4 + 0.21 * len(info.rows)
    longest = max(len(_name(row)) for row in info.rows)
    figure = Figure(figsize=(0.07 * longest + 3.4 * len(info.spaces), height), layout="constrained")
    axes = figure.subplots(1, len(info.spaces), sharey=True, squeeze=False)[0]
    factors = list(dict.fromkeys(factor for factor, _ in info.rows))
    seen = {bar.group for bars in info.spaces.values() for bar in bars.values()}
    used = [group for group in GROUPS if group in seen]
    for ax, (title, bars) in zip(axes, info.spaces.items(), strict=True):
        ends = [abs(bar.gain) + np.nan_to_num(bar.error) for bar in bars.values() if math.isfinite(bar.gain)]
        for place, row in enumerate(info.rows):
            if factors.index(row[0]) % 2 == 0:
                ax.axhspan(place - 0.5, place + 0.5, color="#F4F5F7", zorder=0)
            if row in bars:
                _bar(ax, place, bars[row])
        ax.axvline(0, color=style.INK, linewidth=0.9)
        ax.set_title(title, fontsize=10)
        reach = 1.08 * max([*ends, 0.1])
        ax.set_xlim(-reach, reach)
        style.tidy(ax, "percentage points")
        ax.grid(visible=False, axis="y")
        ax.tick_params(axis="y", length=0)
    axes[0].set_ylim(len(info.rows) - 0.5, -0.5)
    axes[0].set_yticks(range(len(info.rows)), [_name(row) for row in info.rows], fontsize=8.5)
    between = "\n" if len(info.spaces) == 1 else " "
    figure.suptitle(f"Final performance less that of the baseline{between}(whisker: standard error)", fontsize=10.5)
    style.legend_below(figure, [Patch(color=_ink(group)) for group in used], used)
    return figure


def _bar(ax: Axes, place: int, bar: Influence) -> None:
    if not math.isfinite(bar.gain):
        look = {"va": "center", "fontsize": 8, "color": style.FAINT}
        ax.annotate(bar.note, (0, place), (4, 0), textcoords="offset points", **look)
        return
    ax.barh(place, bar.gain, height=0.68, color=_ink(bar.group), zorder=2)
    if math.isfinite(bar.error):
        ax.errorbar(bar.gain, place, xerr=bar.error, fmt="none", ecolor=style.INK, elinewidth=1, capsize=2.5, zorder=3)


def _name(row: tuple[str, str]) -> str:
    return f"{row[0]}: {row[1]}"


def _ink(group: str) -> str:
    return style.series(GROUPS.index(group))["color"]
