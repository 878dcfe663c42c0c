"""What is drawn of α: single candidates, pairs and samples, with the gradients that their definitions have."""

import math

import pytest
import torch

from fairdarts.differentiable.components import Binary, Dirichlet, Gumbel, Uniform
from fairdarts.differentiable.sampling import SAMPLERS, Draw, temperature, through
from fairdarts.relaxation import relax
from fairdarts.spaces.space import load_space

SPACE = load_space("nasbench201")
POINTS, CANDIDATES = SPACE.parts["edges"].shape


def alphas(seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {"edges": torch.randn(POINTS, CANDIDATES, generator=generator, dtype=torch.float64).requires_grad_()}


def drawn(settings, alpha, relaxation="softmax", seed=0, done=0.0, learns=True, sparse=False):
    draw = Draw(SPACE, alpha, relaxation, done, learns, sparse, torch.Generator().manual_seed(seed))
    return SAMPLERS[settings.kind](settings, relax(alpha, relaxation), draw)


def gumbel_noise(seed: int) -> torch.Tensor:
    uniform = torch.rand(POINTS, CANDIDATES, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return -(-uniform.log()).log()


def test_a_straight_through_gate_is_its_number_with_the_gradient_of_another():
    soft = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    gate = through(1.0, 2 * soft)
    gate.backward()
    assert gate.item() == 1.0
    assert soft.grad.item() == 2.0


def test_soft_samples_are_the_softmax_of_log_probabilities_and_noise():
    alpha, settings = alphas(), Gumbel(kind="gumbel", hard=False, temperature=(2.0, 0.5))
    gates = drawn(settings, alpha, seed=3)
    expected = ((alpha["edges"].log_softmax(-1) + gumbel_noise(3)) / 2).softmax(-1)
    assert all(gate.active == tuple(range(CANDIDATES)) for gate in gates)
    torch.testing.assert_close(torch.stack([gate.weights for gate in gates]), expected)


def test_a_hard_sample_runs_the_strongest_alone_with_the_gradient_of_its_soft_gate():
    alpha, settings = alphas(), Gumbel(kind="gumbel", hard=True, temperature=(2.0, 0.5))
    gates = drawn(settings, alpha, seed=3)
    soft = ((alpha["edges"].log_softmax(-1) + gumbel_noise(3)) / 2).softmax(-1)
    best = soft.argmax(-1)
    assert [gate.active for gate in gates] == [(choice,) for choice in best.tolist()]
    assert all(gate.weights.item() == 1.0 for gate in gates)
    pulls = torch.arange(1.0, POINTS + 1, dtype=torch.float64)
    (found,) = torch.autograd.grad(
        sum(gate.weights[0] * pull for gate, pull in zip(gates, pulls, strict=True)), alpha["edges"]
    )
    # ∂ softmax(z / τ)ₖ / ∂α = yₖ (δₖ − y) / τ; the normalization of log p has no part in it
    one = torch.nn.functional.one_hot(best, CANDIDATES)
    y = soft.gather(-1, best[:, None])
    torch.testing.assert_close(found, pulls[:, None] * y * (one - soft) / 2)


def test_hard_samples_come_as_often_as_their_gates_say():
    alpha = {"edges": torch.tensor([[0.0, 1.0, 2.0, -1.0, 0.5]], dtype=torch.float64).repeat(POINTS, 1)}
    settings = Gumbel(kind="gumbel", hard=True, temperature=(1.0, 1.0))
    counts = torch.zeros(CANDIDATES, dtype=torch.float64)
    for seed in range(400):
        for gate in drawn(settings, alpha, seed=seed):
            counts[gate.active[0]] += 1
    shares, expected = counts / counts.sum(), alpha["edges"][0].softmax(-1)
    assert ((shares - expected).abs() < 4 * (expected * (1 - expected) / counts.sum()).sqrt()).all()


@pytest.mark.parametrize(("cooling", "middle"), [("linear", 5.05), ("exponential", 1.0)])
def test_the_temperature_falls_from_the_first_epoch_to_the_last(cooling, middle):
    settings = Gumbel(kind="gumbel", hard=True, temperature=(10, 0.1), cooling=cooling)
    assert [temperature(settings, done) for done in (0.0, 0.5, 1.0)] == pytest.approx([10, middle, 0.1])


def test_weights_train_on_one_drawn_candidate_of_a_point_and_alphas_on_two():
    alpha = alphas()
    for gate in drawn(Binary(kind="binary"), alpha, learns=False):
        assert len(gate.active) == 1
        assert gate.weights is None
    for gate in drawn(Binary(kind="binary"), alpha):
        assert len(set(gate.active)) == 2
        assert gate.idle == 1
        assert gate.weights.tolist() == [1.0, 0.0]


def test_a_pair_of_binary_gates_has_the_gradient_of_their_probabilities():
    alpha = alphas()
    gates = drawn(Binary(kind="binary"), alpha, seed=5)
    pulls = torch.randn(POINTS, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    total = sum((gate.weights * pull).sum() for gate, pull in zip(gates, pulls, strict=True))
    (found,) = torch.autograd.grad(total, alpha["edges"])
    expected = torch.zeros_like(found)
    for row, (gate, pull) in enumerate(zip(gates, pulls, strict=True)):
        p = alpha["edges"][row, list(gate.active)].softmax(-1).detach()
        for at, choice in enumerate(gate.active):  # ∂L/∂αᵢ = Σⱼ ∂L/∂gⱼ pⱼ (δᵢⱼ − pᵢ) (ProxylessNAS, eq. 4)
            expected[row, choice] = sum(pull[j] * p[j] * (float(at == j) - p[at]) for j in range(2))
    torch.testing.assert_close(found, expected)


def test_uniform_paths_take_every_candidate_alike_and_alphas_see_all():
    alpha = {"edges": 5 * alphas()["edges"].detach()}
    counts = torch.zeros(CANDIDATES)
    for seed in range(200):
        for gate in drawn(Uniform(kind="uniform"), alpha, seed=seed, learns=False):
            counts[gate.active[0]] += 1
    assert counts.min() > 0.8 * counts.sum() / CANDIDATES
    assert all(len(gate.active) == CANDIDATES for gate in drawn(Uniform(kind="uniform"), alpha))


def test_dirichlet_samples_have_their_mean_and_variance_and_a_gradient():
    alpha = {"edges": torch.tensor([[0.0, 1.0, 2.0, -1.0, 0.5]], dtype=torch.float64).repeat(POINTS, 1)}
    samples = torch.stack(
        [gate.weights for seed in range(500) for gate in drawn(Dirichlet(kind="dirichlet"), alpha, "dirichlet", seed)]
    )
    held = torch.distributions.Dirichlet(torch.nn.functional.elu(alpha["edges"][0]) + 1)
    torch.testing.assert_close(samples.sum(-1), torch.ones(len(samples), dtype=torch.float64))
    assert (samples.mean(0) - held.mean).abs().max() < 4 * math.sqrt(0.06 / len(samples))
    assert (samples.var(0) - held.variance).abs().max() < 0.006
    alpha["edges"].requires_grad_()
    pulls = 0.0
    for seed in range(300):
        gates = drawn(Dirichlet(kind="dirichlet"), alpha, "dirichlet", seed)
        pulls = pulls + sum(gate.weights[2] for gate in gates)
    (found,) = torch.autograd.grad(pulls / (300 * POINTS), alpha["edges"])
    (expected,) = torch.autograd.grad(relax(alpha, "dirichlet")["edges"][0, 2], alpha["edges"])
    assert (found.sum(0) - expected.sum(0)).abs().max() < 0.02  # the gradient of the mean, as the mean of gradients


@pytest.mark.parametrize(
    "settings",
    [
        Gumbel(kind="gumbel", hard=False, temperature=(1, 1)),
        Gumbel(kind="gumbel", hard=True, temperature=(1, 1)),
        Binary(kind="binary"),
        Uniform(kind="uniform"),
        Dirichlet(kind="dirichlet"),
    ],
)
@pytest.mark.parametrize("learns", [True, False])
def test_what_is_no_longer_there_is_never_drawn(settings, learns):
    alpha = alphas()["edges"]
    gone = torch.zeros(POINTS, CANDIDATES, dtype=torch.bool)
    gone[:, 1] = gone[0, 2:] = True  # of the first point one candidate is left
    relaxation = "dirichlet" if settings.kind == "dirichlet" else "softmax"
    for seed in range(20):
        masked = {"edges": alpha.masked_fill(gone, -torch.inf)}
        gates = drawn(settings, masked, relaxation, seed, learns=learns, sparse=True)
        assert gates[0].active == (0,)
        assert all(1 not in gate.active for gate in gates)
        totals = [gate.weights.sum() for gate in gates if gate.weights is not None]
        if totals and alpha.requires_grad and learns:
            (found,) = torch.autograd.grad(sum(total * at for at, total in enumerate(totals, 1)), alpha)
            assert found.isfinite().all()
            assert not found[gone].any()
