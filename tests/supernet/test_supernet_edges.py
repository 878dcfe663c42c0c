"""Cells of both kinds, and chains, under every form of gates, against loops over what is active, in float64."""

import pytest
import torch
from one_shot import BENCH, CELLS, CHAIN, CLASSES, IRREGULAR, supernet_of
from plain_gates import Plain, weighted
from torch import Tensor, nn

from fairdarts.differentiable.settings import DenseSupernetSettings
from fairdarts.ops.cell import FactorizedReduce, Separable, unit
from fairdarts.relaxation import dense
from fairdarts.spaces.gates import Gate, Gates
from fairdarts.spaces.space import Space
from fairdarts.supernet.edges import is_weightless
from fairdarts.supernet.settings import SupernetSettings
from fairdarts.supernet.supernet import Supernet, make_supernet, norms

SPACES = {"bench": BENCH, "chain": CHAIN, "irregular": IRREGULAR, "cells": CELLS}
FORMS = {
    "one, straight-through": lambda count: Gate((count - 1,), straight_through(torch.ones(1))),
    "two, straight-through": lambda count: Gate((0, count - 1), straight_through(torch.tensor([0.3, 0.7]))),
    "two in any order": lambda count: Gate((count - 1, 0), torch.tensor([0.4, -1.2], dtype=torch.float64)),
    "a number": lambda count: Gate((count - 1,), 0.25),
    "a number for two": lambda count: Gate((count - 2, count - 1), -2.0),
    "the mean of two": lambda count: Gate((count - 2, count - 1)),
    "the output as it is": lambda count: Gate((count - 1,)),
}


def straight_through(hard: Tensor) -> Tensor:
    """Sampled weights whose gradient is that of others."""
    soft = torch.rand(len(hard), dtype=torch.float64).requires_grad_()
    return hard.double() + soft - soft.detach()


class PlainCells(nn.Module):
    """A supernet of DARTS' cells in loops, with its own modules."""

    def __init__(self, supernet: Supernet):
        super().__init__()
        self.own = supernet

    def forward(self, x: Tensor, gates: Gates) -> Tensor:
        s0 = s1 = self.own.stem(x)
        for cell in self.own.stages:
            states: list[Tensor | None] = [cell.preprocess[0](s0), cell.preprocess[1](s1), None, None]
            for point, (node, source), candidates in zip(cell.points, cell.edges, cell.candidates, strict=True):
                if states[source] is None or not gates[point].active:
                    continue
                arriving = weighted(candidates, states[source], gates[point])
                states[node] = arriving if states[node] is None else states[node] + arriving
            s0, s1 = s1, torch.cat(states[2:], 1)
        return self.own.tail((s0, s1))


def plain_of(supernet: Supernet) -> nn.Module:
    if supernet.space.kind != "cell":
        return Plain(supernet)
    plain = make_supernet(supernet.space, CLASSES).double()
    plain.load_state_dict(supernet.state_dict())
    return PlainCells(plain.train(supernet.training))


def gates_of(space: Space, form: str) -> Gates:
    """Of every point; `none`, whose outputs are zeros, stands first in cells."""
    torch.manual_seed(2)
    points = {point: part.candidates for part in space.parts.values() for point in part.points}
    return tuple(FORMS[form](len(points[point])) for point in range(len(points)))


def images() -> Tensor:
    return torch.randn(4, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", SPACES)
def test_some_candidates_give_what_they_alone_give(name: str, form: str, training: bool):
    supernet = supernet_of(SPACES[name]).train(training)
    plain, gates, results = plain_of(supernet), gates_of(SPACES[name], form), []
    tensors = [gate.weights for gate in gates if isinstance(gate.weights, Tensor) and gate.weights.requires_grad]
    for network in (supernet, plain):
        out = network(images(), gates)
        wanted = [*tensors, *network.parameters()]
        found = torch.autograd.grad(out.square().sum(), wanted, allow_unused=True)
        gradients = dict(
            zip([*range(len(tensors)), *(key for key, _ in network.named_parameters())], found, strict=True)
        )
        results.append((out, gradients, dict(network.named_buffers())))
    (out, gradients, buffers), (expected, others, moved) = results
    torch.testing.assert_close(out, expected, rtol=1e-9, atol=1e-9)
    for key, gradient in gradients.items():
        other = others[f"own.{key}" if isinstance(key, str) else key]
        zero = (
            torch.zeros(())
            if gradient is None and other is None
            else torch.zeros_like(other if gradient is None else gradient)
        )
        torch.testing.assert_close(
            zero if gradient is None else gradient, zero if other is None else other, rtol=1e-8, atol=1e-8
        )
    for key, buffer in buffers.items():
        if training or "num_batches" not in key:
            torch.testing.assert_close(buffer, moved[f"own.{key}"], rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", SPACES)
def test_what_is_not_active_gets_neither_gradients_nor_statistics(name: str, form: str):
    supernet, gates = supernet_of(SPACES[name]), gates_of(SPACES[name], form)
    for norm in norms([supernet]):
        norm.num_batches_tracked.zero_()
    supernet(images(), gates).square().sum().backward()
    ran = nn.ModuleList([supernet.stem, *supernet.active(gates)])
    assert {id(weight) for weight in supernet.parameters() if weight.grad is not None} == {
        id(w) for w in ran.parameters()
    }
    assert {id(norm) for norm in norms([supernet]) if norm.num_batches_tracked} == {id(norm) for norm in norms([ran])}


@pytest.mark.parametrize("weights", [None, 1.0, torch.ones(1, dtype=torch.float64)], ids=["none", "number", "tensor"])
def test_a_weight_of_one_is_no_weight(weights: Tensor | float | None):
    for space in SPACES.values():
        supernet = supernet_of(space).eval()
        gates = gates_of(space, "the output as it is")
        found = supernet(images(), tuple(gate._replace(weights=weights) for gate in gates))
        torch.testing.assert_close(found, supernet(images(), gates), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("dense_elsewhere", [True, False])
def test_nothing_arrives_from_an_edge_without_active_candidates(dense_elsewhere: bool):
    supernet = supernet_of(BENCH)
    every = tuple(range(5))
    other = Gate(every, torch.rand(5, dtype=torch.float64)) if dense_elsewhere else Gate((3,))
    empty = Gate((), torch.zeros(0, dtype=torch.float64)) if dense_elsewhere else Gate(())
    gates = (other, empty, other, other, empty, other)
    plain = Plain(supernet)
    torch.testing.assert_close(supernet(images(), gates), plain(images(), gates), rtol=1e-9, atol=1e-10)
    ran = list(supernet.active(gates))
    cell = supernet.stages[0]
    assert not any(op in ran for row in (1, 4) for op in cell.candidates[row])
    nothing = supernet(images(), (empty,) * 6)  # all cells give zeros
    assert torch.equal(nothing, nothing[:1].expand_as(nothing))
    torch.testing.assert_close(nothing, plain(images(), (empty,) * 6), rtol=1e-9, atol=1e-10)


def test_dense_gates_make_none_nothing_and_give_it_no_gradient():
    supernet = supernet_of(BENCH)
    matrix = torch.rand(6, 5, dtype=torch.float64, requires_grad=True)
    supernet(images(), dense({"edges": matrix}, BENCH)).square().sum().backward()
    assert not matrix.grad[:, 0].any()
    assert bool((matrix.grad[:, 1:] != 0).all())


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("operations", ["edge", "node"])
@pytest.mark.parametrize("track", [True, False])
def test_cells_under_dense_gates_whatever_their_settings(affine: bool, operations: str, track: bool):
    own = {"affine": affine, "operations": operations, "track": track}
    torch.manual_seed(0)
    supernet = make_supernet(CELLS, CLASSES, settings=DenseSupernetSettings(**own)).double()
    torch.manual_seed(0)
    plain = make_supernet(CELLS, CLASSES, settings=DenseSupernetSettings(**own)).double()
    gates = {part: torch.rand(one.shape, dtype=torch.float64, requires_grad=True) for part, one in CELLS.parts.items()}
    for training in (True, True, False):
        results = []
        for network, form in ((supernet, supernet), (plain, PlainCells(plain))):
            network.train(training)
            out = form(images(), dense(gates, CELLS))
            results.append([out, *torch.autograd.grad(out.square().sum(), [*gates.values(), *network.parameters()])])
        for one, other in zip(*results, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-8)


def test_what_is_weightless():
    assert is_weightless(nn.Identity())
    assert is_weightless(nn.Sequential(nn.MaxPool2d(3), nn.BatchNorm2d(2, affine=False)))
    assert not is_weightless(nn.Sequential(nn.MaxPool2d(3), nn.BatchNorm2d(2)))
    assert not is_weightless(nn.Sequential(nn.AvgPool2d(3), nn.Dropout()))  # random
    assert not is_weightless(FactorizedReduce(2, 2, affine=False))
    assert not is_weightless(Separable(*unit(2, 3, 1, 1, False)))


def test_settings_without_ties_give_every_edge_its_own_modules():
    tied, free = (make_supernet(CELLS, CLASSES, settings=own) for own in (DenseSupernetSettings(), SupernetSettings()))
    for supernet, shared in ((tied, True), (free, False)):
        cell = supernet.stages[0]
        first, second = (cell.candidates[CELLS.edges.index((node, 0))][1] for node in (2, 3))
        assert (first is second) == shared
