"""The supernet of NAS-Bench-201 against stand-alone networks and loops over edges and candidates, in float64."""

from collections.abc import Callable
from random import Random

import pytest
import torch
import torch.nn.functional as F
from plain_gates import Plain
from torch import Tensor, nn

from fairdarts.differentiable.settings import DenseSupernetSettings
from fairdarts.disturbance import Disturbance
from fairdarts.genotype import EdgeGenotype
from fairdarts.networks.nasbench201 import Bench201Network, Cell
from fairdarts.noise import NoiseSettings
from fairdarts.ops.drop_path import drop_path
from fairdarts.ops.nasbench201 import Reduction
from fairdarts.relaxation import RELAXATIONS, dense
from fairdarts.spaces.gates import Gates, subnet
from fairdarts.spaces.space import load_space
from fairdarts.supernet.nasbench201 import BenchCell
from fairdarts.supernet.settings import SupernetSettings
from fairdarts.supernet.stage import Fixed
from fairdarts.supernet.supernet import Supernet, make_supernet, norms

SPACE = load_space("nasbench201")
TINY = SPACE.model_copy(update={"channels": 3, "cells": 2})
NONE, SKIP, CONV1, CONV3, POOL = range(5)
RANDOM = Random(0)
PATHS = [
    (CONV3,) * 6,
    (CONV3, CONV1, CONV3, SKIP, POOL, CONV1),
    (NONE, CONV3, CONV1, SKIP, CONV3, POOL),  # a convolution and a pooling read zeros
    (NONE, NONE, CONV1, POOL, SKIP, CONV3),
    (CONV1, POOL, POOL, POOL, NONE, POOL),
    (CONV3, CONV3, CONV3, SKIP, NONE, NONE),  # nodes that nothing reads
    (CONV3, CONV3, CONV3, NONE, NONE, NONE),  # nothing reaches the output
    *(tuple(RANDOM.choices(range(5), k=6)) for _ in range(6)),
]


def single(path: tuple[int, ...]) -> Gates:
    return SPACE.gates(subnet(path))


def shaken(module: nn.Module) -> nn.Module:
    """The module in float64, its BatchNorms with weights that matter."""
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d) and norm.affine:
            nn.init.normal_(norm.weight)
            nn.init.normal_(norm.bias)
    return module.double()


def cell_of(recompute: bool = False, **settings: object) -> BenchCell:
    torch.manual_seed(0)
    return shaken(BenchCell(SPACE, 3, SupernetSettings(**settings), recompute))


def alone(cell: BenchCell, path: tuple[int, ...]) -> Cell:
    """The stand-alone cell of a path, with copies of the supernet's weights."""
    built = Cell(tuple(SPACE.candidates[choice] for choice in path), SPACE.edges, 3).double()
    for op, own, choice in zip(built.ops, cell.candidates, path, strict=True):
        op.load_state_dict(own[choice].state_dict())
    return built


def image(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def gradients(out: Tensor, wanted: list[Tensor]) -> list[Tensor]:
    """Those of Σ out · cos(out), zeros where there is none."""
    if not out.requires_grad:
        return [torch.zeros_like(one) for one in wanted]
    return list(torch.autograd.grad((out * out.cos()).sum(), wanted, materialize_grads=True))


@pytest.mark.parametrize("path", PATHS, ids=str)
def test_a_cell_under_one_path_is_the_stand_alone_cell(path: tuple[int, ...]):
    cell = cell_of()
    plain, chosen = alone(cell, path), single(path)
    outcomes = []
    for out_of, weights in (
        (
            lambda x: cell(x, chosen),
            [w for own, c in zip(cell.candidates, path, strict=True) for w in own[c].parameters()],
        ),
        (plain, list(plain.parameters())),
    ):
        x = image(4, 3, 5, 4).requires_grad_()
        out = out_of(x)
        outcomes.append([out, *gradients(out, [x, *weights])])
    for one, other in zip(*outcomes, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-11)
    for own, choice, op in zip(cell.candidates, path, plain.ops, strict=True):  # statistics have moved alike
        for one, other in zip(own[choice].buffers(), op.buffers(), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("path", PATHS[:4], ids=str)
def test_the_whole_supernet_under_one_path_is_the_stand_alone_network(path: tuple[int, ...]):
    torch.manual_seed(0)
    whole = shaken(make_supernet(TINY, 4, 2))
    stem, stages, tail = whole.stem, whole.stages, whole.tail
    names = tuple(SPACE.candidates[choice] for choice in path)
    genotype = EdgeGenotype(schema=1, name="n", space="nasbench201", source="", edges=names)
    network = Bench201Network(genotype, TINY, classes=4, in_channels=2).double()
    network.stem.load_state_dict(stem.state_dict())
    network.tail.load_state_dict(tail.state_dict())
    for stage, own in zip(network.stages, stages, strict=True):
        if isinstance(own, Fixed):
            stage.load_state_dict(own.module.state_dict())
        else:
            stage.load_state_dict(alone_state(own, path))
    x, labels = image(4, 2, 8, 8), torch.tensor([0, 1, 2, 3])
    for module in (whole, network):
        module.train()
    found = whole(x, single(path))
    F.cross_entropy(found, labels).backward()
    logits = network(x)
    F.cross_entropy(logits, labels).backward()
    torch.testing.assert_close(found, logits, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(stem[0].weight.grad, network.stem[0].weight.grad, rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(tail[-1].weight.grad, network.tail[-1].weight.grad, rtol=1e-8, atol=1e-10)


def alone_state(cell: BenchCell, path: tuple[int, ...]) -> dict[str, Tensor]:
    """The state of the stand-alone cell of a path."""
    chosen = zip(cell.candidates, path, strict=True)
    return {
        f"ops.{edge}.{key}": value
        for edge, (own, choice) in enumerate(chosen)
        for key, value in own[choice].state_dict().items()
    }


def test_stages_and_the_choice_points_they_read():
    stages = make_supernet(SPACE, 4).stages
    kinds = [type(stage) for stage in stages]
    assert kinds == [*[BenchCell] * 5, Fixed, *[BenchCell] * 5, Fixed, *[BenchCell] * 5]
    for stage in stages:
        assert stage.points == (() if isinstance(stage, Fixed) else tuple(range(6)))
    cells = [stage for stage in stages if isinstance(stage, BenchCell)]
    widths = [cell.candidates[0][CONV3].conv.out_channels for cell in cells]
    assert widths == [16] * 5 + [32] * 5 + [64] * 5
    assert type(stages[5].module) is Reduction


@pytest.mark.parametrize("affine", [True, False])
def test_affine_is_that_of_the_candidates_and_of_what_stands_between_cells(affine: bool):
    supernet = make_supernet(TINY, 4, 3, SupernetSettings(affine=affine))
    for stage in supernet.stages:
        found = {module.affine for module in stage.modules() if isinstance(module, nn.BatchNorm2d)}
        assert found == {affine}
    for part in (supernet.stem, supernet.tail):
        assert all(module.affine for module in part.modules() if isinstance(module, nn.BatchNorm2d))


def test_several_active_choices_of_an_edge_give_their_mean():
    cell, x = cell_of().eval(), image(2, 3, 5, 5)
    chosen = ((CONV3, SKIP, NONE), (POOL,), (CONV1, CONV3), (NONE,), (SKIP, POOL), (NONE, NONE, CONV1, SKIP))
    states = [x]
    for node in (1, 2, 3):
        value = torch.zeros_like(x)
        for own, active, (target, source) in zip(cell.candidates, chosen, SPACE.edges, strict=True):
            if target == node:
                value = value + sum(own[choice](states[source]) for choice in active) / len(active)
        states.append(value)
    torch.testing.assert_close(cell(x, SPACE.gates(chosen)), states[-1], rtol=1e-12, atol=1e-12)


def test_active_modules_are_those_that_run_and_only_their_weights_have_gradients():
    cell = cell_of()
    chosen = ((CONV3,), (NONE,), (CONV1, POOL), (SKIP,), (CONV1,), (CONV3,))
    active = list(cell.active(SPACE.gates(chosen)))
    expected = [(0, CONV3), (2, CONV1), (2, POOL), (3, SKIP), (4, CONV1), (5, CONV3)]
    assert [id(module) for module in active] == [id(cell.candidates[edge][choice]) for edge, choice in expected]
    cell(image(2, 3, 4, 4), SPACE.gates(chosen)).sum().backward()
    own = {id(weight) for module in active for weight in module.parameters()}
    assert {id(weight) for weight in cell.parameters() if weight.grad is not None} == own
    moved = {id(norm) for norm in cell.modules() if isinstance(norm, nn.BatchNorm2d) and norm.num_batches_tracked}
    assert moved == {id(module.bn) for module in active if hasattr(module, "bn")}
    fixed = Fixed(Reduction(2))
    assert list(fixed.active(())) == [fixed.module]
    assert fixed(torch.ones(2, 2, 4, 4), ()).shape == (2, 4, 2, 2)


def test_edges_of_one_node_share_its_relu_and_its_pooling(monkeypatch: pytest.MonkeyPatch):
    cell, calls = cell_of(), {"relu": 0, "avg_pool2d": 0}
    for name, plain in (("relu", F.relu), ("avg_pool2d", F.avg_pool2d)):

        def counted(*args: object, name: str = name, plain: object = plain, **kwargs: object) -> Tensor:
            calls[name] += 1
            return plain(*args, **kwargs)

        monkeypatch.setattr(F, name, counted)
    cell(image(2, 3, 4, 4), single((CONV3, CONV1, POOL, CONV3, POOL, POOL)))
    assert calls == {"relu": 1, "avg_pool2d": 2}  # three convolutions read node 0, two poolings node 1, one node 2


# settings


PATH = (CONV3, CONV1, CONV1, CONV3, CONV3, CONV1)
"""convolutions everywhere: edges (2, 0) and (2, 1) have the same, as have (3, 0) and (3, 1)"""


def plain_cell(cell: BenchCell, x: Tensor, path: tuple[int, ...], run: Callable[[nn.Module, Tensor], Tensor]) -> Tensor:
    """The cell as a loop over its edges; `run(op, x)` is what an operation gives."""
    states = [x, *[torch.zeros_like(x)] * 3]
    for (node, source), choices, choice in zip(SPACE.edges, cell.candidates, path, strict=True):
        states[node] = states[node] + run(choices[choice], states[source])
    return states[3]


def test_operations_on_nodes_are_shared_by_the_edges_into_them():
    cell = cell_of(operations="node")
    per_node = {node: choices for (node, _), choices in zip(SPACE.edges, cell.candidates, strict=True)}
    for (node, _), choices in zip(SPACE.edges, cell.candidates, strict=True):
        assert list(choices) == list(per_node[node])
    assert len(list(cell.parameters())) == 3 * 2 * 3  # nodes × convolutions × (kernel, weight, bias)
    assert len(list(cell_of().parameters())) == 6 * 2 * 3
    x = image(2, 3, 4, 4)
    torch.testing.assert_close(cell.eval()(x, single(PATH)), plain_cell(cell, x, PATH, lambda op, x: op(x)))


def test_wsbn_keeps_statistics_and_weights_for_every_edge():
    cell = cell_of(operations="node", wsbn=True)
    (one, other) = (cell.candidates[edge][CONV1] for edge in (1, 2))  # both lead into node 2
    assert one.conv.weight is other.conv.weight
    assert one.bn is not other.bn
    nn.init.normal_(other.bn.weight)
    x = image(2, 3, 4, 4)
    found = cell.train()(x, single(PATH))

    def run(op: nn.Module, x: Tensor) -> Tensor:
        y = op.conv(F.relu(x))
        mean, var = y.mean((0, 2, 3), keepdim=True), y.var((0, 2, 3), keepdim=True, correction=0)
        return (y - mean) / (var + op.bn.eps).sqrt() * op.bn.weight[:, None, None] + op.bn.bias[:, None, None]

    torch.testing.assert_close(found, plain_cell(cell, x, PATH, run), rtol=1e-8, atol=1e-9)
    assert not torch.allclose(one.bn.running_mean, other.bn.running_mean)
    alone = cell_of(operations="node", wsbn=True)
    alone(x, single((CONV3, CONV1, NONE, SKIP, NONE, SKIP)))
    moved = [edge for edge, choices in enumerate(alone.candidates) if choices[CONV1].bn.num_batches_tracked]
    assert moved == [1]


def test_the_largest_kernel_is_shared_on_an_edge():
    cell, x = cell_of(ofa_kernel=True), image(2, 3, 4, 4)
    small, large = cell.candidates[0][CONV1], cell.candidates[0][CONV3]
    nn.init.normal_(small.conv.projection)
    cell.eval()
    found = cell(x, single((CONV1, NONE, NONE, SKIP, NONE, NONE)))
    assert torch.equal(found, x)
    found = cell(x, single((CONV1, NONE, NONE, NONE, SKIP, NONE)))
    kernel = large.conv.weight[:, :, 1:2, 1:2] * small.conv.projection
    torch.testing.assert_close(found, small.bn(F.conv2d(F.relu(x), kernel)))
    assert cell.candidates[1][CONV1].conv.whole.weight is not large.conv.weight


def test_path_dropout_drops_edges_image_by_image_and_only_in_training():
    cell, keep, x = cell_of(path_dropout=0.4), cell_of(), image(6, 3, 4, 4)
    path = (SKIP, NONE, POOL, SKIP, CONV1, SKIP)
    torch.manual_seed(3)
    found = cell.train()(x, single(path))
    torch.manual_seed(3)
    states = [x, *[torch.zeros_like(x)] * 3]
    for (node, source), choices, choice in zip(SPACE.edges, keep.train().candidates, path, strict=True):
        if choice != NONE:
            states[node] = states[node] + drop_path(choices[choice](states[source]), 0.4)
    torch.testing.assert_close(found, states[3])
    assert torch.equal(cell_of(path_dropout=0.4).eval()(x, single(path)), cell_of().eval()(x, single(path)))


# dense gates


MEMORIES = ("none", "recompute", "checkpoint")
OWN = [
    {},
    {"track": False},
    {"affine": True},
    {"operations": "node"},
    {"operations": "node", "wsbn": True},
    {"operations": "node", "wsbn": True, "affine": True, "ofa_kernel": True},
    {"ofa_kernel": True},
    {"ofa_kernel": True, "affine": True, "track": False},
]


def whole_of(memory: str = "none", **settings: object) -> Supernet:
    torch.manual_seed(0)
    made = make_supernet(TINY, 4, 2, DenseSupernetSettings(**settings), memory)
    for name, weight in made.named_parameters():
        if "projection" in name:
            nn.init.normal_(weight, 0.5)
    return shaken(made)


def outcome(network: nn.Module, kind: str, second: bool = False) -> list[Tensor]:
    """Logits, gradients of α, images and weights, statistics; the gradients' own gradient where that is asked for."""
    alpha = torch.linspace(-1, 1, 30, dtype=torch.float64).cos().view(6, 5).requires_grad_()
    x, labels = image(3, 2, 8, 8).requires_grad_(), torch.tensor([0, 3, 1])
    out = network(x, dense({"edges": RELAXATIONS[kind](alpha)}, TINY))
    wanted = [alpha, x, *network.parameters()]
    found = list(torch.autograd.grad(F.cross_entropy(out, labels), wanted, create_graph=second))
    if second:
        found += torch.autograd.grad(sum((gradient**2).sum() for gradient in found), wanted)
    return [out, *found, *(buffer.clone() for buffer in network.buffers())]


def assert_alike(found: list[Tensor], expected: list[Tensor], tolerance: float = 1e-9) -> None:
    """Relative to the largest number of each tensor."""
    for one, other in zip(found, expected, strict=True):
        largest = max(1, other.abs().max().item()) if other.numel() else 1
        torch.testing.assert_close(one, other, rtol=0, atol=tolerance * largest)


@pytest.mark.parametrize("kind", RELAXATIONS)
@pytest.mark.parametrize("settings", OWN, ids=str)
def test_dense_gates_are_a_loop_over_edges_and_candidates(settings: dict[str, object], kind: str):
    supernet = whole_of(**settings)
    plain = Plain(supernet)
    for training in (True, True, False):  # twice, so that statistics move from where they moved to
        supernet.train(training), plain.train(training)
        assert_alike(outcome(supernet, kind), outcome(plain, kind))


@pytest.mark.parametrize("settings", [{}, {"track": False}, {"affine": True}, {"ofa_kernel": True}], ids=str)
@pytest.mark.parametrize("memory", MEMORIES)
def test_second_derivatives_are_those_of_the_loop(memory: str, settings: dict[str, object]):
    supernet = whole_of(memory, **settings)
    plain = Plain(supernet)
    assert_alike(outcome(supernet, "sigmoid", second=True), outcome(plain, "sigmoid", second=True), 1e-7)


def test_all_ways_to_save_memory_give_the_same_numbers():
    found = {}
    for memory in MEMORIES:
        supernet = whole_of(memory)
        outcome(supernet, "softmax")
        found[memory] = outcome(supernet, "softmax")
        assert {int(norm.num_batches_tracked) for norm in norms([supernet])} == {2}
    for memory in MEMORIES[1:]:
        assert all(torch.equal(one, other) for one, other in zip(found[memory], found["none"], strict=True))


@pytest.mark.parametrize("memory", MEMORIES)
def test_path_dropout_drops_what_an_edge_brings_under_dense_gates(memory: str):
    """With the numbers drawn anew in a loop over edges; where nothing is dropped, none are drawn."""
    supernet, keep = whole_of(memory, path_dropout=0.4), whole_of(memory)
    matrix = torch.rand(6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    gates, x = dense({"edges": matrix}, TINY), image(3, 2, 8, 8)
    torch.manual_seed(3)
    found = supernet(x, gates)
    state = torch.get_rng_state()
    torch.manual_seed(3)
    y = keep.stem(x)
    for stage in keep.stages:
        states = [y, 0, 0, 0]
        for (node, source), candidates, row in zip(SPACE.edges, getattr(stage, "candidates", []), matrix, strict=False):
            brought = sum(weight * op(states[source]) for weight, op in zip(row, candidates, strict=True))
            states[node] = states[node] + drop_path(brought, 0.4)
        y = states[3] if stage.points else stage(y, ())
    torch.testing.assert_close(found, keep.tail(y), rtol=1e-9, atol=1e-10)
    assert torch.equal(torch.get_rng_state(), state)
    keep(x, gates)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(supernet.eval()(x, gates), supernet(x, gates))


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize(
    "operations", [("skip_connect",), ("avg_pool_3x3", "nor_conv_3x3"), SPACE.candidates[1:]], ids=str
)
def test_disturbed_outputs_are_disturbed_and_others_are_not(operations: tuple[str, ...], memory: str):
    """The same place is disturbed alike however the supernet is computed, and nothing is in evaluation."""
    noise = NoiseSettings(on="output", distribution="gaussian", std=1.0, schedule="constant", operations=operations)
    disturbance = Disturbance(noise, None, seed=3, done=0.0)
    supernet, plain = whole_of(memory), whole_of()
    matrix = torch.rand(6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    gates, x = dense({"edges": matrix}, TINY), image(3, 2, 8, 8)
    found, y = supernet(x, gates, disturbance), plain.stem(x)
    for index, stage in enumerate(plain.stages):
        if not stage.points:
            y = stage(y, ())
            continue
        states = [y, 0, 0, 0]
        for row, ((node, source), candidates) in enumerate(zip(SPACE.edges, stage.candidates, strict=True)):
            for column, (name, op) in enumerate(zip(SPACE.candidates, candidates, strict=True)):
                out = op(states[source])
                out = disturbance.of_output(out, name, index, row, column) if name in operations else out
                states[node] = states[node] + matrix[row, column] * out
        y = states[3]
    torch.testing.assert_close(found, plain.tail(y), rtol=1e-8, atol=1e-9)
    supernet.eval()
    assert torch.equal(supernet(x, gates, disturbance), supernet(x, gates))


def test_a_compiled_cell_is_one_graph_of_the_same_numbers():
    eager, compiled = whole_of(), whole_of()
    for stage in compiled.stages[:1]:
        stage.compile(backend="aot_eager", dynamic=False, fullgraph=True)
    assert_alike(outcome(compiled, "sigmoid"), outcome(eager, "sigmoid"))
