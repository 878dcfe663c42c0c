"""Convolution and BatchNorm of fewer channels than they are made for, against plain forms in float64."""

from math import ceil, floor

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from fairdarts.ops.dynamic import CUTS, CroppedDynamicConv2d, DynamicBatchNorm2d, DynamicConv2d
from fairdarts.ops.ofa import cropped

quick = settings(max_examples=25, deadline=None)


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@st.composite
def sizes(draw: st.DrawFn) -> tuple[int, int, int, int]:
    """Channels of a weight, and as many or fewer of them."""
    whole = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    return *whole, draw(st.integers(1, whole[0])), draw(st.integers(1, whole[1]))


@quick
@given(sizes(), st.sampled_from([1, 3]))
def test_fixed_takes_the_first_channels(size: tuple[int, int, int, int], kernel: int):
    o, i, c_out, c_in = size
    weight = drawn(o, i, kernel, kernel)
    cut = CUTS["fixed"](weight, c_out, c_in, True)
    assert cut.shape == (c_out, c_in, kernel, kernel)
    assert all(cut[a, b].equal(weight[a, b]) for a in range(c_out) for b in range(c_in))


@quick
@given(sizes(), st.sampled_from([1, 3]))
def test_interpolate_takes_means_over_bins(size: tuple[int, int, int, int], kernel: int):
    o, i, c_out, c_in = size
    weight = drawn(o, i, kernel, kernel)
    expected = torch.empty(c_out, c_in, kernel, kernel, dtype=torch.float64)
    for a in range(c_out):
        rows = weight[floor(a * o / c_out) : ceil((a + 1) * o / c_out)]
        for b in range(c_in):
            expected[a, b] = rows[:, floor(b * i / c_in) : ceil((b + 1) * i / c_in)].mean(1).mean(0)
    torch.testing.assert_close(CUTS["interpolate"](weight, c_out, c_in, True), expected, rtol=1e-12, atol=1e-14)


@quick
@given(sizes(), st.integers(0, 1000))
def test_shuffle_takes_random_channels_each_once(size: tuple[int, int, int, int], seed: int):
    o, i, c_out, c_in = size
    weight = torch.arange(o)[:, None, None, None] * 100 + torch.arange(i)[None, :, None, None]
    torch.manual_seed(seed)
    cut = CUTS["shuffle"](weight, c_out, c_in, True)[:, :, 0, 0]
    outputs, inputs = cut[:, 0] // 100, cut[0] % 100
    assert cut.equal(outputs[:, None] * 100 + inputs)
    assert (len(set(outputs.tolist())), len(set(inputs.tolist()))) == (c_out, c_in)
    torch.manual_seed(seed)
    assert outputs.equal(torch.randperm(o)[:c_out])
    assert inputs.equal(torch.randperm(i)[:c_in])


@pytest.mark.parametrize("channels", [6, 12])
def test_shuffle_draws_anew_in_training_and_never_when_a_path_is_judged(channels: int):
    torch.manual_seed(0)
    conv, x = DynamicConv2d(12, 12, 1, "shuffle").double(), drawn(2, channels, 3, 3)
    assert not conv(x, channels).equal(conv(x, channels))
    state = torch.get_rng_state()
    judged = conv.eval()(x, channels)
    assert conv(x, channels).equal(judged)
    assert torch.get_rng_state().equal(state)
    weight = torch.arange(144).view(12, 12, 1, 1)
    orders = [CUTS["shuffle"](weight, 12, count, False)[0, :, 0, 0] % 12 for count in (12, 5)]
    assert orders[0][:5].equal(orders[1])
    assert sorted(orders[0].tolist()) == list(range(12))
    assert orders[0].tolist() != list(range(12))


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("cut", CUTS)
def test_the_convolution_is_one_of_cut_weights(cut: str, kernel: int):
    torch.manual_seed(0)
    conv, x = DynamicConv2d(7, 9, kernel, cut).double(), drawn(2, 4, 5, 6)
    torch.manual_seed(1)
    out = conv(x, 5)
    plain = nn.Conv2d(4, 5, kernel, padding=kernel // 2, bias=False).double()
    torch.manual_seed(1)
    plain.weight.data = CUTS[cut](conv.weight.data, 5, 4, True)
    torch.testing.assert_close(out, plain(x), rtol=1e-12, atol=1e-12)
    assert out.shape == (2, 5, 5, 6)


@pytest.mark.parametrize("cut", CUTS)
def test_a_smaller_kernel_is_the_centre_projected(cut: str):
    torch.manual_seed(0)
    whole = DynamicConv2d(7, 9, 3, cut).double()
    centre, x = CroppedDynamicConv2d(whole, 1).double(), drawn(2, 4, 5, 5)
    assert centre.projection.equal(torch.ones(1, 1))
    for factor in (1.0, -0.7):
        centre.projection.data.fill_(factor)
        torch.manual_seed(1)
        out = centre(x, 5)
        torch.manual_seed(1)
        expected = F.conv2d(x, factor * CUTS[cut](whole.weight[:, :, 1:2, 1:2], 5, 4, True))
        torch.testing.assert_close(out, expected, rtol=1e-12, atol=1e-12)
        assert cropped(whole.weight, centre.projection).shape == (9, 7, 1, 1)
    assert [*centre.parameters()] == [centre.projection, whole.weight]


def norms_of(features: int, count: int, **settings: object) -> tuple[DynamicBatchNorm2d, nn.BatchNorm2d]:
    """A BatchNorm of some features, and a plain one of the first ones, as they stand in the middle of training."""
    torch.manual_seed(0)
    norm = DynamicBatchNorm2d(features, **settings).double()
    plain = nn.BatchNorm2d(count, **settings).double()
    with torch.no_grad():
        for own, part in zip(
            [*norm.parameters(), *norm.buffers()], [*plain.parameters(), *plain.buffers()], strict=True
        ):
            own.copy_(torch.rand_like(own.double()) + 0.5 if own.dim() else torch.tensor(3))
            part.copy_(own[:count] if own.dim() else own)
    return norm, plain


@pytest.mark.parametrize("count", [1, 4, 6])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("track", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("momentum", [0.1, 0.0, 1.0])
def test_batch_norm_is_one_of_the_first_channels(
    count: int, affine: bool, track: bool, training: bool, momentum: float
):
    norm, plain = norms_of(6, count, affine=affine, momentum=momentum)
    before = [buffer.clone() for buffer in norm.buffers()]
    for one in (norm, plain):
        one.train(training)
        if not track:
            one.running_mean = one.running_var = one.num_batches_tracked = None
            one.track_running_stats = False
    outcomes = []
    for one in (norm, plain):
        x = drawn(3, count, 4, 4).requires_grad_()
        out = one(x)
        grads = torch.autograd.grad((out * out.cos()).sum(), [x, *one.parameters()])
        outcomes.append([out, grads[0], *(grad[:count] for grad in grads[1:])])
        assert not any(grad[count:].any() for grad in grads[1:])
    for one, other in zip(*outcomes, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-12)
    for own, part, old in zip(norm.buffers(), plain.buffers(), before, strict=False):
        assert own[:count].equal(part) if own.dim() else own == part
        assert not own.dim() or own[count:].equal(old[count:])
    assert len([*norm.buffers()]) == 3 * track
