"""What second-order DARTS (arXiv:1806.09055, section 2.3) needs beyond first order.

α learns from the weights that one more step of training would give, w' = w − ξ·d. Momentum and weight decay of d are
those of the weights' own optimizer, ξ is its learning rate. Of d only ∇w L_train depends on α, linearly, so

    dL_val(w', α)/dα = ∇α L_val(w', α) − ξ · s · ∇²αw L_train(w, α) · v   with v = ∇w' L_val(w', α),

where s is 1, or 1 + μ under Nesterov's momentum μ, which takes the gradient of a step twice.

The product of the mixed second derivatives with v is here called the correction.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

Tensors = list[Tensor] | tuple[Tensor, ...]

EPSILON = 0.01
"""The difference is taken over 2 · EPSILON / ‖v‖ (DARTS, section 2.3, footnote 2)."""


def unrolled(weights: Tensors, gradients: Tensors, optimizer: torch.optim.SGD) -> Tensors:
    """w': what a step of the optimizer would make of the weights, clipping left out."""
    (group,) = optimizer.param_groups
    found = [optimizer.state[weight].get("momentum_buffer") for weight in weights]
    weights = [weight.detach() for weight in weights]
    directions: Tensors = torch._foreach_add(gradients, weights, alpha=group["weight_decay"])
    gradients = directions
    if any(buffer is not None for buffer in found):  # the first step of a weight begins its own
        pairs = zip(weights, found, strict=True)
        buffers = [torch.zeros_like(weight) if buffer is None else buffer for weight, buffer in pairs]
        directions = torch._foreach_add(directions, buffers, alpha=group["momentum"])
    if group["nesterov"]:
        directions = torch._foreach_add(gradients, directions, alpha=group["momentum"])
    return torch._foreach_add(weights, directions, alpha=-group["lr"])


def slope(optimizer: torch.optim.SGD) -> float:
    """How much w' moves against a gradient: ξ · s."""
    (group,) = optimizer.param_groups
    return group["lr"] * (1 + group["momentum"] if group["nesterov"] else 1)


@contextmanager
def frozen(weights: Tensors) -> Iterator[None]:
    """While entered, no gradients of the weights: a function written by hand cannot see which are asked for."""
    for weight in weights:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in weights:
            weight.requires_grad_(True)


@contextmanager
def weights_at(weights: Tensors, values: Tensors) -> Iterator[None]:
    """While entered, the weights hold other values; afterwards the very bits that they held before."""
    kept = [weight.detach().clone() for weight in weights]
    held = [weight.detach() for weight in weights]  # of the same storage, and not watched by autograd
    torch._foreach_copy_(held, values)
    try:
        yield
    finally:
        torch._foreach_copy_(held, kept)


def derivative(of: Tensors, inputs: Sequence[Tensor], along: Tensors | None = None, **how: bool) -> Tensors:
    """The gradients of scalars, or of tensors along others; zeros where none depends on an input, as may be where only
    `none` runs."""
    directions: Sequence[Tensor | None] = along or [None] * len(of)
    if not (there := [pair for pair in zip(of, directions, strict=True) if pair[0].requires_grad]):
        return [torch.zeros_like(tensor) for tensor in inputs]
    outputs, directions = zip(*there, strict=True)
    return torch.autograd.grad(outputs, inputs, directions, allow_unused=True, materialize_grads=True, **how)


def finite_difference(
    loss: Callable[[], Tensor], weights: Tensors, alphas: Tensors, v: Tensors, length: float = EPSILON
) -> Tensors:
    """The correction as a difference: (∇α L_train(w + εv) − ∇α L_train(w − εv)) / 2ε, ε = length / ‖v‖ (eq. 8)."""
    epsilon = (length / torch.stack(torch._foreach_norm(v)).norm()).item()
    at = []
    for side in (epsilon, -epsilon):
        moved = torch._foreach_add([weight.detach() for weight in weights], v, alpha=side)
        with weights_at(weights, moved), frozen(weights):
            at.append(derivative([loss()], alphas))
    return torch._foreach_div(torch._foreach_sub(*at), 2 * epsilon)


def exact(loss: Callable[[], Tensor], weights: Tensors, alphas: Tensors, v: Tensors) -> list[Tensor]:
    """The correction by differentiating twice, which needs several times the memory: for tests and small supernets."""
    return list(derivative(derivative([loss()], weights, create_graph=True), alphas, v))


CORRECTIONS: dict[str, Callable[..., Tensors]] = {"finite_difference": finite_difference, "exact": exact}
"""`architect.hessian` → correction(loss, weights, alphas, v), one tensor for every α"""
