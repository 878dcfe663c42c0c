"""Images in files, of class folders or of a list: which there are, and of which class each is."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from torch.utils.data import Dataset

from fairdarts.config import UserError, nearest, plain
from fairdarts.data.images import ENDINGS, is_hidden, read_image
from fairdarts.reading import csv_records, read_text


class ImageFiles(Dataset):
    """Images as RGB, each read when it is asked for, with the numbers of their classes."""

    def __init__(self, root: Path, classes: Sequence[str], samples: list[tuple[str, int]], white: float | None):
        self.root, self.classes, self.samples, self.white = str(root), tuple(classes), samples, white
        self.targets = [label for _, label in samples]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        path, label = self.samples[index]
        return read_image(path, self.white), label

    def relabelled(self, numbers: Sequence[int]) -> "ImageFiles":
        """The same images, of which those of class n are of class numbers[n]."""
        samples = [(path, numbers[label]) for path, label in self.samples]
        return ImageFiles(Path(self.root), self.classes, samples, self.white)

    @property
    def paths(self) -> list[str]:
        """The files, in order."""
        return [path for path, _ in self.samples]


def class_folders(root: Path, white: float | None, least: int) -> tuple[ImageFiles, str]:
    """The images in class folders, at least so many, of root or root/train, and a hash of their names; none is opened.

    Hidden folders and files are no data. `white` is that of `read_image`.
    """
    if not root.is_dir():
        raise UserError(f"data.root: {root}: no such folder")
    inner = root / "train"
    root = inner if inner.is_dir() and class_names(inner) else root
    classes = class_names(root)
    if len(classes) < least:
        wrong = f"class folders (root/CLASS/IMAGE): {len(classes)}, should be at least {least}"
        raise UserError(f"data.root: {root}: {wrong}")
    for name in classes:  # a network is told of them
        if plain(name) != name:
            raise UserError(f"data.root: {root / name}: should be a name in UTF-8 without control characters")

    def is_image(path: str) -> bool:
        hidden = any(map(is_hidden, path[len(str(root)) :].split(os.sep)))
        return not hidden and path.lower().endswith(ENDINGS)

    from torchvision.datasets.folder import make_dataset  # takes a second to import

    numbers = {name: number for number, name in enumerate(classes)}
    samples = make_dataset(str(root), numbers, is_valid_file=is_image, allow_empty=True)
    files = ImageFiles(root, classes, samples, white)
    for index in sorted(set(range(len(classes))) - set(files.targets)):
        empty = root / classes[index]
        raise UserError(f"data.root: {empty}: no image in this class folder{_endings(empty)}")
    return files, _hash("\n".join(path[len(str(root)) :] for path in files.paths))


def class_names(root: Path) -> list[str]:
    """The class folders in a folder, sorted."""
    return sorted(entry.name for entry in root.iterdir() if entry.is_dir() and not is_hidden(entry.name))


def listed(path: Path, white: float | None, classes: Sequence[str] | None, least: int) -> tuple[ImageFiles, str]:
    """The images that a CSV file lists, of at least so many classes, and a hash of names and labels; none is opened.

    A line is PATH,LABEL, the path as seen from the file's folder; the first may be a header. Classes that are not told
    are the labels that there are, sorted: as numbers where all are numbers, else as names. Where they are told, a label
    is one of them, or its position, from 0. Raises UserError naming the line that is wrong.
    """
    rows: dict[str, tuple[str, str]] = {}  # path → place, label
    for number, (place, fields) in enumerate(csv_records(path, read_text(path))):
        if len(fields) != 2 or not all(fields):
            raise UserError(f"{place}: {','.join(fields)[:60]}: should be PATH,LABEL")
        name, label = fields
        if plain(name) != name or plain(label) != label:
            raise UserError(f"{place}: path and label should have no control characters")
        if name in rows:
            raise UserError(f"{place}: {name}: is listed before, in {rows[name][0].rpartition(', ')[2]}")
        if number or name.lower().endswith(ENDINGS) or (path.parent / name).exists():
            rows[name] = place, label
    if not rows:
        raise UserError(f"{path}: lists no images; its lines should be PATH,LABEL")
    names, labels = numbered(list(rows.values()), classes)
    if len(names) < least:
        raise UserError(f"{path}: all images are of class {names[0]}; should be of at least {least} classes")
    samples = [(str(path.parent / name), label) for name, label in zip(rows, labels, strict=True)]
    listing = _hash("\n".join(f"{name},{names[label]}" for name, label in zip(rows, labels, strict=True)))
    return ImageFiles(path.parent, names, samples, white), listing


def numbered(labels: Sequence[tuple[str, str]], classes: Sequence[str] | None) -> tuple[tuple[str, ...], list[int]]:
    """Classes, and the numbers in them of (place, label), as `listed` says."""
    words = {label for _, label in labels}
    names = tuple(classes or sorted(words))
    positions = {name: position for position, name in enumerate(names)}
    if (classes and any(map(_is_number, names))) or not all(map(_is_number, words)):  # labels are names
        for place, label in labels:
            if label not in positions:
                known = f"is none of the {len(names)} classes{nearest(label, names)}"
                raise UserError(f"{place}: label {label}: {known}")
        return names, [positions[label] for _, label in labels]
    numbers = []
    for place, label in labels:
        if not float(label).is_integer():  # nor are inf and nan
            raise UserError(f"{place}: label {label}: should be a name or a whole number")
        if classes and not 0 <= float(label) < len(classes):
            should = f"should be from 0 to {len(classes) - 1}, a position in the {len(classes)} classes told"
            raise UserError(f"{place}: label {label}: {should}")
        numbers.append(int(float(label)))
    if classes:
        return names, numbers
    order = {number: position for position, number in enumerate(sorted(set(numbers)))}
    return tuple(map(str, order)), [order[number] for number in numbers]


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _hash(text: str) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:16]


def _endings(folder: Path) -> str:
    """What is said of a folder that has files, but no image."""
    endings = {path.suffix or path.name for path in folder.rglob("*") if path.is_file() and not is_hidden(path.name)}
    has = f" (it has {', '.join(sorted(endings)[:5])}; images end with {', '.join(ENDINGS)})"
    return has if endings else ""
