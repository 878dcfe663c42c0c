"""Gates from α: softmax and sigmoid against their closed forms, and the start of α."""

import pytest
import torch
from one_shot import BENCH, IRREGULAR
from torch.autograd.functional import jacobian

from fairdarts.relaxation import RELAXATIONS, dense, gate_matrices, initial_alphas, relax
from fairdarts.spaces.space import Space, load_space

S1 = load_space("s1")


def alphas(std: float = 1.0, seed: int = 0) -> dict[str, torch.Tensor]:
    return initial_alphas(S1, std, torch.Generator().manual_seed(seed))


def test_softmax_gates_of_an_edge_compete():
    for gates in relax({cell: alpha.double() for cell, alpha in alphas(3).items()}, "softmax").values():
        assert gates.shape == (14, 7)
        torch.testing.assert_close(gates.sum(1), torch.ones(14, dtype=torch.float64), rtol=1e-14, atol=0)


def test_jacobian_of_softmax():
    row = alphas()["normal"][:1].double()
    z = row.exp() / row.exp().sum()
    expected = torch.diag(z[0]) - z[0][:, None] * z[0][None, :]  # dz_i/dα_j = z_i (δ_ij − z_j)
    found = jacobian(RELAXATIONS["softmax"], row)[0, :, 0, :]
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-15)


def test_sigmoid_gates_are_independent():
    alpha = alphas()["normal"][:2].double()
    torch.testing.assert_close(RELAXATIONS["sigmoid"](alpha), 1 / (1 + (-alpha).exp()), rtol=1e-14, atol=0)
    found = jacobian(RELAXATIONS["sigmoid"], alpha).reshape(14, 14)
    z = alpha.sigmoid().flatten()
    torch.testing.assert_close(found, torch.diag(z * (1 - z)), rtol=1e-12, atol=1e-15)
    changed = alpha.clone()
    changed[0, 0] += 5
    assert int((RELAXATIONS["sigmoid"](changed) != RELAXATIONS["sigmoid"](alpha)).sum()) == 1


def test_std_zero_is_the_fair_start():
    start = alphas(0)
    assert start.keys() == {"normal", "reduce"}
    assert all(torch.equal(gates, torch.full((14, 7), 0.5)) for gates in relax(start, "sigmoid").values())
    for gates in relax(start, "softmax").values():
        assert torch.equal(gates, gates[:1, :1].expand(14, 7))


def test_start_is_seeded_and_spread_as_told():
    assert torch.equal(alphas(seed=1)["reduce"], alphas(seed=1)["reduce"])
    assert not torch.equal(alphas(seed=1)["normal"], alphas(seed=2)["normal"])
    assert not torch.equal(alphas()["normal"], alphas()["reduce"])
    both = torch.cat(list(alphas(1e-3).values()))
    assert 0.8e-3 < both.std().item() < 1.2e-3
    assert abs(both.mean().item()) < 0.3e-3


@pytest.mark.parametrize("space", [S1, BENCH, IRREGULAR], ids=["s1", "bench", "irregular"])
def test_dense_gates_are_the_rows_of_the_matrices_at_their_points(space: Space):
    alphas = initial_alphas(space, 1, torch.Generator().manual_seed(0))
    assert {name: alpha.shape for name, alpha in alphas.items()} == {n: part.shape for n, part in space.parts.items()}
    matrices = relax({name: alpha.requires_grad_() for name, alpha in alphas.items()}, "sigmoid")
    gates, seen = dense(matrices, space), set()
    for name, part in space.parts.items():
        for row, point in enumerate(part.points):
            assert gates[point].active == tuple(range(len(part.candidates)))
            assert torch.equal(gates[point].weights, matrices[name][row])
            seen.add(point)
    assert seen == set(range(len(gates)))
    torch.stack([gate.weights.sum() for gate in gates]).sum().backward()
    assert all(alpha.grad.all() for alpha in alphas.values())


def test_gates_of_layers_that_differ_have_the_shapes_of_their_parts():
    found = gate_matrices(initial_alphas(IRREGULAR, 0, torch.Generator()), "softmax")
    assert {part: (gates.shape, gates[0, 0]) for part, gates in found.items()} == {
        "layers-1": ((1, 2), pytest.approx(1 / 2)),
        "layers-2": ((2, 3), pytest.approx(1 / 3)),
        "layers-3": ((1, 5), pytest.approx(1 / 5)),
    }


def test_sparsemax_is_the_nearest_point_of_the_simplex_with_its_jacobian():
    row = torch.tensor([[0.9, 0.1, -1.0, 0.6]], dtype=torch.float64)
    found = RELAXATIONS["sparsemax"](row)
    # of the support {0, 3} α − τ sums to 1 with τ = (0.9 + 0.6 − 1) / 2 = 0.25, which 0.1 does not reach
    torch.testing.assert_close(found, torch.tensor([[0.65, 0, 0, 0.35]], dtype=torch.float64))
    other = torch.rand(1000, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    other = other / other.sum(-1, keepdim=True)
    assert ((found - row) ** 2).sum() <= ((other - row) ** 2).sum(-1).min()
    support = torch.tensor([1.0, 0, 0, 1], dtype=torch.float64)
    expected = torch.diag(support) - support[:, None] * support[None] / 2
    torch.testing.assert_close(jacobian(RELAXATIONS["sparsemax"], row)[0, :, 0, :], expected)


def test_dirichlet_gates_are_the_mean_of_their_distribution():
    row = alphas()["normal"][:2].double()
    held = torch.distributions.Dirichlet(torch.where(row > 0, row + 1, row.exp()))
    torch.testing.assert_close(RELAXATIONS["dirichlet"](row), held.mean)


@pytest.mark.parametrize("kind", RELAXATIONS)
def test_an_alpha_of_minus_infinity_is_a_gate_of_zero(kind):
    row = alphas()["normal"][:3].double()
    gone = row.clone()
    gone[:, 2] = -torch.inf
    found = RELAXATIONS[kind](gone)
    assert not found[:, 2].any()
    kept = [column for column in range(7) if column != 2]
    torch.testing.assert_close(found[:, kept], RELAXATIONS[kind](row[:, kept]))


def test_candidates_of_gate_zero_do_not_run_where_the_gates_are_sparse():
    matrices = {part: torch.zeros(points.shape) for part, points in S1.parts.items()}
    for matrix in matrices.values():
        matrix[:, 3] = 0.25
    assert all(gate.active == (3,) and gate.weights.tolist() == [0.25] for gate in dense(matrices, S1, sparse=True))
    assert all(len(gate.active) == 7 for gate in dense(matrices, S1))
