"""The pieces of second-order DARTS, each against its definition, in float64."""

import pytest
import torch
from torch import Tensor

from fairdarts.differentiable.unrolled import EPSILON, exact, finite_difference, frozen, slope, unrolled, weights_at


def cubic(weights: list[Tensor], alphas: list[Tensor]) -> Tensor:
    """A loss whose mixed second derivatives depend on w, so that a wrong step shows."""
    return sum(
        (a.sigmoid().sum() * (w**3).sum() + (a.sum() * w.sin()).sum()) for w, a in zip(weights, alphas, strict=True)
    )


@pytest.fixture
def tensors() -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    generator = torch.Generator().manual_seed(0)
    weights, alphas, v = (
        [torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in ((3, 2), (4,))] for _ in range(3)
    )
    for tensor in (*weights, *alphas):
        tensor.requires_grad_()
    return weights, alphas, v


def test_the_exact_correction_is_the_product_with_the_mixed_derivatives(tensors):
    weights, alphas, v = tensors
    found = exact(lambda: cubic(weights, alphas), weights, alphas, v)
    for w, a, direction, correction in zip(weights, alphas, v, found, strict=True):
        slope = a.sigmoid() * (1 - a.sigmoid())
        expected = slope * (3 * w**2 * direction).sum() + (w.cos() * direction).sum()
        torch.testing.assert_close(correction, expected.detach())


@pytest.mark.parametrize("length", [1e-3, 1, 1e3])
def test_the_difference_alone_is_the_exact_correction(tensors, length: float):
    """Alone, as a wrong factor on it hides in the whole gradient of α."""
    weights, alphas, v = tensors
    v = [length * direction for direction in v]
    before = [weight.detach().clone() for weight in weights]
    found = finite_difference(lambda: cubic(weights, alphas), weights, alphas, v)
    expected = exact(lambda: cubic(weights, alphas), weights, alphas, v)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4 * length)
    assert all(torch.equal(weight, old) for weight, old in zip(weights, before, strict=True))
    assert all(weight.requires_grad and weight.grad is None for weight in weights)


def test_the_difference_is_taken_at_epsilon_over_the_length_of_v(tensors):
    weights, alphas, v = tensors
    seen = []

    def loss() -> Tensor:
        seen.append(torch.cat([weight.detach().flatten() for weight in weights]))
        return cubic(weights, alphas)

    finite_difference(loss, weights, alphas, v)
    here, direction = (torch.cat([tensor.detach().flatten() for tensor in own]) for own in (weights, v))
    step = EPSILON * direction / direction.norm()
    torch.testing.assert_close(torch.stack(seen), torch.stack([here + step, here - step]))


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_the_unrolled_weights_are_those_of_the_optimizers_next_step(tensors, steps: int, nesterov: bool):
    weights, alphas, _ = tensors
    optimizer = torch.optim.SGD(weights, 0.05, momentum=0.9, weight_decay=0.1, nesterov=nesterov, foreach=True)

    def gradients() -> list[Tensor]:
        return list(torch.autograd.grad(cubic(weights, alphas), weights))

    def step() -> None:
        for weight, gradient in zip(weights, gradients(), strict=True):
            weight.grad = gradient
        optimizer.step()
        optimizer.zero_grad()

    for _ in range(steps):
        step()
    found = unrolled(weights, gradients(), optimizer)
    step()
    for one, other in zip(found, weights, strict=True):
        torch.testing.assert_close(one, other.detach(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("momentum", "nesterov"), [(0, False), (0.9, False), (0.9, True)])
@pytest.mark.parametrize("steps", [0, 2])
def test_the_slope_is_how_much_the_next_weights_move_against_a_gradient(
    tensors, momentum: float, nesterov: bool, steps: int
):
    weights, _, v = tensors
    optimizer = torch.optim.SGD(weights, 0.05, momentum=momentum, weight_decay=0.1, nesterov=nesterov)
    for _ in range(steps):
        for weight in weights:
            weight.grad = weight.detach().cos()
        optimizer.step()
    optimizer.zero_grad()
    none = [torch.zeros_like(direction) for direction in v]
    there, here = (unrolled(weights, gradients, optimizer) for gradients in (v, none))
    for one, other, direction in zip(there, here, v, strict=True):
        torch.testing.assert_close(one - other, -slope(optimizer) * direction, rtol=1e-12, atol=1e-12)


def test_weights_come_back_after_an_error(tensors):
    weights, _, v = tensors
    before = [weight.detach().clone() for weight in weights]

    def fail() -> None:
        with weights_at(weights, v), frozen(weights):
            assert all(torch.equal(weight, other) for weight, other in zip(weights, v, strict=True))
            assert not any(weight.requires_grad for weight in weights)
            raise RuntimeError("within")

    with pytest.raises(RuntimeError, match="within"):
        fail()
    assert all(torch.equal(weight, old) for weight, old in zip(weights, before, strict=True))
    assert all(weight.requires_grad for weight in weights)
