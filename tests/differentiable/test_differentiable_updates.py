"""How α moves: exponentiated gradient against its definition, and what ProxylessNAS keeps."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from search_steps import learner_of, settings_of, stream

from fairdarts.checking import check
from fairdarts.config import UserError
from fairdarts.differentiable.architect import STEPS
from fairdarts.differentiable.edges import edge_shares, initial_betas
from fairdarts.differentiable.gates import relaxed
from fairdarts.differentiable.learner import START, Learner
from fairdarts.differentiable.passes import gradients_of
from fairdarts.differentiable.settings import SearchSettings
from fairdarts.differentiable.updates import FLOOR, update_alphas
from fairdarts.runtime.seed import VALID

RATE = 0.3


def exponentiated(kind: str = "first_order", **changes: Any) -> SearchSettings:
    content = settings_of(kind, "softmax", 0, "squared", 5).model_dump(mode="json")
    content["architect"] |= {"optimizer": "exponentiated", "lr": RATE, "betas": None, "weight_decay": None}
    return check(SearchSettings, content | changes, "test")


def learner_by(settings: SearchSettings) -> Learner:
    learner = learner_of(settings_of("first_order", "softmax", 0, "squared", 5))
    optimizer = torch.optim.SGD(learner.alphas.values(), settings.architect.lr)
    return replace(learner, settings=settings, alpha_optimizer=optimizer)


def without(learner: Learner, column: int) -> Learner:
    """The learner, of which a candidate is gone on every edge."""
    gone = {part: torch.ones_like(alpha, dtype=torch.bool) for part, alpha in learner.alphas.items()}
    for alive in gone.values():
        alive[:, column] = False
    return replace(learner, alive=gone)


@pytest.mark.parametrize("gone", [None, 1])
def test_the_gates_take_a_step_of_exponentiated_gradient(gone):
    """θ exp(−η ∂L/∂θ) / Z, of a loss Σ w θ², and of several steps."""
    learner = learner_by(exponentiated())
    learner = learner if gone is None else without(learner, gone)
    generator = torch.Generator().manual_seed(3)
    weights = {
        part: torch.randn(alpha.shape, generator=generator, dtype=torch.float64)
        for part, alpha in learner.alphas.items()
    }
    before = {part: alpha.detach().clone() for part, alpha in learner.alphas.items()}
    for _ in range(3):
        theta = {part: z.detach() for part, z in relaxed(learner, learner.alphas).items()}
        loss = sum((weights[part] * z**2).sum() for part, z in relaxed(learner, learner.alphas).items())
        update_alphas(learner, torch.autograd.grad(loss, list(learner.alphas.values())))
        for part, found in relaxed(learner, learner.alphas).items():
            expected = theta[part] * torch.exp(-RATE * 2 * weights[part] * theta[part])
            expected /= expected.sum(-1, keepdim=True)
            torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-15)
    for part, alpha in learner.alphas.items():
        if gone is not None:
            assert torch.equal(alpha[:, gone], before[part][:, gone])
            alpha = alpha[:, [0, 2]]
        torch.testing.assert_close(alpha.logsumexp(-1), torch.zeros(len(alpha), dtype=alpha.dtype), rtol=0, atol=1e-12)


def test_the_shares_of_edges_take_such_a_step_at_every_node():
    """θ exp(−η ∂L/∂θ) / Z over the edges into a node, of a loss Σ w θ²."""
    learner = learner_by(exponentiated(edges="softmax"))
    space, generator = learner.supernet.space, torch.Generator().manual_seed(3)
    betas = initial_betas(space, 1.0, generator)
    alphas = learner.alphas | {name: beta.double().requires_grad_() for name, beta in betas.items()}
    learner = replace(learner, alphas=alphas, alpha_optimizer=torch.optim.SGD(alphas.values(), RATE))
    shares = edge_shares(alphas, space)
    assert shares
    weights = torch.arange(len(space.edges), dtype=torch.float64)
    loss = sum((weights * share**2).sum() for share in shares.values())
    found = torch.autograd.grad(loss, list(alphas.values()), allow_unused=True, materialize_grads=True)
    update_alphas(learner, found)
    after = edge_shares(alphas, space)
    assert after
    nodes = torch.tensor([node for node, _ in space.edges])
    for part, share in ((part, share.detach()) for part, share in shares.items()):
        moved = share * torch.exp(-RATE * 2 * weights * share)
        for node in nodes.unique():
            own = nodes == node
            torch.testing.assert_close(after[part].detach()[own], moved[own] / moved[own].sum(), rtol=1e-12, atol=0)


def test_no_gate_falls_below_the_floor():
    learner = learner_by(exponentiated())
    for _ in range(2):
        update_alphas(learner, [torch.full_like(alpha, 1e6) * alpha.sign() for alpha in learner.alphas.values()])
    for alpha in learner.alphas.values():
        assert alpha.isfinite().all()
        assert alpha.exp().min().item() == pytest.approx(FLOOR, rel=1e-12)
        assert alpha.softmax(-1).min() >= FLOOR / (1 + 3 * FLOOR)


@pytest.mark.parametrize("kind", STEPS)
def test_every_step_takes_exponentiated_gradient(kind):
    learner = learner_by(exponentiated(kind))
    before = {part: z.detach() for part, z in relaxed(learner, learner.alphas).items()}
    STEPS[kind](learner, next(stream(1)), next(stream(2)))
    for part, z in relaxed(learner, learner.alphas).items():
        torch.testing.assert_close(z.sum(-1), torch.ones(len(z), dtype=z.dtype), rtol=1e-12, atol=0)
        assert not torch.equal(z, before[part])


def test_what_has_no_meaning_is_refused():
    for changes, message in (
        (
            {"relaxation": "sigmoid"},
            "architect.optimizer exponentiated: is for gates of relaxation softmax, not sigmoid",
        ),
        ({"penalties": [{"form": "beta_decay", "weight": 1, "schedule": "constant"}]}, "beta_decay is always zero"),
    ):
        with pytest.raises(UserError, match=message):
            exponentiated(**changes)
    content = settings_of("first_order", "softmax", 0, "squared", 5).model_dump(mode="json")
    for own, message in (
        ({"optimizer": "exponentiated"}, "betas is of no use to optimizer exponentiated; should be null"),
        ({"betas": None}, r"optimizer adam needs betas, such as \[0.5, 0.999\]"),
        ({"weight_decay": None}, "optimizer adam needs weight_decay"),
    ):
        with pytest.raises(UserError, match=message):
            check(SearchSettings, content | {"architect": content["architect"] | own}, "test")


def binary(kind: str = "first_order") -> SearchSettings:
    content = settings_of(kind, "softmax", 0, "squared", 5).model_dump(mode="json")
    return check(SearchSettings, content | {"sampling": {"kind": "binary"}}, "test")


def test_only_the_two_that_are_drawn_have_a_gradient():
    """Exactly, and it is that of the softmax of the two."""
    learner = learner_of(binary())
    found, _ = gradients_of(learner, learner.alphas, next(stream(1)), START, VALID, list(learner.alphas.values()), True)
    for pull in found:
        assert pull is not None
        assert (pull != 0).sum(-1).tolist() == [2] * len(pull)
        torch.testing.assert_close(pull.sum(-1), torch.zeros(len(pull), dtype=pull.dtype), rtol=0, atol=1e-14)


@pytest.mark.parametrize("kind", ["first_order", "single_level"])
def test_what_is_not_drawn_stays_with_its_probability(kind):
    """Also where Adam still has a momentum of it."""
    learner = learner_of(binary(kind))
    batches = stream(1), stream(2)
    for step in range(4):
        before = {part: alpha.detach().clone() for part, alpha in learner.alphas.items()}
        STEPS[kind](learner, next(batches[0]), next(batches[1]), START._replace(step=step))
        for part, alpha in learner.alphas.items():
            stays = alpha == before[part]
            assert stays.sum(-1).tolist() == [1] * len(alpha)  # of three candidates
            torch.testing.assert_close(
                alpha.softmax(-1)[stays], before[part].softmax(-1)[stays], rtol=1e-12, atol=1e-15
            )


def test_a_gradient_of_all_moves_all():
    """As a cost has it: then probabilities change as Adam would have it."""
    learner, plain = learner_of(binary()), learner_of(settings_of("first_order", "softmax", 0, "squared", 5))
    generator = torch.Generator().manual_seed(1)
    pulls = [torch.randn(alpha.shape, generator=generator, dtype=torch.float64) for alpha in learner.alphas.values()]
    for one in (learner, plain):
        update_alphas(one, pulls)
    for one, other in zip(learner.alphas.values(), plain.alphas.values(), strict=True):
        torch.testing.assert_close(one.softmax(-1), other.softmax(-1), rtol=1e-12, atol=0)
