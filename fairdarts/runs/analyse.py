"""Training curves of supernets, how alike the choices of a layer are, and Lemma 2.1."""

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from fairdarts.config import UserError
from fairdarts.data.serve import evaluation_batches
from fairdarts.data.split import halves
from fairdarts.oneshot.similarity import feature_maps, likeness, similarity
from fairdarts.oneshot.state import load_weights
from fairdarts.oneshot.train import held_out_images, make_learner
from fairdarts.plot.lemma import draw_lemma
from fairdarts.plot.similarity import draw_similarity
from fairdarts.plot.supernet import draw_trainings
from fairdarts.ranking.report import open_training, recipes_told_apart
from fairdarts.runs.callbacks import Callback, Callbacks, Watches
from fairdarts.runs.data import see
from fairdarts.runs.rank import once_each
from fairdarts.runs.result import Run
from fairdarts.runtime import run as folder
from fairdarts.runtime.device import LAYOUTS, pick, use_threads
from fairdarts.spaces.chain import ChainSpace

CHOICES = (2, 3, 4, 5, 6)
"""numbers of choices that Lemma 2.1 is drawn for"""
IMAGES = 64
"""images that feature maps are compared on"""


class Analysis(NamedTuple):
    """What runs tell."""

    likeness: dict[Path, list[float]]
    """run → mean cosine of the feature maps of different choices, layer by layer; of chains alone"""
    figures: list[Path]
    """the files that were drawn"""


def analyse(
    runs: Run | str | Path | Sequence[Run | str | Path] = (),
    layer: int = 0,
    seed: int = 0,
    root: str | None = None,
    out: str | Path | None = None,
    data: Any = None,
    callbacks: Sequence[Watches] | Watches = (),
) -> Analysis:
    """Draws what trained supernets tell, as `fairdarts rank --analyse` does; without a run, Lemma 2.1 alone.

    Feature maps are those of the choices of every layer behind a path that `seed` draws, and those of `layer` are
    drawn. `root` is the folder of the images where it is no longer that of the runs. Figures go into `out`, or the
    run's own; those of several runs into figures/. Raises UserError where a space has no such layer.

    >>> fairdarts.analyse("runs/mine").likeness
    """
    several = [runs] if isinstance(runs, Run | str | Path) else runs
    paths = [run.path if isinstance(run, Run) else Path(run) for run in several]
    opened = [folder.open_run(path) for path in (once_each(paths) if paths else ())]
    place = Path(out) if out else opened[0].figures if len(opened) == 1 else Path("figures")
    figures = draw_lemma(CHOICES, place)
    if opened:
        named = zip(recipes_told_apart(opened), (run.records() for run in opened), strict=True)
        figures += draw_trainings(list(named), place)
    cosines: dict[Path, list[float]] = {}
    for run in opened:
        own = run.figures if not out else place if len(opened) == 1 else place / run.path.name
        found, drawn = _compared(run, layer, seed, root, data, own, Callbacks(callbacks))
        cosines |= {run.path: found} if found else {}
        figures += drawn
    return Analysis(cosines, figures)


def _compared(
    run: folder.RunDirectory, layer: int, seed: int, root: str | None, handed: Any, place: Path, watch: Callback
) -> tuple[list[float], list[Path]]:
    """How alike the choices of every layer are, and a drawing of one layer's; nothing for a space without layers."""
    settings, space = open_training(run)
    if not isinstance(space, ChainSpace):
        watch.note(f"{run.path}: space {space.name} has no layers whose choices could be compared")
        return [], []
    if not 0 <= layer < len(space.choices):
        raise UserError(f"rank: --layer {layer}: should be from 0 to {len(space.choices) - 1} in space {space.name}")
    named = settings.data.model_copy(update={"root": root}) if root else settings.data
    use_threads(settings.threads)
    settings, source = see(settings.model_copy(update={"data": named}), handed, watch)
    data, device = settings.data, pick(settings.device)
    learner = make_learner(settings, space, source, device)
    load_weights(learner.supernet, run)
    held_out = held_out_images(settings, halves(data, source, settings.seed)[1], IMAGES)
    layout = LAYOUTS[settings.compute.layout]
    batches = [images for images, _ in evaluation_batches(source, data, held_out, device, layout)]
    path = space.random_path(Random(seed).randrange)
    found = [
        similarity(feature_maps(learner.supernet, number, path, images) for images in batches)
        for number in range(len(space.choices))
    ]
    per_channel, within, across = (part.cpu().numpy() for part in found[layer])
    figures = draw_similarity(space.choices[layer], layer, per_channel, across, within, place)
    return list(map(likeness, found)), figures
