"""Networks of NAS-Bench-101: the benchmark's own counts of parameters, and how a cell adds up and concatenates."""

from collections import Counter
from random import Random

import pytest
import torch
from bench101 import CONV1, CONV3, POOL, Row, genotype, matrix, rows
from torch import Tensor, nn

from fairdarts.config import UserError
from fairdarts.networks.blueprint import NetworkSettings, build
from fairdarts.networks.nasbench101 import Bench101Network, Cell, stem, tail
from fairdarts.networks.sizes import sizes
from fairdarts.ops.nasbench101 import ConvBnRelu
from fairdarts.spaces.graph import Graph, as_trained
from fairdarts.spaces.space import load_space
from fairdarts.training.inherit import inherit

SPACE = load_space("nasbench101")
TINY = SPACE.model_copy(update={"channels": 6, "cells": 2, "stacks": 2})
SEVERAL = Graph(matrix(6, "01", "03", "12", "13", "25", "35", "45", "04", "05"), (CONV3, CONV1, POOL, CONV3))


def numbers(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def parameters(graph: Graph) -> int:
    """Of the whole network, from one cell of every kind."""
    widths = [(128, 128)] * 3 + [(128, 256)] + [(256, 256)] * 2 + [(256, 512)] + [(512, 512)] * 2
    with torch.device("meta"):
        cells = sum(number * numbers(Cell(graph, *own)) for own, number in Counter(widths).items())
        return cells + numbers(stem(SPACE, 3)) + numbers(tail(SPACE, 10))


def of_sorts(told: list[Row], number: int) -> list[Row]:
    """So many cells, half of them with three vertices into the output: there the order of vertices matters."""
    three = [row for row in told if sum(own[-1] for own in row.graph.matrix[1:]) == 3]
    return Random(0).sample(three, number // 2) + Random(1).sample(told, number // 2)


def test_parameters_are_those_of_the_benchmark():
    for row in of_sorts(rows(), 150):
        assert parameters(as_trained(row.graph, SPACE.candidates)) == row.parameters


def test_the_network_has_the_parameters_of_its_cells():
    for row in of_sorts(rows(), 4):
        with torch.device("meta"):
            network = build(genotype(row.graph), SPACE)
        assert numbers(network) == parameters(row.graph)


@pytest.mark.slow
def test_all_parameters_are_those_of_the_benchmark():
    for row in rows():
        assert parameters(as_trained(row.graph, SPACE.candidates)) == row.parameters


def test_the_network_has_three_cells_a_stack_and_pooling_between():
    with torch.device("meta"):
        network = build(genotype(SEVERAL), SPACE)
    pooled = [*[Cell] * 3, nn.MaxPool2d] * 3
    assert [type(stage) for stage in network.stages] == pooled[:-1]
    cells = [stage for stage in network.stages if isinstance(stage, Cell)]
    assert [cell.channels[-1] for cell in cells] == [128] * 3 + [256] * 3 + [512] * 3
    assert [cell.channels[0] for cell in cells] == [128] * 4 + [256] * 3 + [512] * 2
    norms = [part for part in network.modules() if isinstance(part, nn.BatchNorm2d)]
    assert {(part.eps, round(part.momentum, 9)) for part in norms} == {(1e-5, 0.003)}
    convolutions = [part for part in network.modules() if isinstance(part, nn.Conv2d)]
    assert len(convolutions) == len(norms) == 1 + 9 * (4 + 3)  # of a cell four projections, three operations
    assert all(part.bias is None for part in convolutions)


def cell_and_input(graph: Graph, c_in: int, c_out: int) -> tuple[Cell, Tensor]:
    torch.manual_seed(0)
    cell = Cell(graph, c_in, c_out).double().eval()
    for norm in cell.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.normal_(norm.weight)
            nn.init.normal_(norm.running_mean)
    return cell, torch.randn(2, c_in, 5, 4, dtype=torch.float64)


def test_a_vertex_adds_up_what_it_reads_and_the_output_concatenates():
    cell, x = cell_and_input(SEVERAL, 4, 11)
    assert cell.channels == (4, 4, 4, 4, 3, 11)
    assert {own: part.conv.out_channels for own, part in cell.projections.items()} == {"1": 4, "3": 4, "4": 3, "5": 11}
    first, second, third, fourth = cell.ops
    one = first(cell.projections["1"](x))
    two = second(one)
    three = third(cell.projections["3"](x) + one)
    four = fourth(cell.projections["4"](x))
    expected = torch.cat([two, three, four], dim=1) + cell.projections["5"](x)
    torch.testing.assert_close(cell(x), expected, rtol=1e-12, atol=1e-12)


def test_a_vertex_reads_the_first_channels_of_larger_ones():
    # 1 feeds 2 and 4, which lead into the output with 3 others: the largest of them has 3 channels, the last one 2
    cell, x = cell_and_input(Graph(matrix(6, "01", "03", "12", "14", "25", "35", "45"), (CONV3,) * 4), 4, 8)
    assert cell.channels == (4, 3, 3, 3, 2, 8)
    first, second, third, fourth = cell.ops
    one = first(cell.projections["1"](x))
    expected = torch.cat([second(one), third(cell.projections["3"](x)), fourth(one[:, :2])], dim=1)
    torch.testing.assert_close(cell(x), expected, rtol=1e-12, atol=1e-12)


def test_an_output_of_the_input_alone_is_its_projection():
    cell, x = cell_and_input(Graph(matrix(2, "01"), ()), 4, 8)
    torch.testing.assert_close(cell(x), cell.projections["1"](x))
    assert cell(x).shape == (2, 8, 5, 4)


def test_a_convolution_comes_before_its_norm_and_relu():
    torch.manual_seed(0)
    op, x = ConvBnRelu(3, 5, 3).double(), torch.randn(4, 3, 6, 6, dtype=torch.float64)
    out = nn.functional.conv2d(x, op.conv.weight, padding=1)
    mean, variance = out.mean((0, 2, 3), keepdim=True), out.var((0, 2, 3), unbiased=False, keepdim=True)
    torch.testing.assert_close(op(x), ((out - mean) / (variance + 1e-5).sqrt()).clamp(min=0), rtol=1e-10, atol=1e-10)


def test_what_is_on_no_way_is_not_built():
    loose = Graph(matrix(5, "01", "02", "14", "34"), (POOL, CONV3, CONV3))
    network = Bench101Network(genotype(loose), TINY, classes=3)
    same = Bench101Network(genotype(Graph(matrix(3, "01", "12"), (POOL,))), TINY, classes=3)
    assert str(network) == str(same)


@pytest.mark.parametrize("size", [(8, 8), (9, 7)])
def test_images_of_other_kinds(size: tuple[int, int]):
    network = Bench101Network(genotype(SEVERAL), TINY, classes=3, in_channels=1)
    images = torch.randn(4, 1, *size)
    assert network(images).shape == (4, 3)
    halved = network.stages[:3](network.stem(images))
    assert halved.shape == (4, 6, -(-size[0] // 2), -(-size[1] // 2))


def test_settings_that_it_does_not_have_are_named():
    assert sizes(SPACE) == ("cifar",)
    with pytest.raises(UserError, match="n: space nasbench101 has no imagenet network, only cifar"):
        build(genotype(SEVERAL), SPACE, NetworkSettings(size="imagenet"))
    with pytest.raises(UserError, match=r"network.cells: 3: is for cells, but space nasbench101 is of kind"):
        build(genotype(SEVERAL), SPACE, NetworkSettings(cells=3))


def test_no_weights_are_taken_from_a_supernet():
    network = Bench101Network(genotype(SEVERAL), TINY, classes=3)
    with pytest.raises(UserError, match=r"runs/a: space nasbench101: its supernets have no weights .*; train it from"):
        inherit(network, genotype(SEVERAL), TINY, {}, "runs/a")
