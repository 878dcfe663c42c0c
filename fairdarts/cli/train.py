"""`fairdarts train`: train the network of a genotype, or continue its training."""

from argparse import Namespace
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fairdarts import resources
from fairdarts.cli import training
from fairdarts.cli.begin import Kind, tell_images
from fairdarts.cli.progress import training_progress
from fairdarts.cli.recipe import examine_images, help_text, open_images, open_settings
from fairdarts.cli.words import Parser, command, cost_text, say
from fairdarts.config import UserError, parse_overrides, read_yaml
from fairdarts.cost.count import count
from fairdarts.data.split import halves
from fairdarts.genotype import Genotype
from fairdarts.networks.blueprint import Blueprint, assemble, build
from fairdarts.networks.models import find
from fairdarts.networks.published import open_model
from fairdarts.networks.zoo import run_of
from fairdarts.plot.training import draw_network_training
from fairdarts.runtime import distributed
from fairdarts.runtime.run import SETTINGS, Run
from fairdarts.runtime.shape import Shape, shape_of
from fairdarts.spaces.space import Space
from fairdarts.train.classify import classification, judging_images
from fairdarts.train.finetune import finetune
from fairdarts.train.inherit import inherit, weights_of
from fairdarts.train.settings import MAY_CHANGE, TrainSettings

TRAIN = Kind("train", "training", TrainSettings, MAY_CHANGE)
DEFAULTS = {
    ("cell", "cifar"): "train-darts-cifar10",
    ("cell", "imagenet"): "train-darts-imagenet",
    ("chain", "cifar"): "train-chain-cifar10",
    ("chain", "imagenet"): "train-mnasnet-imagenet",
    ("nasbench201", "cifar"): "train-nasbench201-cifar10",
}
"""(kind of space, whose size the network has) → the recipe where none is named"""
WHICH = ("kind", "root", "white", "image_size", "in_memory", "images", "classes")
"""the settings that say which images there are, where a kind of data has them"""
CIFAR = 32
"""height and width of CIFAR's images"""


def main(argv: Sequence[str]) -> int:
    parser = Parser("train", "Train the network of a genotype from scratch, or from other weights.")
    parser.usage = "fairdarts train GENOTYPE [options]\n       fairdarts train --resume RUN [options]"
    parser.epilog = "GENOTYPE is a model's name, a YAML file, or the run of a search. Without --config the recipe is\n"
    parser.epilog += f"one of {', '.join(DEFAULTS.values())}.\n\n{help_text(TrainSettings)}"
    args, rest = training.parse(parser, TRAIN, argv, "of a supernet's run, or a model")
    with distributed.joined():
        return run_training(args, rest)


def run_training(args: Namespace, rest: Sequence[str]) -> int:
    """The training that the words ask for, in all processes that share it; gives the exit status."""
    settings, genotype, space = training.read_words(TRAIN, args, rest, lambda: begun(args, rest))
    source = open_images(settings.data, new=not args.resume)
    with distributed.together():
        judges = judging_images(settings, source)
    if not args.resume:
        for images in judges:
            if images and images.source is not source:
                examine_images(settings.data, images.source)
                break  # where there is but one test set, it stands in for both
    task = classification(settings, genotype, space, source, judges)
    tell_images(settings.data, len(halves(settings.data, source, settings.seed)[0]), len(source.dataset))
    weights = partial(initializer, settings.init_from, task.blueprint)
    progress = training_progress(settings, "valid_loss", "top-1 {valid_top1:6.2%}  top-5 {valid_top5:6.2%}")
    ended = training.carry_out_training(TRAIN, args, settings, genotype, space, task, weights, progress)
    if distributed.rank() == 0 and not ended.status:
        draw_network_training(ended.run.records(), ended.run.figures)
        summarize(task.blueprint, ended.results, ended.run)
    return ended.status


def begun(args: Namespace, rest: Sequence[str]) -> tuple[TrainSettings, Genotype, Space]:
    """Settings, genotype and space of a new training."""
    model = find(args.genotype)
    genotype, space = model.genotype, model.space
    excited = "train-mnasnet-se-imagenet" if model.network.se_ratio else None
    recipe = args.config or excited or DEFAULTS.get((space.kind, model.size))
    words = training.words_of(model, args, rest)
    inherited = data_words(args, recipe, words) if recipe else []
    settings, _ = open_settings("train", TrainSettings, recipe, [*inherited, *words])
    if inherited:
        say(f"images     those of {args.genotype}: {' '.join(inherited)}")
    elif data := data_of(Path(args.genotype)):
        others = f"{args.genotype} is of a run on {data['kind']}"
        say(f"images     of {settings.data.kind}, as {settings.name} says; {others}")
    with torch.device("meta"):
        build(genotype, space, settings.network)  # that it makes no network should show before images are looked for
    return settings, genotype, space


def data_words(args: Namespace, recipe: str, words: Sequence[str]) -> list[str]:
    """The settings that say which images the run of the genotype saw: a recipe that none was named beside takes them,
    and a recipe that was named does if it is for images of that kind. What the command line says comes after them."""
    data = data_of(Path(args.genotype))
    given = parse_overrides(words)
    kind = given.get("data.kind") or (read_yaml(resources.find("recipes", recipe)).get("data") or {}).get("kind")
    if not data or ((args.config or "data.kind" in given) and kind != data["kind"]):
        return []
    which = {f"data.{key}": data[key] for key in WHICH if data.get(key) is not None}
    run = run_of(args.genotype)
    if run and (shape := shape_of(run)):
        which |= fitting(read_yaml(resources.find("recipes", recipe)), shape)
    return [f"--{key}={value}" for key, value in which.items() if key not in given]


def fitting(recipe: dict[str, Any], shape: Shape) -> dict[str, Any]:
    """What of a recipe for CIFAR-10 is otherwise for images of another size: no auxiliary head, as that is made for
    32×32 pixels, and cutout in proportion."""
    data, loss = recipe.get("data") or {}, recipe.get("loss") or {}
    if shape.image == CIFAR or "cifar" not in str(data.get("kind")):
        return {}
    cutout = {"data.cutout": data["cutout"] * shape.image // CIFAR} if data.get("cutout") else {}
    return cutout | ({"loss.auxiliary": 0} if loss.get("auxiliary") else {})


def data_of(genotype: Path) -> dict[str, Any]:
    """What the run that a genotype is of, or lies in, says of its images; nothing where there is no such run."""
    run = run_of(str(genotype))
    if run is None:
        return {}
    content = read_yaml(run / "settings.yaml")
    if content.get("supernet") and Run(run).verb == "evolve":
        return data_of(Path(content["supernet"])) | ({"root": content["root"]} if content.get("root") else {})
    return content.get("data") or {}


def initializer(init_from: str, blueprint: Blueprint) -> training.Initialize:
    """What puts the weights that --init-from names into a network."""
    path, genotype, space = Path(init_from), blueprint.genotype, blueprint.space
    if (path / SETTINGS).is_file() and Run(path).verb != "train":
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


def summarize(blueprint: Blueprint, results: dict[str, Any], run: Run) -> None:
    """Says what the training has come to, and how to go on."""
    with torch.device("meta"):
        cost = count(assemble(blueprint), len(blueprint.mean), blueprint.image)
    say(f"network    {cost_text(cost, blueprint.image)}, {len(blueprint.classes)} classes")
    training.tell_results(results, "top-1 {top1:.2%}, top-5 {top5:.2%}")
    if not results:
        say("           there are no images to judge it by: data.train_portion below 1 holds some out")
    training.tell_places(run)
    verbs = ("evaluate", "export") if results else ("export",)
    for number, verb in enumerate(verbs):
        say(f"{'' if number else 'continue':<10} {command(verb, run.path)}")
