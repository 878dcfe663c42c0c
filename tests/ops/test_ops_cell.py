"""The candidate operations: shapes, and each against the plain form of its definition."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from fairdarts.ops.cell import OPS, FactorizedReduce, Zero, relu_conv_bn

CHANNELS = 4


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", OPS)
def test_shapes(name, stride):
    op = OPS[name](CHANNELS, stride, True)
    for height, width in [(8, 8), (7, 7), (7, 8), (2, 5), (1, 1)]:
        out = op(torch.ones(2, CHANNELS, height, width))
        assert out.shape == (2, CHANNELS, -(-height // stride), -(-width // stride))


def plain_separable(kernel: int, stride: int, dilation: int, affine: bool) -> list[nn.Module]:
    padding = dilation * (kernel - 1) // 2
    return [
        nn.ReLU(),
        nn.Conv2d(CHANNELS, CHANNELS, kernel, stride, padding, dilation, groups=CHANNELS, bias=False),
        nn.Conv2d(CHANNELS, CHANNELS, 1, bias=False),
        nn.BatchNorm2d(CHANNELS, affine=affine),
    ]


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", ["sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5", "sep_conv_7x7"])
def test_convolutions_are_those_of_darts(name, stride, affine):
    torch.manual_seed(0)
    op = OPS[name](CHANNELS, stride, affine).double()
    kernel = int(name[-1])
    if name.startswith("sep"):
        layers = plain_separable(kernel, stride, 1, affine) + plain_separable(kernel, 1, 1, affine)
    else:
        layers = plain_separable(kernel, stride, 2, affine)
    plain = nn.Sequential(*layers).double()
    plain.load_state_dict(op.state_dict())
    x = torch.randn(2, CHANNELS, 7, 8, dtype=torch.float64)
    expected, found = plain(x), op(x)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    pull = torch.randn_like(expected)
    gradients = torch.autograd.grad(expected, list(plain.parameters()), pull)
    for one, other in zip(torch.autograd.grad(found, list(op.parameters()), pull), gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_factorized_convolution_is_one_of_the_product_of_both_kernels(stride: int):
    torch.manual_seed(0)
    op = OPS["conv_7x1_1x7"](CHANNELS, stride, True).double().eval()
    x = torch.randn(2, CHANNELS, 9, 8, dtype=torch.float64)
    whole = torch.einsum("omi,mcj->ocij", op[2].weight[..., 0], op[1].weight[:, :, 0])
    expected = F.conv2d(F.relu(x), whole, stride=stride, padding=3) / (1 + op[3].eps) ** 0.5
    torch.testing.assert_close(op(x), expected, rtol=1e-10, atol=1e-12)


def test_pools_do_not_count_the_padding():
    x = torch.full((1, CHANNELS, 4, 4), -1.0)
    for name in ("max_pool_3x3", "avg_pool_3x3"):
        assert torch.equal(OPS[name](CHANNELS, 2, True)(x), torch.full((1, CHANNELS, 2, 2), -1.0))
    ramp = torch.arange(9.0).view(1, 1, 3, 3)
    assert OPS["max_pool_3x3"](1, 1, True)(ramp)[0, 0].tolist() == [[4, 5, 5], [7, 8, 8], [7, 8, 8]]
    assert OPS["avg_pool_3x3"](1, 2, True)(ramp)[0, 0].tolist() == [[2, 3], [5, 6]]


def test_skip_connect():
    x = torch.ones(1, CHANNELS, 4, 4)
    assert OPS["skip_connect"](CHANNELS, 1, True)(x) is x
    reduce = OPS["skip_connect"](CHANNELS, 2, False)
    assert isinstance(reduce, FactorizedReduce)
    assert reduce.bn.weight is None


@pytest.mark.parametrize(("height", "width"), [(4, 6), (5, 3), (4, 5), (1, 1)])
def test_factorized_reduce_takes_a_pixel_and_the_one_further_on(height, width):
    reduce = FactorizedReduce(2, 4, affine=False).double().eval()
    nn.init.dirac_(reduce.conv_1.weight)
    nn.init.dirac_(reduce.conv_2.weight)
    x = torch.randn(1, 2, height, width, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    out = reduce(x) * (1 + reduce.bn.eps) ** 0.5
    positive = F.pad(x.relu(), (0, 1, 0, 1))  # an odd image ends in zeros
    here, further = positive[:, :, :height:2, :width:2], positive[:, :, 1 : height + 1 : 2, 1 : width + 1 : 2]
    torch.testing.assert_close(out[:, :2], here, rtol=1e-12, atol=1e-15)
    torch.testing.assert_close(out[:, 2:], further, rtol=1e-12, atol=1e-15)


def test_factorized_reduce_splits_odd_widths():
    reduce = FactorizedReduce(3, 5)
    assert (reduce.conv_1.out_channels, reduce.conv_2.out_channels) == (2, 3)
    assert reduce(torch.ones(2, 3, 4, 4)).shape == (2, 5, 2, 2)


@pytest.mark.parametrize("stride", [1, 2])
def test_zero_gives_zeros_and_zero_gradients(stride):
    x = torch.randn(2, 3, 5, 4, requires_grad=True)
    out = Zero(stride)(x)
    assert out.shape == (2, 3, -(-5 // stride), 4 // stride)
    assert not out.any()
    assert OPS["none"](3, stride, True)(x).equal(out)


def test_relu_conv_bn():
    torch.manual_seed(0)
    module = relu_conv_bn(3, 5, affine=False).double()
    assert [name for name, _ in module.named_parameters()] == ["1.weight"]
    x = torch.randn(4, 3, 2, 2, dtype=torch.float64)
    y = torch.einsum("oi,bihw->bohw", module[1].weight[:, :, 0, 0], x.clamp(min=0))
    mean, var = y.mean((0, 2, 3), keepdim=True), y.var((0, 2, 3), keepdim=True, correction=0)
    torch.testing.assert_close(module(x), (y - mean) / (var + 1e-5).sqrt(), rtol=1e-10, atol=1e-12)
