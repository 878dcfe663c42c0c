"""The sum by native kernels against the same sum in torch's own operations."""

from collections.abc import Callable
from copy import deepcopy

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
    tensors_of,
    tiny,
    unit_of,
    with_tensors,
)
from torch import Tensor, nn

from fairdarts.supernet.kernels import fused
from fairdarts.supernet.kernels.fused import gated_sum
from fairdarts.supernet.kernels.terms import Term, Unit
from fairdarts.supernet.kernels.units import native_sum, native_takes

pytestmark = pytest.mark.usefixtures("native")


def kept(terms: list[Term]) -> Tensor:
    return native_sum(terms, recompute=False)


def made_again(terms: list[Term]) -> Tensor:
    return native_sum(terms, recompute=True)


@settings(max_examples=60, deadline=None)
@given(sums(channels=(1, 2, 3, 5, 8, 16, 17, 20, 33), sizes=(3, 5, 7)))
def test_any_sum_of_units_is_the_plain_one(terms: list[Term]):
    assert native_takes(terms)
    found = results(kept, terms)
    assert_close(found, results(plain, terms))
    assert all(torch.equal(one, other) for one, other in zip(results(made_again, terms), found, strict=True))


def wide(batch: int = 3) -> list[Term]:
    """Terms of the widths and the size of a cell."""
    torch.manual_seed(0)
    x, large = (torch.randn(batch, 16, size, size, dtype=torch.float64) for size in (15, 29))
    return [
        Term(x, scalar(0.5), ()),
        Term(x, scalar(0.7), (unit_of(16, 16, 3), unit_of(16, 20, 3), unit_of(20, 16, 5))),
        Term(x, scalar(-0.2), (unit_of(16, 16, 5, 1, 2),)),
        Term(large, scalar(0.4), (unit_of(16, 16, 5, 2), unit_of(16, 16, 5))),
        Term(large, scalar(0.3), (unit_of(16, 16, 3, 2, 2),)),
        Term(x, scalar(0.9), (unit_of(16, 16, None),)),
    ]


@pytest.mark.parametrize("batch", [1, 2, 9])
def test_a_sum_of_the_size_of_a_cell_s_is_the_plain_one(batch: int):
    terms = wide(batch)
    assert_close(results(kept, terms), results(plain, terms), 1e-10)


@pytest.mark.parametrize("function", [kept, made_again])
def test_gradients_and_second_derivatives_are_those_of_finite_differences(function: Sum):
    check_finite_differences(function)


@pytest.mark.parametrize("wanted", ["gates", "inputs", "weights"])
@pytest.mark.parametrize("function", [kept, made_again])
def test_gradients_of_some_alone_are_the_same(function: Sum, wanted: str):
    check_gradients_of_some(function, wanted)


def test_one_input_may_depend_on_another():
    check_one_input_of_another(kept)


@pytest.mark.parametrize("function", [kept, made_again])
def test_bits_do_not_depend_on_the_number_of_threads(function: Sum):
    terms = in_float32(wide(11))
    one = results(function, terms)
    torch.set_num_threads(2)
    try:
        two = results(function, terms)
    finally:
        torch.set_num_threads(1)
    assert all(map(torch.equal, one, two))


WAYS: dict[str, Callable[[Tensor], Tensor]] = {
    "channels_last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "a part": lambda x: torch.cat([x, x], -1)[..., : x.shape[-1]],
    "turned": lambda x: x.mT.contiguous().mT,
    "one for all": lambda x: x[:1].expand_as(x),
}
"""how images and weights may lie in memory"""


@pytest.mark.parametrize("way", WAYS)
def test_tensors_may_lie_in_memory_in_any_way(way: str):
    terms = wide()
    laid = [tensor if tensor.ndim < 4 else WAYS[way](tensor) for tensor in tensors_of(terms)]
    whole = [tensor.contiguous() for tensor in laid]

    def gradients(function: Sum, tensors: list[Tensor]) -> list[Tensor]:
        leaves = [tensor.requires_grad_() for tensor in tensors]
        total = function(with_tensors(terms, leaves))
        return [total.detach(), *torch.autograd.grad(total.sin().sum(), leaves)]

    assert_close(gradients(kept, laid), gradients(plain, whole))


def test_weights_may_be_matrices():
    """As those of a FactorizedReduce."""
    terms = [
        Term(x, gate, tuple(unit._replace(weight=unit.weight.flatten(1)) for unit in units))
        for x, gate, units in wide()
    ]
    assert_close(results(kept, terms), results(plain, terms))


def untracked(units: tuple[Unit, ...]) -> tuple[Unit, ...]:
    return tuple(
        unit._replace(norm=nn.BatchNorm2d(unit.norm.num_features, affine=False, track_running_stats=False))
        for unit in units
    )


@pytest.mark.parametrize("function", [kept, made_again])
def test_norms_that_track_nothing_are_as_others_but_for_the_statistics(function: Sum):
    terms = [term._replace(units=untracked(term.units)) for term in tiny()[:2]] + tiny()[2:]
    assert_close(results(function, terms), results(plain, terms))


@pytest.mark.parametrize("function", [kept, made_again])
def test_statistics_move_once_a_step_at_the_momentum_of_the_norms(function: Sum):
    torch.manual_seed(0)
    norm, x = nn.BatchNorm2d(2, affine=False, momentum=0.25).double(), torch.randn(2, 2, 3, 3, dtype=torch.float64)
    unit = Unit(None, torch.eye(2, dtype=torch.float64), 1, 1, norm)
    function([Term(x.requires_grad_(), scalar(1.0), (unit,))]).sum().backward()
    torch.testing.assert_close(norm.running_mean, 0.25 * x.mean((0, 2, 3)))
    torch.testing.assert_close(norm.running_var, 0.75 + 0.25 * x.var((0, 2, 3)))
    assert norm.num_batches_tracked == 1


def test_statistics_of_one_value_are_refused_and_nothing_moves():
    unit = unit_of(2, 3, None)
    with pytest.raises(ValueError, match="BatchNorm has no statistics of a single value"):
        kept([Term(torch.randn(1, 2, 1, 1, dtype=torch.float64), scalar(1.0), (unit,))])
    assert torch.equal(unit.norm.running_var, torch.ones(3, dtype=torch.float64))
    assert unit.norm.num_batches_tracked == 0


@pytest.mark.parametrize("recompute", [True, False])
def test_norms_alone_are_summed_beside_units(recompute: bool):
    torch.manual_seed(0)
    norms = [Unit(None, None, 1, 1, nn.BatchNorm2d(2, affine=False).double()) for _ in range(2)]
    others = [Term(torch.randn(2, 2, 2, 2, dtype=torch.float64), scalar(0.3), (unit,)) for unit in norms]
    terms = [tiny()[1], others[0], tiny()[0], others[1]]
    assert_close(results(lambda terms: gated_sum(terms, True, recompute), terms), results(plain, terms))


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of every sum that native kernels take, the number of its terms."""
    seen: list[int] = []

    def noted(terms: list[Term], recompute: bool) -> Tensor:
        seen.append(len(terms))
        return native_sum(terms, recompute)

    monkeypatch.setattr(fused, "native_sum", noted)
    return seen


def with_dtypes(tensors: torch.dtype, norms: torch.dtype) -> list[Term]:
    terms = with_tensors(wide(), [tensor.to(tensors) for tensor in tensors_of(wide())])
    return [
        term._replace(units=tuple(unit._replace(norm=deepcopy(unit.norm).to(norms)) for unit in term.units))
        for term in terms
    ]


def test_kernels_take_sums_of_float32_and_float64(taken: list[int]):
    for dtype in (torch.float32, torch.float64):
        gated_sum(with_dtypes(dtype, dtype), True, False)
    assert taken == [6, 6]


def test_a_sum_of_larger_kernels_is_torch_s(taken: list[int]):
    torch.manual_seed(0)
    terms = [Term(torch.randn(2, 3, 9, 9, dtype=torch.float64), scalar(0.5), (unit_of(3, 2, 9),))]
    assert_close(results(lambda terms: gated_sum(terms, True, False), terms), results(plain, terms))
    assert not taken


def test_other_precisions_and_autocast_are_torch_s(taken: list[int]):
    assert not native_takes(with_dtypes(torch.bfloat16, torch.float32))
    with torch.autocast("cpu", torch.bfloat16):
        gated_sum(with_dtypes(torch.float32, torch.float32), True, False)
    assert not native_takes(with_dtypes(torch.float32, torch.float64))  # statistics that kernels would misread
    assert not taken


@pytest.mark.parametrize(("mean", "times", "more"), [(0, 8, 1e-6), (30, 10, 1e-4)])
def test_errors_in_float32_are_a_few_times_those_of_torch(mean: float, times: float, more: float):
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
