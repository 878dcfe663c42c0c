"""The training of a genotype's network, from a recipe to a model that can be used."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fairdarts.config import UserError
from fairdarts.data.split import halves
from fairdarts.networks.blueprint import Blueprint, build
from fairdarts.networks.models import Named, find
from fairdarts.networks.published import open_model
from fairdarts.runs import training
from fairdarts.runs.callbacks import Callback, Callbacks, Watches
from fairdarts.runs.data import examine_images, see, told_images
from fairdarts.runs.new import Begun, fitting, new_training, recipe_of
from fairdarts.runs.recipe import Recipe, laid_over, read_recipe
from fairdarts.runs.request import TRAIN, Request
from fairdarts.runs.result import Run
from fairdarts.runtime import distributed
from fairdarts.runtime import run as folder
from fairdarts.runtime.shape import Shape, size_text
from fairdarts.training.classify import blueprint_of, classification, judging_images
from fairdarts.training.finetune import finetune
from fairdarts.training.inherit import inherit, weights_of
from fairdarts.training.settings import TrainSettings


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
    begun = training.read(TRAIN, asked, watch, partial(checked, asked, watch))
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


def checked(asked: Request, watch: Callback) -> Begun:
    """What a new training begins with: that it makes no network should show before images are looked for."""
    begun = new_training(asked, watch)
    with torch.device("meta"):
        build(begun.genotype, begun.space, begun.settings.network)
    return begun


def fitted(settings: TrainSettings, asked: Request, shape: Shape, watch: Callback) -> TrainSettings:
    """The settings, of which those for CIFAR's images are made to fit the images that there are; what is told itself
    stays. It says so."""
    content, place = read_recipe(TrainSettings, recipe_of(asked, find(asked.genotype)))
    changes = {key: value for key, value in fitting(content, shape).items() if key not in asked.settings}
    if not changes:
        return settings
    watch.note(f"images     of {size_text(shape.image)} pixels: {' '.join(f'{key} {changes[key]}' for key in changes)}")
    return laid_over(TrainSettings, settings.model_dump(mode="json", by_alias=True), place, changes)


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
