"""What did `inside.py` see? A figure over the epochs, a table of the whole search; both of means over the edges."""

from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from fairdarts.genotype import SKIP
from fairdarts.plot import style

GROUPS = {
    "skip connect": (SKIP,),
    "convolutions": ("nor_conv_3x3", "nor_conv_1x1"),
    "avg pool 3×3": ("avg_pool_3x3",),
    "none": ("none",),
}
"""what is shown → the candidates that it is the mean of; the first one's colour"""

PUSHES = {"own": "-", "competition": "--", "zero_one": ":"}
"""what α is pushed by → its line"""

NAMES = {"darts-nasbench201": "DARTS, softmax", "fairdarts-nasbench201": "FairDARTS, sigmoid"}
PUSHED = ("skip connect", "convolutions")


class RunInfo(NamedTuple):
    """One search; curves are of a group of candidates [epochs], means over the edges."""

    name: str
    epochs: np.ndarray
    curves: dict[str, dict[str, np.ndarray]]
    """name of a quantity, as in inside.py → group → curve"""
    spread: dict[str, np.ndarray]
    """group → standard deviation of the gain over the steps of an epoch"""
    sums: np.ndarray
    """of all gates of an edge [epochs]"""
    skips: np.ndarray
    """skip connections of the cell derived [epochs]"""
    accuracy: np.ndarray
    """of the supernet on held-out batches [epochs]"""


def inside_info(result: dict[str, Any]) -> tuple[RunInfo, ...]:
    """The searches of a result of inside.py."""
    return tuple(run_info(NAMES.get(name, name), run) for name, run in result["runs"].items())


def run_info(name: str, run: dict[str, Any]) -> RunInfo:
    """One of them."""
    columns = {group: [run["candidates"].index(op) for op in ops] for group, ops in GROUPS.items()}
    epochs, edges = run["epochs"], [epoch["edges"] for epoch in run["epochs"]]
    values = {key: np.array([matrices[key] for matrices in edges]) for key in edges[0]}  # [epochs, edges, candidates]

    def of_groups(matrices: np.ndarray) -> dict[str, np.ndarray]:
        return {group: matrices[:, :, some].mean((1, 2)) for group, some in columns.items()}

    return RunInfo(
        name,
        np.array([epoch["epoch"] for epoch in epochs]),
        {key: of_groups(matrices) for key, matrices in values.items()},
        of_groups(values["gain_std"]),
        values["gate"].sum(2).mean(1),
        np.array([epoch["skips"] for epoch in epochs]),
        np.array([epoch["valid_accuracy"] for epoch in epochs]),
    )


def inside_table(info: tuple[RunInfo, ...]) -> str:
    """Markdown: of every group its mean gain (± over steps) and pushes in thousandths, and by whose α its gate has
    moved."""
    heads = ("search", "candidate", "gain", "own", "competition", "zero-one", "moved by its own α", "by the others' α")
    lines = [f"| {' | '.join((*heads, 'gate at the end'))} |", "|---" * (len(heads) + 1) + "|"]
    for run in info:
        for group in GROUPS:
            pushed = [1e3 * run.curves[name][group].mean() for name in PUSHES]
            gain = f"{1e3 * run.curves['gain'][group].mean():+.2f} ± {1e3 * run.spread[group].mean():.0f}"
            moved = [run.curves[f"moved_{name}"][group].sum() for name in ("own", "competition")]
            cells = [gain, *(f"{value:+.2f}" for value in pushed), *(f"{value:+.3f}" for value in moved)]
            lines.append(f"| {run.name} | {group} | {' | '.join(cells)} | {run.curves['gate'][group][-1]:.3f} |")
    return "\n".join(lines).replace("-", "−").replace("|−−−", "|---").replace("zero−one", "zero-one") + "\n"


def inside_figure(info: tuple[RunInfo, ...]) -> Figure:
    """A column a search; from above: gains, pushes, gates, and what is derived."""
    heights = (2.6, 2.6, 2.6, 1.3)
    figure = Figure(figsize=(4.6 * len(info) + 1.9, sum(heights) + 0.6), layout="constrained")
    axes = figure.subplots(len(heights), len(info), sharex=True, squeeze=False, height_ratios=heights)
    looks = {group: {"color": style.colour(ops[0]), "linewidth": 1.6} for group, ops in GROUPS.items()}
    for column, run in enumerate(info):
        gains, pushes, gates, derived = axes[:, column]
        gains.set_title(run.name, fontsize=11)
        for group, look in looks.items():
            gains.plot(run.epochs, run.curves["gain"][group], **look)
        for group in PUSHED:
            for name, line in PUSHES.items():
                if run.curves[name][group].any():
                    pushes.plot(run.epochs, run.curves[name][group], linestyle=line, **looks[group])
        skip = run.curves["gate"]["skip connect"]
        gates.plot(run.epochs, skip, **looks["skip connect"])
        gates.plot(run.epochs, run.sums - skip, color=style.FAINT, linewidth=1.6, linestyle="-.")
        gates.plot(run.epochs, run.sums, color=style.INK, linewidth=1.6)
        gates.set_ylim(0, 1.08 * run.sums.max())
        derived.step(run.epochs, run.skips, where="mid", **looks["skip connect"])
        derived.set_ylim(-0.3, 6.3)
        for ax in (gains, pushes):
            ax.axhline(0, color=style.FAINT, linewidth=0.8, zorder=0)
        for ax in axes[:, column]:
            style.tidy(ax)
        derived.set_xlabel("epoch", fontsize=9.5)
        derived.xaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    told = ("gain of a gate,\n−∂L/∂z", "push on α", "gates of an edge", "skips derived,\nof 6 edges")
    for ax, text in zip(axes[:, 0], told, strict=True):
        ax.set_ylabel(text, fontsize=9.5)
    lines = {"own": "its own gain", "competition": "competition", "zero_one": "zero-one loss"}
    legends = [
        [Line2D([], [], label=group, **look) for group, look in looks.items()],
        [Line2D([], [], label=group, **looks[group]) for group in PUSHED]
        + [Line2D([], [], color=style.INK, linestyle=PUSHES[name], label=text) for name, text in lines.items()],
        [
            Line2D([], [], label="skip connect", **looks["skip connect"]),
            Line2D([], [], color=style.FAINT, linestyle="-.", label="all others"),
            Line2D([], [], color=style.INK, label="sum"),
        ],
    ]
    for ax, handles in zip(axes[:, -1], legends, strict=False):
        ax.legend(handles=handles, loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=9, frameon=False)
    return figure
