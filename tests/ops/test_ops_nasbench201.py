"""The operations of NAS-Bench-201, each against the plain form of its definition."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairdarts.ops.nasbench201 import OPS, Reduction, ReluConvBn


def image(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def normalized(x: Tensor, norm: nn.BatchNorm2d) -> Tensor:
    """BatchNorm in training, written out."""
    mean, var = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), keepdim=True, correction=0)
    x = (x - mean) / (var + norm.eps).sqrt()
    return x if norm.weight is None else x * norm.weight[:, None, None] + norm.bias[:, None, None]


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("name", OPS)
def test_every_operation_keeps_the_shape(name: str, affine: bool):
    op = OPS[name](4, affine)
    for size in [(8, 8), (7, 5), (1, 2)]:
        assert op(torch.ones(2, 4, *size)).shape == (2, 4, *size)
    assert sum(weight.dim() == 1 for weight in op.parameters()) == (2 if affine and "conv" in name else 0)


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize(("name", "kernel"), [("nor_conv_1x1", 1), ("nor_conv_3x3", 3)])
def test_convolutions_are_relu_convolution_batch_norm(name: str, kernel: int, affine: bool):
    torch.manual_seed(0)
    op = OPS[name](3, affine).double()
    if affine:
        nn.init.normal_(op.bn.weight)
        nn.init.normal_(op.bn.bias)
    assert op.conv.weight.shape == (3, 3, kernel, kernel)
    assert op.conv.bias is None
    x = image(2, 3, 6, 5)
    padded = F.pad(x.clamp(min=0), (kernel // 2,) * 4)
    expected = normalized(F.conv2d(padded, op.conv.weight), op.bn)
    torch.testing.assert_close(op(x), expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(op.rectified(x.relu()), expected, rtol=1e-10, atol=1e-12)


def test_pooling_does_not_count_the_padding():
    ramp = torch.arange(9.0).view(1, 1, 3, 3)
    assert OPS["avg_pool_3x3"](1, True)(ramp)[0, 0].tolist() == [[2, 2.5, 3], [3.5, 4, 4.5], [5, 5.5, 6]]


def test_none_gives_zeros_and_skip_the_input_itself():
    x = image(2, 3, 4, 4)
    assert not OPS["none"](3, True)(x).any()
    assert OPS["skip_connect"](3, True)(x) is x


def test_the_reduction_is_a_residual_block_of_stride_2():
    torch.manual_seed(0)
    block, x = Reduction(3).double(), image(2, 3, 8, 6)
    y = F.conv2d(x.relu(), block.conv_1.conv.weight, stride=2, padding=1)
    y = F.conv2d(normalized(y, block.conv_1.bn).relu(), block.conv_2.conv.weight, padding=1)
    means = (x[:, :, ::2, ::2] + x[:, :, 1::2, ::2] + x[:, :, ::2, 1::2] + x[:, :, 1::2, 1::2]) / 4
    expected = normalized(y, block.conv_2.bn) + torch.einsum("oi,bihw->bohw", block.shortcut.weight[:, :, 0, 0], means)
    torch.testing.assert_close(block(x), expected, rtol=1e-10, atol=1e-12)
    assert block.shortcut.bias is None
    assert sum(isinstance(module, ReluConvBn) for module in block.modules()) == 2


def test_the_reduction_rounds_odd_sizes_up():
    assert Reduction(2)(torch.ones(1, 2, 7, 5)).shape == (1, 4, 4, 3)
