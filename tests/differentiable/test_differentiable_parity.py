"""Eight steps of the bi-level search, against the steps as the papers write them, in float64."""

import pytest
import torch
from plain_supernet import PlainSupernet, plain
from torch import Tensor
from torch.nn import functional as F

from fairdarts.checking import check
from fairdarts.data.sources import FAKE_STATISTICS, Source
from fairdarts.differentiable.architect import STEPS
from fairdarts.differentiable.learner import Batch
from fairdarts.differentiable.settings import SearchSettings
from fairdarts.differentiable.setup import make_learner
from fairdarts.reading import read_yaml
from fairdarts.resources import find
from fairdarts.spaces.space import load_space
from fairdarts.supernet.names import current_names

CLASSES = 5


class PlainStep(plain.PlainStep):
    """By either relaxation, and with the loss of either recipe."""

    def loss(self, batch: Batch) -> Tensor:
        images, labels = batch
        gates = {
            cell: (alpha.softmax(-1) if self.settings.relaxation == "softmax" else alpha.sigmoid())
            for cell, alpha in self.alphas.items()
        }
        push = -((torch.cat(list(gates.values())) - 0.5) ** 2).mean()
        return F.cross_entropy(self.network(images, gates), labels) + self.settings.zero_one.weight * push


def batch(generator: torch.Generator) -> Batch:
    images = torch.randn(4, 3, 16, 16, dtype=torch.float64, generator=generator)
    return images, torch.randint(CLASSES, (4,), generator=generator)


@pytest.fixture
def double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(("recipe", "memory"), [("fairdarts-s1-cifar10", "none"), ("darts-s1-cifar10", "recompute")])
def test_a_search_ends_where_the_plain_search_ends(recipe: str, memory: str):
    path = find("recipes", recipe)
    words = {"supernet.cells": "3", "supernet.channels": "4", "compute.memory": memory}
    settings = check(SearchSettings, read_yaml(path), path, words)
    space, source = load_space("s1"), Source(None, tuple(map(str, range(CLASSES))), 16, *FAKE_STATISTICS)
    learner = make_learner(settings, space, source, torch.device("cpu"))
    network = PlainSupernet(space, 3, 4, CLASSES)
    ours = learner.supernet.state_dict()
    names = current_names({name: name for name in network.state_dict()})
    network.load_state_dict({theirs: ours[name] for name, theirs in names.items()})
    alphas = {cell: alpha.detach().clone().requires_grad_() for cell, alpha in learner.alphas.items()}
    plain_step, generator = PlainStep(network, alphas, settings), torch.Generator().manual_seed(0)
    began = {**learner.supernet.state_dict(), **learner.alphas}
    began = {key: value.detach().clone() for key, value in began.items()}
    for _ in range(8):
        train, valid = batch(generator), batch(generator)
        plain_step(train, valid)
        STEPS["first_order"](learner, train, valid)
    found = {**learner.supernet.state_dict(), **learner.alphas}
    for key, expected in {**current_names(network.state_dict()), **alphas}.items():
        torch.testing.assert_close(found[key], expected, rtol=0, atol=1e-10, msg=lambda text, key=key: f"{key}: {text}")
        assert not torch.equal(found[key], began[key]), key  # else the test would say nothing of it
