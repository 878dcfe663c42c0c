"""How does COCO become a set of segmentation with VOC's classes? DeepLab trains on it before VOC.

As in torchvision's references (references/segmentation/coco_utils.py), which train DeepLab too: the 20 categories that
both have, images on which they cover more than 1,000 pixels. All else is background.
"""

import json
from collections import defaultdict
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from fairdarts.config import UserError
from fairdarts.data.images import opened, orientation, turned
from fairdarts.data.masks import write_mask
from fairdarts.data.settings import IGNORED
from fairdarts.reading import read_text
from fairdarts.runtime.checkpoint import write_atomically

CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable",
    "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
"""of PASCAL VOC, in the order of its masks"""

RENAMED = {
    "airplane": "aeroplane",
    "dining table": "diningtable",
    "motorcycle": "motorbike",
    "potted plant": "pottedplant",
    "couch": "sofa",
    "tv": "tvmonitor",
}
"""COCO's name → VOC's, where they differ"""

LEAST = 1000
"""pixels of VOC's classes that an image has more of"""


class Scene(NamedTuple):
    """An image and what is annotated on it."""

    place: str
    """where it stands, for messages"""
    file: str
    """name of the picture"""
    size: tuple[int, int]
    """width and height"""
    objects: list[tuple[int, dict]]
    """class of VOC and annotation, of those that have one"""


class Converted(NamedTuple):
    """What was written."""

    names: Path
    """file that lists the images written"""
    kept: int
    """images written"""
    seen: int
    """images of the annotations"""


def convert(
    annotations: Path, images: Path, out: Path, split: str, watch: Callable[[int, int], None] = lambda done, count: None
) -> Converted:
    """Writes COCO's `annotations` (instances_*.json) of the pictures in the folder `images` as VOC's folders in `out`.

    JPEGImages/NAME.jpg is a link to the picture, SegmentationClass/NAME.png the classes of its pixels, and
    ImageSets/Segmentation/SPLIT.txt lists the names. The list is written last: where it is, all is. `watch` is called
    with the images done and the number of all.
    Raises UserError naming the file and the place in it that is wrong, or the picture, or where no image is kept.
    """
    if find_spec("pycocotools") is None:
        raise UserError("pycocotools: is missing: pip install 'fairdarts[deeplab]'")
    if split in ("", "..") or Path(split).name != split:
        raise UserError(f"split: '{split}': should be a name such as train")
    scenes, kept = read(annotations), []
    links, masks, lists = out / "JPEGImages", out / "SegmentationClass", out / "ImageSets" / "Segmentation"
    for folder in (links, masks, lists):
        folder.mkdir(parents=True, exist_ok=True)
    for done, scene in enumerate(scenes, 1):
        picture = images / scene.file
        mask = as_shown(draw(scene), picture, scene)
        if np.isin(mask, (0, IGNORED), invert=True).sum() > LEAST:
            link = links / f"{picture.stem}.jpg"
            if not link.exists():
                link.unlink(missing_ok=True)  # it led to where the pictures were before
                link.symlink_to(picture.resolve())
            write_mask(masks / f"{picture.stem}.png", mask)
            kept.append(picture.stem)
        watch(done, len(scenes))
    if not kept:
        raise UserError(f"{annotations}: no image has more than {LEAST:,} pixels of VOC's classes")
    names = lists / f"{split}.txt"
    write_atomically(names, "".join(f"{name}\n" for name in kept).encode())
    return Converted(names, len(kept), len(scenes))


def read(path: Path) -> list[Scene]:
    """The images of a file of annotations. Raises UserError naming the place in it that is wrong."""
    try:
        content = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not valid JSON: {error}") from None
    known = {}
    for category in _get(content, "categories", str(path), list):
        name = _get(category, "name", place := f"{path}: categories", str)
        if (name := RENAMED.get(name, name)) in CLASSES:
            known[_get(category, "id", place, int)] = CLASSES.index(name)
    if not known:
        raise UserError(f"{path}: categories: none of them is a class of VOC, such as person")
    objects = defaultdict(list)
    for item in _get(content, "annotations", str(path), list):
        number = known.get(_get(item, "category_id", place := f"{path}: annotations", int))
        if number is not None:
            objects[_get(item, "image_id", place, int)].append((number, item))
    scenes, stems, numbers = [], set(), set()
    for image in _get(content, "images", str(path), list):
        number = _get(image, "id", f"{path}: images", int)
        file = _get(image, "file_name", place := f"{path}: image {number}", str)
        size = tuple(_get(image, key, place, int) for key in ("width", "height"))
        if number in numbers:
            raise UserError(f"{place}: id: another image has this number, so its objects would be on both")
        if Path(file).stem in stems:
            raise UserError(f"{place}: file_name: {file}: another image has this name, so its mask would be lost")
        stems.add(Path(file).stem)
        numbers.add(number)
        scenes.append(Scene(place, file, size, objects[number]))
    return scenes


def draw(scene: Scene) -> np.ndarray:
    """Classes of the pixels [H, W], uint8.

    Where objects of different classes overlap, pixels are ignored: COCO does not say which of them is in front. So is
    what COCO calls a crowd, a region roughly outlined, but for the objects in it. Raises UserError where an outline is
    none.
    """
    width, height = scene.size
    classes, crowded = np.zeros((height, width), np.uint8), np.zeros((height, width), bool)
    for number, item in scene.objects:
        inside = _inside(item, scene)
        if item.get("iscrowd"):
            crowded |= inside
        else:
            before = classes[inside]
            classes[inside] = np.where((before == 0) | (before == number), number, IGNORED)
    classes[crowded & (classes == 0)] = IGNORED
    return classes


def _inside(item: dict, scene: Scene) -> np.ndarray:
    """The pixels of an annotation [H, W], bool."""
    from pycocotools import mask as coco

    place = f"{scene.place}: annotation {item.get('id')}"
    outline = _get(item, "segmentation", place, (list, dict))
    width, height = scene.size
    try:
        if isinstance(outline, list):  # polygons; pycocotools takes one of two corners for a box
            polygons = [polygon for polygon in outline if len(polygon) >= 6]
            runs = coco.merge(coco.frPyObjects(polygons, height, width)) if polygons else None
        else:
            runs = coco.frPyObjects(outline, height, width) if isinstance(outline["counts"], list) else outline
        inside = np.zeros((height, width), bool) if runs is None else coco.decode(runs).astype(bool)
    except Exception as error:  # pycocotools raises Exception itself, too
        raise UserError(f"{place}: segmentation: neither polygons nor runs of pixels: {error}") from None
    if inside.shape != (height, width):
        has = f"{inside.shape[1]}×{inside.shape[0]}"
        raise UserError(f"{place}: segmentation: is of {has} pixels, not {width}×{height}")
    return inside


def as_shown(mask: np.ndarray, picture: Path, scene: Scene) -> np.ndarray:
    """The scene's mask, turned as its picture is shown: COCO annotates pixels as they are stored, which EXIF may turn.

    Where the scene has the size of the turned picture alone, its annotations are those of what is shown. Raises
    UserError unless the picture is there, and of the scene's size.
    """
    if not picture.exists():
        raise UserError(f"{picture}: is missing, but {scene.place} needs it")
    with opened(picture) as image:
        size, how = image.size, orientation(image)
    if scene.size == size:
        return np.asarray(turned(Image.fromarray(mask), how))
    if how < 5 or scene.size != size[::-1]:
        raise UserError(f"{picture}: has {size[0]}×{size[1]} pixels, but {scene.place} {scene.size[0]}×{scene.size[1]}")
    return mask


def _get(entry: Any, key: str, place: str, kind: type | tuple[type, ...]) -> Any:
    if not isinstance(entry, dict) or key not in entry:
        raise UserError(f"{place}: {key}: is missing")
    if not isinstance(value := entry[key], kind) or isinstance(value, bool):
        kinds = " or ".join(one.__name__ for one in (kind if isinstance(kind, tuple) else (kind,)))
        raise UserError(f"{place}: {key}: {str(value)[:40]}: should be of kind {kinds}")
    return value
