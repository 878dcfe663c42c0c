"""The gated sum of BatchNorms that has its gradient written out, against torch's own, in float64."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from fairdarts.supernet.kernels.norms import gated_norms

LAYOUTS = [torch.channels_last, torch.contiguous_format]


def norms_of(count: int, tracked: bool = True) -> list[nn.BatchNorm2d]:
    made = [nn.BatchNorm2d(3, affine=False, track_running_stats=tracked, momentum=0.2).double() for _ in range(count)]
    for norm in made:
        if tracked:
            nn.init.normal_(norm.running_mean)
    return made


def plain(inputs: list[Tensor], gates: list[Tensor], norms: list[nn.BatchNorm2d]) -> Tensor:
    return sum(gate * norm(x) for x, gate, norm in zip(inputs, gates, norms, strict=True))


def leaves(count: int, layout: torch.memory_format) -> tuple[list[Tensor], list[Tensor]]:
    torch.manual_seed(0)
    inputs = [torch.randn(2, 3, 4, 5, dtype=torch.float64).contiguous(memory_format=layout) for _ in range(count)]
    gates = [torch.randn((), dtype=torch.float64) for _ in range(count)]
    return [x.requires_grad_() for x in inputs], [gate.requires_grad_() for gate in gates]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("tracked", [True, False])
@pytest.mark.parametrize("count", [1, 3])
def test_sum_gradients_and_statistics_are_torchs(count: int, tracked: bool, layout: torch.memory_format):
    (inputs, gates), norms = leaves(count, layout), norms_of(count, tracked)
    results = []
    for function, own in ((gated_norms, norms), (plain, deepcopy(norms))):
        for _ in range(2):  # twice, so that the statistics move from where they moved to
            total = function(inputs, gates, own)
            pull = torch.linspace(-1, 1, total.numel(), dtype=total.dtype).cos().view_as(total)
            gradients = torch.autograd.grad(total, [*inputs, *gates], pull)
        results.append([total, *gradients, *(buffer for norm in own for buffer in norm.buffers())])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("tracked", [True, False])
def test_second_derivatives_are_torchs_and_move_no_statistics(tracked: bool):
    (inputs, gates), norms = leaves(2, torch.channels_last), norms_of(2, tracked)
    results = []
    for function, own in ((gated_norms, norms), (plain, deepcopy(norms))):
        total = function(inputs, gates, own)
        first = torch.autograd.grad(total.pow(3).sum(), [*inputs, *gates], create_graph=True)
        second = torch.autograd.grad(sum(one.sin().sum() for one in first), [*inputs, *gates])
        results.append([*first, *second, *(buffer for norm in own for buffer in norm.buffers())])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-10)
    assert {int(norm.num_batches_tracked) for norm in norms if tracked} <= {1}


def test_one_input_may_depend_on_another_and_one_may_need_no_gradient():
    results = []
    for function in (gated_norms, plain):
        (inputs, gates), norms = leaves(2, torch.channels_last), norms_of(2)
        x = inputs[0]
        total = function(
            [x, x.exp(), inputs[1].detach()], [gates[0], gates[0] * gates[1], gates[1]], [*norms, norms[0]]
        )
        first = torch.autograd.grad(total.square().sum(), [x, *gates], create_graph=True)
        results.append([*first, *torch.autograd.grad(sum(one.sin().sum() for one in first), [x, *gates])])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-10)


def test_a_single_value_has_no_statistics():
    with pytest.raises(ValueError, match="single value"):
        gated_norms([torch.ones(1, 3, 1, 1)], [torch.ones(())], [nn.BatchNorm2d(3, affine=False)])
