"""Which tensors native kernels take, and the gradient of a depthwise kernel against torch's."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from fairdarts.native import calls
from fairdarts.ops.depthwise import weight_gradient

pytestmark = pytest.mark.usefixtures("native")
CHANNELS = [1, 3, 4, 5, 8, 16, 17, 20, 33, 64]


def random(*shape: int, seed: int = 0) -> Tensor:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return x.contiguous(memory_format=torch.channels_last)


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
