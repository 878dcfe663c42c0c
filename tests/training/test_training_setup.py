"""What a training starts with, by every shipped recipe."""

import math
from functools import partial

import pytest
import torch

from fairdarts import resources
from fairdarts.checking import check
from fairdarts.data.sources import open_source
from fairdarts.genotype import Genotype
from fairdarts.networks.zoo import load_genotype
from fairdarts.ops.depthwise import is_depthwise
from fairdarts.reading import read_yaml
from fairdarts.runs.recipe import names_of
from fairdarts.spaces.space import Space, load_space
from fairdarts.training.classify import blueprint_of, build_classifier, check_fit
from fairdarts.training.settings import TrainSettings
from fairdarts.training.setup import make_trainee
from fairdarts.training.step import measured, train_step


def path_of_ones(space_name: str) -> tuple[Genotype, Space]:
    """A genotype of choices number 1, and its space."""
    space = load_space(space_name)
    return space.genotype_of((1,) * len(space.choices), "ones", ""), space


SMALL = {"chain": path_of_ones("nas-bench-macro-small"), "nasbench201": path_of_ones("nasbench201")}


@pytest.mark.parametrize("name", names_of(TrainSettings))
def test_every_recipe_steps_a_tiny_model(name: str):
    path = resources.find("recipes", name)
    cells = "darts" in name
    kind = next((kind for kind in ("chain", "nasbench201") if kind in name), None)
    words = {"data.kind": "fake", "data.image_size": "32", "data.batch_size": "4", "data.train_portion": "1.0"}
    words |= {"data.cutout": "2", "data.images": "8", "data.workers": "0", "device": "cpu"}
    words |= {"network.cells": "3", "network.channels": "2"} if cells else {}
    words |= {"loss.auxiliary": "0"} if name == "train-darts-imagenet" else {}  # its head is for 224 pixels
    settings = check(TrainSettings, read_yaml(path), path, words)
    source = open_source(settings.data)
    blueprint = blueprint_of(
        settings, *(SMALL[kind] if kind else load_genotype("fairdarts-a" if cells else "fairnas-a")), source
    )
    assert check_fit(settings, blueprint, source)
    cpu = torch.device("cpu")
    build, measure = partial(build_classifier, settings, blueprint, cpu), partial(measured, settings=settings.loss)
    trainee = make_trainee(settings, build, measure, cpu)
    depthwise = [module for module in trainee.network.modules() if is_depthwise(module)]
    assert all("forward" in vars(module) for module in depthwise)  # with fast gradients
    before = [weight.detach().clone() for weight in trainee.network.parameters()]
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    trainee.network.train()
    loss, _ = train_step(trainee, (images, torch.arange(4))).tolist()
    assert math.isfinite(loss)
    moved = [not torch.equal(old, new) for old, new in zip(before, trainee.network.parameters(), strict=True)]
    assert sum(moved) > 0.9 * len(moved)
    assert (trainee.average is not None) == ("mnasnet" in name)
