"""What are trained networks worth? The part of a report that tells of stand-alone trainings."""

import html
from collections.abc import Sequence
from typing import Any, NamedTuple

from fairdarts.plot.document import faint, folded, image, svg_image, table
from fairdarts.plot.points import part_title
from fairdarts.plot.training import network_figure, network_info

WORDS = {"top1": "top-1", "top5": "top-5", "miou": "mean IoU", "accuracy": "pixels right"}
"""what a result is → what it is called"""


class Training(NamedTuple):
    """The training of one network."""

    name: str
    recipe: str
    genotype: str
    settings: str
    """its settings.yaml"""
    records: list[dict[str, Any]]
    ended: str
    """how far it is; empty where it took all its epochs"""
    results: dict[str, Any]
    """its results.json; empty where there is none"""
    drawings: dict[str, str]
    """part of the space → SVG of its genotype; empty without graphviz"""


def trainings(runs: Sequence[Training]) -> list[str]:
    """A table of all, and every one by itself."""
    titles = ("run", "genotype", "epochs", "training loss", "judged by", "last epoch", "best epoch")
    note = "A best epoch that was chosen by the very images it is judged by is marked ∗: its numbers are too good."
    marked = any(run.results and run.results["best_by"] == run.results["on"] for run in runs)
    parts = [table(titles, [_row(run) for run in runs]), *([faint(note)] if marked else [])]
    for run in runs:
        parts += _run(run)
    return parts


def _row(run: Training) -> list[object]:
    last, results = run.records[-1], run.results
    judge = f"{results['images']:,} {results['on']} images" if results else "–"
    told = [_told(results.get(which)) for which in ("last", "best")]
    told[1] += " ∗" if results and "best" in results and results["best_by"] == results["on"] else ""
    return [run.name, run.genotype, last["epoch"], f"{last['train_loss']:.3f}", judge, *told]


def _told(result: dict[str, Any] | None) -> str:
    """'top-1 93.10 %, top-5 99.80 % (epoch 12)'."""
    if not result:
        return "–"
    known = ", ".join(f"{word} {100 * result[key]:.2f} %" for key, word in WORDS.items() if key in result)
    return f"{known} (epoch {result['epoch']})"


def _run(run: Training) -> list[str]:
    blocks = [f"<h2>{html.escape(run.name)}</h2>"]
    blocks.append(f"<p>{html.escape(run.genotype)}, by recipe {html.escape(run.recipe)}.</p>")
    if run.ended:
        blocks.append(f"<p><b>{html.escape(run.ended[:1].upper() + run.ended[1:])}.</b></p>")
    blocks += [
        "<h3>Training</h3>",
        image(network_figure(network_info(run.records)), "loss and accuracy over the epochs"),
    ]
    keys = list(dict.fromkeys(key for own in run.records for key, value in own.items() if isinstance(value, float)))
    rows = [[own["epoch"], *(f"{own[key]:.4g}" if key in own else "" for key in keys)] for own in run.records]
    blocks.append(folded("numbers, by epoch", table(["epoch", *(key.replace("_", " ") for key in keys)], rows)))
    ious = run.results.get("last", {}).get("iou")
    if ious:
        rows = [[name, "–" if own is None else f"{100 * own:.1f}"] for name, own in ious.items()]
        blocks.append(folded("IoU of every class, last epoch", table(("class", "IoU, %"), rows)))
    drawings = "".join(svg_image(svg, part_title(part)) for part, svg in run.drawings.items())
    if drawings:
        blocks += [
            "<h3>Network</h3>",
            f'<div class="{"cells" if len(run.drawings) > 1 else "wide figure"}">{drawings}</div>',
        ]
    return [*blocks, folded("settings", f"<pre>{html.escape(run.settings)}</pre>")]
