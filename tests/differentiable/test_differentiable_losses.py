"""The zero-one losses against their closed forms (FairDARTS, eq. 7 and 9)."""

import pytest
import torch

from fairdarts.differentiable.losses import ZERO_ONE, zero_one
from fairdarts.relaxation import Matrices, relax
from fairdarts.spaces.gates import Gate, Gates


def gated(matrices: Matrices) -> Gates:
    return tuple(Gate(tuple(range(len(row))), row) for matrix in matrices.values() for row in matrix)


@pytest.fixture
def alphas() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = {"normal": (14, 7), "reduce": (5, 3)}  # unlike sizes tell a mean over all gates from a mean of two means
    return {cell: torch.randn(shape, generator=generator, dtype=torch.float64) for cell, shape in shapes.items()}


def test_values_follow_equations_7_and_9(alphas):
    z = torch.cat([alpha.flatten() for alpha in alphas.values()]).sigmoid()
    gates = gated(relax(alphas, "sigmoid"))
    assert zero_one(gates, "squared").item() == pytest.approx(-sum((v - 0.5) ** 2 for v in z.tolist()) / 113, rel=1e-12)
    assert zero_one(gates, "absolute").item() == pytest.approx(-sum(abs(v - 0.5) for v in z.tolist()) / 113, rel=1e-12)


@pytest.mark.parametrize("form", ZERO_ONE)
def test_gradients_with_respect_to_alpha(alphas, form):
    alphas = {cell: alpha.requires_grad_() for cell, alpha in alphas.items()}
    zero_one(gated(relax(alphas, "sigmoid")), form).backward()
    count = sum(alpha.numel() for alpha in alphas.values())
    for alpha in alphas.values():
        z = alpha.detach().sigmoid()
        slope = 2 * (z - 0.5) if form == "squared" else torch.sign(z - 0.5)
        torch.testing.assert_close(alpha.grad, -slope * z * (1 - z) / count, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize(("form", "lowest"), [("squared", -0.25), ("absolute", -0.5)])
def test_extremes(form, lowest):
    half = {"normal": torch.full((2, 3), 0.5), "reduce": torch.full((2, 3), 0.5)}
    ends = {"normal": torch.zeros(2, 3), "reduce": torch.ones(2, 3)}
    assert zero_one(gated(half), form).item() == 0
    assert zero_one(gated(ends), form).item() == lowest


@pytest.mark.parametrize("form", ZERO_ONE)
def test_a_fair_start_feels_no_push(form):
    alpha = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    zero_one(gated(relax({"normal": alpha}, "sigmoid")), form).backward()
    assert torch.equal(alpha.grad, torch.zeros_like(alpha))


def test_only_the_squared_loss_is_gentle_around_one_half():
    slopes = {}
    for form in ZERO_ONE:
        alpha = torch.tensor([[1e-3]], dtype=torch.float64, requires_grad=True)
        zero_one(gated(relax({"normal": alpha}, "sigmoid")), form).backward()
        slopes[form] = -alpha.grad.item()
    assert 0 < slopes["squared"] < 1e-3 * slopes["absolute"]
