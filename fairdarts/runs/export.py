"""A model as files that other programs run, each of them compared with the model."""

import os
import platform
import re
import warnings
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import torch

from fairdarts.config import Notice, UserError
from fairdarts.networks.blueprint import Blueprint
from fairdarts.networks.foreign import Weights
from fairdarts.networks.models import Named, find, model_names, name_of
from fairdarts.networks.published import TrainedModel, open_model, random_model
from fairdarts.networks.settings import AS_NAMED, NetworkOptions, NetworkSettings, check_size
from fairdarts.runs.callbacks import Callbacks, Watches
from fairdarts.runs.judged_data import ExportSettings, read_data
from fairdarts.runs.quantize import pictures
from fairdarts.runs.recipe import Recipe, laid_over
from fairdarts.runtime.checkpoint import folder_for, write_atomically
from fairdarts.runtime.shape import sides, size_of
from fairdarts.transfer import formats as files
from fairdarts.transfer.card import card
from fairdarts.transfer.formats import FORMATS, ROUNDS, Made, Making, latencies
from fairdarts.transfer.onnx import image_shape
from fairdarts.transfer.settings import (
    CALIBRATION,
    INT8,
    SUFFIXES,
    USUAL,
    check_formats,
    check_making,
    of_images,
)

GENOTYPES, WEIGHTS = (".yaml", ".yml", ".txt", ".py"), (".pt", ".safetensors", ".pth", ".tar")
"""what names of such files end with"""
LONGEST = 100
"""of a genotype's name in that of a file, in letters"""


class Exported(NamedTuple):
    """What was made of a model."""

    files: list[Made]
    """format, path, size in bytes, largest difference of its logits to the model's, and the largest logit; of an int8
    file what it is worth"""
    card: Path | None
    """the model card, which a .safetensors file has beside it"""
    times: dict[str, Any] | None
    """what an image takes, in milliseconds on the CPU, with the model itself and with its files"""


def export(
    what: Named,
    formats: Sequence[str] | str = USUAL,
    out: str | Path = "exported",
    genotype: str | None = None,
    weights: Weights = "auto",
    image: int | tuple[int, int] | None = None,
    classes: int | None = None,
    settings: Mapping[str, Any] | None = None,
    benchmark: bool = False,
    opset: int | None = None,
    dynamic: bool = False,
    data: Any = None,
    recipe: Recipe | None = None,
    calibration: int = CALIBRATION,
    callbacks: Sequence[Watches] | Watches = (),
) -> Exported:
    """Writes a model as files that other programs run: `fairdarts export`.

    `what` is a training's run, a checkpoint, a .safetensors file, a file that its authors released, of which `genotype`
    names the model, or a genotype, whose network gets random weights. `image` is height and width of the images, (96,
    64) where they differ; `classes` and `settings`, such as `{"network.cells": 8}`, are for authors' files and
    genotypes. Every file is read again and gives the model's logits before it is kept; `dynamic` files take images of
    any height and width, and are compared at a second size. `opset` is that of ONNX files.

    The format onnx-int8 is made with images: those of the model's run, those of a recipe, or `data` of one's own.
    `calibration` training images tell the ranges of numbers, and test or held-out images what is lost, of which a
    Notice says where it is much. Raises UserError where a file does not give the model's logits or is there already,
    where there are no images, or a package that a format needs is missing.

    >>> made = fairdarts.export("runs/mine", formats=["onnx"], benchmark=True)
    >>> made.files[0].path, made.files[0].difference, made.times["milliseconds"]
    """
    formats = [formats] if isinstance(formats, str) else formats
    check_formats(formats, "formats")
    formats, watch, settings = list(dict.fromkeys(formats)), Callbacks(callbacks), settings or {}
    check_size(classes, image)
    handed = [key for key, value in (("data", data), ("recipe", recipe)) if value is not None]
    check_making(formats, opset, dynamic, calibration, [*handed, *of_images(settings)])
    folder, name, making = Path(out), name_of(what), Making(opset, dynamic)
    if INT8 in formats:
        known = not is_file(what) and Path(name).suffix not in WEIGHTS
        asked, began = read_data(Path(name), recipe, data, settings, ExportSettings, "export", known)
        assert isinstance(asked, ExportSettings)
        network = asked.network
    else:
        network = laid_over(NetworkOptions, {}, "settings", settings).network
    model = read_model(what, genotype, weights, image, classes, network)
    if INT8 in formats:
        images = pictures(Path(name), asked, data, began, model.blueprint, calibration, watch)
        making = making._replace(pictures=images)
    called = genotype or name
    stem = folder / file_name(called if called in model_names() else model.blueprint.genotype.name)
    described = stem.with_name(f"{stem.name}.md") if "safetensors" in formats else None
    if described and described.exists():
        raise UserError(f"{described}: already exists; name another --out")
    with folder_for(folder):
        made = files.export(model, stem, formats, making)
    if described:
        text = card(model, f"{stem.name}{SUFFIXES['safetensors']}", made)
        write_atomically(described, text.encode())
    if benchmark:
        watch.note(f"measuring {ROUNDS} rounds, one image at a time, all by turns")
    return Exported(made, described, measured(model, made) if benchmark else None)


def is_file(named: Named) -> bool:
    """Whether it is a run or a file with weights, rather than a genotype."""
    path = Path(name_of(named))
    return isinstance(named, str | os.PathLike) and (path.is_dir() or (path.exists() and path.suffix not in GENOTYPES))


def read_model(
    named: Named,
    genotype: str | None,
    weights: Weights,
    image: int | tuple[int, int] | None,
    classes: int | None,
    network: NetworkSettings,
) -> TrainedModel:
    """The model that a word names; a Notice where its weights are random."""
    what = name_of(named)
    path = Path(what)
    if is_file(named):
        model = open_model(path, weights, genotype, network, classes)
        blueprint = model.blueprint
        if genotype is not None and find(genotype).genotype.name != blueprint.genotype.name:
            problem = f"{what} says itself that it is of {blueprint.genotype.name}"
            raise UserError(f"export: --genotype {genotype}: {problem}")
        if classes not in (None, len(blueprint.classes)) or network not in (AS_NAMED, blueprint.network):
            raise UserError(f"export: {what} says itself how it is built: --classes and --network.… do not apply")
        return model._replace(blueprint=blueprint if image is None else for_images(blueprint, image))
    for option, value in (("genotype", genotype), ("weights", weights)):
        if value not in (None, "auto"):
            raise UserError(f"export: --{option} {value}: goes with a file of weights, which {what} is not")
    if isinstance(named, str) and path.suffix in WEIGHTS:
        raise UserError(f"{what}: no such file")
    model = random_model(named, network, classes, image)
    lacking = f"{what} is a genotype, which has none; the files tell what it costs and recognize nothing"
    warnings.warn(f"WEIGHTS ARE RANDOM: {lacking}", Notice, stacklevel=3)
    return model


def for_images(blueprint: Blueprint, image: int | tuple[int, int]) -> Blueprint:
    """The blueprint for images of another size; what they are resized to in judging keeps its proportion to it."""
    before, now = sides(blueprint.image), sides(image)
    judged = sides(blueprint.resize or blueprint.image)
    resize = size_of(*(side * new // old for side, new, old in zip(judged, now, before, strict=True)))
    return blueprint.model_copy(update={"image": size_of(*now), "resize": blueprint.resize and resize})


def file_name(name: str) -> str:
    """A genotype's name as that of a file, in the folder that was asked for and no other."""
    return re.sub(r"[^\w.+-]", "-", name).lstrip(".-")[:LONGEST] or "model"


def measured(model: TrainedModel, made: Sequence[Made]) -> dict[str, Any]:
    """What an image takes, in milliseconds on the CPU, with the model itself and with its files."""
    runs = {"torch": deepcopy(model.network).to(memory_format=torch.channels_last)}  # type: ignore[call-overload]
    runs |= {one.format: FORMATS[one.format].open(one.path) for one in made if one.format != "safetensors"}
    times = latencies(runs, image_shape(model))
    return {
        "device": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "rounds": ROUNDS,
        "milliseconds": {name: {"median": round(m, 3), "p90": round(p, 3)} for name, (m, p) in times.items()},
    }
