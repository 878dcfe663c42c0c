"""Networks of NAS-Bench-201: the benchmark's own counts of parameters, and how a cell adds up."""

import pytest
import torch
from torch import nn

from fairdarts.config import UserError
from fairdarts.cost.count import count
from fairdarts.genotype import EdgeGenotype
from fairdarts.networks.blueprint import NetworkSettings, build
from fairdarts.networks.nasbench201 import Bench201Network, Cell
from fairdarts.networks.sizes import sizes
from fairdarts.ops.nasbench201 import Reduction
from fairdarts.spaces.nasbench201 import names_of_arch
from fairdarts.spaces.space import load_space

SPACE = load_space("nasbench201")
TINY = SPACE.model_copy(update={"channels": 2, "cells": 1})
EVERY = ("nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3", "skip_connect", "nor_conv_3x3", "none")


def genotype(edges: tuple[str, ...]) -> EdgeGenotype:
    return EdgeGenotype(schema=1, name="n", space="nasbench201", source="", edges=edges)


def parameters(edges: tuple[str, ...]) -> int:
    with torch.device("meta"):
        return sum(weight.numel() for weight in build(genotype(edges), SPACE).parameters())


@pytest.mark.parametrize(
    ("edges", "expected"),
    [(("none",) * 6, 73_306), (("nor_conv_3x3",) * 6, 1_531_546), (("nor_conv_1x1", *["avg_pool_3x3"] * 5), 101_306)],
)
def test_parameters_are_those_of_the_benchmark(edges: tuple[str, ...], expected: int):
    assert parameters(edges) == expected


def test_parameters_are_those_of_the_benchmark_wherever_they_differ(bench201: list[dict[str, str]]):
    """One cell of every count there is: all numbers of 1×1 and 3×3 convolutions."""
    rows = {int(row["params_cifar10"]): row["arch"] for row in bench201}
    assert len(rows) == 28
    for expected, arch in rows.items():
        assert parameters(tuple(names_of_arch(arch))) == expected


def test_the_network_has_five_cells_a_stage_and_reductions_between():
    with torch.device("meta"):
        network = build(genotype(EVERY), SPACE)
    kinds = [type(stage) for stage in network.stages]
    assert kinds == [*[Cell] * 5, Reduction, *[Cell] * 5, Reduction, *[Cell] * 5]
    widths = [stage.ops[0].conv.out_channels for stage in network.stages if isinstance(stage, Cell)]
    assert widths == [16] * 5 + [32] * 5 + [64] * 5
    assert network.tail[-1].out_features == 10
    # 3×3 convolutions of a cell: two; multiply-adds of a stage halve twice and quadruple twice, so all stages are alike
    convolutions = 15 * (16**2 * 32**2) * (2 * 9 + 1)
    reductions = sum((2 * c * c * 9 + 4 * c * c * 9 + 2 * c * c) * side**2 for c, side in ((16, 16), (32, 8)))
    assert count(network).madds == convolutions + reductions + 3 * 16 * 9 * 32**2 + 64 * 10


def test_a_node_is_the_sum_of_its_edges():
    torch.manual_seed(0)
    cell, x = Cell(EVERY, SPACE.edges, 3).double().eval(), torch.randn(2, 3, 5, 5, dtype=torch.float64)
    for norm in cell.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.normal_(norm.weight)
    first, second, third, fourth, fifth, _ = cell.ops
    one = first(x)
    two = second(x) + third(one)
    torch.testing.assert_close(cell(x), fourth(x) + fifth(one), rtol=1e-12, atol=1e-12)
    cell.ops[5] = nn.Identity()
    torch.testing.assert_close(cell(x), fourth(x) + fifth(one) + two, rtol=1e-12, atol=1e-12)


def test_a_cell_without_operations_gives_zeros():
    assert not Cell(("none",) * 6, SPACE.edges, 3)(torch.ones(2, 3, 4, 4)).any()


def test_images_of_other_kinds():
    network = Bench201Network(genotype(EVERY), TINY, classes=3, in_channels=1)
    assert network(torch.randn(4, 1, 9, 7)).shape == (4, 3)


def test_a_network_that_the_space_does_not_state_is_named():
    assert sizes(SPACE) == ("cifar",)
    with pytest.raises(UserError, match="n: space nasbench201 has no imagenet network, only cifar"):
        build(genotype(EVERY), SPACE, NetworkSettings(size="imagenet"))
