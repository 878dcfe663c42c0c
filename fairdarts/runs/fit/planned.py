"""The plan of a fit: made once, by looking and measuring, and kept in its folder."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fairdarts.checking import check
from fairdarts.config import Settings
from fairdarts.cost.latency import latency_csv
from fairdarts.cost.table import Table
from fairdarts.data.examine import CUT, sizes_of
from fairdarts.data.files import ImageFiles
from fairdarts.evolution.objectives import amount
from fairdarts.reading import dump_yaml, read_yaml
from fairdarts.runs.callbacks import Callbacks
from fairdarts.runs.cost import table_of
from fairdarts.runs.fit import plan
from fairdarts.runs.fit.asked import PLAN, FitSettings
from fairdarts.runs.fit.look import Looked, a_share, as_csv, copied, look, sides_of
from fairdarts.runs.search import search as search_
from fairdarts.runtime.checkpoint import folder_for, write_atomically
from fairdarts.runtime.device import pick
from fairdarts.runtime.shape import Shape, Size, sides, size_text, written
from fairdarts.spaces.chain import ChainSpace
from fairdarts.spaces.space import load_space

KEPT = 2 * 2**30
"""bytes of images that are kept in memory; of more, every image is read when it is asked for"""
LOOKED_AT = 32
"""images that are opened to see whether they have colours"""
COPIED = 2
"""multiple of the size that the network sees, from which on resized copies of the images are made"""
FEW, MEASURED = 128, 2
"""images, and epochs of a search, by which times are measured"""
AUGMENTED = (48, 20_000)
"""pixels from which on, and images up to which, photographs go through AutoAugment"""


class Plan(Settings):
    """What was asked, seen and chosen: fit.yaml."""

    asked: FitSettings
    """what was asked for"""
    chosen: tuple[str, ...]
    """what was seen and chosen, in lines"""
    images: int
    """images that train"""
    seconds: float
    """that planning took"""
    search: dict[str, Any]
    """settings of the search, over fit-search"""
    train: dict[str, Any]
    """settings of the training, over fit-train, but for its epochs, which the time that is left decides"""


class _Room(NamedTuple):
    """A space for the images and the budget, and what its networks cost."""

    space: ChainSpace
    table: Table


def planned(asked: FitSettings, folder: Path, watch: Callbacks) -> Plan:
    """The plan in a folder, or a new one; it is said line by line."""
    path = folder / PLAN
    if not path.is_file():
        with folder_for(folder):
            plan_ = _made(asked, folder, watch)
            write_atomically(path, dump_yaml(plan_).encode())
        return plan_
    found: Plan = check(Plan, read_yaml(path), path)
    for line in found.chosen:
        watch.note(line)
    return found


def _made(asked: FitSettings, folder: Path, watch: Callbacks) -> Plan:
    """A new plan, and the files that it names."""
    begun, chosen = time.monotonic(), list[str]()

    def say(line: str) -> None:
        chosen.append(line)
        watch.note(line)

    seen = look(Path(asked.root), asked.test, watch)
    shown = sides_of(seen.heads)
    size, why = (asked.image_size, "as asked") if asked.image_size else plan.image_size(shown, asked.limit)
    for line in (*plan.told(seen, shown), f"seen at    {size_text(size)}: {why}"):
        say(line)
    room = _room(asked, Shape(size, 3, len(seen.classes)), watch)
    say(f"space      {room.space.source}: {_span(room, asked)}")
    data = _data(asked, seen, size, say)
    if shown.shorter > COPIED * min(sides(size)):
        say(f"copied     to {folder / 'images'}, resized to {size_text(size)}, as they are large to be read often")
        seen = copied(seen, size, folder / "images", watch)
    if (cut := sizes_of(seen.heads, size)).most > CUT:
        say(f"cut away   up to {cut.most:.0%} of an image, {cut.mean:.0%} on average, as their shapes differ")
    few = a_share(seen.train, FEW, asked.seed)
    paths = _written({"train": seen.train, "test": seen.test, "few": few}, room, folder, asked)
    settings = {"seed": asked.seed} | ({"threads": asked.threads} if asked.threads else {})
    settings |= {f"data.{key}": value for key, value in data.items()}
    cost = {"quantity": asked.limit.quantity, "target": asked.limit.bound}
    cost |= {"latency": str(paths["latency"])} if "latency" in paths else {}
    cost |= {"form": "hinge"} if room.table.greatest <= asked.limit.bound else {}  # nothing is to be asked
    search = settings | {"space": str(paths["space"])} | {f"cost.{key}": value for key, value in cost.items()}

    step = _seconds_of_a_step(search, paths["few"], len(few), plan.batch_for(len(seen.train) // 2))
    share = asked.hours * 3600 * plan.SHARES["search"]
    epochs = plan.search_epochs(len(seen.train), share - (time.monotonic() - begun), step)
    used = a_share(seen.train, epochs.images, asked.seed)
    _write_csv(used, folder / "images", "search")
    minutes = epochs.epochs * (len(used) // 2 // epochs.batch) * step / 60
    which = "" if len(used) == len(seen.train) else f" of {len(seen.train):,}"
    say(f"search     {epochs.epochs} epochs of {len(used):,}{which} images, about {minutes:.1f} minutes")
    if 60 * minutes > 1.1 * share:
        needed = minutes / 60 / plan.SHARES["search"]
        say(f"TIME       {asked.hours:g} hours are short, as no search is shorter than this; {needed:.2g} would do")
    search |= {"data.root": str(folder / "images" / "search.csv"), "data.batch_size": epochs.batch}
    images = {"data.root": str(paths["train"]), "data.test_root": str(paths["test"])}
    return Plan(
        asked=asked,
        chosen=tuple(chosen),
        images=len(seen.train),
        seconds=round(time.monotonic() - begun, 1),
        search=search | {"epochs": epochs.epochs},
        train=settings | images | {"data.batch_size": plan.batch_for(len(seen.train))},
    )


def _room(asked: FitSettings, shape: Shape, watch: Callbacks) -> _Room:
    """The space in whose middle the budget lies."""
    template = load_space("photos")
    assert isinstance(template, ChainSpace), "the shipped space is a chain"
    if asked.limit.quantity == "latency":
        watch.note(f"measuring latency per choice on {pick('auto')}, for several widths")

    def cost(space: ChainSpace) -> Table:
        return table_of(asked.limit.quantity, space, shape)

    space = plan.space_for(template, shape, cost, asked.limit)
    return _Room(space, cost(space))


def _span(room: _Room, asked: FitSettings) -> str:
    """'12 layers, networks from 4.1 M madds to 36 M madds'."""
    least, most = (amount(cost, asked.limit.quantity) for cost in (room.table.least, room.table.greatest))
    middle, where = (room.table.least + room.table.greatest) / 2, ""
    if room.table.greatest <= asked.limit.bound:
        where = "; all of them keep the budget"
    elif asked.limit.bound < 0.9 * middle:
        where = "; no space is narrow enough to have the budget in its middle"
    return f"{room.space.depth}, networks from {least} to {most}{where}"


def _data(asked: FitSettings, seen: Looked, size: Size, say: Callable[[str], None]) -> dict[str, Any]:
    """How images are served, but for which ones and in which batches; says what is not as usual."""
    side, number = min(sides(size)), len(seen.train)
    gray = _are_gray(seen.train)
    flip = asked.flip if asked.flip is not None else not gray
    data: dict[str, Any] = {"kind": "csv", "image_size": written(size), "flip": flip, "classes": list(seen.classes)}
    if not flip:
        why = (
            "as asked" if asked.flip is False else "as they are gray: a mirrored letter is another; --flip true mirrors"
        )
        say(f"mirrored   none of the images, {why}")
    if not gray and side >= AUGMENTED[0] and number <= AUGMENTED[1]:
        data["auto_augment"] = "imagenet"
        say(f"augmented  by AutoAugment's policy for ImageNet, as {number:,} photographs are few")
    height, width = sides(size)
    data["in_memory"] = number * height * width * 3 <= KEPT
    if seen.imbalance >= plan.IMBALANCED:
        data["balance"] = "sampling"
        often = f"one class has {seen.imbalance:.1f} times the images of another"
        say(f"balanced   images of rare classes are drawn more often, as {often}")
    return data


def _are_gray(files: ImageFiles) -> bool:
    """Whether images have no colours, as far as a few of them say."""
    few = range(0, len(files), -(-len(files) // LOOKED_AT))
    images = (np.asarray(files[index][0], dtype=np.int16) for index in few)
    return all(int(np.ptp(image, axis=2).max()) <= 8 for image in images)


def _written(some: dict[str, ImageFiles], room: _Room, folder: Path, asked: FitSettings) -> dict[str, Path]:
    """Writes lists of images by their names, the space, and latencies; gives the files."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    paths = {name: _write_csv(files, folder / "images", name) for name, files in some.items()}
    paths["space"] = folder / "space.yaml"
    write_atomically(paths["space"], dump_yaml(room.space).encode())
    if asked.limit.quantity == "latency":
        paths["latency"] = folder / "latency.csv"
        write_atomically(paths["latency"], latency_csv(room.table, room.space).encode())
    return paths


def _write_csv(files: ImageFiles, folder: Path, name: str) -> Path:
    path = folder / f"{name}.csv"
    write_atomically(path, as_csv(files, folder).encode())
    return path


def _seconds_of_a_step(search: dict[str, Any], few: Path, images: int, batch: int) -> float:
    """What a step of the search takes, with its share of what is done once an epoch, as two epochs of a few images
    tell."""
    smaller = plan.batch_for(images // 2)
    with tempfile.TemporaryDirectory(prefix=".measured-", dir=few.parent) as place:
        told = {"data.root": str(few), "data.batch_size": smaller, "epochs": MEASURED}
        tried = search_("fit-search", settings=search | told, out=Path(place) / "run")
        seconds = float(tried.records[-1]["seconds"])
    return seconds / (images // 2 // smaller) * batch / smaller
