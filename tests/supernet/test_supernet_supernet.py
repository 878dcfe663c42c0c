"""Every kind of space makes its supernet: paths in it are stand-alone networks with the same weights, in float64."""

import copy
from random import Random

import pytest
import torch
import torch.nn.functional as F
from one_shot import BENCH, CHAIN, CLASSES, DEAD, IRREGULAR, SPACES, batches_of, supernet_of
from torch import Tensor, nn

from fairdarts.differentiable.settings import DenseSupernetSettings
from fairdarts.networks.chain import ChainNetwork
from fairdarts.networks.nasbench201 import Bench201Network
from fairdarts.ops.cell import Zero
from fairdarts.relaxation import dense
from fairdarts.spaces.chain import ChainSpace
from fairdarts.spaces.gates import Gate, SinglePath, subnet
from fairdarts.spaces.space import KINDS, Space, load_space
from fairdarts.supernet.stage import Fixed
from fairdarts.supernet.supernet import PARTS, Supernet, at, make_supernet, norms

RANDOM = Random(0)
CASES = [(name, space.random_path(RANDOM.randrange)) for name, space in SPACES.items() for _ in range(4)]
CASES += [("chain", (0, 0, 0, 0)), ("irregular", (0, 0, 0, 4)), *(("bench", path) for path in DEAD)]
IDS = ["-".join([name, *map(str, path)]) for name, path in CASES]


def alone(supernet: Supernet, path: SinglePath, space: Space) -> tuple[nn.Module, dict[nn.Module, nn.Module]]:
    """The stand-alone network of a path with the supernet's weights, and which part of it has those of which part."""
    kind = ChainNetwork if isinstance(space, ChainSpace) else Bench201Network
    network = kind(space.genotype_of(path, "n", ""), space, CLASSES).double()
    parts = {network.stem: supernet.stem}
    if isinstance(network, ChainNetwork):
        for layer, stage, index in zip(network.layers, supernet.stages, path, strict=True):
            (module,) = layer.choices.values()
            parts[module] = stage.candidates[index]
        parts |= {network.head: supernet.tail.head, network.classifier: supernet.tail.classifier}
    else:
        for own, stage in zip(network.stages, supernet.stages, strict=True):
            if isinstance(stage, Fixed):
                parts[own] = stage.module
            else:
                parts |= {op: stage.candidates[edge][path[edge]] for edge, op in enumerate(own.ops)}
        parts[network.tail] = supernet.tail
    for own, part in parts.items():
        own.load_state_dict(part.state_dict())
    return network, parts


def gradient(weight: Tensor) -> Tensor:
    return torch.zeros_like(weight) if weight.grad is None else weight.grad


@pytest.mark.parametrize("train", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize(("name", "path"), CASES, ids=IDS)
def test_a_path_is_its_stand_alone_network(name: str, path: SinglePath, train: bool):
    supernet = supernet_of(SPACES[name]).train(train)
    network, parts = alone(supernet, path, SPACES[name])
    ((images, labels),) = batches_of(1)
    logits, expected = supernet(images, supernet.space.gates(subnet(path))), network.train(train)(images)
    torch.testing.assert_close(logits, expected, rtol=1e-10, atol=1e-11)
    for out in (logits, expected):
        F.cross_entropy(out, labels).backward()
    touched = set()
    for own, part in parts.items():
        for one, other in zip(part.parameters(), own.parameters(), strict=True):
            torch.testing.assert_close(gradient(one), gradient(other), rtol=1e-8, atol=1e-10)
            touched.add(one)
        for one, other in zip(part.buffers(), own.buffers(), strict=True):  # statistics have moved alike
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)
    assert all(weight.grad is None for weight in supernet.parameters() if weight not in touched)


@pytest.mark.parametrize("chosen", [((0,), (1, 2), (0, 1, 2), (1,)), ((0, 1, 2),) * 4], ids=str)
def test_several_active_choices_give_their_mean(chosen: tuple[tuple[int, ...], ...]):
    supernet = supernet_of(CHAIN).eval()
    ((images, _),) = batches_of(1)
    x = supernet.stem(images)
    for stage, active in zip(supernet.stages, chosen, strict=True):
        x = torch.stack([stage.candidates[index](x) for index in active]).mean(0)
    torch.testing.assert_close(supernet(images, supernet.space.gates(chosen)), supernet.tail(x), rtol=1e-12, atol=1e-12)


def test_several_active_choices_of_an_edge_give_their_mean():
    """Where all edges but the last are `none`, the mean of `none` and a convolution is half the convolution."""
    supernet = supernet_of(BENCH).eval()
    ((images, _),) = batches_of(1)
    x = supernet.stem(images)
    for stage in supernet.stages:
        x = stage(x) if isinstance(stage, Fixed) else stage.candidates[3][3](x) / 2
    chosen = ((0,), (0,), (0,), (0, 3), (0,), (0,))
    torch.testing.assert_close(supernet(images, supernet.space.gates(chosen)), supernet.tail(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("name", "path"), CASES, ids=IDS)
def test_the_modules_that_run_are_named(name: str, path: SinglePath):
    supernet = supernet_of(SPACES[name]).eval()
    active = list(supernet.active(supernet.space.gates(subnet(path))))
    assert active[-1] is supernet.tail
    _, parts = alone(supernet, path, SPACES[name])
    behind = {part for part in parts.values() if part is not supernet.stem and not isinstance(part, Zero)}
    tail = {supernet.tail, *supernet.tail.children()} if isinstance(SPACES[name], ChainSpace) else set()
    assert set(active) - tail == behind - tail
    assert len(active) == len(set(active))


def test_norms_are_found_at_any_depth():
    supernet = make_supernet(IRREGULAR, CLASSES, in_channels=1)
    assert norms([supernet]) == [part for part in supernet.modules() if isinstance(part, nn.BatchNorm2d)]
    assert [len(norms([candidate])) for candidate in supernet.stages[1].candidates] == [0, 3, 2]
    assert supernet(torch.zeros(2, 1, 8, 8), IRREGULAR.gates(subnet((0, 0, 0, 0)))).shape == (2, CLASSES)


def test_every_kind_of_space_has_parts():
    assert PARTS.keys() == KINDS.keys()


def test_a_stage_is_told_the_gates_of_its_own_points():
    supernet = make_supernet(IRREGULAR, CLASSES)
    gates = IRREGULAR.gates(subnet((0, 1, 2, 4)))
    assert [at(stage, gates) for stage in supernet.stages] == [(gate,) for gate in gates]
    assert at(Fixed(nn.Identity()), gates) == ()


@pytest.mark.parametrize("name", ["s1", "s2-small", "nasbench201"])
def test_synchronized_batch_norms_compute_the_same_in_one_process(name: str):
    """torch's own runs on GPUs only where there are several processes, and falls back to the plain one where not."""
    space = load_space(name)
    update, own = {
        "s1": ({"nodes": 2}, {"cells": 3, "channels": 2}),
        "s2-small": ({"stages": space.stages[:2]} if isinstance(space, ChainSpace) else {}, {}),
        "nasbench201": ({}, {"cells": 1, "channels": 2}),
    }[name]
    space = space.model_copy(update=update)
    torch.manual_seed(0)
    supernet = make_supernet(space, 3, settings=DenseSupernetSettings(**own)).double()
    alphas = {part: torch.randn(one.shape, dtype=torch.float64) for part, one in space.parts.items()}
    synchronized = nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(supernet))
    assert not any(type(module) is nn.BatchNorm2d for module in synchronized.modules())
    x = torch.randn(4, 3, 16, 16, dtype=torch.float64)
    found = []
    for network in (supernet, synchronized):
        mine = {part: alpha.clone().requires_grad_() for part, alpha in alphas.items()}
        logits = network(x, dense({part: alpha.sigmoid() for part, alpha in mine.items()}, space))
        wanted = [*mine.values(), *network.parameters()]
        found.append([logits, *torch.autograd.grad(F.cross_entropy(logits, torch.tensor([0, 1, 2, 0])), wanted)])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)
    for one, other in zip(supernet.buffers(), synchronized.buffers(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda gates: gates[:-1], "5 gates, should be 6"),
        (lambda gates: (*gates, gates[0]), "7 gates, should be 6"),
        (lambda gates: (*gates[:5], Gate((5,))), r"gates\[5\]: active \(5,\), should be different ones from 0 to 4"),
        (lambda gates: (Gate((-1,)), *gates[1:]), r"gates\[0\]: active \(-1,\), should be"),
        (lambda gates: (Gate((1, 1)), *gates[1:]), r"gates\[0\]: active \(1, 1\), should be different"),
        (
            lambda gates: (Gate((0, 1), torch.ones(3)), *gates[1:]),
            r"weights of shape \[3\], should be \[2\]",
        ),
        (lambda gates: (Gate((0, 1), [1.0, 2.0]), *gates[1:]), r"gates\[0\]: weights \[1.0, 2.0\], should be a tensor"),
    ],
)
def test_gates_that_do_not_fit_are_refused(change, problem: str):
    space = load_space("nasbench201").model_copy(update={"channels": 2, "cells": 1})
    gates = (Gate((1,)),) * 6
    supernet, images = make_supernet(space, 3), torch.randn(2, 3, 8, 8)
    assert supernet(images, gates).shape == (2, 3)
    with pytest.raises(ValueError, match=problem):
        supernet(images, change(gates))


def test_a_layer_of_a_chain_needs_an_active_choice():
    space = load_space("nas-bench-macro-small")
    gates = (Gate(()), *[Gate((0,))] * (len(space.points) - 1))
    with pytest.raises(ValueError, match=r"gates\[0\]: no active choice, but a layer of a chain needs one"):
        make_supernet(space, 3)(torch.randn(2, 3, 32, 32), gates)
