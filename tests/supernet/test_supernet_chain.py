"""The chain supernet against a loop over layers and choices, with the same parameters, in float64."""

import copy

import pytest
import torch
import torch.nn.functional as F
from one_shot import chain
from torch import Tensor, nn

from fairdarts.differentiable.settings import DenseSupernetSettings
from fairdarts.disturbance import Disturbance
from fairdarts.noise import DropoutSettings, NoiseSettings
from fairdarts.ops.recompute import FrozenStatistics
from fairdarts.relaxation import RELAXATIONS, dense
from fairdarts.spaces.gates import Gate, Gates
from fairdarts.spaces.space import load_space
from fairdarts.supernet import chain as chain_module
from fairdarts.supernet.chain import ChoiceLayer
from fairdarts.supernet.supernet import Supernet, make_supernet

SPACE = load_space("s2-small").model_copy(
    update={"stages": load_space("s2-small").stages[1:3], "candidates": ("E3K3", "skip_connect", "E2K5", "E1K3")}
)
MEMORIES = ("none", "recompute", "checkpoint")


def supernet_of(memory: str = "none") -> Supernet:
    torch.manual_seed(0)
    return make_supernet(SPACE, 3, 3, DenseSupernetSettings(), memory).double().to(memory_format=torch.channels_last)


def inputs() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(3, 3, 16, 16, dtype=torch.float64, generator=generator)
    return (
        x,
        torch.randint(3, (3,), generator=generator),
        torch.randn(SPACE.parts["layers"].shape, generator=generator).double(),
    )


def gates_of(matrix: Tensor) -> Gates:
    return dense({"layers": matrix}, SPACE)


class Plain(nn.Module):
    """Every layer is a sum over its choices, every choice torch's own modules (FairDARTS, eq. 5 and 6)."""

    def __init__(self, supernet: Supernet):
        super().__init__()
        self.own = copy.deepcopy(supernet)

    def forward(self, x: Tensor, gates: Gates) -> Tensor:
        x = self.own.stem(x)
        for layer, (active, weights, *_) in zip(self.own.stages, gates, strict=True):
            x = sum(weights[at] * layer.candidates[column](x) for at, column in enumerate(active))
        return self.own.tail(x)


def gradients(network: nn.Module, x: Tensor, labels: Tensor, alpha: Tensor, kind: str) -> list[Tensor]:
    """Logits, and the gradients of α and all weights."""
    alpha = alpha.clone().requires_grad_()
    logits = network(x, gates_of(RELAXATIONS[kind](alpha)))
    wanted = [alpha, *network.parameters()]
    return [logits, *torch.autograd.grad(F.cross_entropy(logits, labels), wanted)]


@pytest.mark.parametrize("kind", RELAXATIONS)
@pytest.mark.parametrize("memory", MEMORIES)
def test_outputs_gradients_and_statistics_are_those_of_the_loop(memory: str, kind: str):
    supernet = supernet_of(memory)
    plain = Plain(supernet)
    found, expected = (gradients(network, *inputs(), kind) for network in (supernet, plain))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)
    for one, other in zip(supernet.buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_evaluation_is_that_of_the_loop():
    supernet = supernet_of()
    plain = Plain(supernet)
    x, labels, alpha = inputs()
    for network in (supernet, plain):
        gradients(network, x, labels, alpha, "sigmoid")  # moves the statistics
        network.eval()
    gates = gates_of(alpha.sigmoid())
    torch.testing.assert_close(supernet(x, gates), plain(x, gates), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("memory", MEMORIES)
def test_second_derivatives_are_those_of_the_loop(memory: str):
    supernet = supernet_of(memory)
    found = []
    for network in (supernet, Plain(supernet)):
        x, labels, alpha = inputs()
        alpha.requires_grad_()
        loss = F.cross_entropy(network(x, gates_of(alpha.sigmoid())), labels)
        weights = torch.autograd.grad(loss, list(network.parameters()), create_graph=True)
        found.append(torch.autograd.grad(sum((weight**2).sum() for weight in weights), alpha)[0])
    torch.testing.assert_close(*found, rtol=1e-8, atol=1e-10)


def test_gradients_that_are_not_asked_for_are_not_computed():
    supernet = supernet_of()
    x, labels, alpha = inputs()
    for weight in supernet.parameters():
        weight.requires_grad_(False)
    alpha.requires_grad_()
    F.cross_entropy(supernet(x, gates_of(alpha.sigmoid())), labels).backward()
    assert all(weight.grad is None for weight in supernet.parameters())
    plain = gradients(Plain(supernet_of()), *inputs(), "sigmoid")[1]
    torch.testing.assert_close(alpha.grad, plain, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("memory", MEMORIES[1:])
def test_less_is_kept_for_the_backward_pass(memory: str):
    kept = {}
    for mode in ("none", memory):
        supernet, total = supernet_of(mode), set()
        x, _, alpha = inputs()
        pack = lambda tensor, total=total: total.add((tensor.data_ptr(), tensor.numel())) or tensor  # noqa: E731
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            supernet(x, gates_of(alpha.requires_grad_().sigmoid()))
        kept[mode] = sum(size for _, size in total)
    assert kept[memory] < 0.75 * kept["none"]


@pytest.mark.parametrize("memory", MEMORIES)
def test_statistics_move_once_a_pass(memory: str):
    supernet = supernet_of(memory)
    gradients(supernet, *inputs(), "sigmoid")
    assert {int(norm.num_batches_tracked) for norm in supernet.modules() if isinstance(norm, nn.BatchNorm2d)} == {1}
    before = [buffer.clone() for buffer in supernet.buffers()]
    with FrozenStatistics(supernet):
        gradients(supernet, *inputs(), "sigmoid")
    assert all(torch.equal(one, other) for one, other in zip(before, supernet.buffers(), strict=True))


@pytest.mark.parametrize("memory", MEMORIES)
def test_disturbed_choices_are_disturbed_and_others_are_not(memory: str):
    """The same place is disturbed alike however the supernet is computed, and nothing is in evaluation."""
    noise = NoiseSettings(on="output", distribution="gaussian", std=1.0, schedule="constant", operations="skip_connect")
    dropout = DropoutSettings(unit="image", rate=0.5, schedule="constant", operations=("E3K3",))
    disturbance = Disturbance(noise, dropout, seed=3, done=0.0)
    supernet, plain = supernet_of(memory), supernet_of("none")
    x, _, alpha = inputs()
    gates = gates_of(alpha.sigmoid())
    disturbed = supernet(x, gates, disturbance)
    h = plain.stem(x)
    for index, (layer, row) in enumerate(zip(plain.stages, alpha.sigmoid(), strict=True)):
        outs = []
        for column, (name, choice) in enumerate(zip(SPACE.candidates, layer.candidates, strict=True)):
            out = choice(h)
            touched = name in ("skip_connect", "E3K3")
            outs.append(row[column] * (disturbance.of_output(out, name, index, 0, column) if touched else out))
        h = sum(outs)
    torch.testing.assert_close(disturbed, plain.tail(h), rtol=1e-9, atol=1e-11)
    supernet.eval()
    assert torch.equal(supernet(x, gates, disturbance), supernet(x, gates))


def test_autocast_runs_in_bfloat16_and_gives_finite_gradients():
    supernet = supernet_of().float()
    x, labels, alpha = inputs()
    alpha = alpha.float().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        logits = supernet(x.float(), gates_of(alpha.sigmoid()))
    assert logits.dtype == torch.bfloat16
    F.cross_entropy(logits.float(), labels).backward()
    exact = gradients(supernet_of(), *inputs(), "sigmoid")[1]
    assert alpha.grad.isfinite().all()
    assert F.cosine_similarity(alpha.grad.double().flatten(), exact.flatten(), dim=0) > 0.8


def test_one_value_a_channel_is_refused_as_batch_norm_does():
    layer = ChoiceLayer(0, ("E3K3", "skip_connect"), SPACE.layers[0], affine=False, recompute=False)
    with pytest.raises(ValueError, match="more images, or larger ones"):
        layer(torch.randn(1, SPACE.layers[0].c_in, 1, 1), (Gate((0, 1), torch.rand(2)),))


RESIDUAL = chain(
    {"channels": 4, "layers": 2, "stride": 1, "candidates": ("MBE2K3", "skip_connect", "MBE3K5", "E2K3")},
    {"channels": 6, "layers": 1, "stride": 2, "candidates": ("MBE2K3", "E1K3")},
    {"channels": 6, "layers": 2, "stride": 1, "candidates": ("MBE1K3", "MBE3K3", "E3K3", "skip_connect", "MBE2K5")},
)
"""bottlenecks with a residual and without, joint ones and others; layers of different choices"""


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("memory", MEMORIES)
def test_residuals_and_layers_of_different_choices_are_a_loop(memory: str, affine: bool):
    torch.manual_seed(0)
    own = DenseSupernetSettings(affine=affine)
    supernet = make_supernet(RESIDUAL, 3, 3, own, memory).double().to(memory_format=torch.channels_last)
    plain = Plain(supernet)
    matrices = {
        name: torch.rand(part.shape, dtype=torch.float64, requires_grad=True) for name, part in RESIDUAL.parts.items()
    }
    assert len(matrices) == 3
    x, labels, _ = inputs()
    for training in (True, True, False):
        results = []
        for network in (supernet, plain):
            network.train(training)
            loss = F.cross_entropy(network(x, dense(matrices, RESIDUAL)), labels)
            wanted = [*matrices.values(), *network.parameters()]
            first = torch.autograd.grad(loss, wanted, create_graph=True)
            second = torch.autograd.grad(sum((one**2).sum() for one in first), wanted)
            results.append([loss, *first, *second, *(buffer.clone() for buffer in network.buffers())])
        for one, other in zip(*results, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-9)


def test_bottlenecks_with_a_residual_run_jointly(monkeypatch: pytest.MonkeyPatch):
    torch.manual_seed(0)
    supernet, seen = make_supernet(RESIDUAL, 3, settings=DenseSupernetSettings()), []
    whole = chain_module.gated_bottlenecks

    def counted(x: Tensor, gates: Tensor, blocks: list[nn.Module], recompute: bool) -> Tensor:
        seen.append(len(blocks))
        return whole(x, gates, blocks, recompute)

    monkeypatch.setattr(chain_module, "gated_bottlenecks", counted)
    matrices = {name: torch.rand(part.shape) for name, part in RESIDUAL.parts.items()}
    x = torch.randn(2, 3, 8, 8)
    supernet(x, dense(matrices, RESIDUAL))
    assert seen == [3, 3, 1, 3, 3]
    supernet.eval()(x, dense(matrices, RESIDUAL))
    assert len(seen) == 5
