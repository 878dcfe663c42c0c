"""What does a new training begin with? Settings, genotype and space, as they are asked for: read without torch."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from fairdarts.config import UserError, nearest
from fairdarts.genotype import Genotype
from fairdarts.networks.models import Model, Named, find, name_of
from fairdarts.networks.sizes import checked_size
from fairdarts.networks.zoo import run_of
from fairdarts.reading import read_yaml
from fairdarts.runs.callbacks import Callback
from fairdarts.runs.recipe import Recipe, laid_over, names_of, over, read_recipe
from fairdarts.runs.request import DEFAULTS, EXCITED, SEGMENT, Request, which_images
from fairdarts.runtime import run as folder
from fairdarts.runtime.shape import Shape, shape_of, sides
from fairdarts.segmentation.settings import SegmentSettings
from fairdarts.spaces.space import Space
from fairdarts.training.settings import TrainSettings

CIFAR = 32
"""height and width of CIFAR's images"""


class Begun(NamedTuple):
    """What a training begins with, or goes on."""

    settings: Any
    genotype: Genotype
    space: Space


def new_training(asked: Request, watch: Callback) -> Begun:
    """Settings, genotype and space of a new training. Raises UserError also where the settings of the network are those
    of another kind of space."""
    model, name = find(asked.genotype), name_of(asked.genotype)
    content, place = read_recipe(TrainSettings, recipe_of(asked, model))
    told = told_by(model, asked.laid)
    seen = data_of(asked.genotype)
    inherited = {} if asked.data is not None else images_of(asked, content, told)
    settings = laid_over(TrainSettings, content, place, over(told, inherited))
    if inherited:
        watch.note(f"images     those of {name}: {' '.join(f'--{key}={value}' for key, value in inherited.items())}")
    elif seen and asked.data is None and "data.root" not in told:  # else it was told which
        others = f"{name} is of a run on {seen['kind']}"
        watch.note(f"images     of {settings.data.kind}, as {settings.name} says; {others}")
    checked_size(model.genotype, model.space, settings.network)
    return Begun(settings, model.genotype, model.space)


def new_segmentation(asked: Request) -> Begun:
    """Settings, genotype and space of a new training for segmentation."""
    model = find(asked.genotype)
    content, place = read_recipe(SegmentSettings, SEGMENT.usual if asked.recipe is None else asked.recipe)
    settings = laid_over(SegmentSettings, content, place, told_by(model, asked.settings))
    return Begun(settings, model.genotype, model.space)


def told_by(model: Model, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings that a model's name lays over a recipe, and over them those that are asked for."""
    network = model.network.model_dump(mode="json", exclude_defaults=True)
    return over(settings, {f"network.{key}": value for key, value in network.items()})


def recipe_of(asked: Request, model: Model) -> Recipe:
    """The recipe that is asked for, or else the usual one of such a network. Raises UserError where there is none."""
    usual = EXCITED if model.network.se_ratio else DEFAULTS.get((model.space.kind, model.size))
    recipe = usual if asked.recipe is None else asked.recipe
    if recipe is None:
        raise UserError(f"train: --config is missing{nearest('', names_of(TrainSettings))}")
    return recipe


def images_of(asked: Request, recipe: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that say which images the run of the genotype saw: a recipe that none was named beside takes them,
    and a recipe that was named does if it is for images of that kind. What is told itself is left out."""
    data = data_of(asked.genotype)
    kind = told.get("data.kind") or (recipe.get("data") or {}).get("kind")
    if not data or ((asked.recipe is not None or "data.kind" in told) and kind != data["kind"]):
        return {}
    which = which_images(data)
    run = run_of(name_of(asked.genotype))
    if run and (shape := shape_of(run)):
        which |= fitting(recipe, shape)
    return {key: value for key, value in which.items() if key not in told}


def fitting(recipe: Mapping[str, Any], shape: Shape) -> dict[str, Any]:
    """What of a recipe for CIFAR-10 is otherwise for images of another size: no auxiliary head, as that is made for
    32×32 pixels, and cutout in proportion."""
    data, loss = recipe.get("data") or {}, recipe.get("loss") or {}
    if shape.image == CIFAR or "cifar" not in str(data.get("kind")):
        return {}
    cutout = {"data.cutout": data["cutout"] * min(sides(shape.image)) // CIFAR} if data.get("cutout") else {}
    return cutout | ({"loss.auxiliary": 0} if loss.get("auxiliary") else {})


def data_of(trained: Named) -> dict[str, Any]:
    """What the run that a genotype is of, or lies in, says of its images; nothing where there is no such run."""
    run = run_of(name_of(trained)) if isinstance(trained, str | os.PathLike) else None
    if run is None:
        return {}
    content = read_yaml(run / "settings.yaml")
    if content.get("supernet") and folder.RunDirectory(run).verb == "evolve":
        return data_of(Path(content["supernet"])) | ({"root": content["root"]} if content.get("root") else {})
    return content.get("data") or {}
