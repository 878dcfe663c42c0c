"""Which tensors native kernels take, and the gradient of a depthwise kernel against torch's."""

import math
import warnings
from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from fairdarts.native import calls
from fairdarts.ops.depthwise import weight_gradient

pytestmark = pytest.mark.usefixtures("native")
CHANNELS = [1, 3, 4, 5, 8, 16, 17, 20, 33, 64]


def random(*shape: int, seed: int = 0) -> Tensor:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return x.contiguous(memory_format=torch.channels_last) if len(shape) == 4 else x


def convolved(x: Tensor, kernel: Tensor, stride: int, dilation: int) -> Tensor:
    return F.conv2d(x, kernel, None, stride, dilation * (kernel.shape[-1] // 2), dilation, groups=x.shape[1])


def gradients(x: Tensor, kernel: int, stride: int, dilation: int) -> tuple[Tensor, Tensor]:
    """The native one, and torch's."""
    weight = random(x.shape[1], 1, kernel, kernel).to(x.dtype).contiguous().requires_grad_()
    out = convolved(x, weight, stride, dilation)
    pull = random(*out.shape, seed=1).to(x.dtype)
    found = calls.kernel_gradient(pull, x, weight.detach(), stride, dilation)
    return found, torch.autograd.grad(out, weight, pull)[0]


@settings(max_examples=80, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 9), st.sampled_from(CHANNELS), st.integers(1, 12), st.integers(1, 12)),
    kernel=st.sampled_from(calls.KERNELS),
    stride=st.sampled_from([1, 2]),
    dilation=st.sampled_from([1, 2]),
)
@example(shape=(1, 1, 1, 1), kernel=7, stride=2, dilation=2)
@example(shape=(17, 20, 2, 1), kernel=5, stride=2, dilation=1)
@example(shape=(2, 33, 31, 40), kernel=5, stride=2, dilation=2)
@example(shape=(2, 16, 33, 17), kernel=7, stride=1, dilation=2)
def test_the_gradient_of_a_kernel_is_torch_s(shape: tuple[int, ...], kernel: int, stride: int, dilation: int):
    found, expected = gradients(random(*shape), kernel, stride, dilation)
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("channels", [3, 16, 36])
def test_in_float32_it_is_as_near_as_torch_s(channels: int):
    x = random(8, channels, 32, 32)
    exact = gradients(x, 5, 1, 2)[1]
    ours, torchs = ((found - exact).norm() for found in gradients(x.float(), 5, 1, 2))
    assert ours < 4 * torchs + 1e-6 * exact.norm()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_depthwise_convolutions_take_it(layout: torch.memory_format, monkeypatch: pytest.MonkeyPatch):
    taken = []
    gradient = calls.kernel_gradient
    monkeypatch.setattr(calls, "kernel_gradient", lambda *given: taken.append(given) or gradient(*given))
    x, weight = random(2, 5, 9, 8).contiguous(memory_format=layout), random(5, 1, 5, 5).contiguous(memory_format=layout)
    pull = random(2, 5, 9, 8, seed=1).contiguous(memory_format=layout)
    native = weight_gradient(pull, x, weight, 1, 2)
    assert len(taken) == 1
    monkeypatch.setattr(calls, "takes", lambda *_: False)
    torch.testing.assert_close(native, weight_gradient(pull, x, weight, 1, 2))
    assert len(taken) == 1


def test_bits_do_not_depend_on_the_number_of_threads():
    x = random(11, 17, 9, 10)
    one, _ = gradients(x, 5, 1, 2)
    torch.set_num_threads(2)
    try:
        two, _ = gradients(x, 5, 1, 2)
    finally:
        torch.set_num_threads(1)
    assert torch.equal(one, two)


class Own(Tensor):
    """A tensor that may be anything."""


REFUSED: dict[str, Callable[[Tensor], Tensor]] = {
    "bfloat16": lambda x: x.bfloat16(),
    "half": lambda x: x.half(),
    "meta": lambda x: x.to("meta"),
    "empty": lambda x: x[:0],
    "subclass": lambda x: x.as_subclass(Own),
    "sparse": lambda x: x.to_sparse(),
    "other precision": lambda x: x.float(),
}


@pytest.mark.parametrize("name", REFUSED)
def test_tensors_that_kernels_cannot_read_are_torch_s(name: str):
    x = random(2, 3, 4, 4)
    assert calls.takes(x)
    assert calls.takes(x, nn.Parameter(x))
    assert not calls.takes(x, REFUSED[name](x))
    if name != "other precision":
        assert not calls.takes(REFUSED[name](x))


def test_what_is_traced_or_compiled_is_torch_s(monkeypatch: pytest.MonkeyPatch):
    seen = []
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        torch.jit.trace(lambda x: seen.append(calls.takes(x)) or x + 1, random(1, 1, 2, 2), check_trace=False)
    assert not any(seen)
    assert seen
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert not calls.takes(random(1, 1, 2, 2))


def test_a_run_may_say_never():
    try:
        calls.use_native("never")
        assert not calls.takes(random(1, 1, 2, 2))
    finally:
        calls.use_native("auto")
    assert calls.takes(random(1, 1, 2, 2))


class Two(NamedTuple):
    """Two units one behind the other, and what they read."""

    forms: list[calls.Form]
    x: Tensor
    entered: bool
    """whether they read an activation of x"""
    gate: float

    @property
    def leaves(self) -> list[Tensor]:
        parts = [part for form in self.forms for part in (form.kernel, form.weight, *(form.affine or ()))]
        return [self.x, *(part for part in parts if part is not None)]


@st.composite
def twos(draw: st.DrawFn) -> Two:
    """Units of every form: either convolution may lack, BatchNorms may have weights, and the activation a limit."""
    widths, forms = [draw(st.sampled_from(CHANNELS[:-1])) for _ in range(3)], []
    for place in range(2):
        kernel = draw(st.sampled_from([None, 3, 5, 7]))
        weighted = kernel is None or draw(st.booleans())
        if not weighted:
            widths[place + 1] = widths[place]
        c_in, c_out = widths[place : place + 2]
        norm = nn.BatchNorm2d(c_out, affine=draw(st.booleans())).double()
        forms.append(
            calls.Form(
                kernel=None if kernel is None else random(c_in, 1, kernel, kernel).contiguous() / kernel,
                weight=random(c_out, c_in, 1, 1).contiguous() / c_in**0.5 if weighted else None,
                stride=1 if kernel is None else draw(st.sampled_from([1, 2])),
                dilation=draw(st.sampled_from([1, 2])),
                norm=norm,
                affine=(random(c_out).exp(), random(c_out, seed=1)) if norm.affine else None,
                limit=draw(st.sampled_from([math.inf, 1.0])),
            )
        )
    shape = draw(st.integers(2, 9)), widths[0], draw(st.integers(1, 9)), draw(st.integers(1, 9))
    return Two(forms, random(*shape, seed=2), draw(st.booleans()), draw(st.sampled_from([1.0, -0.3])))


def by_torch(two: Two) -> list[Tensor]:
    """The output, and the gradients of the leaves under a pull of its sine."""
    leaves = [tensor.detach().clone(memory_format=torch.preserve_format).requires_grad_() for tensor in two.leaves]
    x, *parts = leaves
    rest = iter(parts)
    for place, form in enumerate(two.forms):
        if place or two.entered:
            x = x.clamp(0, form.limit)
        x = x if form.kernel is None else convolved(x, next(rest), form.stride, form.dilation)
        x = x if form.weight is None else F.conv2d(x, next(rest))
        affine = (next(rest), next(rest)) if form.affine else (None, None)
        x = F.batch_norm(x, None, None, *affine, training=True, eps=form.norm.eps)
    out = two.gate * x
    return [out.detach(), *torch.autograd.grad(out, leaves, out.detach().sin())]


def by_kernels(two: Two) -> list[Tensor]:
    first, second = two.forms
    identity = torch.tensor([[0.0], [1.0], [1.0], [0.0]], dtype=torch.float64).repeat(1, two.x.shape[1])
    entry = identity if two.entered else None
    one = calls.unit_forward(first, two.x, entry)
    other = calls.unit_forward(second, one.raw, one.known)
    again = calls.unit_forward(second, one.raw, one.known, other.known)
    assert torch.equal(again.raw, other.raw)
    out = calls.add_up([(other.raw, other.known, two.gate)])
    pull = out.sin()
    total, dots = calls.dots(pull, [(other.raw, other.known, 0.0)])
    behind = calls.unit_backward(
        second, calls.Pull(pull, total, dots[0]), two.gate, other, one.raw, one.known, (True, True)
    )
    there = two.x.cos()
    arriving = calls.Pull(behind.of_x, *behind.of_before)
    before = calls.unit_backward(first, arriving, 1.0, one, two.x, entry, (True, True), there.clone())
    found = [out, before.of_x - there]
    for form, left, gate in ((first, before, 1.0), (second, behind, two.gate)):
        found += [part for part in (left.of_kernel, left.of_weight) if part is not None]
        found += [gate * part for part in left.of_norm] if form.affine else []
    return found


@settings(max_examples=80, deadline=None)
@given(twos())
def test_units_of_every_form_and_their_gradients_are_torch_s(two: Two):
    heights, widths = two.x.shape[2:]
    for form in two.forms:
        heights, widths = -(-heights // form.stride), -(-widths // form.stride)
    assume(len(two.x) * heights * widths > 3)  # else what BatchNorm gives is all but decided, and gradients are noise
    for found, expected in zip(by_kernels(two), by_torch(two), strict=True):
        scale = max(1, expected.abs().max().item())
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-8 * scale)
