"""The sum that has its gradient written out against the same sum in torch's own operations."""

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from sums import (
    Sum,
    assert_close,
    check_finite_differences,
    check_gradients_of_some,
    check_one_input_of_another,
    grouped,
    in_float32,
    plain,
    results,
    scalar,
    sums,
    tiny,
    unit_of,
)
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from fairdarts.supernet.kernels import fused
from fairdarts.supernet.kernels.fused import fused_sum, gated_sum
from fairdarts.supernet.kernels.terms import Term, Unit, plain_sum


def kept(terms: list[Term]) -> Tensor:
    return fused_sum(terms, recompute=False)


def made_again(terms: list[Term]) -> Tensor:
    return fused_sum(terms, recompute=True)


@settings(max_examples=60, deadline=None)
@given(sums())
def test_any_sum_of_units_is_the_plain_one(terms: list[Term]):
    found = results(kept, terms)
    assert_close(found, results(plain, terms))
    assert all(torch.equal(one, other) for one, other in zip(results(made_again, terms), found, strict=True))


@pytest.mark.parametrize("function", [kept, made_again])
def test_gradients_and_second_derivatives_are_those_of_finite_differences(function: Sum):
    check_finite_differences(function)


@pytest.mark.parametrize("wanted", ["gates", "inputs", "weights"])
@pytest.mark.parametrize("function", [kept, made_again])
def test_gradients_of_some_alone_are_the_same(function: Sum, wanted: str):
    check_gradients_of_some(function, wanted)


def test_gradients_that_can_be_differentiated_know_that_one_input_may_depend_on_another():
    check_one_input_of_another(kept)


class Counting(TorchDispatchMode):
    """How often which operation runs."""

    def __init__(self):
        super().__init__()
        self.seen = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.seen[function.overloadpacket.__name__] += 1
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("trained", [True, False])
def test_gradients_of_weights_that_are_not_trained_are_not_computed(trained: bool):
    torch.manual_seed(0)
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    gate, units = scalar(0.5).requires_grad_(), (unit_of(3, 3, 3), unit_of(3, 3, 3))
    for unit in units:
        unit.kernel.requires_grad_(trained), unit.weight.requires_grad_(trained)
    total = kept([Term(x, gate, units)])
    with Counting() as count:
        total.sum().backward()
    assert x.grad is not None
    assert gate.grad is not None
    assert all((unit.weight.grad is not None) == (unit.kernel.grad is not None) == trained for unit in units)
    assert count.seen["bmm"] == (6 if trained else 4)  # a unit's weight, and two for what it reads
    assert count.seen["convolution_backward"] == (2 if trained else 0)


def test_statistics_follow_the_batches_at_the_momentum_of_the_norms():
    torch.manual_seed(0)
    norm, x = nn.BatchNorm2d(2, affine=False, momentum=0.25).double(), torch.randn(2, 2, 3, 3, dtype=torch.float64)
    kept([Term(x, scalar(1.0), (Unit(None, torch.eye(2, dtype=torch.float64), 1, 1, norm),))])
    torch.testing.assert_close(norm.running_mean, 0.25 * x.mean((0, 2, 3)))
    torch.testing.assert_close(norm.running_var, 0.75 + 0.25 * x.var((0, 2, 3)))
    assert norm.num_batches_tracked == 1


def untracked(units: tuple[Unit, ...]) -> tuple[Unit, ...]:
    return tuple(
        unit._replace(norm=nn.BatchNorm2d(unit.norm.num_features, affine=False, track_running_stats=False))
        for unit in units
    )


@pytest.mark.parametrize("function", [kept, made_again])
def test_norms_that_track_nothing_are_as_others_but_for_the_statistics(function: Sum):
    terms = [term._replace(units=untracked(term.units)) for term in tiny()[:2]] + tiny()[2:]
    assert_close(results(function, terms), results(plain, terms))


def larger(channels: int) -> Unit:
    """The BatchNorm behind a convolution that has run already."""
    return Unit(None, None, 1, 1, nn.BatchNorm2d(channels, affine=False).double())


@pytest.mark.parametrize("recompute", [True, False])
def test_norms_alone_are_summed_beside_units(recompute: bool):
    torch.manual_seed(0)
    others = [Term(torch.randn(2, 2, 2, 2, dtype=torch.float64), scalar(gate), (larger(2),)) for gate in (0.3, -2.0)]
    for terms in (others, [tiny()[1], others[0], tiny()[0], others[1]], others[:1]):
        function = lambda terms: gated_sum(terms, True, recompute)  # noqa: E731
        assert_close(results(function, terms), results(plain, terms))


@pytest.mark.parametrize("training", [True, False])
def test_a_sum_that_is_not_gated_or_not_trained_is_torchs_own(training: bool, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise AssertionError("the fused sum is for training under gates")

    monkeypatch.setattr(fused, "fused_sum", refuse)
    terms = tiny()[:3]
    if training:
        terms[0] = terms[0]._replace(gate=None)
    assert_close([gated_sum(terms, training, recompute=False)], [plain_sum(terms, training)])


@pytest.mark.parametrize(("mean", "times", "more"), [(0, 4, 1e-6), (30, 10, 1e-4)])
def test_errors_in_float32_are_a_few_times_those_of_torch(mean: float, times: float, more: float):
    """The variance is the mean of squares less the square of the mean.

    With inputs whose mean is 30 deviations that costs digits which torch's own BatchNorm keeps: a relative error of
    1e-4 is tolerated there, or one of ten times that of torch, whose gradients suffer too.
    """
    torch.manual_seed(0)
    x = torch.randn(8, 16, 8, 8, dtype=torch.float64) + mean
    terms = [
        Term(x, scalar(0.7), (unit_of(16, 16, 3), unit_of(16, 16, 3))),
        Term(x, scalar(0.3), (unit_of(16, 16, None),)),
    ]
    exact = grouped(results(plain, terms))
    ours, torchs = (grouped(results(function, in_float32(terms))) for function in (kept, plain))
    for name, expected in exact.items():
        error, of_torch = (((found[name] - expected).norm() / expected.norm()).item() for found in (ours, torchs))
        assert error <= times * of_torch + more, f"{name}: {error}, torch: {of_torch}"
