"""What BatchNorms remember of several passes, of which some are run elsewhere, or once instead of many times."""

from copy import deepcopy

import pytest
import torch
from fairdarts.oneshot.memory import SharedMemory, remembered, repeated
from torch import nn


def norm_of(momentum: float, seed: int = 0) -> nn.BatchNorm2d:
    torch.manual_seed(seed)
    norm = nn.BatchNorm2d(3, momentum=momentum).double()
    nn.init.normal_(norm.running_mean)
    nn.init.uniform_(norm.running_var, 0.5, 2)
    return norm


def inputs(count: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(4, 3, 2, 2, dtype=torch.float64, generator=generator) * (1 + n) + n for n in range(count)]


def assert_alike(one: nn.BatchNorm2d, other: nn.BatchNorm2d) -> None:
    for own, plain in zip(one.buffers(), other.buffers(), strict=True):
        torch.testing.assert_close(own, plain, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("momentum", [0.1, 0.7])
@pytest.mark.parametrize("times", [1, 2, 5])
def test_one_pass_moves_a_norm_as_several_equal_ones(momentum: float, times: int):
    norm, plain, (x,) = norm_of(momentum), norm_of(momentum), inputs(1)
    outs = [plain(x) for _ in range(times)]
    with repeated(nn.Sequential(norm), times):
        out = norm(x)
    assert torch.equal(out, outs[-1])
    assert norm.momentum == momentum
    assert_alike(norm, plain)
    assert norm.num_batches_tracked == times


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_processes_that_share_out_passes_remember_what_one_would(processes: int):
    """Two norms: one runs in every pass, the other in passes 0, 2 and 3."""
    momentum, passes = (0.1, 0.4), [(0, 1), (0,), (0, 1), (0, 1), (0,)]
    xs = inputs(len(passes))
    plain = [norm_of(momentum[number], number) for number in (0, 1)]
    for x, within in zip(xs, passes, strict=True):
        for number in within:
            plain[number](x)
    mine = [[norm_of(momentum[number], number) for number in (0, 1)] for _ in range(processes)]
    memories = [SharedMemory([[own[number] for number in within] for within in passes]) for own in mine]
    for number, (x, within) in enumerate(zip(xs, passes, strict=True)):
        process = number % processes
        for norm in within:
            mine[process][norm](x)
        memories[process].take(number)
    total = [torch.stack(parts).sum(0) for parts in zip(*(memory.taken for memory in memories), strict=True)]
    for memory, own in zip(memories, mine, strict=True):
        for added, whole in zip(memory.taken, total, strict=True):
            added.copy_(whole)
        memory.put_back()
        for norm, expected in zip(own, plain, strict=True):
            assert_alike(norm, expected)


def test_every_pass_begins_where_the_first_one_did():
    norm, (x,) = norm_of(0.1), inputs(1)
    before = deepcopy(norm)
    memory = SharedMemory([[norm], [norm]])
    norm(x)
    memory.take(0)
    assert all(torch.equal(own, old) for own, old in zip(remembered(norm), remembered(before), strict=True))
