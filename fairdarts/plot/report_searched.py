"""What did searches find? The part of a report that tells of gradient searches, and of what sets them apart."""

from collections.abc import Callable, Iterable, Sequence
from math import isnan
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np

from fairdarts.genotype import SKIP, Genotype
from fairdarts.plot import compare, style
from fairdarts.plot.cost import cost_figure, cost_info
from fairdarts.plot.curves import PANELS, curves_figure, curves_info
from fairdarts.plot.document import cells, faint, folded, grouped, image, listed, pre, run_head, table
from fairdarts.plot.dominant import dominant_by_run_figure, dominant_figure, dominant_info
from fairdarts.plot.evolution import EvolutionInfo, evolution_figure, evolution_info, stacked_figure
from fairdarts.plot.heatmap import heatmap_figure, heatmap_info
from fairdarts.plot.joined import joined_dominant, joined_parts
from fairdarts.plot.points import part_title
from fairdarts.plot.truth import run_blocks
from fairdarts.runtime.shape import size_text
from fairdarts.spaces.space import Space

DETAILED = 4  # of more runs, each is shown by its drawing and dominant operations alone
BESIDE = 8  # of more runs, dominant operations are shown with each run, and not beside one another


class Found(NamedTuple):
    """One search, as a report shows it."""

    name: str
    method: str
    """what it has in common with the runs of other seeds"""
    recipe: str
    weight: float | None
    """of the zero-one loss; None where that is not L₀₋₁ of sigmoid gates in a bi-level search"""
    settings: str
    """its settings.yaml"""
    space: Space
    records: list[dict[str, Any]]
    """to the one whose genotype is kept"""
    derived: list[Genotype]
    """what the run's rule makes of the gates of each record"""
    ended: str
    """why it stopped early, or how far it is; empty where it took all its epochs"""
    genotype: Genotype | None
    cost: str
    """parameters and multiply-adds of its network, or why there is none"""
    drawings: dict[str, str]
    """part of the space → SVG of what was found; empty without graphviz"""
    skips: tuple[int | None, ...] = ()
    """skip connections of what would be derived of every record; none where the run was told no truth"""
    depth: str = ""
    """how deep and wide its network is; empty where that is the space's own"""


def searches(runs: Sequence[Found]) -> list[str]:
    """A table of all, what compares them, and every one by itself."""
    parts = _summary(runs)
    if len(runs) > 1:
        parts += _comparison(runs)
    for run in runs:
        parts += _run(run, detailed=len(runs) <= DETAILED)
    return parts


def _summary(runs: Sequence[Found]) -> list[str]:
    parts = _parts(runs)
    titles = ["run", "epochs", "accuracy, training", "held out", *_of_parts("dominant", parts)]
    titles += [*_of_parts("dominant skip connections", parts), *_of_parts("derived skip connections", parts)]
    titles += ["gap before", "gap after", "parameters, multiply-adds"]
    rows = []
    for run in runs:
        first, last = run.records[0], run.records[-1]
        accuracies = [f"{100 * last[key]:.1f} %" if key in last else "–" for key in PANELS["accuracy"]]
        counts = _counts(run, parts, lambda counts: sum(counts.values()))
        skips = _counts(run, parts, lambda counts: counts.get(SKIP, 0))
        skips += ["–" if count is None else count for count in (_derived_skips(run, part) for part in parts)]
        gaps = [f"{compare.gap(record):.3f}" for record in (first, last)]
        short = run.cost.partition(":")[0].replace(" parameters", "").replace(" multiply-adds", "")
        rows.append([run.name, last["epoch"], *accuracies, *counts, *skips, *gaps, short])
    note = "Gap: the mean of min(z, 1 − z) over all gates z, before the first and after the last epoch; 0 where every "
    note += "gate is zero or one. Dominant operations, of the gates: FairDARTS (arXiv:1911.12126), section 3.2 and "
    note += "footnote 5. Derived skip connections: those of the genotype that the run's own rule makes of the gates. "
    note += f"Networks: {'; '.join(dict.fromkeys(_network(run) for run in runs))}."
    return [table(titles, rows), faint(note)]


def _comparison(runs: Sequence[Found]) -> list[str]:
    """Figures of the runs in spaces of one kind, as only their numbers compare; then a table of all methods."""
    kinds = grouped(runs, lambda run: tuple(joined_parts(run.space)))
    blocks = ["<h2>Comparison</h2>"]
    for parts, alike in kinds.items():
        blocks += _figures(alike, parts[0]) if len(alike) > 1 else []
    methods = [method for alike in kinds.values() for method in grouped(alike, attrgetter("method")).items()]
    return [*blocks, "<h3>Methods</h3>", *_methods(methods, _parts(runs))]


def _methods(methods: Iterable[tuple[str, list[Found]]], parts: tuple[str, ...]) -> list[str]:
    rows = []
    for method, runs in methods:
        last = [run.records[-1] for run in runs]
        dominant = [joined_dominant(run.records[-1], run.space) for run in runs]
        skips = [[counts[part].get(SKIP, 0) for counts in dominant if part in counts] for part in parts]
        derived = [[_derived_skips(run, part) for run in runs] for part in parts]
        skips += [[count for count in counts if count is not None] for counts in derived]
        alike = compare.agreement([run.genotype for run in runs if run.genotype])
        counts, gaps = map(_dominant, runs), map(compare.gap, last)
        accuracies = [100 * record["valid_accuracy"] for record in last if "valid_accuracy" in record]
        numbers = [_spread([*counts]), _spread([*gaps], 3), _spread(accuracies)]
        agreed = "–" if alike is None else f"{100 * alike:.0f} %"
        rows.append([method, len(runs), *map(_spread, skips), *numbers, agreed])
    titles = ["method", "runs", *_of_parts("dominant skip connections", parts)]
    titles += _of_parts("derived skip connections", parts)
    titles += ["dominant operations", "gap after", "held-out accuracy, %", "agreement"]
    note = "Means, and ranges in brackets. Agreement: of the operations of two seeds' genotypes, the share that both "
    return [table(titles, rows), faint(note + "have.")]


def _figures(runs: Sequence[Found], part: str) -> list[str]:
    """Runs in spaces of one kind; `part` stands for it where one must do."""
    of = f"of the {part_title(part)}"
    by_method: dict[str, dict[str, list[dict]]] = {run.method: {} for run in runs}
    for run in runs:
        records = [record | {"dominant": joined_dominant(record, run.space)} for record in run.records]
        by_method[run.method][run.name] = records
    derived: dict[str, dict[str, list[Genotype]]] = {run.method: {} for run in runs}
    for run in runs:
        derived[run.method][run.name] = run.derived
    histogram = compare.histogram_info(by_method)
    blocks = []
    if len(runs) <= BESIDE:
        infos = {run.name: dominant_info(run.records, run.space) for run in runs}
        blocks.append(f"<h3>Dominant operations {of}, a panel a run</h3>")
        blocks.append(image(dominant_by_run_figure(infos, part), f"dominant operations {of} over the epochs"))
    blocks += _skips(f"dominant skip connections {of}", compare.skips_info(by_method, part))
    blocks += _skips(f"derived skip connections {of}", compare.derived_skips_info(derived, part))
    blocks += ["<h3>Gates at the end</h3>", image(compare.histogram_figure(histogram), "histogram of the gates")]
    titles = ["gates, %", *(f"{low:.2f}–{low + 0.05:.2f}" for low in compare.BINS[:-1])]
    rows = [[method, *(f"{100 * share:.1f}" for share in shares)] for method, shares in histogram.items()]
    blocks.append(folded("numbers", table(titles, rows)))
    points = tuple((run.weight, _dominant(run)) for run in runs if run.weight is not None)
    if len({weight for weight, _ in points}) > 2:
        blocks.append("<h3>Weight of the zero-one loss</h3>")
        blocks.append(image(compare.sweep_figure(points), "sweep"))
        blocks.append(folded("numbers", table(["weight", "dominant operations"], sorted(points))))
    return blocks


def _skips(what: str, skips: dict[str, dict[str, list[int]]]) -> list[str]:
    """Skip connections over the epochs; `what` they are: 'dominant skip connections of the chain'."""
    lines = [line for seeds in skips.values() for line in seeds.items()]
    longest = max(len(counts) for _, counts in lines)
    rows = [[name, *counts, *[""] * (longest - len(counts))] for name, counts in lines]
    return [
        f"<h3>{what[0].upper()}{what[1:]}, a line a run</h3>",
        image(compare.skips_figure(skips, what.partition(" of the ")[0]), f"{what} over the epochs"),
        folded("numbers, by epoch", table(["run", *range(longest)], rows)),
    ]


def _run(run: Found, detailed: bool) -> list[str]:
    blocks = [*run_head(run.name, f"Recipe {run.recipe}. {run.cost}.", run.ended), cells(run.drawings)]
    if run.genotype and run.genotype.remarks:
        blocks += ["<h3>Notes of the derivation</h3>", listed(run.genotype.remarks)]
    blocks += run_blocks(run.records, run.skips)
    curves = curves_info(run.records)
    if detailed and curves.epochs:
        blocks += ["<h3>Curves</h3>", image(curves_figure(curves), "loss and accuracy over the epochs")]
        lines = zip(curves.epochs, *curves.values.values(), strict=True)
        rows = [[epoch, *("" if isnan(number) else f"{number:.4g}" for number in numbers)] for epoch, *numbers in lines]
        blocks.append(folded("numbers", table(["epoch", *(name.replace("_", " ") for name in curves.values)], rows)))
    blocks += _cost(run)
    dominant = dominant_info(run.records, run.space)
    blocks += ["<h3>Dominant operations</h3>", image(dominant_figure(dominant), "dominant operations over the epochs")]
    titles = ["epoch", *(f"{part} {style.label(op)}" for part in dominant.counts for op in dominant.candidates)]
    rows = np.vstack([dominant.epochs, *dominant.counts.values()]).T.tolist()
    blocks.append(folded("numbers", table(titles, rows)))
    return [*blocks, *(_gates(run) if detailed else []), pre("settings", run.settings)]


def _cost(run: Found) -> list[str]:
    """What was asked, expected and derived; nothing of a search without a cost."""
    if (info := cost_info(run.records)) is None:
        return []
    shown = [cost_figure(info), f"{info.quantity} over the epochs"]
    lines = zip(info.epochs, info.expected, info.derived, strict=True)
    rows = [
        [epoch, f"{expected:.5g}", "–" if isnan(derived) else f"{derived:.5g}"] for epoch, expected, derived in lines
    ]
    numbers = table(["epoch", f"expected {info.quantity}", "derived"], rows)
    return [f"<h3>Cost, with the target {info.target:.5g}</h3>", image(*shown), folded("numbers", numbers)]


def _gates(run: Found) -> list[str]:
    blocks = ["<h3>Gates</h3>", image(heatmap_figure(heatmap_info(run.records, run.space)), "gates at the end")]
    for part in joined_parts(run.space):
        info = evolution_info(run.records, run.space, part)
        blocks.append(image(evolution_figure(info), f"gates of the {part_title(part)}"))
        blocks += _boundaries(info)
        blocks.append(image(stacked_figure(info), f"stacked gates of the {part_title(part)}"))
        rows = []
        for row, column in np.argwhere(info.offered):
            name = f"{info.points.titles[row]} {style.label(info.candidates[column])}"
            rows.append([name, *(f"{gate:.3f}" for gate in info.gates[:, row, column])])
        titles = [f"{part}: {info.points.axis}, operation", *info.epochs]
        blocks.append(folded("numbers, by epoch", table(titles, rows)))
    histogram = compare.histogram_info({run.name: {run.name: run.records}})
    return [*blocks, image(compare.histogram_figure(histogram), "histogram of the gates at the end")]


def _boundaries(info: EvolutionInfo) -> list[str]:
    """The boundary epochs of all choice points; nothing where none has a skip connection."""
    if SKIP not in info.candidates:
        return []
    epochs = ["–" if epoch is None else epoch for epoch in info.boundaries]
    note = "Boundary epoch (FairDARTS, Fig. 3): the first from which on the gate of the skip connection stays above "
    note += "what it was before training, and above the mean of the other gates."
    return [table([info.points.axis, *info.points.labels], [["boundary epoch", *epochs]]), faint(note)]


def _parts(runs: Iterable[Found]) -> tuple[str, ...]:
    """The cells of all their spaces, or all layers of their chains."""
    return tuple(dict.fromkeys(part for run in runs for part in joined_parts(run.space)))


def _of_parts(what: str, parts: tuple[str, ...]) -> list[str]:
    """Titles of columns, one for each part."""
    return [f"{what}, {parts[0]}", *parts[1:]]


def _counts(run: Found, parts: tuple[str, ...], count: Callable[[dict[str, int]], int]) -> list[int | str]:
    """A count of dominant operations at the end for each part, where the run's space has it."""
    dominant = joined_dominant(run.records[-1], run.space)
    return [count(dominant[part]) if part in dominant else "–" for part in parts]


def _derived_skips(run: Found, part: str) -> int | None:
    """Skip connections that are derived at the end; None where the run's space has no such part."""
    return run.derived[-1].skips().get(part)


def _network(run: Found) -> str:
    return f"{run.depth or run.space.depth}, on {size_text(run.space.network.image)} pixels ({run.space.name})"


def _dominant(run: Found) -> int:
    return sum(sum(counts.values()) for counts in run.records[-1]["dominant"].values())


def _spread(values: Sequence[float], digits: int = 1) -> str:
    """'2.5 (1.0–4.0)'."""
    if not values:
        return "–"
    return f"{sum(values) / len(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"
