"""Depthwise convolution: whichever way it runs, it is F.conv2d."""

import copy
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairdarts.ops.depthwise import depthwise, depthwise_conv, is_depthwise
from fairdarts.ops.fast import with_fast_gradients

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


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 1), depthwise_conv(4, 5, stride=2, dilation=2), depthwise_conv(4, 3)).double()


def functions(out: Tensor) -> list[str]:
    """What made a tensor, from the last function on."""
    names, node = [], out.grad_fn
    while node is not None:
        names.append(node.name())
        node = next((before for before, _ in node.next_functions if before is not None), None)
    return names


@pytest.mark.parametrize("copied", [False, True])
def test_with_fast_gradients_the_numbers_are_the_same(copied: bool):
    plain, fast = network(), with_fast_gradients(network())
    if copied:
        original, fast = fast, copy.deepcopy(fast)
        for weight in original.parameters():
            weight.data.zero_()  # a copy runs with its own weights
    x = random(2, 3, 9, 8)
    assert functions(plain(x))[:2] == ["ConvolutionBackward0"] * 2
    assert functions(fast(x))[:3] == ["_DepthwiseBackward"] * 2 + ["ConvolutionBackward0"]
    assert fast.state_dict().keys() == plain.state_dict().keys()
    for one in (plain, fast):
        one(x).square().sum().backward()
    for own, expected in zip(fast.parameters(), plain.parameters(), strict=True):
        assert_close(own.grad, expected.grad, "weight")


def test_without_a_gradient_it_is_torch_s_own():
    x, weight = random(2, 3, 6, 5), random(3, 1, 3, 3)
    assert depthwise(x, weight, 1, 1).grad_fn is None
    fast = with_fast_gradients(network()).requires_grad_(False)
    assert fast(x).grad_fn is None


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (depthwise_conv(4, 5, 2, 2), True),
        (depthwise_conv(1, 3), True),
        (depthwise_conv(4, 1), True),
        (nn.Conv2d(1, 1, 1, bias=False), False),
        (nn.Conv2d(4, 4, 3, padding=1, groups=4), False),
        (nn.Conv2d(4, 4, 3, padding=0, groups=4, bias=False), False),
        (nn.Conv2d(4, 4, 3, padding=1, groups=2, bias=False), False),
        (nn.Conv2d(4, 8, 3, padding=1, groups=4, bias=False), False),
        (nn.Conv2d(4, 4, (3, 5), padding=1, groups=4, bias=False), False),
        (nn.Conv2d(4, 4, 3, (1, 2), padding=1, groups=4, bias=False), False),
        (nn.Conv2d(4, 4, 3, padding="same", groups=4, bias=False), False),
        (nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False, padding_mode="reflect"), False),
        (nn.BatchNorm2d(4), False),
        (None, False),
    ],
)
def test_only_what_it_can_run_counts_as_depthwise(module: nn.Module | None, expected: bool):
    assert is_depthwise(module) is expected


def test_taps_beyond_the_image_get_a_zero_gradient_not_none():
    weight = torch.ones(1, 1, 5, 5, dtype=torch.float64, requires_grad=True)
    depthwise(torch.ones(1, 1, 2, 2, dtype=torch.float64), weight, 1, 1).sum().backward()
    assert weight.grad.shape == weight.shape
    assert torch.equal(weight.grad[0, 0, 0], torch.zeros(5, dtype=torch.float64))
    assert weight.grad[0, 0, 2, 2] == 4
