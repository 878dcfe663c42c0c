"""Which operations are chains, and of what; each chain is its operation."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from fairdarts.ops.cell import OPS, FactorizedReduce, Separable, relu_conv_bn, unit
from fairdarts.supernet.chains import Term, chain_of, plain_sum

CHANNELS = 4
UNITS: dict[str, list[tuple[int, int | None, int]]] = {
    "sep_conv_3x3": [(3, None, 1), (3, 1, 1)],
    "sep_conv_5x5": [(5, None, 1), (5, 1, 1)],
    "dil_conv_3x3": [(3, None, 2)],
    "dil_conv_5x5": [(5, None, 2)],
}
"""kernel, stride (None: the operation's), dilation of every unit"""


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", OPS)
def test_convolutions_are_chains_of_their_own_weights_and_norms(name: str, stride: int):
    operation = OPS[name](CHANNELS, stride, False)
    chain = chain_of(operation)
    if name == "skip_connect" and stride == 2:
        (found,) = chain
        assert found.kernel is None
        assert found.weight.shape == (CHANNELS, 2 * CHANNELS)
        assert found.norm is operation.bn
    elif name not in UNITS:
        assert chain is None
    else:
        expected = [(kernel, own or stride, dilation) for kernel, own, dilation in UNITS[name]]
        assert [(unit.kernel.shape[-1], unit.stride, unit.dilation) for unit in chain] == expected
        held = [part for unit in chain for part in (unit.kernel, unit.weight)]
        assert list(map(id, held)) == list(map(id, operation.parameters()))
        assert [unit.norm for unit in chain] == [m for m in operation if isinstance(m, nn.BatchNorm2d)]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("height", "width"), [(6, 4), (5, 7), (1, 1)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", ["skip_connect", *UNITS, "preprocess"])
def test_a_chain_on_the_rectified_input_is_its_operation(
    name: str, stride: int, height: int, width: int, training: bool
):
    torch.manual_seed(0)
    operation = relu_conv_bn(CHANNELS, 3, affine=False) if name == "preprocess" else OPS[name](CHANNELS, stride, False)
    if (chain := chain_of(operation.double().train(training))) is None:
        assert (name, stride) == ("skip_connect", 1)
        return
    for *_, norm in chain:
        norm.running_mean.normal_(), norm.running_var.uniform_(1, 2)
    before = {key: value.clone() for key, value in operation.state_dict().items()}
    x = torch.randn(3, CHANNELS, height, width, dtype=torch.float64)
    expected, after = operation(x), {key: value.clone() for key, value in operation.state_dict().items()}
    operation.load_state_dict(before)
    entry = FactorizedReduce.gather(x.relu()) if name == "skip_connect" else x.relu()
    found = plain_sum([Term(entry, torch.tensor(2.5, dtype=torch.float64), chain)], training)
    torch.testing.assert_close(found, 2.5 * expected, rtol=1e-10, atol=1e-12)
    for key, value in operation.state_dict().items():
        torch.testing.assert_close(value, after[key], rtol=1e-12, atol=1e-14)


def test_a_sum_that_does_not_track_leaves_the_statistics_alone():
    (unit,) = chain_of(relu_conv_bn(2, 3, affine=False))
    before = {key: value.clone() for key, value in unit.norm.state_dict().items()}
    plain_sum([Term(torch.rand(2, 2, 3, 3), torch.tensor(1.0), (unit,))], training=True, track=False)
    assert all(torch.equal(value, before[key]) for key, value in unit.norm.state_dict().items())


class Changed(Separable):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return -super().forward(x)


class Narrowed(FactorizedReduce):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x)[:, :, :1]


def test_what_may_run_otherwise_is_no_chain():
    assert chain_of(Changed(*unit(CHANNELS, 3, 1, 1, False))) is None
    assert chain_of(Narrowed(CHANNELS, CHANNELS, affine=False)) is None
    assert chain_of(nn.Sequential(*unit(CHANNELS, 3, 1, 1, False))) is None


@pytest.mark.parametrize(
    "modules",
    [
        unit(CHANNELS, 3, 1, 1, True),
        relu_conv_bn(CHANNELS, CHANNELS, affine=True),
        [nn.ReLU(), nn.Conv2d(CHANNELS, CHANNELS, 1), nn.BatchNorm2d(CHANNELS, affine=False)],
        [nn.ReLU(), nn.Conv2d(CHANNELS, CHANNELS, 1, stride=2, bias=False), nn.BatchNorm2d(CHANNELS, affine=False)],
        [nn.ReLU(), nn.Conv2d(CHANNELS, CHANNELS, 1, groups=2, bias=False), nn.BatchNorm2d(CHANNELS, affine=False)],
        [nn.ReLU(), nn.Conv2d(CHANNELS, CHANNELS, 3, bias=False), nn.BatchNorm2d(CHANNELS, affine=False)],
        [*unit(CHANNELS, 3, 1, 1, False)[:-1], nn.BatchNorm2d(CHANNELS, affine=False, momentum=None)],
        [*unit(CHANNELS, 3, 1, 1, False)[:-1], nn.BatchNorm2d(CHANNELS, affine=False, track_running_stats=False)],
        [nn.ReLU6(), *unit(CHANNELS, 3, 1, 1, False)[1:]],
        unit(CHANNELS, 3, 1, 1, False)[:-1],
        [*unit(CHANNELS, 3, 1, 1, False), nn.ReLU()],
        unit(CHANNELS, 3, 1, 1, False)[1:],
    ],
)
def test_what_a_chain_cannot_say_is_none(modules: list[nn.Module]):
    assert chain_of(Separable(*modules)) is None


def test_a_reduction_whose_norm_has_weights_is_no_chain():
    assert chain_of(FactorizedReduce(CHANNELS, CHANNELS, affine=True)) is None


def test_weights_of_both_halves_get_their_own_gradients():
    torch.manual_seed(0)
    reduce = FactorizedReduce(2, 4, affine=False).double()
    x = torch.randn(2, 2, 5, 6, dtype=torch.float64)
    pull = torch.randn(2, 4, 3, 3, dtype=torch.float64)
    expected = torch.autograd.grad(reduce(x), list(reduce.parameters()), pull)
    total = plain_sum([Term(reduce.gather(F.relu(x)), torch.ones((), dtype=torch.float64), chain_of(reduce))], True)
    for one, other in zip(torch.autograd.grad(total, list(reduce.parameters()), pull), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)
