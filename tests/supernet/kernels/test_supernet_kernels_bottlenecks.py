"""Bottlenecks under gates as one function, against each of them in torch's own operations, in float64."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from fairdarts.ops.mbconv import Bottleneck, bottleneck, choice
from fairdarts.supernet.kernels.bottlenecks import fits, gated_bottlenecks


def blocks_of(c_out: int, stride: int, tracked: bool) -> list[Bottleneck]:
    torch.manual_seed(0)
    made = [bottleneck(3, c_out, expansion, kernel, stride, False) for expansion, kernel in ((2, 3), (3, 5), (6, 3))]
    for block in made:
        for norm in block.double() if not tracked else ():
            if isinstance(norm, nn.BatchNorm2d):
                norm.track_running_stats = False
                norm.running_mean = norm.running_var = norm.num_batches_tracked = None
    return [block.double() for block in made]


def plain(x: Tensor, gates: Tensor, blocks: list[Bottleneck], _: bool) -> Tensor:
    return sum(gate * block(x) for gate, block in zip(gates, blocks, strict=True))


def results(function, blocks: list[Bottleneck], recompute: bool) -> list[Tensor]:
    """The sum, gradients, statistics, and what the gradients' gradient is."""
    torch.manual_seed(1)
    x = torch.randn(2, 3, 5, 6, dtype=torch.float64).contiguous(memory_format=torch.channels_last).requires_grad_()
    gates = torch.randn(3, dtype=torch.float64, requires_grad=True)
    wanted = [x, gates, *(weight for block in blocks for weight in block.parameters())]
    found = []
    for _ in range(2):
        total = function(x, gates, blocks, recompute)
        found += [total.detach(), *torch.autograd.grad(total.square().sum(), wanted)]
    first = torch.autograd.grad(function(x, gates, blocks, recompute).square().sum(), wanted, create_graph=True)
    found += torch.autograd.grad(sum(one.sin().sum() for one in first), wanted)
    return found + [buffer.clone() for block in blocks for buffer in block.buffers()]


@pytest.mark.parametrize("recompute", [True, False])
@pytest.mark.parametrize("tracked", [True, False])
@pytest.mark.parametrize(("c_out", "stride"), [(3, 1), (4, 2)])
def test_sum_gradients_and_statistics_are_those_of_the_blocks(c_out: int, stride: int, tracked: bool, recompute: bool):
    compare(blocks_of(c_out, stride, tracked), recompute)


@pytest.mark.parametrize("recompute", [True, False])
@pytest.mark.parametrize(("c_out", "stride"), [(3, 1), (4, 2)])
def test_so_they_are_by_native_kernels(native: None, c_out: int, stride: int, recompute: bool):
    compare(blocks_of(c_out, stride, tracked=stride == 1), recompute)


def compare(blocks: list[Bottleneck], recompute: bool) -> None:
    expected = results(plain, deepcopy(blocks), recompute)
    for one, other in zip(results(gated_bottlenecks, blocks, recompute), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-8)


def test_which_modules_fit():
    assert fits(bottleneck(3, 4, 2, 3, 1, affine=False))
    assert not fits(bottleneck(3, 4, 2, 3, 1, affine=True))
    assert not fits(bottleneck(3, 4, 1, 3, 1, affine=False))  # nothing widens
    assert not fits(bottleneck(3, 4, 2, 3, 1, affine=False, activation="swish"))
    assert not fits(choice("MBE2K3", 3, 3, 1, affine=False))  # the residual is not inside
    assert not fits(nn.Sequential(*bottleneck(3, 4, 2, 3, 1, affine=False)))
