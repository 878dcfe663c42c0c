"""Depthwise convolution: whichever way it runs, it is F.conv2d."""

from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fairdarts.ops.depthwise import DepthwiseConv2d, depthwise

SIZES = [1, 2, 3, 4, 7, 8]
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
CLOSE = {"rtol": 1e-12, "atol": 1e-12}


def reference(x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
    padding = dilation * (weight.shape[-1] // 2)
    return F.conv2d(x, weight, None, stride, padding, dilation, groups=x.shape[1])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("kernel", [3, 5])
def test_outputs_and_gradients_are_those_of_conv2d(kernel, dilation, stride, layout):
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(3, 1, kernel, kernel, generator=generator, dtype=torch.float64, requires_grad=True)
    for height, width in product(SIZES, SIZES):
        x = torch.randn(2, 3, height, width, generator=generator, dtype=torch.float64)
        x = x.contiguous(memory_format=LAYOUTS[layout]).requires_grad_()
        expected = reference(x, weight, stride, dilation)
        pull = torch.randn(expected.shape, generator=generator, dtype=torch.float64)
        gradients = torch.autograd.grad(expected, (x, weight), pull)

        found = depthwise(x, weight, stride, dilation)
        where = f"{height}×{width}"
        torch.testing.assert_close(found, expected, **CLOSE, msg=lambda text, where=where: f"{where}: {text}")
        for one, other in zip(torch.autograd.grad(found, (x, weight), pull), gradients, strict=True):
            torch.testing.assert_close(one, other, **CLOSE, msg=lambda text, where=where: f"{where}: {text}")
        with torch.no_grad():
            torch.testing.assert_close(depthwise(x, weight, stride, dilation), expected, **CLOSE)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_dilation_without_a_faster_way(stride):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 7, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(3, 1, 5, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(depthwise(x, weight, stride, 3), reference(x, weight, stride, 3), **CLOSE)


def test_the_module_is_a_conv2d():
    torch.manual_seed(0)
    module = DepthwiseConv2d(4, 5, stride=2, dilation=2).double()
    plain = torch.nn.Conv2d(4, 4, 5, 2, padding=4, dilation=2, groups=4, bias=False).double()
    plain.load_state_dict(module.state_dict())
    x = torch.randn(2, 4, 9, 8, dtype=torch.float64)
    torch.testing.assert_close(module(x), plain(x), **CLOSE)
    torch.testing.assert_close(torch.nn.Conv2d.forward(module, x), plain(x), **CLOSE)  # its own attributes agree


def test_taps_beyond_the_image_get_a_zero_gradient_not_none():
    weight = torch.ones(1, 1, 5, 5, dtype=torch.float64, requires_grad=True)
    depthwise(torch.ones(1, 1, 2, 2, dtype=torch.float64), weight, 1, 1).sum().backward()
    assert weight.grad.shape == weight.shape
    assert torch.equal(weight.grad[0, 0, 0], torch.zeros(5, dtype=torch.float64))
    assert weight.grad[0, 0, 2, 2] == 4
