"""Depthwise convolution: whichever way it runs, it is F.conv2d."""

from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fairdarts.ops.depthwise import DepthwiseConv2d, depthwise

LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
SMALL = list(product([1, 2, 3, 4, 7, 8], repeat=2))
LARGE = [(16, 15), (9, 17), (31, 32), (33, 6), (34, 35)]
"""Up to 16, up to 32 and above, where the weight's gradient takes another way."""


def reference(x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
    padding = dilation * (weight.shape[-1] // 2)
    return F.conv2d(x, weight, None, stride, padding, dilation, groups=x.shape[1])


def random(*shape: int, layout: str = "contiguous") -> Tensor:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)
    return x.contiguous(memory_format=LAYOUTS[layout])


def assert_close(found: Tensor, expected: Tensor, where: object) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-11, msg=lambda text: f"{where}: {text}")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_outputs_and_gradients_are_those_of_conv2d(kernel: int, dilation: int, stride: int, layout: str):
    weight = random(3, 1, kernel, kernel).requires_grad_()
    for size in [*SMALL, *LARGE]:
        x = random(2, 3, *size, layout=layout).requires_grad_()
        expected = reference(x, weight, stride, dilation)
        pull = random(*expected.shape, layout=layout)
        of_x, of_weight = torch.autograd.grad(expected, (x, weight), pull)

        found = depthwise(x, weight, stride, dilation)
        assert_close(found, expected, size)
        for one, other in zip(torch.autograd.grad(found, (x, weight), pull), (of_x, of_weight), strict=True):
            assert_close(one, other, size)
        with torch.no_grad():
            assert_close(depthwise(x, weight, stride, dilation), expected, size)


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("wanted", ["x", "weight"])
def test_one_gradient_alone_is_the_same(wanted: str, create_graph: bool):
    x, weight = random(2, 3, 6, 5), random(3, 1, 5, 5)
    leaf = {"x": x, "weight": weight}[wanted].requires_grad_()
    pull = random(2, 3, 6, 5).cos()
    (expected,) = torch.autograd.grad(reference(x, weight, 1, 2), leaf, pull)
    (found,) = torch.autograd.grad(depthwise(x, weight, 1, 2), leaf, pull, create_graph=create_graph)
    assert_close(found.detach(), expected, wanted)


@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(3, 1, 1), (5, 1, 1), (3, 2, 1), (3, 1, 2), (5, 2, 2)])
def test_second_derivatives_are_those_of_finite_differences(kernel: int, stride: int, dilation: int):
    x, weight = random(2, 2, 3, 4).requires_grad_(), random(2, 1, kernel, kernel).requires_grad_()
    function = lambda x, weight: depthwise(x, weight, stride, dilation)  # noqa: E731
    assert torch.autograd.gradcheck(function, (x, weight))
    assert torch.autograd.gradgradcheck(function, (x, weight))


@pytest.mark.parametrize("create_graph", [False, True])
def test_one_kernel_may_be_used_twice_in_a_row(create_graph: bool):
    x, weight = random(2, 3, 6, 5), random(3, 1, 3, 3).requires_grad_()
    (expected,) = torch.autograd.grad(reference(reference(x, weight, 1, 1), weight, 1, 1).sum(), weight)
    total = depthwise(depthwise(x, weight, 1, 1), weight, 1, 1).sum()
    (found,) = torch.autograd.grad(total, weight, create_graph=create_graph)
    assert_close(found.detach(), expected, "weight")


@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(3, 1, 1), (5, 1, 1), (3, 2, 1), (3, 1, 2), (5, 2, 2)])
def test_under_autocast_gradients_are_near_those_of_float32(kernel: int, stride: int, dilation: int):
    x, weight = random(2, 3, 9, 8).float().requires_grad_(), random(3, 1, kernel, kernel).float().requires_grad_()
    expected = reference(x, weight, stride, dilation)
    wanted = torch.autograd.grad(expected.square().sum(), (x, weight))
    with torch.autocast("cpu", torch.bfloat16):
        found = depthwise(x, weight, stride, dilation)
    assert found.dtype is torch.bfloat16
    for one, other in zip(torch.autograd.grad(found.float().square().sum(), (x, weight)), wanted, strict=True):
        assert one.dtype is torch.float32
        assert (one - other).norm() < 0.02 * other.norm()


def test_the_module_is_a_conv2d():
    torch.manual_seed(0)
    module = DepthwiseConv2d(4, 5, stride=2, dilation=2).double()
    plain = torch.nn.Conv2d(4, 4, 5, 2, padding=4, dilation=2, groups=4, bias=False).double()
    plain.load_state_dict(module.state_dict())
    x = torch.randn(2, 4, 9, 8, dtype=torch.float64)
    assert_close(module(x), plain(x), "module")
    assert_close(torch.nn.Conv2d.forward(module, x), plain(x), "its attributes")


def test_taps_beyond_the_image_get_a_zero_gradient_not_none():
    weight = torch.ones(1, 1, 5, 5, dtype=torch.float64, requires_grad=True)
    depthwise(torch.ones(1, 1, 2, 2, dtype=torch.float64), weight, 1, 1).sum().backward()
    assert weight.grad.shape == weight.shape
    assert torch.equal(weight.grad[0, 0, 0], torch.zeros(5, dtype=torch.float64))
    assert weight.grad[0, 0, 2, 2] == 4
