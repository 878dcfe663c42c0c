"""`fairdarts rank --analyse`: training curves, how alike the choices of a layer are, and Lemma 2.1."""

from collections.abc import Sequence
from pathlib import Path
from random import Random

from fairdarts.cli.recipe import open_images
from fairdarts.cli.words import say
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
from fairdarts.runtime.device import LAYOUTS, pick, use_threads
from fairdarts.runtime.run import Run, open_run
from fairdarts.spaces.chain import ChainSpace

CHOICES = (2, 3, 4, 5, 6)
"""numbers of choices that Lemma 2.1 is drawn for"""
IMAGES = 64
"""images that feature maps are compared on"""


def analyse(paths: Sequence[Path], layer: int, seed: int, root: str | None, out: Path | None) -> int:
    """Draws and lists what the runs tell; without a run, Lemma 2.1 alone. Gives the exit status."""
    runs = [open_run(path) for path in paths]
    folder = out or (runs[0].figures if len(runs) == 1 else Path("figures"))
    figures = draw_lemma(CHOICES, folder)
    if runs:
        named = zip(recipes_told_apart(runs), (run.records() for run in runs), strict=True)
        figures += draw_trainings(list(named), folder)
    for run in runs:
        figures_folder = run.figures if not out else out if len(runs) == 1 else out / run.path.name
        figures += compared(run, layer, seed, root, figures_folder)
    for figure in figures:
        print(figure)
    return 0


def compared(run: Run, layer: int, seed: int, root: str | None, folder: Path) -> list[Path]:
    """Says how alike the choices of every layer are, and draws one layer's; nothing for a space without layers."""
    settings, space = open_training(run)
    if not isinstance(space, ChainSpace):
        say(f"{run.path}: space {space.name} has no layers whose choices could be compared")
        return []
    if not 0 <= layer < len(space.choices):
        raise UserError(f"rank: --layer {layer}: should be from 0 to {len(space.choices) - 1} in space {space.name}")
    data = settings.data.model_copy(update={"root": root}) if root else settings.data
    use_threads(settings.threads)
    source, device = open_images(data), pick(settings.device)
    learner = make_learner(settings, space, source, device)
    load_weights(learner.supernet, run)
    held_out = held_out_images(settings, halves(data, source, settings.seed)[1], IMAGES)
    layout = LAYOUTS[settings.compute.layout]
    batches = [images for images, _ in evaluation_batches(source, data, held_out, device, layout)]
    path, found = space.random_path(Random(seed).randrange), []
    for number in range(len(space.choices)):
        maps = (feature_maps(learner.supernet, number, path, images) for images in batches)
        found.append(similarity(maps))
        print(f"{run.path}  layer {number:>2}  cosine of choices {likeness(found[-1]):.3f}")
    per_channel, within, across = (part.cpu().numpy() for part in found[layer])
    return draw_similarity(space.choices[layer], layer, per_channel, across, within, folder)
