"""Drop path: whole images are dropped, and the mean stays."""

import torch

from fairdarts.ops.drop_path import drop_path


def test_probability_zero_gives_x_itself():
    x = torch.ones(2, 3, 4, 4)
    assert drop_path(x, 0.0) is x


def test_each_image_is_kept_scaled_or_dropped_whole():
    torch.manual_seed(0)
    x = torch.rand(64, 3, 2, 2, dtype=torch.float64) + 1
    ratio = (drop_path(x, 0.25) / x).flatten(1)
    kept = ratio[:, 0] > 0
    assert 0 < int(kept.sum()) < 64
    torch.testing.assert_close(ratio[kept], torch.full_like(ratio[kept], 4 / 3), rtol=1e-12, atol=0)
    assert torch.equal(ratio[~kept], torch.zeros_like(ratio[~kept]))


def test_mean_and_share_of_dropped_images():
    torch.manual_seed(0)
    out = drop_path(torch.ones(20_000, 1, 1, 1), 0.3)
    assert abs((out == 0).double().mean().item() - 0.3) < 0.013  # four standard deviations
    assert abs(out.double().mean().item() - 1) < 0.019


def test_gradients_reach_kept_images_only():
    torch.manual_seed(0)
    x = torch.ones(16, 2, 1, 1, requires_grad=True)
    out = drop_path(x, 0.5)
    out.sum().backward()
    assert torch.equal(x.grad, out.detach())
    assert {*x.grad.unique().tolist()} == {0.0, 2.0}
