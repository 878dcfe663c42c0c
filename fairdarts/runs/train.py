"""The training of a genotype's network, from a recipe to a model that can be used."""

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fairdarts.config import UserError, nearest
from fairdarts.data.split import halves
from fairdarts.networks.blueprint import Blueprint, build
from fairdarts.networks.models import Model, Named, find, name_of
from fairdarts.networks.published import open_model
from fairdarts.networks.zoo import run_of
from fairdarts.reading import read_yaml
from fairdarts.runs import training
from fairdarts.runs.callbacks import Callback, Callbacks, Watches
from fairdarts.runs.data import examine_images, see, told_images
from fairdarts.runs.recipe import Recipe, laid_over, names_of, over, read_recipe
from fairdarts.runs.request import DEFAULTS, EXCITED, TRAIN, Request, which_images
from fairdarts.runs.result import Run
from fairdarts.runtime import distributed
from fairdarts.runtime import run as folder
from fairdarts.runtime.shape import Shape, shape_of, sides, size_text
from fairdarts.training.classify import blueprint_of, classification, judging_images
from fairdarts.training.finetune import finetune
from fairdarts.training.inherit import inherit, weights_of
from fairdarts.training.settings import TrainSettings

CIFAR = 32
"""height and width of CIFAR's images"""


def train(
    genotype: Named,
    recipe: Recipe | None = None,
    data: Any = None,
    settings: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    init_from: str | Path | Run | None = None,
    callbacks: Sequence[Watches] | Watches = (),
    **named: Any,
) -> Run:
    """Trains the network of a genotype from scratch, or from other weights: `fairdarts train`. Gives the finished run.

    `genotype` is a model's name, a YAML file, a run that has one, or a genotype itself. Without `recipe` it is one of
    DEFAULTS, with the images of the run that the genotype is of, if it is of one. `init_from` are weights to begin
    with: of a supernet's run, or of a model. The other parameters, and what is raised, are those of `search`.

    >>> run = fairdarts.train("fairdarts-a", data=(images, labels), epochs=5)
    >>> run.results["last"]["top1"], fairdarts.load(run.path)
    """
    asked = training.new_request(genotype, settings, named, init_from, recipe=recipe, data=data, out=out)
    with distributed.joined():
        return carry_out(asked, Callbacks(callbacks))


def resume(path: str | Path, data: Any, settings: Mapping[str, Any], callbacks: Sequence[Watches] | Watches) -> Run:
    """Goes on with a training that was stopped; `settings` are of those that it may be told anew."""
    with distributed.joined():
        return carry_out(Request(None, settings, data, resume=path), Callbacks(callbacks))


def carry_out(asked: Request, watch: Callbacks) -> Run:
    """The training that is asked for, in all processes that share it, or in this one alone."""
    begun = training.read(TRAIN, asked, watch, partial(new_training, asked, watch))
    settings, genotype, space = begun
    settings, source = see(settings, asked.data, watch, new=not asked.resume)
    if (asked.fit or asked.data is not None) and not asked.resume:
        settings = fitted(settings, asked, source.shape, watch)
    begun = begun._replace(settings=settings)
    with distributed.together():
        judges = judging_images(settings, source)
    if not asked.resume:
        for images in judges:
            if images and images.source is not source:
                examine_images(settings.data, images.source, watch)
                break  # where there is but one test set, it stands in for both
    task = classification(settings, genotype, space, source, judges)
    trained, every = halves(settings.data, source, settings.seed)[0], len(source.dataset)
    watch.note(told_images(settings.data, len(trained), every))
    weights = partial(initializer, settings.init_from, blueprint_of(settings, genotype, space, source))
    return training.carry_out_training(TRAIN, asked, begun, task, weights, watch)


def new_training(asked: Request, watch: Callback) -> training.Begun:
    """Settings, genotype and space of a new training."""
    model, name = find(asked.genotype), name_of(asked.genotype)
    content, place = read_recipe(TrainSettings, recipe_of(asked, model))
    told = training.laid_over(model, asked.laid)
    seen = data_of(asked.genotype)
    inherited = {} if asked.data is not None else images_of(asked, content, told)
    settings = laid_over(TrainSettings, content, place, over(told, inherited))
    if inherited:
        watch.note(f"images     those of {name}: {' '.join(f'--{key}={value}' for key, value in inherited.items())}")
    elif seen and asked.data is None and "data.root" not in told:  # else it was told which
        others = f"{name} is of a run on {seen['kind']}"
        watch.note(f"images     of {settings.data.kind}, as {settings.name} says; {others}")
    with torch.device("meta"):  # that it makes no network should show before images are looked for
        build(model.genotype, model.space, settings.network)
    return training.Begun(settings, model.genotype, model.space)


def recipe_of(asked: Request, model: Model) -> Recipe:
    """The recipe that is asked for, or else the usual one of such a network. Raises UserError where there is none."""
    usual = EXCITED if model.network.se_ratio else DEFAULTS.get((model.space.kind, model.size))
    recipe = usual if asked.recipe is None else asked.recipe
    if recipe is None:
        raise UserError(f"train: --config is missing{nearest('', names_of(TrainSettings))}")
    return recipe


def fitted(settings: TrainSettings, asked: Request, shape: Shape, watch: Callback) -> TrainSettings:
    """The settings, of which those for CIFAR's images are made to fit the images that there are; what is told itself
    stays. It says so."""
    content, place = read_recipe(TrainSettings, recipe_of(asked, find(asked.genotype)))
    changes = {key: value for key, value in fitting(content, shape).items() if key not in asked.settings}
    if not changes:
        return settings
    watch.note(f"images     of {size_text(shape.image)} pixels: {' '.join(f'{key} {changes[key]}' for key in changes)}")
    return laid_over(TrainSettings, settings.model_dump(mode="json", by_alias=True), place, changes)


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


def initializer(init_from: str, blueprint: Blueprint) -> training.Initialize:
    """What puts the weights that `init_from` names into a network."""
    path, genotype, space = Path(init_from), blueprint.genotype, blueprint.space
    if (path / folder.SETTINGS).is_file() and folder.RunDirectory(path).verb != "train":
        state, trained_in, verb = weights_of(path)
        if trained_in != space:
            raise UserError(f"{path}: was trained in space {trained_in.name}, but {genotype.name} is of {space.name}")

        def initialize(network: nn.Module) -> list[str]:
            return inherit(network, genotype, space, state, str(path), by_path=verb == "supernet")
    else:
        trained = open_model(path, genotype=genotype.name, network=blueprint.network).network.state_dict()

        def initialize(network: nn.Module) -> list[str]:
            return finetune(network, trained, str(path))

    return initialize
