"""Partial channels against the form that the paper writes: edge by edge, split, next to each other, shuffled."""

import copy
from random import Random
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from plain_gates import weighted
from torch import Tensor, nn

from fairdarts.config import UserError
from fairdarts.differentiable.settings import DenseSupernetSettings
from fairdarts.disturbance import Disturbance
from fairdarts.noise import DropoutSettings, NoiseSettings
from fairdarts.ops.drop_path import drop_path
from fairdarts.spaces.gates import Gate, Gates, subnet
from fairdarts.spaces.space import Space, load_space
from fairdarts.supernet.cell import SuperCell
from fairdarts.supernet.edges import EdgeCell
from fairdarts.supernet.partial import parted, passed, shuffled
from fairdarts.supernet.settings import SupernetSettings, check_supernet
from fairdarts.supernet.supernet import Supernet, make_supernet

SPACES: dict[str, Space] = {
    "s1": load_space("s1").model_copy(update={"nodes": 3}),
    "darts": load_space("darts").model_copy(update={"nodes": 2}),
    "nasbench201": load_space("nasbench201"),
}


def supernet_of(space: Space, partial: int, memory: Any = "none", **settings: Any) -> Supernet:
    torch.manual_seed(0)
    cells = 3 if space.kind == "cell" else 1
    own = DenseSupernetSettings(cells=cells, channels=8, partial=partial, **settings)
    return make_supernet(space, 5, 2, own, memory).double()


def images(*shape: int) -> Tensor:
    return torch.randn(shape or (3, 2, 8, 8), dtype=torch.float64, generator=torch.Generator().manual_seed(1))


class Plain(nn.Module):
    """A supernet of edges in loops over them, with the modules of another."""

    def __init__(self, supernet: Supernet, partial: int, drop: float = 0.0):
        super().__init__()
        self.own, self.partial, self.drop = copy.deepcopy(supernet), partial, drop

    def forward(self, x: Tensor, gates: Gates, disturbance: Disturbance | None = None) -> Tensor:
        x = self.own.stem(x)
        pair = x, x
        for index, stage in enumerate(self.own.stages):
            its = tuple(gates[point] for point in stage.points)
            if isinstance(stage, SuperCell):
                entered = [narrow(x) for narrow, x in zip(stage.preprocess, pair, strict=True)]
                nodes = self.nodes(stage, dict(enumerate(entered)), its, disturbance, index)
                size = [-(-n // stage.stride) for n in pair[1].shape[2:]]
                zeros = x.new_zeros(len(x), stage.channels, *size)
                out = torch.cat([nodes.get(node, zeros) for node in stage.own_nodes], dim=1)
                pair = F.relu(pair[1]), out
                x = pair[1]
            elif isinstance(stage, EdgeCell):
                nodes = self.nodes(stage, {0: x}, its, disturbance, index)
                x = nodes.get(3, torch.zeros_like(x))
            else:
                x = stage(x)
        return self.own.tail(pair if isinstance(self.own.stages[0], SuperCell) else x)

    def nodes(self, cell: EdgeCell, nodes: dict[int, Tensor], gates: Gates, disturbance: Any, index: int) -> dict:
        for row, ((node, source), gate) in enumerate(zip(cell.edges, gates, strict=True)):
            if not gate.active:
                continue
            if source not in nodes:
                if isinstance(cell, SuperCell):
                    continue  # nothing reads a node without input
                nodes[source] = torch.zeros_like(nodes[0])
            x, stride = nodes[source], cell.strides[source]
            first = x.shape[1] // self.partial

            def output(column: int, op: nn.Module, x: Tensor, row: int = row) -> Tensor:
                out, name = op(x), cell.names[column]
                touched = disturbance is not None and name != "none" and disturbance.touches(name)
                return disturbance.of_output(out, name, index, row, column) if touched else out

            candidates = [lambda x, c=c, op=op: output(c, op, x) for c, op in enumerate(cell.candidates[row])]
            mixed, others = weighted(candidates, x[:, :first], gate), x[:, first:]
            if stride == 2:
                others = F.max_pool2d(others, 2, 2, ceil_mode=True)
            others = others if gate.scale is None else others * gate.scale
            out = torch.cat([mixed, others], dim=1)
            batch, channels, height, width = out.shape
            out = out.view(batch, self.partial, channels // self.partial, height, width).transpose(1, 2)
            out = out.reshape(batch, channels, height, width)
            out = drop_path(out, self.drop) if self.drop else out
            nodes[node] = nodes[node] + out if node in nodes else out
        return nodes


def dense_gates(space: Space, scaled: bool) -> tuple[list[Tensor], Gates]:
    """Leaves, and gates of all candidates made of them."""
    generator = torch.Generator().manual_seed(2)

    def drawn(*size: int) -> Tensor:
        return torch.rand(size, dtype=torch.float64, generator=generator).requires_grad_()

    leaves, gates = [], []
    for names in space.points:
        weights, scale = drawn(len(names)), drawn() if scaled else None
        leaves += [weights] if scale is None else [weights, scale]
        gates.append(Gate(tuple(range(len(names))), weights if scale is None else weights * scale, scale))
    return leaves, tuple(gates)


def mixed_gates(space: Space, seed: int) -> tuple[list[Tensor], Gates]:
    """Every kind of gate: of a path, of several, of a number, of tensors, of `none` alone, of nothing."""
    random, leaves, gates = Random(seed), [], []
    for names in space.points:
        active = tuple(random.sample(range(len(names)), random.choice((0, 1, 1, 2))))
        if "none" in names and random.random() < 0.2:
            active = (names.index("none"),)
        kind = random.choice(("path", "number", "tensor", "scaled"))
        if not active:
            gates.append(Gate(()))
        elif kind in ("path", "number"):
            gates.append(Gate(active, None if kind == "path" else random.random()))
        else:
            weights = torch.tensor([random.random() for _ in active], dtype=torch.float64).requires_grad_()
            scale = torch.tensor(random.random(), dtype=torch.float64).requires_grad_() if kind == "scaled" else None
            leaves += [weights] if scale is None else [weights, scale]
            gates.append(Gate(active, weights if scale is None else weights * scale, scale))
    return leaves, tuple(gates)


def results(network: nn.Module, x: Tensor, made: tuple[list[Tensor], Gates], *more: Any) -> list[Tensor]:
    """Output and all gradients, of images, gates and weights."""
    leaves, gates = made
    x = x.clone().requires_grad_()
    out = network(x, gates, *more)
    wanted = [x, *leaves, *network.parameters()]
    pull = torch.randn(out.shape, dtype=out.dtype, generator=torch.Generator().manual_seed(3))
    found = torch.autograd.grad(out, wanted, pull, retain_graph=True, allow_unused=True)
    return [
        out.detach(),
        *(torch.zeros_like(at) if its is None else its for at, its in zip(wanted, found, strict=True)),
    ]


def assert_agree(found: list[Tensor], expected: list[Tensor]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-9 * max(1, other.abs().max().item()))


@pytest.mark.parametrize("memory", ["none", "recompute"])
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize(("name", "shape"), [("s1", (3, 2, 8, 8)), ("darts", (2, 2, 9, 7)), ("nasbench201", ())])
def test_all_candidates_give_what_the_plain_form_does(name: str, shape: tuple[int, ...], scaled: bool, memory: str):
    supernet, made = supernet_of(SPACES[name], 4, memory), dense_gates(SPACES[name], scaled)
    plain, x = Plain(supernet, 4), images(*shape)
    assert_agree(results(supernet, x, made), results(plain, x, made))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", SPACES)
def test_any_gates_give_what_the_plain_form_does(name: str, seed: int):
    supernet, made = supernet_of(SPACES[name], 2), mixed_gates(SPACES[name], seed)
    plain, x = Plain(supernet, 2), images(2, 2, 6, 6)
    assert_agree(results(supernet, x, made), results(plain, x, made))
    supernet.eval(), plain.eval()
    plain.own.load_state_dict(supernet.state_dict())
    assert_agree(results(supernet, x, made), results(plain, x, made))


@pytest.mark.parametrize("name", ["s1", "nasbench201"])
def test_disturbed_and_dropped_edges_are_those_of_the_plain_form(name: str):
    noise = NoiseSettings(
        on="output", distribution="gaussian", std=1.0, schedule="constant", operations=["skip_connect"]
    )
    drop = DropoutSettings(unit="image", rate=0.5, schedule="constant", operations=["skip_connect", "avg_pool_3x3"])
    supernet, made = supernet_of(SPACES[name], 4, path_dropout=0.3), dense_gates(SPACES[name], True)
    plain, found = Plain(supernet, 4, 0.3), []
    for network in (supernet, plain):
        torch.manual_seed(4)
        found.append(results(network, images(), made, Disturbance(noise, drop, 5, 0.5)))
    assert_agree(*found)


def test_whatever_the_part_weights_have_the_same_names():
    assert supernet_of(SPACES["s1"], 1).state_dict().keys() == supernet_of(SPACES["s1"], 4).state_dict().keys()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_channels_are_parted_passed_and_shuffled_in_either_layout(layout: torch.memory_format):
    x = images(2, 8, 5, 4).contiguous(memory_format=layout)
    first, others = parted(x, 4)
    assert torch.equal(torch.cat([first, others], dim=1), x)
    assert first.shape[1] == 2
    assert all(part.is_contiguous(memory_format=layout) for part in (first, others))
    whole = shuffled(first, others, 4)
    assert whole.is_contiguous(memory_format=layout)
    assert torch.equal(whole, x[:, [0, 2, 4, 6, 1, 3, 5, 7]])
    assert passed(others, 1) is others
    assert passed(others, 2).shape == (2, 6, 3, 2)
    assert torch.equal(passed(others, 2)[:, :, 0, 0], others[:, :, :2, :2].amax((2, 3)))


def test_where_only_none_is_active_the_other_channels_pass_and_without_candidates_nothing_does():
    space = SPACES["nasbench201"]
    supernet = supernet_of(space, 4)
    (cell, *_), x = supernet.stages, images(2, 8, 4, 4)
    none, skip = (space.candidates.index(name) for name in ("none", "skip_connect"))
    nothing = Gate(())
    (first, others), gates = parted(x, 4), [Gate((none,)), *[nothing] * 2, Gate((skip,)), *[nothing] * 2]
    zeros = torch.zeros_like(first)
    assert torch.equal(cell(x, gates), x.view(2, 4, 2, 4, 4).transpose(1, 2).reshape(x.shape))
    gates = [nothing, *[nothing] * 2, Gate((none,)), *[nothing] * 2]
    assert torch.equal(cell(x, gates), shuffled(zeros, others, 4))
    assert torch.equal(cell(x, (nothing,) * 6), torch.zeros_like(x))


def saved_bytes(network: Supernet, x: Tensor, gates: Gates) -> int:
    """Of what a pass keeps for the backward pass, besides weights; what several operations keep counts once."""
    own, kept = {tensor.untyped_storage().data_ptr() for tensor in network.state_dict().values()}, {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = network(x, gates)
    assert out.requires_grad
    return sum(size for address, size in kept.items() if address not in own)


def test_a_quarter_of_the_channels_keeps_at_most_a_third_of_the_memory():
    space = load_space("s1")
    x, ways = torch.randn(2, 3, 32, 32), []
    for partial, scaled in ((1, False), (4, True)):
        torch.manual_seed(0)
        settings = DenseSupernetSettings(cells=3, channels=16, partial=partial)
        supernet = make_supernet(space, 10, 3, settings).to(memory_format=torch.channels_last)
        gates = tuple(
            Gate(gate.active, gate.weights.float(), None if gate.scale is None else gate.scale.float())
            for gate in dense_gates(space, scaled)[1]
        )
        ways.append(saved_bytes(supernet, x.contiguous(memory_format=torch.channels_last), gates))
    whole, quarter = ways
    assert quarter <= whole / 3


@pytest.mark.parametrize(
    ("space", "partial", "message"),
    [
        ("s2", 4, "supernet.partial: 4: is for cells whose choices are their edges, but space s2 is of kind chain"),
        ("nasbench101", 2, "is for cells whose choices are their edges, but space nasbench101 is of kind nasbench101"),
        ("s1", 3, "supernet.partial: 3: should be one of 1, 2, 4, 8, which leaves candidates 2 or more of the 16 chan"),
        ("nasbench201", 16, "supernet.partial: 16: should be one of 1, 2, 4, 8, which leaves candidates 2 or more of"),
    ],
)
def test_what_cannot_be_parted_is_named(space: str, partial: int, message: str):
    with pytest.raises(UserError) as refused:
        check_supernet(SupernetSettings(partial=partial), load_space(space))
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["s1", "nasbench201"])
def test_a_path_gives_what_the_plain_form_does(name: str):
    space = SPACES[name]
    supernet, gates = supernet_of(space, 4), space.gates(subnet(space.random_path(Random(1).randrange)))
    assert_agree([supernet(images(), gates)], [Plain(supernet, 4)(images(), gates)])
