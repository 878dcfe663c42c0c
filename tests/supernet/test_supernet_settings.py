"""The settings of a supernet: which spaces can follow them, and what those change that all spaces have."""

from typing import Any

import pytest
import torch
from one_shot import CHAIN, CLASSES
from torch import Tensor, nn

from fairdarts.checking import check
from fairdarts.config import UserError
from fairdarts.spaces.gates import subnet
from fairdarts.spaces.space import load_space
from fairdarts.supernet.settings import SupernetSettings, check_supernet
from fairdarts.supernet.supernet import make_supernet, norms, tracked_norms

BENCH = load_space("nasbench201")
SMALL = BENCH.model_copy(update={"channels": 2, "cells": 1})
_, _, CONV1, CONV3, _ = range(5)
PATH = (CONV3, CONV1, CONV1, CONV3, CONV3, CONV1)
"""convolutions everywhere: edges (2, 0) and (2, 1) have the same, as have (3, 0) and (3, 1)"""


def image(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("key", "value", "space", "message"),
    [
        ("cells", 3, "fairnas-a", "supernet.cells: 3: is for cells, but space fairnas-a is of kind chain"),
        (
            "stem",
            "imagenet",
            "s2",
            "supernet.stem: imagenet: is for spaces of kind cell, but space s2 is of kind chain",
        ),
        (
            "stem",
            "cifar",
            "nasbench201",
            "supernet.stem: cifar: is for spaces of kind cell, but space nasbench201 is of kind nasbench201",
        ),
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
        check_supernet(SupernetSettings(**{key: value}), load_space(space))
    assert str(error.value) == message


def test_wsbn_without_weights_and_memory_is_nothing():
    with pytest.raises(UserError, match=r"supernet\.wsbn: true: with supernet\.affine false and supernet\.track false"):
        check_supernet(SupernetSettings(wsbn=True, operations="node", affine=False, track=False), BENCH)
    check_supernet(SupernetSettings(wsbn=True, operations="node", affine=True, track=False), BENCH)


def test_channels_are_enough_for_all_vertices_that_share_them():
    check_supernet(SupernetSettings(channels=4), load_space("nasbench101"))
    with pytest.raises(UserError, match=r"supernet\.channels: 3: should be at least 4"):
        check_supernet(SupernetSettings(channels=3), load_space("nasbench101"))


def test_what_a_space_can_follow_passes():
    check_supernet(SupernetSettings(track=False, affine=False, global_dropout=0.2), load_space("fairnas-a"))
    check_supernet(SupernetSettings(wsbn=True, operations="node", ofa_kernel=True, path_dropout=0.2), BENCH)
    check_supernet(SupernetSettings(wsbn=True, dynamic_channels="interpolate"), load_space("nasbench101"))
    check_supernet(SupernetSettings(dynamic_channels="disabled"), load_space("nasbench101-2"))


@pytest.mark.parametrize(
    ("key", "value"), [("path_dropout", 1.0), ("channels", 1), ("dynamic_channels", "some"), ("stem", "large")]
)
def test_a_setting_out_of_its_range_is_refused(key: str, value: Any):
    with pytest.raises(UserError, match=key):
        check(SupernetSettings, {key: value}, "mine.yaml")


@pytest.mark.parametrize("space", [CHAIN, SMALL], ids=["chain", "bench"])
def test_batch_norms_that_track_nothing_always_take_the_batch(space: Any):
    torch.manual_seed(0)
    supernet = make_supernet(space, CLASSES, 3, SupernetSettings(track=False)).double()
    assert norms([supernet])
    assert not tracked_norms([supernet])
    assert not list(supernet.buffers())
    x, chosen = image(4, 3, 8, 8), space.gates(subnet((1,) * len(space.choices)))
    training = supernet.train()(x, chosen)
    assert torch.equal(supernet.eval()(x, chosen), training)
    assert not torch.allclose(supernet(x[:2], chosen), training[:2])


def test_tracked_norms_take_their_running_statistics():
    torch.manual_seed(0)
    supernet = make_supernet(SMALL, CLASSES).double()
    assert tracked_norms([supernet]) == norms([supernet])
    x, chosen = image(4, 3, 8, 8), SMALL.gates(subnet(PATH))
    supernet(x, chosen)
    supernet.eval()
    torch.testing.assert_close(supernet(x[:2], chosen), supernet(x, chosen)[:2])


@pytest.mark.parametrize("affine", [True, False])
def test_affine_is_that_of_choices_in_a_chain(affine: bool):
    supernet = make_supernet(CHAIN, CLASSES, 3, SupernetSettings(affine=affine))
    assert {norm.affine for norm in norms(supernet.stages)} == {affine}
    assert all(norm.affine for norm in norms([supernet.stem, supernet.tail]))


def test_cells_and_channels_are_those_of_the_settings():
    supernet = make_supernet(BENCH, CLASSES, 3, SupernetSettings(cells=2, channels=4))
    assert [type(stage).__name__ for stage in supernet.stages].count("BenchCell") == 6
    assert supernet.stem[0].out_channels == 4
    assert supernet.tail[-1].in_features == 16


@pytest.mark.parametrize("space", [CHAIN, SMALL], ids=["chain", "bench"])
def test_global_dropout_stands_before_the_mean(space: Any):
    torch.manual_seed(0)
    supernet = make_supernet(space, CLASSES, 3, SupernetSettings(global_dropout=0.5)).double()
    width = space.head if space is CHAIN else 4 * space.channels
    (dropout,) = [module for module in supernet.tail.modules() if isinstance(module, nn.Dropout)]
    shapes = []
    dropout.register_forward_hook(lambda _, maps, __: shapes.append(tuple(maps[0].shape)))
    x, chosen = image(4, 3, 8, 8), space.gates(subnet((1,) * len(space.choices)))
    supernet(x, chosen)
    side = 4 if space is CHAIN else 2
    assert shapes == [(4, width, side, side)]
    assert not torch.equal(supernet(x, chosen), supernet(x, chosen))
    supernet.eval()
    assert torch.equal(supernet(x, chosen), supernet(x, chosen))
