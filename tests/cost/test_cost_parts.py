"""Parts of networks, put together again."""

from collections import Counter
from random import Random

import pytest
import torch
from one_shot import CHAIN, IRREGULAR
from torch import nn

from fairdarts.cost.part import Part
from fairdarts.cost.parts import parts_of
from fairdarts.networks.blueprint import build
from fairdarts.spaces.gates import SinglePath
from fairdarts.spaces.space import Space, load_space


def of_path(path: SinglePath, space: Space) -> list[Part]:
    """All parts of a path's network: the fixed ones, then those of its choices."""
    parts = parts_of(space)
    return [*parts.fixed, *(part for own, index in zip(parts.choices, path, strict=True) for part in own[index])]


def network_of(path: SinglePath, space: Space) -> nn.Module:
    return build(space.genotype_of(path, "n", ""), space)


@pytest.mark.parametrize(
    "space", [CHAIN, IRREGULAR, load_space("nas-bench-macro-small"), load_space("s2-small")], ids=lambda s: s.name
)
def test_the_parts_of_a_chain_one_after_another_are_the_network(space: Space):
    torch.manual_seed(0)
    random, size = Random(0), space.network.image
    for path in (space.random_path(random.randrange) for _ in range(3)):
        stem, tail, *layers = of_path(path, space)
        network, parts = network_of(path, space).eval(), (stem, *layers, tail)
        pieces = nn.Sequential(*(part.build(*part.arguments) for part in parts)).eval()
        pieces.load_state_dict(dict(zip(pieces.state_dict(), network.state_dict().values(), strict=True)))
        x = images = torch.randn(2, 3, size, size)
        for part, piece in zip(parts, pieces, strict=True):
            assert x.shape == (2, part.channels, part.size, part.size)
            x = piece(x)
        torch.testing.assert_close(x, network(images))


@pytest.mark.parametrize("image", [32, 15])
def test_the_parts_of_nas_bench_201_are_modules_of_the_network_and_see_what_they_see(image: int):
    space = load_space("nasbench201").model_copy(update={"channels": 4, "cells": 2})
    sizes = space.networks.cifar.model_copy(update={"image": image})
    space = space.model_copy(update={"networks": space.networks.model_copy(update={"cifar": sizes})})
    path = (3, 2, 1, 4, 0, 3)
    seen = Counter()

    def note(module: nn.Module, inputs: tuple, _: torch.Tensor) -> None:
        seen[str(module), tuple(inputs[0].shape[1:])] += 1

    network = network_of(path, space)
    ops = [op for cell in network.stages if hasattr(cell, "ops") for op in cell.ops]
    reductions = [stage for stage in network.stages if not hasattr(stage, "ops")]
    for module in (network.stem, network.tail, *reductions, *ops):
        module.register_forward_hook(note)
    network(torch.zeros(2, 3, image, image))
    found = Counter()
    for part in of_path(path, space):
        module = part.build(*part.arguments)
        if hasattr(module, "ops"):  # a cell of skips has its sums alone
            assert {type(op) for op in module.ops} == {nn.Identity}
        else:
            found[str(module), (part.channels, part.size, part.size)] += 1
    assert found == seen
    cells = [part for part in parts_of(space).fixed if hasattr(part.build(*part.arguments), "ops")]
    assert Counter((cell.channels, cell.size) for cell in cells) == {
        (4 * 2**stage, -(-image // 2**stage)): 2 for stage in range(3)
    }


@pytest.mark.parametrize(
    ("name", "number"),
    # 11 different layers of 6 choices, stem and tail; 3 stages of 5 operations and a cell, stem, tail, 2 reductions
    [("fairnas-b", 11 * 6 + 2), ("nasbench201", 3 * 6 + 4)],
)
def test_equal_parts_are_one(name: str, number: int):
    distinct = parts_of(load_space(name)).distinct
    assert len(distinct) == len(set(distinct)) == number
