"""The supernet of a cell space against the sum that the papers write: every candidate of every edge under its gate."""

from collections.abc import Callable
from contextlib import nullcontext
from copy import deepcopy

import pytest
import torch
from plain_supernet import PlainSupernet
from torch import Tensor, nn

from fairdarts.differentiable.settings import DenseSupernetSettings
from fairdarts.networks.cell import ImageNetStem
from fairdarts.ops.cell import OPS, Separable, unit
from fairdarts.ops.recompute import FrozenStatistics
from fairdarts.relaxation import Matrices, dense
from fairdarts.spaces.cell import CellSpace
from fairdarts.spaces.space import load_space
from fairdarts.supernet.edges import is_weightless
from fairdarts.supernet.kernels import fused
from fairdarts.supernet.supernet import Supernet, make_supernet

SPACES = ("s1", "s1-noskip", "darts")
SHAPES = [(3, 2, 8, 8), (2, 1, 9, 7), (2, 3, 4, 3)]
"""of images: one ends in maps of 1×1, which BatchNorm sees two of"""
MEMORIES = ("none", "recompute", "checkpoint")


def small(name: str) -> CellSpace:
    """A shipped space of three nodes: enough for a node whose output two others read."""
    return load_space(name).model_copy(update={"nodes": 3})


def supernet_of(
    space: CellSpace, cells: int = 3, in_channels: int = 2, memory: str = "none", **settings: object
) -> Supernet:
    torch.manual_seed(0)
    own = DenseSupernetSettings(cells=cells, channels=4, **settings)
    return make_supernet(space, 5, in_channels, own, memory).double()


def pair_of(space: CellSpace, in_channels: int = 2, memory: str = "none") -> tuple[Supernet, PlainSupernet]:
    """The supernet and its plain form, of the same weights."""
    supernet = supernet_of(space, in_channels=in_channels, memory=memory)
    plain = PlainSupernet(space, 3, 4, classes=5, in_channels=in_channels).double()
    plain.load_state_dict(supernet.state_dict())
    return supernet, plain


def images(*shape: int, seed: int = 1) -> Tensor:
    shape = shape or (3, 2, 8, 8)
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def random_gates(space: CellSpace) -> Matrices:
    generator = torch.Generator().manual_seed(2)
    return {
        cell: torch.rand(space.parts[cell].shape, dtype=torch.float64, generator=generator).requires_grad_()
        for cell in ("normal", "reduce")
    }


def results(network: nn.Module, x: Tensor, gates: Matrices) -> dict[str, Tensor]:
    """Output, all gradients, and (as they are after the backward pass) all buffers."""
    x = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    gates = {cell: gate.detach().clone().requires_grad_() for cell, gate in gates.items()}
    out = run(network, x, gates)
    pull = torch.randn(out.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64).to(out.dtype)
    wanted = {"images": x, **gates, **dict(network.named_parameters())}
    gradients = torch.autograd.grad(out, list(wanted.values()), pull)
    buffers = {key: buffer.clone() for key, buffer in network.named_buffers(remove_duplicate=False)}
    return {"output": out.detach(), **dict(zip(wanted, gradients, strict=True)), **buffers}


def run(network: nn.Module, x: Tensor, gates: Matrices, *disturbance: object) -> Tensor:
    """A pass of either form under matrices."""
    return network(x, dense(gates, network.space) if isinstance(network, Supernet) else gates, *disturbance)


def assert_agree(found: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float = 1e-9) -> None:
    """Within a tolerance relative to the largest number of each tensor."""
    assert found.keys() == expected.keys()
    for key, tensor in expected.items():
        atol = tolerance * max(1, tensor.abs().max().item())
        torch.testing.assert_close(found[key], tensor, rtol=0, atol=atol, msg=lambda text, key=key: f"{key}: {text}")


def assert_identical(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    assert [key for key in expected if not torch.equal(found[key], expected[key])] == []


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", SPACES)
def test_outputs_gradients_and_statistics_are_those_of_the_plain_form(name: str, shape: tuple[int, ...]):
    space = small(name)
    supernet, plain = pair_of(space, in_channels=shape[1])
    gates = random_gates(space)
    for seed in (1, 2):  # twice, so that the statistics move from where they moved to
        x = images(*shape, seed=seed)
        assert_agree(results(supernet, x, gates), results(plain, x, gates))
    supernet.eval(), plain.eval()
    x = images(*shape, seed=3)
    assert_agree(results(supernet, x, gates), results(plain, x, gates))


@pytest.mark.parametrize("memory", MEMORIES[1:])
def test_behind_the_stem_for_large_images_either_memory_gives_the_same(memory: str):
    space, x = small("s1"), images(2, 2, 33, 48)
    gates, expected = random_gates(space), results(supernet_of(space, stem="imagenet"), x, random_gates(space))
    assert_agree(results(supernet_of(space, memory=memory, stem="imagenet"), x, gates), expected)


def test_the_stem_for_large_images_is_that_of_the_network():
    supernet = supernet_of(small("s1"), stem="imagenet").eval()
    stem = ImageNetStem(2, 4).double().eval()
    stem.load_state_dict(supernet.stem.state_dict())
    x = images(2, 2, 33, 48)
    for own, plain, size in zip(supernet.stem(x), stem(x), ((9, 12), (5, 6)), strict=True):
        assert own.shape[2:] == size
        assert torch.equal(own, plain.relu())
    assert {name: tensor.shape for name, tensor in supernet_of(small("s1"), stem="cifar").state_dict().items()} == {
        name: tensor.shape for name, tensor in supernet_of(small("s1")).state_dict().items()
    }


def one_hot(shape: tuple[int, int]) -> Tensor:
    chosen = torch.randint(shape[1], shape[:1], generator=torch.Generator().manual_seed(3))
    return torch.eye(shape[1], dtype=torch.float64)[chosen]


GATES: dict[str, Callable[[tuple[int, int]], Tensor]] = {
    "one-hot": one_hot,
    "zero": lambda shape: torch.zeros(shape, dtype=torch.float64),
    "negative": lambda shape: -torch.linspace(0.1, 1, shape[0] * shape[1], dtype=torch.float64).view(shape),
}


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("name", ["s1", "darts"])
def test_any_gates_will_do(name: str, kind: str):
    space = small(name)
    gates = {cell: GATES[kind](space.parts[cell].shape) for cell in ("normal", "reduce")}
    supernet, plain = pair_of(space)
    assert_agree(results(supernet, images(), gates), results(plain, images(), gates))


def test_either_layout_of_the_images_gives_the_same():
    space = small("s1")
    gates, expected = random_gates(space), results(supernet_of(space), images(), random_gates(space))
    last = torch.channels_last
    supernet = supernet_of(space).to(memory_format=last)
    assert_agree(results(supernet, images().contiguous(memory_format=last), gates), expected)


def test_without_gradients_training_gives_the_same_and_statistics_follow():
    space = small("s1")
    gates, expected = random_gates(space), results(supernet_of(space), images(), random_gates(space))
    supernet = supernet_of(space)
    with torch.no_grad():
        found = {"output": run(supernet, images(), gates), **dict(supernet.named_buffers())}
    assert_identical(found, {key: expected[key] for key in found})


# second derivatives


def curvature(network: nn.Module, x: Tensor, gates: Matrices) -> dict[str, Tensor]:
    """The gradients that can be differentiated again, and the product of the gates' Hessian with a vector."""
    gates = {cell: gate.detach().clone().requires_grad_() for cell, gate in gates.items()}
    loss = run(network, x, gates).square().sum()
    wanted = {**gates, **dict(network.named_parameters())}
    gradients = dict(zip(wanted, torch.autograd.grad(loss, list(wanted.values()), create_graph=True), strict=True))
    along = sum((gradients[cell] * gates[cell].detach().cos()).sum() for cell in gates)
    products = torch.autograd.grad(along, list(wanted.values()))
    found = {key: gradient.detach() for key, gradient in gradients.items()}
    return found | {f"{key}, product": product for key, product in zip(wanted, products, strict=True)}


@pytest.mark.parametrize("memory", MEMORIES)
def test_products_with_the_hessian_of_the_gates_are_those_of_the_plain_form(memory: str):
    space = small("s1")
    (supernet, plain), gates = pair_of(space, memory=memory), random_gates(space)
    assert_agree(curvature(supernet, images(), gates), curvature(plain, images(), gates), 1e-8)


# memory


def test_all_ways_to_save_memory_give_the_same_numbers():
    space = small("darts")
    gates, found = random_gates(space), {}
    for memory in MEMORIES:
        supernet = supernet_of(space, memory=memory)
        results(supernet, images(seed=1), gates)
        found[memory] = results(supernet, images(seed=2), gates)
        norms = [module for module in supernet.modules() if isinstance(module, nn.BatchNorm2d)]
        assert all(norm.num_batches_tracked == 2 and norm.momentum == 0.1 for norm in norms)
    assert_identical(found["recompute"], found["none"])
    assert_identical(found["checkpoint"], found["none"])


def saved_bytes(supernet: Supernet, x: Tensor, gates: Matrices) -> int:
    """Of what the graph keeps besides parameters and buffers; what several operations keep counts once."""
    own = {tensor.untyped_storage().data_ptr() for tensor in supernet.state_dict().values()}
    kept = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = run(supernet, x, gates)  # alive until the return: no two of its storages have one address
    assert out.requires_grad
    return sum(kept.values())


def test_each_way_to_save_memory_keeps_less_than_the_one_before():
    space = small("s1")
    x, gates = images(4, 2, 16, 16), random_gates(space)
    everything, inputs, cells = (saved_bytes(supernet_of(space, memory=memory), x, gates) for memory in MEMORIES)
    assert cells < inputs / 2 < everything / 3


@pytest.mark.parametrize("memory", MEMORIES)
def test_a_graph_can_be_gone_through_twice(memory: str):
    space = small("s1")
    supernet, gates = supernet_of(space, memory=memory), random_gates(space)
    loss = run(supernet, images(), gates).square().sum()
    first = torch.autograd.grad(loss, list(gates.values()), retain_graph=True)
    second = torch.autograd.grad(loss, list(gates.values()))
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
    assert supernet.stages[0].preprocess[1][2].num_batches_tracked == 1


def test_a_compiled_cell_is_one_graph_of_the_same_numbers():
    space = load_space("s1").model_copy(update={"nodes": 1})
    eager, compiled = (supernet_of(space) for _ in range(2))
    for cell in compiled.stages:
        cell.compile(backend="aot_eager", dynamic=False, fullgraph=True)
    gates = random_gates(space)
    assert_agree(results(compiled, images(), gates), results(eager, images(), gates))


def test_autocast_runs_the_plain_sum_near_float32(monkeypatch: pytest.MonkeyPatch):
    space = small("s1")
    supernet = supernet_of(space).float()
    gates = {cell: gate.detach().float() for cell, gate in random_gates(space).items()}
    x = images(8, 2, 16, 16).float()
    expected, plain = results(supernet, x, gates), pair_of(space)[1].float()

    def refuse(*_: object) -> None:
        raise AssertionError("the fused sum knows no autocast")

    monkeypatch.setattr(fused, "fused_sum", refuse)

    class Lower(nn.Module):
        def __init__(self, network: nn.Module):
            super().__init__()
            self.network = network

        def forward(self, *arguments: object) -> Tensor:
            with torch.autocast("cpu", torch.bfloat16):
                return run(self.network, *arguments)

    supernet = supernet_of(space).float()
    for key in ("output", "normal", "reduce", "network.tail.classifier.weight"):
        right = expected[key.removeprefix("network.")]
        ours, plains = (
            (results(Lower(deepcopy(network)), x, gates)[key].float() - right).norm() for network in (supernet, plain)
        )
        assert 0 < ours < 1.5 * plains, key


# operations of one's own


class Mirrored(nn.Module):
    """An operation without weights, that counts its runs."""

    runs = 0

    def __init__(self, stride: int):
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        Mirrored.runs += 1
        return -x.flip(3)[:, :, :: self.stride, :: self.stride]


class Doubled(Separable):
    """Its modules look like a chain; its forward is another."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


class Conv(nn.Sequential):
    """An operation with weights that is no chain, that counts its runs."""

    runs = 0

    def forward(self, x: Tensor) -> Tensor:
        Conv.runs += 1
        return super().forward(x)


OWN: dict[str, Callable[[int, int, bool], nn.Module]] = {
    "conv_3x3": lambda channels, stride, affine: Conv(
        nn.Conv2d(channels, channels, 3, stride, padding=1), nn.BatchNorm2d(channels, affine=affine), nn.Tanh()
    ),
    "doubled": lambda channels, stride, affine: Doubled(*unit(channels, 3, stride, 1, affine)),
    "mirrored": lambda channels, stride, affine: Mirrored(stride),
}


@pytest.fixture
def own_space(monkeypatch: pytest.MonkeyPatch) -> CellSpace:
    for name, build in OWN.items():
        monkeypatch.setitem(OPS, name, build)
    return small("s1").model_copy(update={"candidates": ("skip_connect", "sep_conv_3x3", *OWN)})


def test_operations_of_ones_own_agree_with_the_plain_form(own_space: CellSpace):
    supernet, plain = pair_of(own_space)
    gates = random_gates(own_space)
    assert_agree(results(supernet, images(), gates), results(plain, images(), gates))
    supernet.eval(), plain.eval()
    assert_agree(results(supernet, images(), gates), results(plain, images(), gates))


def test_operations_of_ones_own_run_once_an_edge(own_space: CellSpace):
    supernet = supernet_of(own_space, cells=1)
    Mirrored.runs = Conv.runs = 0
    run(supernet, images(), random_gates(own_space))
    assert (Mirrored.runs, Conv.runs) == (9, 9)


# how the candidates are held


@pytest.mark.parametrize("name", SPACES)
def test_edges_that_leave_one_state_share_pooling_and_skip_connections(name: str):
    space = load_space(name)
    for cell in supernet_of(space).stages:
        for row, (_, source) in enumerate(space.edges):
            for other, (_, another) in enumerate(space.edges[:row]):
                pairs = zip(cell.candidates[row], cell.candidates[other], strict=True)
                for one, two in pairs:
                    assert (one is two) == (source == another and is_weightless(one))


@pytest.mark.parametrize("name", SPACES)
def test_every_gate_of_both_cells_gets_a_gradient(name: str):
    space = load_space(name)
    gates = random_gates(space)
    run(supernet_of(space), images(), gates).square().sum().backward()
    for gate in gates.values():
        moved = gate.grad != 0
        for column, candidate in enumerate(space.candidates):
            assert bool((moved[:, column] == (candidate != "none")).all()), candidate


def test_cells_of_a_kind_share_their_gates_and_not_their_weights():
    space = load_space("s1")
    supernet, gates = supernet_of(space, cells=6), random_gates(space)
    kinds = [next(kind for kind, part in space.parts.items() if part.points == cell.points) for cell in supernet.stages]
    assert kinds == ["normal", "normal", "reduce", "normal", "reduce", "normal"]
    seen = []
    for cell in supernet.stages:
        cell.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[1]))
    run(supernet, images(), gates)
    for own, kind in zip(seen, kinds, strict=True):
        assert torch.equal(torch.stack([gate.weights for gate in own]), gates[kind])
    parameters = list(supernet.parameters())
    assert len({parameter.data_ptr() for parameter in parameters}) == len(parameters)


def test_resolution_halves_and_channels_double_at_reductions():
    space = load_space("s1")
    supernet = supernet_of(space, cells=6)
    shapes = []
    for cell in supernet.stages:
        cell.register_forward_hook(lambda _, __, out: shapes.append(tuple(out[1].shape[1:])))
    run(supernet, images(3, 2, 16, 16), random_gates(space))
    assert shapes == [(16, 16, 16)] * 2 + [(32, 8, 8)] * 2 + [(64, 4, 4)] * 2  # 4 nodes of 4, 8 and 16 channels


def test_batch_norms_of_candidates_have_no_weights_of_their_own():
    """Else they could undo what the gates say."""
    supernet = supernet_of(load_space("s1"))
    for cell in supernet.stages:
        assert not [module for module in cell.modules() if getattr(module, "affine", False)]


ODD = {
    "random": lambda channels, stride, _: nn.Sequential(
        nn.AvgPool2d(stride), nn.Conv2d(channels, channels, 1), nn.Dropout()
    ),
    "untracked": lambda channels, stride, _: nn.Sequential(
        nn.AvgPool2d(stride), nn.BatchNorm2d(channels, track_running_stats=False)
    ),
    "averaging": lambda channels, stride, _: Separable(
        *unit(channels, 3, stride, 1, False)[:-1], nn.BatchNorm2d(channels, affine=False, momentum=None)
    ),
    "instances": lambda channels, stride, _: nn.Sequential(
        nn.AvgPool2d(stride), nn.InstanceNorm2d(channels, track_running_stats=True)
    ),
}
"""operations of a user, on which to compute a cell twice may go wrong"""


@pytest.mark.parametrize("name", ODD)
def test_a_cell_computed_again_is_the_same_whatever_its_operations_are(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(OPS, name, ODD[name])
    space = small("s1").model_copy(update={"candidates": ("skip_connect", name)})
    gates, found = random_gates(space), []
    for memory in MEMORIES:
        supernet = supernet_of(space, memory=memory)
        torch.manual_seed(1)
        results(supernet, images(), gates)
        found.append(results(supernet, images(), gates))
    assert_agree(found[1], found[0], 0)
    assert_agree(found[2], found[0], 0)


def test_products_with_the_hessian_may_be_taken_with_frozen_statistics():
    supernet, gates, found = supernet_of(small("s1"), memory="checkpoint"), random_gates(small("s1")), []
    for frozen in (True, False):
        with FrozenStatistics(supernet) if frozen else nullcontext():
            loss = run(supernet, images(), gates).square().sum()
            gradients = torch.autograd.grad(loss, list(gates.values()), create_graph=True)
            found.append(
                torch.autograd.grad(gradients, list(gates.values()), [gate.detach() for gate in gates.values()])
            )
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_a_single_value_has_no_statistics():
    space = small("s1").model_copy(update={"candidates": ("dil_conv_3x3",)})
    with pytest.raises(ValueError, match="single value"):
        run(supernet_of(space), images(1, 2, 2, 2), random_gates(space))
