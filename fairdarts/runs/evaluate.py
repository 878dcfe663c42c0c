"""What a trained network is worth on a data set, class by class."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import isnan
from pathlib import Path
from statistics import fmean
from typing import Any

from torch import Tensor

from fairdarts.networks.foreign import Weights
from fairdarts.networks.published import open_model
from fairdarts.runs.callbacks import Callbacks, Watches
from fairdarts.runs.data import examine_images, see
from fairdarts.runs.judged_data import Split, read_data
from fairdarts.runs.judged_images import as_trained, judged_images
from fairdarts.runs.recipe import Recipe
from fairdarts.runs.result import Run
from fairdarts.runs.training import path_of
from fairdarts.runtime.device import LAYOUTS, pick, use_threads
from fairdarts.runtime.settings import Compute
from fairdarts.training.score import score


@dataclass(frozen=True, eq=False)
class Judged:
    """What a trained network is worth on some images. Shares are from 0 to 1."""

    genotype: str
    epoch: int | None
    """after which its weights were saved, where that is known"""
    images: int
    on: str
    """which they are: test, held-out, training or other"""
    top1: float
    """share of the images whose class it names first"""
    top5: float
    """share of the images whose class is among its first five, or all where there are fewer"""
    loss: float
    """mean cross-entropy"""
    classes: tuple[str, ...]
    by_class: dict[str, float]
    """class → share of its images that are recognized; NaN where there are none"""
    confusion: Tensor = field(repr=False)
    """images by true and by predicted class [classes, classes], integers"""
    chose_epoch: bool = False
    """whether these very images chose the epoch that is judged, so that its accuracy is a little too good"""
    folder: Path = field(default=Path("figures"), repr=False)
    """the figures of its run, or where there is none those of the current folder"""

    @property
    def balanced(self) -> float:
        """The mean of `by_class` over the classes that have images: top-1, did all have the same number."""
        return fmean(share for share in self.by_class.values() if not isnan(share))

    def figures(self, out: str | Path | None = None) -> list[Path]:
        """Draws which class it takes for which, into `out` or `folder`; gives the files."""
        from fairdarts.plot.confusion import draw_confusion  # here, as matplotlib takes a second to load

        return draw_confusion(self.classes, self.confusion.numpy(), Path(out) if out else self.folder)


def evaluate(
    model: str | Path | Run,
    data: Any = None,
    recipe: Recipe | None = None,
    split: Split | None = None,
    weights: Weights = "auto",
    genotype: str | None = None,
    settings: Mapping[str, Any] | None = None,
    device: str = "auto",
    threads: int | None = None,
    callbacks: Sequence[Watches] | Watches = (),
) -> Judged:
    """Judges a trained network on images: `fairdarts evaluate`.

    `model` is the run of a training, a checkpoint, a .safetensors file, or one that its authors released, of which
    `genotype` names the model. The images are those of its run, those of a recipe, or `data` of one's own (see
    docs/data.md); `settings` of them are laid over by dotted key, `{"data.root": "photos"}`. `split` None takes the
    test set, or where there is none the images held out of training. Raises UserError where there are no such images,
    or they are of other classes than the network knows.

    >>> judged = fairdarts.evaluate("runs/mine", split="held-out")
    >>> judged.top1, judged.by_class, judged.figures()
    """
    watch, path = Callbacks(callbacks), Path(path_of(model))
    use_threads(threads)
    asked, began = read_data(path, recipe, data, settings or {})
    on, (asked, source) = pick(device), see(asked, data, watch, least=1)
    images_of = asked.data
    trained = open_model(path, weights, genotype)
    blueprint, about = trained.blueprint, trained.about
    images = judged_images(path, split, images_of, source, began, blueprint, watch)
    examine_images(images_of, images.source, watch, images.indices)
    images = images._replace(source=as_trained(images.source, blueprint))
    compute = Compute(precision="float32")
    network = trained.network.to(on, memory_format=LAYOUTS[compute.layout])  # type: ignore[call-overload]
    seen = score(network, images, images_of, on, compute, partial(watch.track, what="judging"))
    classes = images.source.classes
    return Judged(
        genotype=blueprint.genotype.name,
        epoch=about.get("epoch"),
        images=seen.images,
        on=images.name,
        top1=seen.top1,
        top5=seen.top5,
        loss=seen.loss,
        classes=classes,
        by_class=dict(zip(classes, seen.by_class(), strict=True)),
        confusion=seen.confusion,
        chose_epoch=about.get("file") == "best.pt" and about.get("judged_on") == images.name,
        folder=path / "figures" if path.is_dir() else Path("figures"),
    )
