"""Which images judge a trained network: some of those that its run began with, or others, which are a test set."""

from pathlib import Path
from typing import get_args

from fairdarts.checking import check
from fairdarts.config import UserError
from fairdarts.data.judging import Images, held_out_images, images_of_test_set, other_images
from fairdarts.data.settings import DataSettings
from fairdarts.data.sources import Source, open_source
from fairdarts.data.split import fingerprint
from fairdarts.networks.blueprint import Blueprint
from fairdarts.runs.callbacks import Callback
from fairdarts.runs.judged_data import Began, EvaluateSettings, Split
from fairdarts.runtime.position import IMAGES, changed_images


def shared(began: Began, source: Source) -> int:
    """How many of these images lie among those of the run, as class folders tell: of the same name and size in
    bytes."""
    if began.run is None:
        return 0
    try:
        trained_on = open_source(check(EvaluateSettings, {"data": began.data}, "settings.yaml").data)
    except UserError:  # they are no longer there
        return 0
    return len(_files(trained_on) & _files(source))


def _files(source: Source) -> set[tuple[str, str, int]]:
    """Class folder, name and size of every image of class folders."""
    paths = [Path(path) for path, _ in getattr(source.dataset, "samples", ())]
    return {(path.parent.name, path.name, path.stat().st_size) for path in paths}


def judged_images(
    model: Path,
    split: Split | None,
    data: DataSettings,
    source: Source,
    began: Began,
    blueprint: Blueprint,
    watch: Callback,
) -> Images:
    """The images that are judged: some of those that the run began with, or other ones, which are a test set."""
    place, change = str(model), changed_images(began.run, fingerprint(source)) if began.run else None
    if began.names(data) or change == "":
        check_held_out(data, began)
        check_classes(blueprint, source, place)
        images = chosen_images(split, data, source, began.seed)
        if change and images.name == "held-out":
            held = "others than it held out of training would be taken for held-out"
            raise UserError(f"{IMAGES}: {change}: {held}; put them back as they were")
        return images
    if split not in (None, "test"):
        other = f"{getattr(data, 'root', data.kind)} has other images than the run began with"
        raise UserError(f"evaluate: --split {split}: {other}: all of them are a test set")
    check_channels(blueprint, source, place)
    images = other_images(data, source, blueprint.classes)
    if began.run:
        watch.note(f"images     other ones than {began.run.path} began with: a test set, judged whole")
    if same := shared(began, images.source):
        trained = f"BUT {same} of {len(images.indices)} are files of the run, of which most trained the network"
        watch.note(f"           {trained}")
    return images


def as_trained(source: Source, blueprint: Blueprint) -> Source:
    """Images that a network is to see as those that it was trained with, not as these are."""
    return source._replace(**{key: getattr(blueprint, key) for key in ("mean", "std", "image", "resize")})


def chosen_images(split: Split | None, data: DataSettings, source: Source, seed: int) -> Images:
    """The images that are asked for, or else the test set, or held-out images. UserError where there are none."""
    if split == "train":
        return Images(source, list(range(len(source.dataset))), "training")
    if split not in (None, "test", "held-out"):
        raise UserError(f"split: '{split}': should be one of {', '.join(get_args(Split))}")
    sets = {"test": lambda: images_of_test_set(data, source), "held-out": lambda: held_out_images(data, source, seed)}
    for name in [split] if split else sets:
        if images := sets[name]():
            return images
    wanted = f"there are no {split} images" if split else "there are neither test nor held-out images"
    mend = "train with data.train_portion 0.9, which holds some out, or with a test set; or judge by split train"
    raise UserError(f"data: {wanted}: {mend}")


def check_held_out(data: DataSettings, began: Began) -> None:
    """Raises UserError where others than the run held out of training would be taken for held-out."""
    for key in ("train_portion", "split", "held_out") if began.run else ():
        if (trained := began.data.get(key)) is not None and getattr(data, key, trained) != trained:
            held = "so others than it held out of training would be taken for held-out"
            raise UserError(f"data.{key}: {getattr(data, key)}: the run has {trained}, {held}")


def check_channels(blueprint: Blueprint, source: Source, place: str) -> None:
    """Raises UserError where the images have other channels than the network sees."""
    if len(blueprint.mean) != len(source.mean):
        raise UserError(f"{place}: is for images of {len(blueprint.mean)} channels, but these have {len(source.mean)}")


def check_classes(blueprint: Blueprint, source: Source, place: str) -> None:
    """Raises UserError where the images are of other classes than the network tells apart."""
    known, theirs = blueprint.classes, source.classes
    check_channels(blueprint, source, place)
    if len(known) != len(theirs):
        raise UserError(f"{place}: tells {len(known)} classes apart, but the images are of {len(theirs)}")
    if known != theirs and known != tuple(map(str, range(len(known)))):  # a released file knows numbers only
        first, other = next(pair for pair in zip(known, theirs, strict=True) if pair[0] != pair[1])
        raise UserError(f"{place}: has the class '{first}' where the images have '{other}'")
