"""What `fairdarts segment` does with a trained network: judge it on a data set, segment photographs."""

import json
from argparse import Namespace
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table

from fairdarts.cli.words import print_table, say
from fairdarts.config import UserError, check, parse_overrides, read_yaml
from fairdarts.data.masks import write_mask
from fairdarts.data.sources import read_image
from fairdarts.plot.overlay import draw_overlay
from fairdarts.runtime.device import LAYOUTS, pick, use_threads
from fairdarts.segment.images import Pairs, StillTransform, open_pairs
from fairdarts.segment.model import Model, open_segmenter
from fairdarts.segment.score import score
from fairdarts.segment.settings import SegmentSettings
from fairdarts.segment.task import numbers_of

OVERLAID = 4
"""how many images of a data set are shown with what a network makes of them"""


def judge(args: Namespace, rest: Sequence[str]) -> int:
    """Measures a trained network on the images of its run, or on others; gives the exit status."""
    path = args.judge / "settings.yaml"
    if not path.is_file():
        raise UserError(f"{args.judge}: not a run directory: it has no settings.yaml")
    settings = check(SegmentSettings, read_yaml(path), path, parse_overrides(rest))
    use_threads(settings.threads)
    model, device = open_segmenter(args.judge), pick(settings.device)
    if not settings.data.val:
        raise UserError(f"{path}: data.val: names no images to judge by; name a split: --data.val SPLIT")
    if settings.data.classes != model.blueprint.classes:
        raise UserError(f"data.classes: {', '.join(settings.data.classes)}: the network has other classes")
    pairs, console = open_pairs(settings.data, settings.data.val, "val"), Console(stderr=True)
    bar = partial(track, description="judging", console=console, transient=True)
    shown = {"shown": lambda batches, count: bar(batches, total=count)} if console.is_terminal else {}
    network = model.network.to(device, memory_format=LAYOUTS["channels_last"])
    numbers = numbers_of(score(network, pairs, settings.data.workers, device, "float32", **shown), pairs)
    if args.json:
        told = {"genotype": model.blueprint.genotype.name, "epoch": model.about.get("epoch"), "images": len(pairs)}
        print(json.dumps(told | {"on": pairs.name} | numbers, indent=1, ensure_ascii=False))
    else:
        say(f"network    {model.blueprint.genotype.name}, epoch {model.about.get('epoch')}")
        say(f"images     {len(pairs):,} {pairs.name} images of {len(pairs.classes)} classes")
        say(f"result     mean IoU {numbers['miou']:.2%}, pixels right {numbers['accuracy']:.2%}")
        show_classes(numbers["iou"])
    drawn = overlay(model, pairs, list(numbers["iou"].values()), device, args.out or args.judge / "figures")
    say(f"figures    {', '.join(map(str, drawn))}")
    return 0


def predict(args: Namespace, rest: Sequence[str]) -> int:
    """Segments the images that the words name, into a mask and an overlay of each; gives the exit status."""
    for word in rest:
        if word.startswith("-"):
            raise UserError(f"segment: --predict RUN is followed by images and --out FOLDER, not by {word}")
    if not rest:
        raise UserError(f"segment: --predict {args.predict}: name the images behind it")
    names = [Path(word).stem for word in rest]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"segment: two images are called {name}, and would be written into the same file")
    model, folder, device = open_segmenter(args.predict), args.out or Path("masks"), pick("auto")
    folder.mkdir(parents=True, exist_ok=True)
    images = (read_image(word) for word in rest)
    for name, (image, mask) in zip(names, predictions(model, images, device), strict=True):
        written = [folder / f"{name}.png"]
        write_mask(written[0], mask)
        written += draw_overlay([image], None, [mask], model.blueprint.classes, None, folder, f"{name}-overlay")
        present = np.bincount(mask.ravel(), minlength=len(model.blueprint.classes)) / mask.size
        parts = sorted(zip(present, model.blueprint.classes, strict=True), reverse=True)
        told = ", ".join(f"{own} {share:.0%}" for share, own in parts if share >= 0.005)
        say(f"{', '.join(map(str, written))}: {told}")
    return 0


@torch.no_grad()
def predictions(
    model: Model, images: Iterator[Image.Image], device: torch.device
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(the image, uint8 [H, W, 3]; the network's class of every pixel, uint8 [H, W]), one after another."""
    transform, network = StillTransform(), model.network.to(device, memory_format=LAYOUTS["channels_last"])
    for image in images:
        pixels = np.asarray(image)
        x, _ = transform(image, np.zeros(pixels.shape[:2], np.uint8))
        yield pixels, network(x[None].to(device)).argmax(1)[0].to("cpu", torch.uint8).numpy()


def overlay(model: Model, pairs: Pairs, ious: Sequence[float | None], device: torch.device, folder: Path) -> list[Path]:
    """Draws what the network makes of a few images of a data set, spread over it."""
    spread = max(1, len(pairs) // OVERLAID)
    shown = [pairs[index] for index in range(0, len(pairs), spread)][:OVERLAID]
    seen = predictions(model, (image for image, _ in shown), device)
    images, masks = zip(*seen, strict=True)
    return draw_overlay(images, [truth for _, truth in shown], masks, pairs.classes, ious, folder)


def show_classes(ious: dict[str, float | None]) -> None:
    """A table of the classes' IoU, the worst first."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("class")
    table.add_column("IoU", justify="right")
    for name, own in sorted(ious.items(), key=lambda item: -1 if item[1] is None else item[1]):
        table.add_row(name, "not there" if own is None else f"{own:.1%}")
    print_table(table)
