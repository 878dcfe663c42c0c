"""Sums of terms under gates, and what a function makes of them: for tests of those that write the gradient out."""

from collections.abc import Callable, Sequence
from copy import deepcopy

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from fairdarts.supernet.kernels.terms import Term, Unit, plain_sum

LAYOUTS = [torch.channels_last, torch.contiguous_format]
Sum = Callable[[list[Term]], Tensor]


def plain(terms: list[Term]) -> Tensor:
    return plain_sum(terms, training=True)


def scalar(number: float) -> Tensor:
    return torch.tensor(number, dtype=torch.float64)


def unit_of(c_in: int, c_out: int, kernel: int | None, stride: int = 1, dilation: int = 1) -> Unit:
    depthwise = None if kernel is None else torch.randn(c_in, 1, kernel, kernel, dtype=torch.float64) / kernel
    pointwise = torch.randn(c_out, c_in, 1, 1, dtype=torch.float64) / c_in**0.5
    return Unit(depthwise, pointwise, stride, dilation, nn.BatchNorm2d(c_out, affine=False).double())


@st.composite
def sums(draw: st.DrawFn, channels: Sequence[int] = range(1, 5), sizes: Sequence[int] = (3, 5)) -> list[Term]:
    """One to five terms of up to three units each, of kernels of some sizes; some read the same input."""
    torch.manual_seed(draw(st.integers(0, 99)))
    height, width, c_out = draw(st.integers(1, 5)), draw(st.integers(2, 5)), draw(st.sampled_from(channels))
    inputs, terms = {}, []
    for _ in range(draw(st.integers(1, 5))):
        kernels = draw(st.lists(st.sampled_from([None, *sizes]), max_size=3))
        widths = [draw(st.sampled_from(channels)) for _ in kernels] + [c_out]
        stride = draw(st.sampled_from([1, 2])) if kernels and kernels[0] else 1
        odd = draw(st.integers(0, stride - 1))
        shape = 3, widths[0], stride * height - odd, stride * width - odd
        if shape not in inputs or draw(st.booleans()):
            inputs[shape] = torch.randn(shape, dtype=torch.float64).contiguous(
                memory_format=draw(st.sampled_from(LAYOUTS))
            )
        units = tuple(
            unit_of(*widths[position : position + 2], kernel, 1 if position else stride, draw(st.integers(1, 2)))
            for position, kernel in enumerate(kernels)
        )
        terms.append(Term(inputs[shape], torch.randn((), dtype=torch.float64), units))
    return terms


def tensors_of(terms: list[Term]) -> list[Tensor]:
    """Gates, inputs (each once), weights."""
    inputs = {id(term.input): term.input for term in terms}
    weights = [part for term in terms for unit in term.units for part in unit[:2] if part is not None]
    return [*(term.gate for term in terms), *inputs.values(), *weights]


def with_tensors(terms: list[Term], tensors: list[Tensor]) -> list[Term]:
    """The same terms of other tensors, in the order of `tensors_of`."""
    replaced = {id(old): new for old, new in zip(tensors_of(terms), tensors, strict=True)}
    return [
        Term(
            replaced[id(x)],
            replaced[id(gate)],
            tuple(
                unit._replace(kernel=replaced.get(id(unit.kernel)), weight=replaced.get(id(unit.weight)))
                for unit in units
            ),
        )
        for x, gate, units in terms
    ]


def results(function: Sum, terms: list[Term]) -> list[Tensor]:
    """The sum, all its gradients, and the statistics after it, twice."""
    terms = [
        term._replace(units=tuple(unit._replace(norm=deepcopy(unit.norm)) for unit in term.units)) for term in terms
    ]
    norms = [unit.norm for term in terms for unit in term.units]
    leaves = [
        tensor.detach().clone(memory_format=torch.preserve_format).requires_grad_() for tensor in tensors_of(terms)
    ]
    terms, found = with_tensors(terms, leaves), []
    for _ in range(2):
        total = function(terms)
        pull = torch.linspace(-1, 1, total.numel(), dtype=total.dtype).cos().view_as(total)
        found += [total.detach(), *torch.autograd.grad(total, leaves, pull)]
        found += [buffer.clone() for norm in norms for buffer in norm.buffers()]
    return found


def assert_close(found: list[Tensor], expected: list[Tensor], tolerance: float = 1e-8) -> None:
    """Relative to the largest number of each tensor."""
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=tolerance * max(1, other.abs().max().item()))


def tiny() -> list[Term]:
    """Every kind of term, two of them of one input."""
    torch.manual_seed(0)
    wide, narrow, large = (
        torch.randn(shape, dtype=torch.float64) for shape in [(2, 3, 2, 2), (2, 2, 2, 2), (2, 2, 3, 4)]
    )
    return [
        Term(narrow, scalar(0.7), ()),
        Term(wide, scalar(-1.2), (unit_of(3, 2, None),)),
        Term(narrow, scalar(0.4), (unit_of(2, 3, 3, 1, 2), unit_of(3, 2, 3))),
        Term(large, scalar(0.9), (unit_of(2, 2, 3, 2),)),
    ]


def in_float32(terms: list[Term]) -> list[Term]:
    terms = with_tensors(terms, [tensor.float() for tensor in tensors_of(terms)])
    return [
        term._replace(units=tuple(unit._replace(norm=deepcopy(unit.norm).float()) for unit in term.units))
        for term in terms
    ]


def grouped(found: list[Tensor]) -> dict[str, Tensor]:
    """The results of the two terms of the test above, as float64, by kind."""
    ends = {"sum": 1, "gates": 3, "input": 4, "weights": 9, "statistics": 18}
    return {
        name: torch.cat([tensor.double().flatten() for tensor in found[begin:end]])
        for begin, (name, end) in zip([0, *ends.values()], ends.items(), strict=False)
    }


def check_finite_differences(function: Sum) -> None:
    """Gradients and second derivatives are those of finite differences."""
    terms = tiny()
    leaves = [tensor.requires_grad_() for tensor in tensors_of(terms)]
    assert torch.autograd.gradcheck(lambda *tensors: function(with_tensors(terms, tensors)), leaves, fast_mode=True)
    assert torch.autograd.gradgradcheck(lambda *tensors: function(with_tensors(terms, tensors)), leaves, fast_mode=True)


def check_gradients_of_some(function: Sum, wanted: str) -> None:
    """Gradients of `gates`, `inputs` or `weights` alone are the plain ones."""
    terms = tiny()
    expected = dict(enumerate(results(plain, terms)[1:]))
    parts = {"gates": range(4), "inputs": range(4, 7), "weights": range(7, len(tensors_of(terms)))}[wanted]
    leaves = [tensor.requires_grad_(number in parts) for number, tensor in enumerate(tensors_of(terms))]
    for create_graph in (False, True):
        total = function(terms)
        pull = torch.linspace(-1, 1, total.numel(), dtype=total.dtype).cos().view_as(total)
        found = torch.autograd.grad(total, [leaves[number] for number in parts], pull, create_graph=create_graph)
        assert_close([gradient.detach() for gradient in found], [expected[number] for number in parts])


def check_one_input_of_another(kept: Sum) -> None:
    """As a rectified input on the input that a skip connection reads."""

    def gradients(function: Sum, create_graph: bool) -> tuple[Tensor, ...]:
        x, gate = torch.linspace(-1, 2, 24, dtype=torch.float64).view(2, 2, 2, 3).requires_grad_(), scalar(0.3)
        terms = [Term(x, gate.requires_grad_(), ()), Term(x.exp() * gate, scalar(2.0), units)]
        return torch.autograd.grad(function(terms).square().sum(), (x, gate), create_graph=create_graph)

    torch.manual_seed(0)
    units = (unit_of(2, 2, 3),)
    expected = gradients(plain, create_graph=False)
    assert_close(gradients(kept, create_graph=False), expected)
    assert_close(gradients(kept, create_graph=True), expected)
