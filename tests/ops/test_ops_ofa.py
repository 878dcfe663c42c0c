"""Smaller kernels that are the centre of larger ones, projected: against the plain form, in float64."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairdarts.ops import cell, nasbench201
from fairdarts.ops.depthwise import depthwise_conv
from fairdarts.ops.ofa import CroppedConv2d, cropped, share_kernels


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("whole", "kernel"), [(3, 1), (5, 3), (7, 3), (5, 5)])
def test_a_kernel_is_the_centre_of_the_larger_one_times_the_projection(whole: int, kernel: int):
    weight, projection, margin = drawn(4, 2, whole, whole), drawn(kernel**2, kernel**2, seed=1), (whole - kernel) // 2
    found = cropped(weight, projection)
    assert found.shape == (4, 2, kernel, kernel)
    for out in range(4):
        for into in range(2):
            pixels = [weight[out, into, margin + i, margin + j] for i in range(kernel) for j in range(kernel)]
            expected = [sum(pixels[k] * projection[k, to] for k in range(kernel**2)) for to in range(kernel**2)]
            torch.testing.assert_close(found[out, into].flatten(), torch.stack(expected))
    identity = cropped(weight, torch.eye(kernel**2, dtype=torch.float64))
    assert torch.equal(identity, weight[..., margin : margin + kernel, margin : margin + kernel])


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("depthwise", [False, True])
def test_it_runs_as_the_larger_convolution_would_with_a_smaller_kernel(stride: int, dilation: int, depthwise: bool):
    padding = 2 * dilation
    whole = (
        depthwise_conv(4, 5, stride, dilation)
        if depthwise
        else nn.Conv2d(4, 6, 5, stride, padding, dilation, bias=False)
    ).double()
    small = CroppedConv2d(whole, 3).double()
    nn.init.normal_(small.projection)
    x = drawn(2, 4, 9, 8).requires_grad_()
    groups = 4 if depthwise else 1
    plain = F.conv2d(x, cropped(whole.weight, small.projection), None, stride, dilation, dilation, groups)
    assert plain.shape == whole(x).shape
    pull = drawn(*plain.shape, seed=2)
    outcomes = []
    for out in (small(x), plain):
        wanted = [x, whole.weight, small.projection]
        outcomes.append([out, *torch.autograd.grad((out * pull).sum(), wanted, retain_graph=True)])
    for one, other in zip(*outcomes, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-11)


def test_operations_of_one_kind_share_their_convolutions_and_keep_their_norms():
    names = ("sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "skip_connect")
    candidates = {name: cell.OPS[name](4, 1, True) for name in names}
    alone = list(candidates["dil_conv_3x3"].parameters())
    share_kernels(candidates, {"sep_conv_3x3": "sep_conv_5x5", "dil_conv_3x3": "dil_conv_5x5"})
    small, large = candidates["sep_conv_3x3"], candidates["sep_conv_5x5"]
    assert [type(part).__name__ for part in small] == [
        *("ReLU", "CroppedConv2d", "Conv2d", "BatchNorm2d", "ReLU", "CroppedConv2d", "Conv2d", "BatchNorm2d")
    ]
    assert small[1].whole is large[1]
    assert small[2] is large[2]
    assert small[3] is not large[3]
    shared = {id(weight) for weight in small.parameters()} & {id(weight) for weight in large.parameters()}
    assert shared == {id(conv.weight) for conv in large if isinstance(conv, nn.Conv2d)}
    assert [id(weight) for weight in candidates["dil_conv_3x3"].parameters()] == [id(weight) for weight in alone]


def test_the_1x1_convolution_of_nas_bench_201_is_the_pixel_in_the_middle():
    names = ("nor_conv_1x1", "nor_conv_3x3")
    candidates = {name: nasbench201.OPS[name](3, True).double() for name in names}
    share_kernels(candidates, {"nor_conv_1x1": "nor_conv_3x3"})
    small, weight, x = candidates["nor_conv_1x1"], candidates["nor_conv_3x3"].conv.weight, drawn(2, 3, 5, 5)
    torch.testing.assert_close(small.double().conv(x), F.conv2d(x, weight[:, :, 1:2, 1:2]))
