"""What `fairdarts segment` does with a trained network: judge it on a data set, segment photographs."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image
from pydantic import Field

from fairdarts.cli.words import Parser, empty_table, print_table, say, to_json, tracked
from fairdarts.config import Settings, UserError, check, describe, parse_overrides, read_yaml
from fairdarts.data.examine import examine
from fairdarts.data.images import read_image
from fairdarts.data.masks import write_mask
from fairdarts.plot.overlay import draw_overlay, overlay_info
from fairdarts.runtime.device import LAYOUTS, pick, use_threads
from fairdarts.runtime.run import Run
from fairdarts.runtime.settings import Compute
from fairdarts.segment.images import Pairs, StillTransform, open_pairs
from fairdarts.segment.model import Segmenter, open_segmenter
from fairdarts.segment.score import score
from fairdarts.segment.settings import Photographs
from fairdarts.segment.task import numbers_of

OVERLAID = 4
"""how many images of a data set are shown with what a network makes of them"""


class JudgeSettings(Settings):
    """What a judgement reads of a run's settings."""

    data: Photographs
    """the images"""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """where to run"""
    threads: int | None = Field(default=None, ge=1, le=1024)
    """CPU threads"""


def judge(argv: Sequence[str]) -> int:
    """Measures a trained network on the images of its run, or on others; gives the exit status."""
    parser = Parser("segment", "Measure a segmentation network: IoU, class by class, and pictures of it.")
    parser.usage = "fairdarts segment --judge RUN [options]"
    parser.epilog = f"every setting of the images is an option:\n{describe(JudgeSettings)}"
    parser.add_argument("--judge", type=Path, metavar="RUN", help="the run of a training, or a checkpoint of it")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where the picture goes (default: RUN/figures)")
    parser.add_argument("--json", action="store_true", help="the numbers as JSON")
    args, rest = parser.parse_known_args(argv)
    run = args.judge.resolve().parent.parent if args.judge.is_file() else args.judge
    photographs, settings = settings_of(run, rest)
    use_threads(settings.threads)
    model, device, split = open_segmenter(args.judge), pick(settings.device), settings.data.val
    if not split:
        raise UserError(f"{run / 'settings.yaml'}: data.val: names no images to judge by; should be a split")
    if settings.data.classes != model.blueprint.classes:
        raise UserError(f"data.classes: {', '.join(settings.data.classes)}: the network has other classes")
    pairs, shown = open_pairs(settings.data, split, "val"), partial(tracked, what="judging")
    compute = Compute(precision="float32")
    network = model.network.to(device, memory_format=LAYOUTS[compute.layout])
    numbers = numbers_of(score(network, pairs, settings.data.workers, device, compute, shown), pairs)
    if args.json:
        facts = {"genotype": model.blueprint.genotype.name, "epoch": model.about.get("epoch"), "images": len(pairs)}
        sys.stdout.write(to_json(facts | {"on": pairs.name} | numbers))
    else:
        say(f"network    {model.blueprint.genotype.name}, epoch {model.about.get('epoch')}")
        say(f"images     {len(pairs):,} {pairs.name} images of {len(pairs.classes)} classes")
        say(f"result     mean IoU {numbers['miou']:.2%}, pixels right {numbers['accuracy']:.2%}")
        show_classes(numbers["iou"])
    # Of the run itself it is the picture that the training has left.
    name = "overlay" if args.judge.is_dir() and settings.data == photographs else f"overlay-{split.replace('/', '-')}"
    ious = list(numbers["iou"].values())
    say(f"figures    {', '.join(map(str, overlay(model, pairs, ious, device, args.out or run / 'figures', name)))}")
    return 0


def settings_of(run: Path, words: Sequence[str]) -> tuple[Photographs, JudgeSettings]:
    """The images of a run, and what the command line makes of its settings."""
    path = run / "settings.yaml"
    if not path.is_file():
        raise UserError(f"{run}: not a run directory: it has no settings.yaml; --judge names a run, or its checkpoint")
    if (verb := Run(run).verb) != "segment":
        raise UserError(f"{run}: is a run of `fairdarts {verb}`, and none of `fairdarts segment`")
    content = read_yaml(path)
    content = {key: content[key] for key in JudgeSettings.model_fields if key in content}
    photographs = check(JudgeSettings, content, path).data
    return photographs, check(JudgeSettings, content, path, parse_overrides(words))


def predict(argv: Sequence[str]) -> int:
    """Segments the images that the words name, into a mask and an overlay of each; gives the exit status."""
    parser = Parser("segment", "Segment photographs: a mask of class numbers and an overlay of each.")
    parser.usage = "fairdarts segment --predict RUN IMAGE … [options]"
    parser.add_argument("--predict", type=Path, metavar="RUN", help="the run of a training, or a checkpoint of it")
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help="a photograph")
    parser.add_argument("--out", type=Path, default=Path("masks"), metavar="FOLDER", help="(default: masks)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to run")
    parser.add_argument("--threads", type=int, help="CPU threads")
    args = parser.parse_args(argv)
    use_threads(args.threads)
    model, device = open_segmenter(args.predict), pick(args.device)
    run = args.predict.resolve().parent.parent if args.predict.is_file() else args.predict
    white = settings_of(run, [])[0].white
    targets = [(args.out / f"{path.stem}.png", f"{path.stem}-overlay") for path in args.images]
    files = [path for mask, name in targets for path in (mask, args.out / f"{name}.png")]
    for path in files:
        if path.exists() or files.count(path) > 1:
            problem = "already exists" if path.exists() else "would be written of two images"
            raise UserError(f"{path}: {problem}; name another --out, or fewer images")
    for path in args.images:  # all of them are looked at before anything is written
        read_image(path, white)
    examine(list(map(str, args.images)), white, "IMAGE")
    args.out.mkdir(parents=True, exist_ok=True)
    for (target, name), (image, mask) in zip(
        targets, predictions(model, (read_image(path, white) for path in args.images), device), strict=True
    ):
        write_mask(target, mask)
        drawn = draw_overlay(overlay_info([image], None, [mask], model.blueprint.classes, None), args.out, name)
        shares = np.bincount(mask.ravel(), minlength=len(model.blueprint.classes)) / mask.size
        parts = sorted(zip(shares, model.blueprint.classes, strict=True), reverse=True)
        classes = ", ".join(f"{name} {share:.0%}" for share, name in parts if share >= 0.005)
        say(f"{', '.join(map(str, [target, *drawn]))}: {classes}")
    return 0


@torch.no_grad()
def predictions(
    model: Segmenter, images: Iterable[Image.Image], device: torch.device
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(the image, uint8 [H, W, 3]; the network's class of every pixel, uint8 [H, W]), one after another."""
    transform, network = StillTransform(), model.network.to(device, memory_format=LAYOUTS["channels_last"])
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


def show_classes(ious: dict[str, float | None]) -> None:
    """A table of the classes' IoU, the worst first, and in the end those that are nowhere."""
    table = empty_table("class", "IoU")
    for name, iou in sorted(ious.items(), key=lambda item: 2 if item[1] is None else item[1]):
        table.add_row(name, "not there" if iou is None else f"{iou:.1%}")
    print_table(table)
