"""What the factors of a supernet change: which spaces have them, and NAS-Bench-201's cells against plain forms."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from fairdarts.supernet.bench import BenchCell
from fairdarts.supernet.factors import Factors, check_factors
from fairdarts.supernet.path import norms, path_supernet, remembering
from norms import lived_in
from one_shot import CHAIN, CLASSES
from torch import Tensor, nn

from fairdarts.config import UserError, check
from fairdarts.ops.drop_path import drop_path
from fairdarts.spaces.gates import subnet
from fairdarts.spaces.space import load_space

BENCH = load_space("nasbench201")
SMALL = BENCH.model_copy(update={"channels": 2, "cells": 1})
NONE, SKIP, CONV1, CONV3, POOL = range(5)
PATH = (CONV3, CONV1, CONV1, CONV3, CONV3, CONV1)
"""convolutions everywhere: edges (2, 0) and (2, 1) have the same, as have (3, 0) and (3, 1)"""


def cell_of(**factors: Any) -> BenchCell:
    torch.manual_seed(0)
    return lived_in(BenchCell(SMALL, 3, Factors(**factors)))


def image(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("key", "value", "space", "message"),
    [
        ("cells", 3, "fairnas-a", "supernet.cells: 3: is for cells, but space fairnas-a is of kind chain"),
        ("wsbn", True, "fairnas-a", "supernet.wsbn: true: is for cells, but space fairnas-a is of kind chain"),
        (
            "dynamic_channels",
            "shuffle",
            "nasbench201",
            "supernet.dynamic_channels: shuffle: is for nasbench101, but space nasbench201 is of kind nasbench201",
        ),
        (
            "operations",
            "edge",
            "nasbench101",
            "supernet.operations: edge: in space nasbench101 an operation reads the sum of its node's edges",
        ),
        (
            "wsbn",
            True,
            "darts",
            "supernet.wsbn: true: where operations are on edges, every edge has BatchNorms of its own; "
            "set supernet.operations node",
        ),
        (
            "dynamic_channels",
            "disabled",
            "nasbench101",
            "supernet.dynamic_channels: disabled: needs a space of one number of output edges, "
            "as nasbench101-1 to nasbench101-4",
        ),
    ],
)
def test_a_space_that_cannot_follow_is_named(key: str, value: Any, space: str, message: str):
    with pytest.raises(UserError) as error:
        check_factors(Factors(**{key: value}), load_space(space))
    assert str(error.value) == message


def test_wsbn_without_weights_and_memory_is_nothing():
    with pytest.raises(UserError, match=r"supernet\.wsbn: true: with supernet\.affine false and supernet\.track false"):
        check_factors(Factors(wsbn=True, operations="node", affine=False, track=False), BENCH)
    check_factors(Factors(wsbn=True, operations="node", affine=True, track=False), BENCH)


def test_channels_are_enough_for_all_vertices_that_share_them():
    check_factors(Factors(channels=4), load_space("nasbench101"))
    with pytest.raises(UserError, match=r"supernet\.channels: 3: should be at least 4"):
        check_factors(Factors(channels=3), load_space("nasbench101"))


def test_what_a_space_can_follow_passes():
    check_factors(Factors(track=False, affine=False, global_dropout=0.2), load_space("fairnas-a"))
    check_factors(Factors(wsbn=True, operations="node", ofa_kernel=True, path_dropout=0.2), BENCH)
    check_factors(Factors(wsbn=True, dynamic_channels="interpolate"), load_space("nasbench101"))
    check_factors(Factors(dynamic_channels="disabled"), load_space("nasbench101-2"))


@pytest.mark.parametrize(("key", "value"), [("path_dropout", 1.0), ("channels", 1), ("dynamic_channels", "some")])
def test_a_factor_out_of_its_range_is_refused(key: str, value: Any):
    with pytest.raises(UserError, match=key):
        check(Factors, {key: value}, "mine.yaml")


@pytest.mark.parametrize("space", [CHAIN, SMALL], ids=["chain", "bench"])
def test_batch_norms_that_track_nothing_always_take_the_batch(space: Any):
    torch.manual_seed(0)
    supernet = path_supernet(space, CLASSES, 3, Factors(track=False)).double()
    assert norms([supernet])
    assert not remembering([supernet])
    assert not list(supernet.buffers())
    x, chosen = image(4, 3, 8, 8), subnet((1,) * len(space.choices))
    training = supernet.train()(x, chosen)
    assert torch.equal(supernet.eval()(x, chosen), training)
    assert not torch.allclose(supernet(x[:2], chosen), training[:2])


def test_tracked_norms_take_what_they_remember():
    torch.manual_seed(0)
    supernet = path_supernet(SMALL, CLASSES).double()
    assert remembering([supernet]) == norms([supernet])
    x, chosen = image(4, 3, 8, 8), subnet(PATH)
    supernet(x, chosen)
    supernet.eval()
    torch.testing.assert_close(supernet(x[:2], chosen), supernet(x, chosen)[:2])


@pytest.mark.parametrize("affine", [True, False])
def test_affine_is_that_of_choices_in_a_chain(affine: bool):
    supernet = path_supernet(CHAIN, CLASSES, 3, Factors(affine=affine))
    assert {norm.affine for norm in norms(supernet.stages)} == {affine}
    assert all(norm.affine for norm in norms([supernet.stem, supernet.tail]))


def test_cells_and_channels_are_those_of_the_factors():
    supernet = path_supernet(BENCH, CLASSES, 3, Factors(cells=2, channels=4))
    assert [type(stage).__name__ for stage in supernet.stages].count("BenchCell") == 6
    assert supernet.stem[0].out_channels == 4
    assert supernet.tail[-1].in_features == 16


def plain_cell(cell: BenchCell, x: Tensor, path: tuple[int, ...], run: Any) -> Tensor:
    """The cell as a loop over its edges; `run(op, x)` is what an operation gives."""
    states = [x, *[torch.zeros_like(x)] * 3]
    for (node, source), choices, choice in zip(SMALL.edges, cell.candidates, path, strict=True):
        states[node] = states[node] + run(choices[choice], states[source])
    return states[3]


def test_operations_on_nodes_are_shared_by_the_edges_into_them():
    cell = cell_of(operations="node")
    per_node = {node: choices for (node, _), choices in zip(SMALL.edges, cell.candidates, strict=True)}
    for (node, _), choices in zip(SMALL.edges, cell.candidates, strict=True):
        assert list(choices) == list(per_node[node])
    assert len(list(cell.parameters())) == 3 * 2 * 3  # nodes × convolutions × (kernel, weight, bias)
    assert len(list(cell_of().parameters())) == 6 * 2 * 3
    x = image(2, 3, 4, 4)
    torch.testing.assert_close(cell.eval()(x, subnet(PATH)), plain_cell(cell, x, PATH, lambda op, x: op(x)))


def test_wsbn_keeps_statistics_and_weights_for_every_edge():
    cell = cell_of(operations="node", wsbn=True)
    (one, other) = (cell.candidates[edge][CONV1] for edge in (1, 2))  # both lead into node 2
    assert one.conv.weight is other.conv.weight
    assert one.bn is not other.bn
    nn.init.normal_(other.bn.weight)
    x = image(2, 3, 4, 4)
    found = cell.train()(x, subnet(PATH))

    def run(op: nn.Module, x: Tensor) -> Tensor:
        y = op.conv(F.relu(x))
        mean, var = y.mean((0, 2, 3), keepdim=True), y.var((0, 2, 3), keepdim=True, correction=0)
        return (y - mean) / (var + op.bn.eps).sqrt() * op.bn.weight[:, None, None] + op.bn.bias[:, None, None]

    torch.testing.assert_close(found, plain_cell(cell, x, PATH, run), rtol=1e-8, atol=1e-9)
    assert not torch.allclose(one.bn.running_mean, other.bn.running_mean)
    alone = cell_of(operations="node", wsbn=True)
    alone(x, subnet((CONV3, CONV1, NONE, SKIP, NONE, SKIP)))
    moved = [edge for edge, choices in enumerate(alone.candidates) if choices[CONV1].bn.num_batches_tracked]
    assert moved == [1]


def test_the_largest_kernel_is_shared_on_an_edge():
    cell, x = cell_of(ofa_kernel=True), image(2, 3, 4, 4)
    small, large = cell.candidates[0][CONV1], cell.candidates[0][CONV3]
    nn.init.normal_(small.conv.projection)
    cell.eval()
    found = cell(x, subnet((CONV1, NONE, NONE, SKIP, NONE, NONE)))
    assert torch.equal(found, x)
    found = cell(x, subnet((CONV1, NONE, NONE, NONE, SKIP, NONE)))
    kernel = large.conv.weight[:, :, 1:2, 1:2] * small.conv.projection
    torch.testing.assert_close(found, small.bn(F.conv2d(F.relu(x), kernel)))
    assert cell.candidates[1][CONV1].conv.whole.weight is not large.conv.weight


def test_path_dropout_drops_edges_image_by_image_and_only_in_training():
    cell, keep, x = cell_of(path_dropout=0.4), cell_of(), image(6, 3, 4, 4)
    chosen = subnet((SKIP, NONE, POOL, SKIP, CONV1, SKIP))
    torch.manual_seed(3)
    found = cell.train()(x, chosen)
    torch.manual_seed(3)
    states = [x, *[torch.zeros_like(x)] * 3]
    for (node, source), choices, (choice,) in zip(SMALL.edges, keep.train().candidates, chosen, strict=True):
        if choice != NONE:
            states[node] = states[node] + drop_path(choices[choice](states[source]), 0.4)
    torch.testing.assert_close(found, states[3])
    assert torch.equal(cell_of(path_dropout=0.4).eval()(x, chosen), cell_of().eval()(x, chosen))


@pytest.mark.parametrize("space", [CHAIN, SMALL], ids=["chain", "bench"])
def test_global_dropout_stands_before_the_mean(space: Any):
    torch.manual_seed(0)
    supernet = path_supernet(space, CLASSES, 3, Factors(global_dropout=0.5)).double()
    width = space.head if space is CHAIN else 4 * space.channels
    (dropout,) = [module for module in supernet.tail.modules() if isinstance(module, nn.Dropout)]
    shapes = []
    dropout.register_forward_hook(lambda _, maps, __: shapes.append(tuple(maps[0].shape)))
    x, chosen = image(4, 3, 8, 8), subnet((1,) * len(space.choices))
    supernet(x, chosen)
    side = 4 if space is CHAIN else 2
    assert shapes == [(4, width, side, side)]
    assert not torch.equal(supernet(x, chosen), supernet(x, chosen))
    supernet.eval()
    assert torch.equal(supernet(x, chosen), supernet(x, chosen))
