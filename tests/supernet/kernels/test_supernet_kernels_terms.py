"""Which operations are units, and of what; the units of an operation are what it computes."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from fairdarts.ops.cell import OPS, FactorizedReduce, Separable, relu_conv_bn, unit
from fairdarts.ops.mbconv import choice
from fairdarts.ops.nasbench201 import ReluConvBn, avg_pool
from fairdarts.supernet.kernels.terms import Term, averaged, averages, gated, plain_sum, units_of

CHANNELS = 4
UNITS: dict[str, list[tuple[int, int | None, int]]] = {
    "sep_conv_3x3": [(3, None, 1), (3, 1, 1)],
    "sep_conv_5x5": [(5, None, 1), (5, 1, 1)],
    "sep_conv_7x7": [(7, None, 1), (7, 1, 1)],
    "dil_conv_3x3": [(3, None, 2)],
    "dil_conv_5x5": [(5, None, 2)],
}
"""kernel, stride (None: the operation's), dilation of every unit"""


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", OPS)
def test_convolutions_are_units_of_their_own_weights_and_norms(name: str, stride: int):
    operation = OPS[name](CHANNELS, stride, False)
    units = units_of(operation)
    if name == "skip_connect" and stride == 2:
        (found,) = units
        assert found.kernel is None
        assert found.weight.shape == (CHANNELS, 2 * CHANNELS)
        assert found.norm is operation.bn
    elif name not in UNITS:
        assert units is None
    else:
        expected = [(kernel, own or stride, dilation) for kernel, own, dilation in UNITS[name]]
        assert [(unit.kernel.shape[-1], unit.stride, unit.dilation) for unit in units] == expected
        held = [part for unit in units for part in (unit.kernel, unit.weight)]
        assert list(map(id, held)) == list(map(id, operation.parameters()))
        assert [unit.norm for unit in units] == [m for m in operation if isinstance(m, nn.BatchNorm2d)]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("height", "width"), [(6, 4), (5, 7), (1, 1)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", ["skip_connect", *UNITS, "preprocess"])
def test_units_on_the_rectified_input_are_their_operation(
    name: str, stride: int, height: int, width: int, training: bool
):
    torch.manual_seed(0)
    operation = relu_conv_bn(CHANNELS, 3, affine=False) if name == "preprocess" else OPS[name](CHANNELS, stride, False)
    if (units := units_of(operation.double().train(training))) is None:
        assert (name, stride) == ("skip_connect", 1)
        return
    for one in units:
        one.norm.running_mean.normal_(), one.norm.running_var.uniform_(1, 2)
    before = {key: value.clone() for key, value in operation.state_dict().items()}
    x = torch.randn(3, CHANNELS, height, width, dtype=torch.float64)
    expected, after = operation(x), {key: value.clone() for key, value in operation.state_dict().items()}
    operation.load_state_dict(before)
    entry = FactorizedReduce.gather(x.relu()) if name == "skip_connect" else x.relu()
    found = plain_sum([Term(entry, torch.tensor(2.5, dtype=torch.float64), units)], training)
    torch.testing.assert_close(found, 2.5 * expected, rtol=1e-10, atol=1e-12)
    for key, value in operation.state_dict().items():
        torch.testing.assert_close(value, after[key], rtol=1e-12, atol=1e-14)


def test_a_sum_that_does_not_track_leaves_the_statistics_alone():
    (unit,) = units_of(relu_conv_bn(2, 3, affine=False))
    before = {key: value.clone() for key, value in unit.norm.state_dict().items()}
    plain_sum([Term(torch.rand(2, 2, 3, 3), torch.tensor(1.0), (unit,))], training=True, track=False)
    assert all(torch.equal(value, before[key]) for key, value in unit.norm.state_dict().items())


class Changed(Separable):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return -super().forward(x)


class Narrowed(FactorizedReduce):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x)[:, :, :1]


def test_what_may_run_otherwise_has_no_units():
    assert units_of(Changed(*unit(CHANNELS, 3, 1, 1, False))) is None
    assert units_of(Narrowed(CHANNELS, CHANNELS, affine=False)) is None
    assert units_of(nn.Sequential(*unit(CHANNELS, 3, 1, 1, False))) is None


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
        [nn.ReLU6(), *unit(CHANNELS, 3, 1, 1, False)[1:]],
        unit(CHANNELS, 3, 1, 1, False)[:-1],
        [*unit(CHANNELS, 3, 1, 1, False), nn.ReLU()],
        unit(CHANNELS, 3, 1, 1, False)[1:],
    ],
)
def test_what_units_cannot_say_is_none(modules: list[nn.Module]):
    assert units_of(Separable(*modules)) is None


def test_a_reduction_whose_norm_has_weights_has_no_units():
    assert units_of(FactorizedReduce(CHANNELS, CHANNELS, affine=True)) is None


def test_weights_of_both_halves_get_their_own_gradients():
    torch.manual_seed(0)
    reduce = FactorizedReduce(2, 4, affine=False).double()
    x = torch.randn(2, 2, 5, 6, dtype=torch.float64)
    pull = torch.randn(2, 4, 3, 3, dtype=torch.float64)
    expected = torch.autograd.grad(reduce(x), list(reduce.parameters()), pull)
    total = plain_sum([Term(reduce.gather(F.relu(x)), torch.ones((), dtype=torch.float64), units_of(reduce))], True)
    for one, other in zip(torch.autograd.grad(total, list(reduce.parameters()), pull), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def untracked(operation: nn.Module) -> nn.Module:
    for norm in operation.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.track_running_stats = False
            norm.running_mean = norm.running_var = norm.num_batches_tracked = None
    return operation


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", ["sep_conv_3x3", "dil_conv_5x5", "skip_connect"])
def test_norms_that_track_nothing_take_the_batch_in_training_and_in_evaluation(name: str, training: bool):
    torch.manual_seed(0)
    operation = untracked(OPS[name](CHANNELS, 2, False).double()).train(training)
    x, gate = torch.randn(3, CHANNELS, 6, 5, dtype=torch.float64), torch.tensor(0.6, dtype=torch.float64)
    entry = FactorizedReduce.gather(x.relu()) if name == "skip_connect" else x.relu()
    found = plain_sum([Term(entry, gate, units_of(operation))], training)
    torch.testing.assert_close(found, 0.6 * operation(x), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kernel", [1, 3])
def test_a_convolution_of_nasbench201_is_one_unit_of_a_larger_kernel_its_norm_alone(kernel: int):
    torch.manual_seed(0)
    operation = ReluConvBn(CHANNELS, 3, kernel, affine=False).double()
    (found,) = units_of(operation)
    assert found.norm is operation.bn
    assert found.kernel is None
    assert found.weight is (operation.conv.weight if kernel == 1 else None)
    x, gate = torch.randn(3, CHANNELS, 5, 4, dtype=torch.float64), torch.tensor(0.6, dtype=torch.float64)
    entry = x.relu() if kernel == 1 else operation.conv(x.relu())
    found = plain_sum([Term(entry, gate, units_of(operation))], training=True, track=False)
    torch.testing.assert_close(found, 0.6 * operation(x), rtol=1e-10, atol=1e-12)
    assert units_of(ReluConvBn(CHANNELS, 3, kernel, affine=True)) is None


def test_a_term_without_a_gate_is_its_input():
    x = torch.randn(2, 3, 4, 4)
    assert plain_sum([Term(x, None)], training=True) is x
    assert torch.equal(plain_sum([Term(x, None), Term(x, torch.tensor(0.5))], training=True), x + 0.5 * x)


@pytest.mark.parametrize("tracked", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("name", ["skip_connect", "E2K3", "E1K5", "MBE2K3"])
def test_a_gate_stands_for_the_weight_of_the_last_norm(name: str, affine: bool, training: bool, tracked: bool):
    torch.manual_seed(0)
    for shape in ((CHANNELS, CHANNELS, 1), (CHANNELS, 3, 2)):
        operation = choice(name, *shape, affine).double().train(training)
        operation = operation if tracked else untracked(operation)
        gate = torch.tensor(-0.7, dtype=torch.float64, requires_grad=True)
        x = torch.randn(3, CHANNELS, 6, 5, dtype=torch.float64, requires_grad=True)
        wanted, results = [gate, x, *operation.parameters()], []
        for run in (lambda: gated(operation, x, gate), lambda: gate * operation(x)):  # noqa: B023
            before = {key: value.clone() for key, value in operation.state_dict().items()}
            out = run()
            moved = [buffer.clone() for buffer in operation.buffers()]
            results.append([out, *torch.autograd.grad(out.square().sum(), wanted), *moved])
            operation.load_state_dict(before)
        for one, other in zip(*results, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("shape", [(2, 3, 5, 4), (1, 2, 1, 1), (3, 2, 2, 7)])
def test_an_average_is_that_of_the_pooling(shape: tuple[int, ...]):
    torch.manual_seed(0)
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    results = []
    for run in (avg_pool(), lambda x: averaged(avg_pool(), x)):
        (first,) = torch.autograd.grad(run(x).pow(3).sum(), x, create_graph=True)
        results.append([run(x), first, *torch.autograd.grad(first.sin().sum(), x)])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)
    with torch.no_grad():
        assert torch.equal(averaged(avg_pool(), x), avg_pool()(x))


@pytest.mark.parametrize(
    ("pool", "expected"),
    [
        (avg_pool(), True),
        (nn.AvgPool2d(5, 1, 2, count_include_pad=False), True),
        (nn.AvgPool2d(3, 1, 1), False),  # counts the padding
        (nn.AvgPool2d(3, 2, 1, count_include_pad=False), False),
        (nn.AvgPool2d(3, 1, 0, count_include_pad=False), False),
        (nn.AvgPool2d(2, 1, 1, count_include_pad=False), False),
        (nn.AvgPool2d(3, 1, 1, count_include_pad=False, divisor_override=4), False),
        (nn.MaxPool2d(3, 1, 1), False),
    ],
)
def test_only_poolings_that_keep_the_size_and_do_not_count_the_padding_are_averages(pool: nn.Module, expected: bool):
    assert averages(pool) == expected
