"""How soon does uniform sampling stop being fair? As FairNAS (ICCV 2021), Fig. 3: f(m, n) of its Lemma 2.1."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fairdarts.plot import style
from fairdarts.ranking.lemma import equal_counts, equal_counts_asymptote

TRIALS = 100
"""draws n up to which the curves run"""


class LemmaInfo(NamedTuple):
    """The probability that n uniform draws hit every one of m choices equally often."""

    exact: dict[int, dict[int, float]]
    """m → n → f(m, n), for every n that m divides; it is 0 for all others"""
    asymptote: dict[int, dict[int, float]]
    """m → n → what f(m, n) comes to for large n"""


def lemma_info(choices: Sequence[int], trials: int = TRIALS) -> LemmaInfo:
    """For these numbers of choices m, and n from m to `trials`."""
    exact = {m: {n: equal_counts(m, n) for n in range(m, trials + 1, m)} for m in choices}
    return LemmaInfo(exact, {m: {n: equal_counts_asymptote(m, n) for n in range(m, trials + 1)} for m in choices})


def lemma_figure(info: LemmaInfo) -> Figure:
    """Probabilities on an even scale, and the same on a logarithmic one."""
    figure, (even, logarithmic) = style.panels(2, 2, (4.3, 3.2), sharex=True)
    for ax in (even, logarithmic):
        _panel(ax, info)
    even.set_ylim(0, 1.02 if 1 in info.exact else 0.6)
    least = min((min(values.values()) for values in info.exact.values() if values), default=0.01)
    logarithmic.set_yscale("log")
    logarithmic.set_ylim(10 ** np.floor(np.log10(least)), 1)
    logarithmic.set_title("the same, logarithmic", fontsize=10)
    even.set_title("f(m, n): all m choices drawn equally often", fontsize=10)
    figure.supxlabel("n, uniform draws", fontsize=10)
    figure.supylabel("probability", fontsize=10)
    looks = [(f"m = {m}", style.series(number) | {"linestyle": "-"}) for number, m in enumerate(info.exact)]
    handles = [Line2D([], [], markersize=5, label=label, **look) for label, look in looks]
    exact = {"marker": "o", "markersize": 4, "linestyle": "none", "label": "exact, where\nm divides n"}
    handles.append(Line2D([], [], color=style.INK, **exact))
    handles.append(Line2D([], [], color=style.INK, linewidth=1, label="√m (m/2πn)$^{(m−1)/2}$"))
    figure.legend(handles=handles, loc="outside right center", fontsize=9, frameon=False)
    return figure


def _panel(ax: Axes, info: LemmaInfo) -> None:
    for number, (m, exact) in enumerate(info.exact.items()):
        look = style.series(number)
        ax.plot(*zip(*info.asymptote[m].items(), strict=True), color=look["color"], linewidth=0.9, alpha=0.7)
        ax.plot(list(exact), list(exact.values()), **look | {"linestyle": "none"}, markersize=3.5)
    ax.set_xlim(0, max(map(max, info.asymptote.values())) + 1)
    style.tidy(ax)


def draw_lemma(choices: Sequence[int], folder: Path) -> list[Path]:
    """Writes `lemma` into `folder` for these numbers of choices m."""
    return style.save(lemma_figure(lemma_info(choices)), folder, "lemma")
