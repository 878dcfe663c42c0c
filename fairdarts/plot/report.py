"""What did searches find? One HTML page that needs no network: it opens from disk, and prints."""

import base64
import html
import io
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import matplotlib
from matplotlib.figure import Figure

from fairdarts.genotype import CELLS, Genotype
from fairdarts.plot import compare, style
from fairdarts.plot.curves import PANELS, curves_figure, curves_info
from fairdarts.plot.dominant import dominant_figure, dominant_info
from fairdarts.plot.evolution import evolution_figure, evolution_info
from fairdarts.plot.heatmap import heatmap_figure, heatmap_info
from fairdarts.spaces.cell import CellSpace
from fairdarts.spaces.sample import SKIP

DETAILED = 4  # of more runs, each is shown by its cells and dominant operations alone

STYLE = """
:root { color-scheme: light; --line: #d9dde3; --faint: #5c6670; --link: #1657a8; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1d2329; max-width: 1100px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin: 0 0 .3rem; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .6rem; border-top: 1px solid var(--line); padding-top: 1.2rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; }
p { margin: .4rem 0; max-width: 75ch; }
img { max-width: 100%; height: auto; display: block; margin: .4rem 0; }
table { border-collapse: collapse; font-size: .86rem; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .7rem .2rem 0; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; }
th { font-weight: 600; vertical-align: bottom; white-space: normal; }
details { margin: .4rem 0; }
summary { cursor: pointer; color: var(--link); }
pre { font-size: .8rem; overflow-x: auto; background: #f5f6f8; padding: .8rem; }
.faint { color: var(--faint); }
.wide { overflow-x: auto; }
.figure img { min-width: min(600px, 100% + 240px); }
.cells { display: flex; flex-wrap: wrap; gap: 1rem; }
.cells img { flex: 1 1 420px; min-width: 0; max-height: 420px; object-fit: contain; }
@media print {
  body { max-width: none; margin: 0; font-size: 11px; }
  img, tr, .cells { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  .wide { overflow: visible; }
  .figure img { min-width: 0; }
  table { font-size: 9px; }
}
"""


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
    space: CellSpace
    records: list[dict[str, Any]]
    """to the one whose genotype is kept"""
    ended: str
    """why it stopped early, or how far it is; empty where it took all its epochs"""
    genotype: Genotype | None
    cost: str
    """parameters and multiply-adds of its network, or why there is none"""
    cells: dict[str, str]
    """cell → SVG of its drawing; empty without graphviz"""


def page(runs: Sequence[Found], title: str) -> str:
    """The whole page."""
    parts = [f"<h1>{html.escape(title)}</h1>", _summary(runs)]
    if len(runs) > 1:
        parts += _comparison(runs)
    for run in runs:
        parts += _run(run, detailed=len(runs) <= DETAILED)
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    head += f"<title>{html.escape(title)}</title><style>{STYLE}</style>"
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n' + "\n".join(parts) + "\n</body></html>\n"


def _summary(runs: Sequence[Found]) -> str:
    titles = ["run", "epochs", "accuracy, training", "held out", "dominant, normal", "reduce"]
    titles += ["skip connections, normal", "reduce", "gap before", "gap after", "parameters, multiply-adds"]
    rows = []
    for run in runs:
        first, last = run.records[0], run.records[-1]
        accuracies = [f"{100 * last[key]:.1f} %" if key in last else "–" for key in PANELS["accuracy"]]
        counts = [sum(last["dominant"][cell].values()) for cell in CELLS]
        skips = [last["dominant"][cell].get(SKIP, 0) for cell in CELLS]
        gaps = [f"{compare.gap(record):.3f}" for record in (first, last)]
        short = run.cost.partition(":")[0].replace(" parameters", "").replace(" multiply-adds", "")
        rows.append([run.name, last["epoch"], *accuracies, *counts, *skips, *gaps, short])
    note = "Gap: the mean of min(z, 1 − z) over all gates z, before the first and after the last epoch; 0 where every "
    note += "gate is zero or one. Dominant operations: FairDARTS (arXiv:1911.12126), section 3.2 and footnote 5."
    sizes = {run.space.networks.cifar for run in runs}
    for size in sizes if len(sizes) == 1 else ():
        note += f" Networks: {size.cells} cells, {size.channels} channels, on {size.image}×{size.image} pixels."
    return _table(titles, rows) + f'<p class="faint">{note}</p>'


def _comparison(runs: Sequence[Found]) -> list[str]:
    grouped: dict[str, dict[str, list[dict]]] = {}
    for run in runs:
        grouped.setdefault(run.method, {})[run.name] = run.records
    skips, histogram = compare.skips_info(grouped), compare.histogram_info(grouped)
    parts = ["<h2>Comparison</h2>", "<h3>Dominant skip connections of the normal cell, a line a run</h3>"]
    parts.append(_image(compare.skips_figure(skips), "dominant skip connections over the epochs"))
    longest = max(len(run.records) for run in runs)
    rows = [
        [name, *own, *[""] * (longest - len(own))] for seeds in skips.counts.values() for name, own in seeds.items()
    ]
    parts.append(_folded("numbers, by epoch", _table(["run", *range(longest)], rows)))
    parts += ["<h3>Gates at the end</h3>", _image(compare.histogram_figure(histogram), "histogram of the gates")]
    titles = ["gates, %", *(f"{low:.2f}–{low + 0.05:.2f}" for low in compare.BINS[:-1])]
    rows = [[method, *(f"{100 * share:.1f}" for share in shares)] for method, shares in histogram.shares.items()]
    parts.append(_folded("numbers", _table(titles, rows)))
    points = tuple((run.weight, _dominant(run)) for run in runs if run.weight is not None)
    if len({weight for weight, _ in points}) > 2:
        parts += [
            "<h3>Weight of the zero-one loss</h3>",
            _image(compare.sweep_figure(compare.SweepInfo(points)), "sweep"),
        ]
        parts.append(_folded("numbers", _table(["weight", "dominant operations"], sorted(points))))
    parts.append("<h3>Methods</h3>")
    rows = []
    for method in grouped:
        own = [run for run in runs if run.method == method]
        last = [run.records[-1] for run in own]
        alike = compare.agreement([run.genotype for run in own if run.genotype])
        rows.append(
            [
                method,
                len(own),
                *(_spread([record["dominant"][cell].get(SKIP, 0) for record in last]) for cell in CELLS),
                _spread([_dominant(run) for run in own]),
                _spread([compare.gap(record) for record in last], 3),
                _spread([100 * record["valid_accuracy"] for record in last if "valid_accuracy" in record]),
                "–" if alike is None else f"{100 * alike:.0f} %",
            ]
        )
    titles = [
        "method",
        "runs",
        "skip connections, normal",
        "reduce",
        "dominant operations",
        "gap after",
        "held-out accuracy, %",
        "agreement",
    ]
    note = (
        "Means, and ranges in brackets. Agreement: of the operations of two seeds' genotypes, the share that both have."
    )
    return [*parts, _table(titles, rows), f'<p class="faint">{note}</p>']


def _run(run: Found, detailed: bool) -> list[str]:
    parts = [f"<h2>{html.escape(run.name)}</h2>", f"<p>Recipe {html.escape(run.recipe)}. {html.escape(run.cost)}.</p>"]
    if run.ended:
        parts.append(f"<p><b>{html.escape(run.ended[:1].upper() + run.ended[1:])}.</b></p>")
    drawings = "".join(_svg_image(svg, f"{cell} cell") for cell, svg in run.cells.items())
    parts.append(f'<div class="cells">{drawings}</div>')
    curves = curves_info(run.records)
    if detailed and curves.epochs:
        parts += ["<h3>Curves</h3>", _image(curves_figure(curves), "loss and accuracy over the epochs")]
        rows = [
            [epoch, *(f"{own[at]:.4g}" for own in curves.values.values())] for at, epoch in enumerate(curves.epochs)
        ]
        parts.append(_folded("numbers", _table(["epoch", *(name.replace("_", " ") for name in curves.values)], rows)))
    dominant = dominant_info(run.records, run.space)
    parts += ["<h3>Dominant operations</h3>", _image(dominant_figure(dominant), "dominant operations over the epochs")]
    titles = ["epoch", *(f"{cell} {style.label(op)}" for cell in CELLS for op in dominant.candidates)]
    rows = [
        [epoch, *(int(n) for cell in CELLS for n in dominant.counts[cell][:, at])]
        for at, epoch in enumerate(dominant.epochs)
    ]
    parts.append(_folded("numbers", _table(titles, rows)))
    if detailed:
        parts += ["<h3>Gates</h3>", _image(heatmap_figure(heatmap_info(run.records, run.space)), "gates at the end")]
        for cell in CELLS:
            info = evolution_info(run.records, run.space, cell)
            parts.append(_image(evolution_figure(info), f"gates of the {cell} cell"))
            rows = [
                [f"({node}, {source}) {style.label(op)}", *(f"{gate:.3f}" for gate in info.gates[:, row, column])]
                for row, (node, source) in enumerate(info.edges)
                for column, op in enumerate(info.candidates)
            ]
            parts.append(_folded("numbers, by epoch", _table([f"{cell}: edge, operation", *info.epochs], rows)))
        histogram = compare.histogram_info({run.name: {run.name: run.records}})
        parts.append(_image(compare.histogram_figure(histogram), "histogram of the gates at the end"))
    return [*parts, _folded("settings", f"<pre>{html.escape(run.settings)}</pre>")]


def _dominant(run: Found) -> int:
    return sum(sum(run.records[-1]["dominant"][cell].values()) for cell in CELLS)


def _spread(values: Sequence[float], digits: int = 1) -> str:
    """'2.5 (1.0–4.0)'."""
    if not values:
        return "–"
    return f"{sum(values) / len(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def _table(titles: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    head = "".join(f"<th>{html.escape(str(title))}</th>" for title in titles)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _folded(title: str, content: str) -> str:
    return f"<details><summary>{html.escape(title)}</summary>{content}</details>"


def _image(figure: Figure, alt: str) -> str:
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "fairdarts"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return f'<div class="wide figure">{_svg_image(buffer.getvalue(), alt)}</div>'


def _svg_image(svg: str, alt: str) -> str:
    """An SVG as an image of its own: in one page, the ids of several would clash."""
    data = base64.b64encode(svg.encode()).decode()
    return f'<img alt="{html.escape(alt)}" src="data:image/svg+xml;base64,{data}">'
