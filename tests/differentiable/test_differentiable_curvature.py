"""The Hessian's largest eigenvalue against the whole matrix, on a small supernet in float64."""

import pytest
import torch
import torch.nn.functional as F
from search_steps import learner_of, settings_of, stream

from fairdarts.differentiable.curvature import held_out_curvature, largest_eigenvalue
from fairdarts.relaxation import dense, relax


@pytest.mark.parametrize("relaxation", ["sigmoid", "softmax"])
def test_it_is_that_of_the_whole_matrix(relaxation: str):
    learner = learner_of(settings_of("first_order", relaxation, 10, "squared", 5))
    images, labels = next(stream(1))
    state = {key: value.clone() for key, value in learner.supernet.state_dict().items()}
    before = {cell: alpha.detach().clone() for cell, alpha in learner.alphas.items()}
    found = held_out_curvature(learner, (images, labels))
    for key, value in learner.supernet.state_dict().items():
        assert torch.equal(value, state[key]), key
    assert all(torch.equal(alpha, before[cell]) for cell, alpha in learner.alphas.items())
    assert all(weight.requires_grad and weight.grad is None for weight in learner.weights)

    def loss(*alphas: torch.Tensor) -> torch.Tensor:
        gates = relax(dict(zip(learner.alphas, alphas, strict=True)), relaxation)
        return F.cross_entropy(learner.supernet(images, dense(gates, learner.supernet.space)), labels)

    blocks = torch.autograd.functional.hessian(loss, tuple(alpha.detach() for alpha in learner.alphas.values()))
    sizes = [alpha.numel() for alpha in learner.alphas.values()]
    rows = [torch.cat([block.reshape(size, -1) for block in row], 1) for size, row in zip(sizes, blocks, strict=True)]
    eigenvalues = torch.linalg.eigvalsh(torch.cat(rows))
    assert found == pytest.approx(eigenvalues[-1].item(), rel=0.02)
    assert eigenvalues[-1] > 0


def test_the_largest_is_not_the_largest_in_size():
    """Of −5, 1 and 2 it is 2."""
    alphas = [torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True), torch.ones(1, dtype=torch.float64)]
    alphas[1].requires_grad_()
    loss = -2.5 * alphas[0][0] ** 2 + 0.5 * alphas[0][1] ** 2 + alphas[1].square().sum()
    assert largest_eigenvalue(loss, alphas) == pytest.approx(2, rel=1e-3)
