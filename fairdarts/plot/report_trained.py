"""What are trained networks worth? The part of a report that tells of stand-alone trainings."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from fairdarts.plot.document import by_epoch, cells, faint, folded, image, pre, run_head, table
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
    numbers = [_numbers(results.get(which)) for which in ("last", "best")]
    numbers[1] += " ∗" if results and "best" in results and results["best_by"] == results["on"] else ""
    return [run.name, run.genotype, last["epoch"], f"{last['train_loss']:.3f}", judge, *numbers]


def _numbers(result: dict[str, Any] | None) -> str:
    """'top-1 93.10 %, top-5 99.80 % (epoch 12)'."""
    if not result:
        return "–"
    known = ", ".join(f"{word} {100 * result[key]:.2f} %" for key, word in WORDS.items() if key in result)
    return f"{known} (epoch {result['epoch']})"


def _run(run: Training) -> list[str]:
    blocks = run_head(run.name, f"{run.genotype}, by recipe {run.recipe}.", run.ended)
    curves = image(network_figure(network_info(run.records)), "loss and accuracy over the epochs")
    numbers = (key for record in run.records for key, value in record.items() if isinstance(value, float))
    blocks += ["<h3>Training</h3>", curves, by_epoch(run.records, list(dict.fromkeys(numbers)))]
    ious = run.results.get("last", {}).get("iou")
    if ious:
        rows = [[name, "–" if iou is None else f"{100 * iou:.1f}"] for name, iou in ious.items()]
        blocks.append(folded("IoU of every class, last epoch", table(("class", "IoU, %"), rows)))
    blocks += ["<h3>Network</h3>", cells(run.drawings)] if run.drawings else []
    return [*blocks, pre("settings", run.settings)]
