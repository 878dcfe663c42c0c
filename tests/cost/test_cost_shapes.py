"""The shapes that counting takes for granted, against those that torch computes."""

import subprocess
import sys
from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairdarts.cost.count import count
from fairdarts.cost.shapes import SHAPES

X = torch.zeros(2, 4, 9, 6)
WINDOWS = [*product((1, 3, (3, 2)), (1, 2, (2, 1)), (0, 1), (1, 2), (False, True))]
CALLS = [
    *((F.max_pool2d, (X, *window)) for window in WINDOWS if 2 * window[2] <= 2),
    *((F.avg_pool2d, (X, kernel, stride, pad, ceil, False)) for kernel, stride, pad, _, ceil in WINDOWS),
    *((F.conv2d, (X, torch.zeros(6, 2, 3, 3), None, stride, pad, apart, 2)) for _, stride, pad, apart, _ in WINDOWS),
    (F.conv2d, (X, torch.zeros(6, 4, 3, 3), None, (1,), (1,))),
    (F.avg_pool2d, (X, 2)),
    (F.adaptive_avg_pool2d, (X, 1)),
    (F.adaptive_avg_pool2d, (X, 2)),
    (F.linear, (X, torch.zeros(5, 6))),
    (torch.cat, ([X, X], 1)),
    (torch.cat, ([X, X, X],)),
    (Tensor.mean, (X, (2, 3), True)),
    (Tensor.mean, (X, (-1, 1))),
    (Tensor.add, (X, X)),
    (Tensor.add, (X, 2)),
    (Tensor.mul, (X, X[:, :, :1, :1])),
    (Tensor.sigmoid, (X,)),
    (F.hardtanh, (X,)),
]


def test_rules_give_the_shapes_that_torch_gives():
    told = 0
    for function, args in CALLS:
        try:
            right = function(*args)
        except RuntimeError:  # padding beyond half a kernel: not ours to find
            continue
        out = SHAPES[function](*args)
        assert out is not None, (function, args[1:])
        assert (out.shape, out.dtype) == (right.shape, right.dtype), (function, args[1:])
        told += 1
    assert told > 200


@pytest.mark.parametrize(
    ("function", "args"),
    [
        (F.conv2d, (X, torch.zeros(6, 4, 3, 3), None, 1, "same")),
        (F.conv2d, (X[0], torch.zeros(6, 4, 3, 3))),
        (F.conv2d, (X, torch.zeros(6, 3, 3, 3))),  # which fails
        (F.linear, (X, torch.zeros(5, 7))),
        (F.conv2d, (X, torch.zeros(6, 4, 3, 3), torch.zeros(5))),
        (F.conv2d, (X, torch.zeros(6, 4, 3, 3).double())),
        (F.conv2d, (X, torch.zeros(6, 4, 3, 3), None, 0)),
        (F.linear, (X, torch.zeros(5, 6), torch.zeros(6))),
        (F.batch_norm, (X, torch.zeros(5), torch.ones(5))),
        (F.batch_norm, (X[:1, :, :1, :1], None, None, None, None, True)),
        (torch.cat, ([X, X[:, :, ::2]], 1)),
        (Tensor.mean, (X, (1, -3))),
        (F.avg_pool2d, (X, 3, 1, 2)),
        (F.max_pool2d, (X, 20)),
        (F.max_pool2d, (X, 2, 2, 0, 1, False, True)),
        (F.adaptive_avg_pool2d, (X, (None, 2))),
        (torch.cat, ([X, X.double()],)),
        (Tensor.mean, (X,)),
        (Tensor.add, (X[:, :1], X)),
        (Tensor.mul, (X.long(), 0.5)),
        (Tensor.mul, (X, X[0])),
    ],
)
def test_what_no_rule_is_for_is_left_to_torch(function, args):
    assert SHAPES[function](*args) is None


class Own(nn.Module):
    """What no network of the library calls, or calls otherwise."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(5, 4))
        self.same = nn.Conv2d(4, 5, 3, padding="same")

    def forward(self, x: Tensor) -> Tensor:
        x = self.same(x) + torch.einsum("bchw,oc->bohw", x, self.weight)
        x = torch.cat([x, x], axis=1)
        mixed = x.flatten(2) @ x.flatten(2).transpose(1, 2)
        return F.conv2d(input=x, weight=self.weight[:, :2, None, None], groups=5).mean() + mixed.sum()


def test_what_torch_counts_is_counted_wherever_it_is_called():
    cost = count(Own(), 4, 8)
    assert cost.madds == 64 * (5 * 4 * 9 + 5 * 4 + 10 * 10 + 5 * 2)
    with pytest.raises(RuntimeError, match="channels"):
        count(nn.Conv2d(3, 5, 1), 4)


class Halved(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, x[:, :, ::2, ::2]], 1)


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (Halved(), "Sizes of tensors must match"),
        (nn.Sequential(nn.BatchNorm2d(5), nn.Conv2d(3, 4, 1)), "running_mean should contain 3 elements not 5"),
    ],
)
def test_a_network_that_cannot_run_is_not_counted(network: nn.Module, said: str):
    with pytest.raises(RuntimeError, match=said):
        count(network)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
def test_what_is_scripted_is_counted_too():
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 1))
    assert count(nn.Sequential(torch.jit.script(plain[0]), plain[1]), image=8) == count(plain, image=8)


class Branching(nn.Module):
    """Does something else where it finds other numbers than 0."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        joined = torch.cat([F.max_pool2d(x, 2), F.avg_pool2d(x, 2)])
        return self.conv(x) if any(own.abs().max() > 0 for own in (x, joined, self.conv(x))) else x


def test_who_looks_at_values_finds_zeros():
    left = [torch.full((1, 3, 8, 8), 7.0) for _ in range(8)]  # what memory holds that is given back
    del left
    assert count(Branching(), image=8).madds == 36 * 4 * 27


def test_counting_a_network_of_the_library_loads_no_compiler_of_torch():
    program = """
import sys, torch
from random import Random
from fairdarts.cost.count import count
from fairdarts.networks.create import create_model
from fairdarts.networks.blueprint import build
from fairdarts.spaces.space import load_space
with torch.device("meta"):
    networks = [create_model(name) for name in ("fairdarts-a", "darts-v2-imagenet", "fairnas-a", "fairnas-a-se")]
    for name in ("nasbench201", "nasbench101"):
        space = load_space(name)
        networks.append(build(space.genotype_of(space.random_path(Random(0).randrange), "", ""), space))
print([count(network, image=32).madds > 0 for network in networks])
print([name for name in ("torch._dynamo", "sympy", "triton", "torch.utils.flop_counter") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [str([True] * 6), "[]"]
