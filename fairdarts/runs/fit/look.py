"""Which images are there? Their number, sizes and classes, and which of them train, and which judge."""

import csv
import hashlib
import io
import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from fairdarts.config import UserError
from fairdarts.data.examine import THREADS, Head, examine, read_heads
from fairdarts.data.files import ImageFiles, class_folders, class_names
from fairdarts.data.geometry import covering
from fairdarts.data.split import stratified
from fairdarts.runs.callbacks import Callback
from fairdarts.runtime.shape import Size, size_text

LEAST = 3
"""images of a class: one that judges, one for the weights, one for α"""


class Looked(NamedTuple):
    """The images of a folder."""

    classes: tuple[str, ...]
    train: ImageFiles
    """those that train"""
    test: ImageFiles
    """those that judge, and are seen by nothing else"""
    own_test: str | None
    """the folder of the test set, where the images came with one"""
    heads: list[Head]
    """height and width of those that train"""

    @property
    def counts(self) -> dict[str, int]:
        """Training images by class."""
        numbers = Counter(self.train.targets)
        return {name: numbers[number] for number, name in enumerate(self.classes)}

    @property
    def imbalance(self) -> float:
        """The largest class to the smallest, by their training images."""
        counts = self.counts.values()
        return max(counts) / min(counts)


def look(root: Path, test: float, watch: Callback) -> Looked:
    """The images of class folders: those of root/test or root/val judge, or else a share of every class.

    Raises UserError where there are too few, or where files are broken.
    """
    files, _ = class_folders(root, None, least=2)
    place = f"{files.root}"
    own = next((root / name for name in ("test", "val") if _is_test(root / name, files)), None)
    if own:
        judging, _ = class_folders(own, None, least=1)
        for name in judging.classes:
            if name not in files.classes:
                raise UserError(f"{own / name}: is no class of {files.root}")
        judging = judging.relabelled([files.classes.index(name) for name in judging.classes])
        training = files
    else:
        kept, held = stratified(files.targets, 1 - test)
        training, judging = _some(files, kept), _some(files, held)
    counts = Counter(files.targets)
    least = LEAST if own is None else LEAST - 1
    for number, name in enumerate(files.classes):
        if counts[number] < least:
            has = f"{counts[number]} image{'s' * (counts[number] != 1)}, should be {least} or more"
            judges = "" if own else ", and one judges"
            raise UserError(f"{Path(files.root) / name}: {has}: the search trains on two halves{judges}")
    for some in (training, judging):
        examine(
            some.paths, None, place, shown=lambda parts, number: watch.track(parts, number, "looking at the images")
        )
    return Looked(files.classes, training, judging, str(own) if own else None, read_heads(training.paths))


def _is_test(folder: Path, files: ImageFiles) -> bool:
    """Whether a folder is a test set beside root/train."""
    return Path(files.root).name == "train" and folder.is_dir() and bool(class_names(folder))


def _some(files: ImageFiles, indices: Sequence[int]) -> ImageFiles:
    """Some of the images, in their order."""
    samples = [files.samples[index] for index in sorted(indices)]
    return ImageFiles(Path(files.root), files.classes, samples, files.white)


def a_share(files: ImageFiles, number: int, seed: int) -> ImageFiles:
    """So many of the images, about, of every class its share; all where there are no more."""
    if number >= len(files):
        return files
    order = torch.randperm(len(files), generator=torch.Generator().manual_seed(seed)).tolist()
    kept, _ = stratified([files.targets[index] for index in order], number / len(files))
    return _some(files, [order[index] for index in kept])


def copied(seen: Looked, size: Size, folder: Path, watch: Callback) -> Looked:
    """The same images as copies of the size that a network sees, whole and upright, in folders of their classes.

    They are written without loss, so that the network sees of them what it sees of the images themselves.
    """

    def copy(files: ImageFiles, name: str) -> ImageFiles:
        samples = [
            (str(folder / name / files.classes[label] / f"{number}-{_mark(path, size)}.png"), label)
            for number, (path, label) in enumerate(files.samples)
        ]
        for place in {Path(path).parent for path, _ in samples}:
            place.mkdir(parents=True, exist_ok=True)

        def work(number: int) -> None:
            path = Path(samples[number][0])
            if not path.is_file():  # of a fit that was stopped while it copied
                picture, part = files[number][0], path.with_suffix(".part")
                height, width = covering(picture.height, picture.width, size)
                picture.resize((width, height), Image.Resampling.BILINEAR).save(part, format="PNG", compress_level=1)
                part.replace(path)

        with ThreadPoolExecutor(THREADS) as pool:
            for _ in watch.track(pool.map(work, range(len(samples))), len(samples), "copying the images"):
                pass
        return ImageFiles(folder / name, files.classes, samples, files.white)

    train, test = copy(seen.train, "train"), copy(seen.test, "test")
    return seen._replace(train=train, test=test, heads=read_heads(train.paths))


def _mark(path: str, size: Size) -> str:
    """What tells the copy of one image from that of another, or of another size."""
    about = os.stat(path)
    text = f"{os.path.realpath(path)} {about.st_size} {about.st_mtime_ns} {size_text(size)}"
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:8]


def as_csv(files: ImageFiles, folder: Path) -> str:
    """The images as lines PATH,LABEL, the paths as seen from a folder."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for path, label in files.samples:
        writer.writerow([Path(os.path.relpath(path, folder)).as_posix(), files.classes[label]])
    return text.getvalue()


class Sides(NamedTuple):
    """How large images are, in pixels."""

    shorter: float
    """the median of the shorter sides"""
    aspect: float
    """the median of width / height"""
    alike: bool
    """whether four of five have nearly that shape"""


def sides_of(heads: Sequence[Head]) -> Sides:
    """The sides of images, by their heads."""
    width, height = np.array([head[:2] for head in heads], float).T
    aspects = np.log(width / height)
    middle = float(np.median(aspects))
    near = float(np.mean(np.abs(aspects - middle) < np.log(1.2)))
    return Sides(float(np.median(np.minimum(width, height))), float(np.exp(middle)), near >= 0.8)
