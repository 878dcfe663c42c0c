"""What a trained segmentation network is used for: judged on a data set, class by class, and shown photographs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image

from fairdarts.config import UserError
from fairdarts.data.examine import examine
from fairdarts.data.images import read_image
from fairdarts.data.masks import write_mask
from fairdarts.plot.overlay import draw_overlay, overlay_info
from fairdarts.runs.callbacks import Callbacks, Watches
from fairdarts.runs.judged_data import photographs_of, run_of
from fairdarts.runs.recipe import over
from fairdarts.runs.result import Run
from fairdarts.runs.training import path_of
from fairdarts.runtime.device import LAYOUTS, pick, use_threads
from fairdarts.runtime.settings import Compute
from fairdarts.segmentation.images import Pairs, StillTransform, open_pairs
from fairdarts.segmentation.model import Segmenter, open_segmenter
from fairdarts.segmentation.score import score
from fairdarts.segmentation.task import numbers_of

OVERLAID = 4
"""how many images of a data set are shown with what a network makes of them"""


@dataclass(frozen=True)
class JudgedSegmenter:
    """What a segmentation network is worth on some images. Shares are from 0 to 1."""

    genotype: str
    epoch: int | None
    """after which its weights were saved"""
    images: int
    on: str
    """their split"""
    loss: float
    """mean cross-entropy of a pixel"""
    miou: float
    """mean of the classes' IoU"""
    accuracy: float
    """share of the pixels whose class is right"""
    iou: dict[str, float | None]
    """class → intersection over union; None of a class that is nowhere"""
    draw: Any = field(repr=False, compare=False)
    """draws `overlay`"""
    folder: Path = field(repr=False, compare=False)
    """the figures of its run"""

    def figures(self, out: str | Path | None = None) -> list[Path]:
        """Draws what the network makes of some of the images, into `out` or the figures of its run; gives the files."""
        return list(self.draw(Path(out) if out else self.folder))


def judge_segmenter(
    model: str | Path | Run,
    settings: Mapping[str, Any] | None = None,
    callbacks: Sequence[Watches] | Watches = (),
    **named: Any,
) -> JudgedSegmenter:
    """Judges a segmentation network on the images of its run, or on others: `fairdarts segment --judge`.

    `model` is a run or one of its checkpoints; `settings` are laid over the run's `data`, `device` and `threads`.
    Raises UserError where there are no such images, or no pixel has a class.

    >>> fairdarts.judge_segmenter("runs/voc", {"data.val": "train"}).miou
    """
    watch, path = Callbacks(callbacks), Path(path_of(model))
    run = run_of(path)
    photographs, told = photographs_of(run, over(settings or {}, named))
    use_threads(told.threads)
    segmenter, device, split = open_segmenter(path), pick(told.device), told.data.val
    if not split:
        raise UserError(f"{run / 'settings.yaml'}: data.val: names no images to judge by; should be a split")
    if told.data.classes != segmenter.blueprint.classes:
        raise UserError(f"data.classes: {', '.join(told.data.classes)}: the network has other classes")
    pairs, shown = open_pairs(told.data, split, "val"), partial(watch.track, what="judging")
    compute = Compute(precision="float32")
    network = segmenter.network.to(device, memory_format=LAYOUTS[compute.layout])  # type: ignore[call-overload]
    numbers = numbers_of(score(network, pairs, told.data.workers, device, compute, shown), pairs)
    # Of the run itself it is the picture that the training has left.
    name = "overlay" if path.is_dir() and told.data == photographs else f"overlay-{split.replace('/', '-')}"
    ious = list(numbers["iou"].values())
    return JudgedSegmenter(
        genotype=segmenter.blueprint.genotype.name,
        epoch=segmenter.about.get("epoch"),
        images=len(pairs),
        on=pairs.name,
        **numbers,
        draw=lambda out: overlay(segmenter, pairs, ious, device, out, name),
        folder=run / "figures",
    )


class Predicted(NamedTuple):
    """What a network sees in a photograph."""

    path: Path
    mask: np.ndarray
    """the class of every pixel, uint8 [H, W]"""
    shares: dict[str, float]
    """class → its share of the pixels, the largest first"""
    files: list[Path]
    """what was written of it: the mask, and an overlay"""


def predict_masks(
    model: str | Path | Run,
    images: Sequence[str | Path],
    out: str | Path | None = None,
    device: str = "auto",
    threads: int | None = None,
) -> Iterator[Predicted]:
    """Segments photographs, each when it is asked for: `fairdarts segment --predict`.

    With `out` a mask of class numbers and an overlay of each go into that folder. Raises UserError, before the first
    one is segmented, where a file cannot be read, or one that would be written is there already.

    >>> for seen in fairdarts.predict_masks("runs/voc", ["cat.jpg"], out="masks"):
    ...     seen.mask, seen.shares, seen.files
    """
    use_threads(threads)
    path, paths = Path(path_of(model)), [Path(image) for image in images]
    segmenter, on = open_segmenter(path), pick(device)
    run = run_of(path)
    white = photographs_of(run, {})[0].white
    targets = [(Path(out) / f"{one.stem}.png", f"{one.stem}-overlay") for one in paths] if out is not None else []
    files = [file for mask, name in targets for file in (mask, mask.with_name(f"{name}.png"))]
    for file in files:
        if file.exists() or files.count(file) > 1:
            problem = "already exists" if file.exists() else "would be written of two images"
            raise UserError(f"{file}: {problem}; name another --out, or fewer images")
    for one in paths:  # all of them are looked at before anything is written
        read_image(one, white)
    examine(list(map(str, paths)), white, "IMAGE")
    return _predicted(segmenter, paths, white, targets, on)


def _predicted(
    segmenter: Segmenter,
    paths: Sequence[Path],
    white: float | None,
    targets: Sequence[tuple[Path, str]],
    device: torch.device,
) -> Iterator[Predicted]:
    classes = segmenter.blueprint.classes
    seen = predictions(segmenter, (read_image(path, white) for path in paths), device)
    for number, (path, (image, mask)) in enumerate(zip(paths, seen, strict=True)):
        files = []
        if targets:
            target, name = targets[number]
            target.parent.mkdir(parents=True, exist_ok=True)
            write_mask(target, mask)
            files = [target, *draw_overlay(overlay_info([image], None, [mask], classes, None), target.parent, name)]
        shares = np.bincount(mask.ravel(), minlength=len(classes)) / mask.size
        parts = sorted(zip(shares.tolist(), classes, strict=True), reverse=True)
        yield Predicted(path, mask, {name: share for share, name in parts}, files)


@torch.no_grad()
def predictions(
    model: Segmenter, images: Iterable[Image.Image], device: torch.device
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(the image, uint8 [H, W, 3]; the network's class of every pixel, uint8 [H, W]), one after another."""
    transform, network = StillTransform(), model.network.to(device, memory_format=LAYOUTS["channels_last"])  # type: ignore[call-overload]
    for image in images:
        pixels = np.asarray(image)
        x, _ = transform(image, np.zeros(pixels.shape[:2], np.uint8))
        yield pixels, network(x[None].to(device)).argmax(1)[0].to("cpu", torch.uint8).numpy()


def overlay(
    model: Segmenter,
    pairs: Pairs,
    ious: Sequence[float | None],
    device: torch.device,
    folder: Path,
    name: str = "overlay",
) -> list[Path]:
    """Draws what the network makes of a few images of a data set, spread over it."""
    spread = max(1, len(pairs) // OVERLAID)
    shown = [pairs[index] for index in range(0, len(pairs), spread)][:OVERLAID]
    seen = predictions(model, (image for image, _ in shown), device)
    images, masks = zip(*seen, strict=True)
    info = overlay_info(images, [truth for _, truth in shown], masks, pairs.classes, ious)
    return draw_overlay(info, folder, name)
