"""Sequences of units that train as one function, against the same modules one by one."""

import copy
import math
import pickle

import pytest
import torch
from torch import Tensor, nn

from fairdarts.native import calls
from fairdarts.ops.cell import dil_conv, relu_conv_bn, sep_conv
from fairdarts.ops.depthwise import depthwise_conv
from fairdarts.ops.fast import Part, parts_of, with_fast_gradients
from fairdarts.ops.mbconv import Bottleneck, bottleneck

native = pytest.mark.usefixtures("native")
SEQUENCES = {
    "sep_conv_3x3": lambda: sep_conv(5, 3, 2, True),
    "sep_conv_5x5": lambda: sep_conv(20, 5, 1, False),
    "dil_conv_5x5": lambda: dil_conv(9, 5, 1, True),
    "relu_conv_bn": lambda: relu_conv_bn(6, 7),
    "E3K5": lambda: bottleneck(6, 5, 3, 5, 2, True),
    "E6K7": lambda: bottleneck(4, 8, 6, 7, 1, False),
    "E1K3": lambda: bottleneck(4, 8, 1, 3, 1, True),
}


def pair(name: str) -> tuple[nn.Module, nn.Module, Tensor]:
    """A sequence, a fast copy of it, and an input."""
    torch.manual_seed(0)
    plain = SEQUENCES[name]().double()
    for norm in plain.modules():
        if isinstance(norm, nn.BatchNorm2d) and norm.affine:
            nn.init.normal_(norm.weight)
            nn.init.normal_(norm.bias)
    channels = next(module for module in plain if isinstance(module, nn.Conv2d)).in_channels
    return plain, with_fast_gradients(copy.deepcopy(plain)), torch.randn(3, channels, 7, 6, dtype=torch.float64)


@native
@pytest.mark.parametrize("name", SEQUENCES)
def test_output_gradients_and_statistics_are_the_same(name: str):
    plain, fast, x = pair(name)
    found = []
    for network in (plain, fast):
        entry = x.clone().requires_grad_()
        out = network(entry)
        pull = torch.linspace(-1, 1, out.numel(), dtype=torch.float64).view_as(out)
        found.append([out, *torch.autograd.grad(out, [entry, *network.parameters()], pull), *network.buffers()])
    assert out.grad_fn.name() == "_UnitsBackward"
    for expected, own in zip(*found, strict=True):
        torch.testing.assert_close(own, expected, rtol=1e-11, atol=1e-11)


@native
@pytest.mark.parametrize("name", ["sep_conv_3x3", "E3K5"])
def test_second_derivatives_are_the_same(name: str):
    plain, fast, x = pair(name)
    found = []
    for network in (plain, fast):
        entry = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(network(entry).square().sum(), entry, create_graph=True)
        found.append(torch.autograd.grad(slope.square().sum(), list(network.parameters())))
    for expected, own in zip(*found, strict=True):
        torch.testing.assert_close(own, expected, rtol=1e-8, atol=1e-8)


@native
def test_single_modules_run_where_somebody_looks_or_nothing_trains():
    _, fast, x = pair("E3K5")
    x.requires_grad_()

    def last() -> str:
        out = fast(x)
        return out.grad_fn.name()

    assert last() == "_UnitsBackward"
    seen: list[Tensor] = []
    handle = fast[3].register_forward_hook(lambda module, entry, out: seen.append(out))
    assert last() != "_UnitsBackward"
    assert len(seen) == 1
    handle.remove()
    handle = fast[3].register_full_backward_pre_hook(lambda module, pull: None)
    assert last() != "_UnitsBackward"
    handle.remove()
    fast[4].eval()
    assert last() != "_UnitsBackward", "a BatchNorm that is frozen keeps its statistics"
    fast.train()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calls, "_mode", "never")
        assert last() != "_UnitsBackward"
    fast.eval()
    assert last() != "_UnitsBackward"


@native
def test_what_is_no_number_stays_so():
    _, fast, x = pair("sep_conv_3x3")
    x[0, 0, 0, 0] = torch.nan
    assert fast(x.requires_grad_()).isnan().any()


@native
def test_a_single_value_has_no_statistics():
    _, fast, _ = pair("relu_conv_bn")
    with pytest.raises(ValueError, match="single value"):
        fast(torch.ones(1, 6, 1, 1, dtype=torch.float64, requires_grad=True))


@native
@pytest.mark.parametrize("channels", [1, 3, 5, 8])
def test_other_channels_are_refused(channels: int):
    fast = with_fast_gradients(dil_conv(4, 5, 1, True))
    with pytest.raises(ValueError, match=f"x has {channels} channels, but convolutions read 4"):
        fast(torch.randn(2, channels, 6, 6, requires_grad=True))


@native
@pytest.mark.parametrize(
    ("place", "module"),
    [
        (1, nn.Conv2d(4, 4, 3, padding=1, bias=False)),
        (2, nn.Conv2d(4, 4, 1)),
        (3, nn.InstanceNorm2d(4, affine=True)),
        (3, nn.BatchNorm2d(4, momentum=None)),
        (0, nn.Sigmoid()),
    ],
)
def test_a_module_that_is_put_in_runs_as_itself(place: int, module: nn.Module):
    fast = with_fast_gradients(dil_conv(4, 3, 1, True))
    fast[place] = module
    x = torch.randn(2, 4, 6, 6, requires_grad=True)
    assert torch.equal(fast(x), nn.Sequential.forward(fast, x))


@native
def test_it_is_plain_where_it_is_loaded_and_under_torch_func():
    _, fast, x = pair("sep_conv_3x3")
    loaded = pickle.loads(pickle.dumps(fast))
    out = loaded(x.requires_grad_())
    assert out.grad_fn.name() != "_UnitsBackward"
    torch.testing.assert_close(out, fast(x))
    state = {key: value.detach().clone() for key, value in fast.state_dict().items()}

    def total(entry: Tensor, own: dict[str, Tensor]) -> Tensor:
        return torch.func.functional_call(fast, own, entry).square().sum()

    slope = torch.func.grad(total)(x.detach(), state)
    expected = torch.autograd.grad(fast(x).square().sum(), x)[0]
    torch.testing.assert_close(slope, expected, rtol=1e-9, atol=1e-9)


@native
def test_what_is_infinite_has_torch_s_gradients():
    plain, fast, x = pair("sep_conv_3x3")
    found = []
    for network in (plain, fast):
        with torch.no_grad():
            network[3].bias[0] = torch.inf
        found.append(torch.autograd.grad(network(x).sum(), list(network.parameters())))
    for expected, own in zip(*found, strict=True):
        assert torch.equal(own.isfinite(), expected.isfinite())


def test_parts():
    assert parts_of(bottleneck(4, 4, 3, 3, 1, True)) == (
        Part(None, None, 0, 1),
        Part(2, 3, None, 4),
        Part(5, None, 6, 7),
    )
    assert parts_of(sep_conv(4, 3, 1, True)) == (Part(0, 1, 2, 3), Part(4, 5, 6, 7))


@pytest.mark.parametrize(
    "sequence",
    [
        bottleneck(4, 4, 3, 3, 1, True, activation="swish"),
        bottleneck(4, 4, 3, 3, 1, True, se_ratio=0.25),
        bottleneck(4, 4, 3, 9, 1, True),
        Bottleneck(depthwise_conv(4, 3), nn.BatchNorm2d(4), depthwise_conv(4, 3), nn.BatchNorm2d(4)),
        Bottleneck(depthwise_conv(4, 3, stride=3), nn.BatchNorm2d(4)),
        Bottleneck(nn.Conv2d(4, 4, 1, bias=False), nn.BatchNorm2d(4, momentum=None)),
        Bottleneck(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)),
        Bottleneck(nn.Conv2d(4, 4, 1, bias=False), nn.BatchNorm2d(4), nn.ReLU()),
        Bottleneck(nn.ReLU()),
    ],
)
def test_other_sequences_have_no_parts(sequence: nn.Sequential):
    assert not parts_of(sequence)


def test_a_relu6_keeps_its_output_alone_and_has_torch_s_gradient():
    plain, fast = nn.ReLU6(inplace=True), with_fast_gradients(nn.ReLU6(inplace=True))
    x = torch.tensor([-1.0, 0.0, 1e-3, 3.0, 6.0, 7.0, math.nan, math.inf], dtype=torch.float64)
    pull = torch.arange(1.0, 9.0, dtype=torch.float64)
    found = []
    for module in (plain, fast):
        leaf = x.clone().requires_grad_()
        entry = leaf * 1  # it is changed in place
        out = module(entry)
        assert out.data_ptr() == entry.data_ptr()
        found.append((out.detach(), *torch.autograd.grad(out, leaf, pull)))
    for own, torch_s in zip(*found, strict=True):
        torch.testing.assert_close(own, torch_s, rtol=0, atol=0, equal_nan=True)
    with torch.no_grad():
        assert fast(x.clone()).tolist()[:6] == [0, 0, 1e-3, 3, 6, 6]
