"""The penalties of α against their closed forms, and where they enter a step."""

from typing import Any

import pytest
import torch
from search_steps import learner_of, settings_of, stream
from torch.distributions import Dirichlet, kl_divergence

from fairdarts.checking import check
from fairdarts.config import UserError
from fairdarts.differentiable.architect import STEPS
from fairdarts.differentiable.learner import START, Learner, StepIndex
from fairdarts.differentiable.loop import gate_record
from fairdarts.differentiable.passes import gradients_of
from fairdarts.differentiable.penalties import PENALTIES
from fairdarts.differentiable.settings import SearchSettings
from fairdarts.relaxation import Matrices, concentration, relax
from fairdarts.runtime.seed import VALID

SHAPES = {"normal": (14, 7), "reduce": (5, 3)}
"""of unlike sizes, which tell a mean over all points from a mean of two means"""


@pytest.fixture
def alphas() -> Matrices:
    generator = torch.Generator().manual_seed(0)
    drawn = {part: torch.randn(shape, generator=generator, dtype=torch.float64) for part, shape in SHAPES.items()}
    return {part: alpha.requires_grad_() for part, alpha in drawn.items()}


def pulls(form: str, alphas: Matrices, relaxation: str) -> tuple[float, list[torch.Tensor]]:
    """A penalty, and its gradient in α of every part."""
    value = PENALTIES[form](alphas, relax(alphas, relaxation))
    return value.item(), list(torch.autograd.grad(value, list(alphas.values()), allow_unused=True))


def penalized(relaxation: str, kind: str = "first_order", **penalty: Any) -> SearchSettings:
    content = settings_of(kind, relaxation, 0, "squared", 5).model_dump(mode="json")
    return check(SearchSettings, content | {"penalties": [{"schedule": "constant", **penalty}]}, "test")


def test_the_pull_of_beta_decay_is_the_softmax_over_the_points(alphas):
    value, found = pulls("beta_decay", alphas, "softmax")
    rows = [row for alpha in alphas.values() for row in alpha.detach()]
    assert value == pytest.approx(sum(row.exp().sum().log().item() for row in rows) / 19, rel=1e-12)
    for alpha, pull in zip(alphas.values(), found, strict=True):
        torch.testing.assert_close(pull, alpha.detach().softmax(-1) / 19, rtol=1e-12, atol=0)


def test_the_pull_of_entropy_under_softmax(alphas):
    value, found = pulls("entropy", alphas, "softmax")
    total = 0.0
    for alpha, pull in zip(alphas.values(), found, strict=True):
        p = alpha.detach().softmax(-1)
        entropy = -(p * p.log()).sum(-1, keepdim=True)
        total += entropy.sum().item()
        torch.testing.assert_close(pull, -p * (p.log() + entropy), rtol=1e-11, atol=1e-15)
    assert value == pytest.approx(total, rel=1e-12)


def test_entropy_is_of_rows_that_sum_to_one(alphas):
    gates = relax(alphas, "sigmoid")
    halved = {part: z / 2 for part, z in gates.items()}
    assert PENALTIES["entropy"](alphas, gates).item() == pytest.approx(PENALTIES["entropy"](alphas, halved).item())
    assert pulls("entropy", {"normal": torch.zeros(3, 4, requires_grad=True)}, "sigmoid")[0] == pytest.approx(
        3 * torch.tensor(4.0).log().item()
    )


def test_the_pull_of_l1_under_sigmoid(alphas):
    value, found = pulls("l1", alphas, "sigmoid")
    assert value == pytest.approx(sum(alpha.detach().sigmoid().sum().item() for alpha in alphas.values()), rel=1e-12)
    for alpha, pull in zip(alphas.values(), found, strict=True):
        z = alpha.detach().sigmoid()
        torch.testing.assert_close(pull, z * (1 - z), rtol=1e-12, atol=0)


def test_the_divergence_of_dirichlet_distributions_is_that_of_torch(alphas):
    value, found = pulls("dirichlet_kl", alphas, "dirichlet")
    expected = sum(
        kl_divergence(Dirichlet(concentration(alpha)), Dirichlet(torch.ones_like(alpha))).sum()
        for alpha in alphas.values()
    )
    assert value == pytest.approx(expected.item(), rel=1e-12)
    for pull, at in zip(found, torch.autograd.grad(expected, list(alphas.values())), strict=True):
        torch.testing.assert_close(pull, at, rtol=1e-10, atol=1e-12)


def test_the_divergence_is_zero_at_the_start():
    value, (pull,) = pulls("dirichlet_kl", {"normal": torch.zeros(2, 4, requires_grad=True)}, "dirichlet")
    assert value == pytest.approx(0, abs=1e-6)
    torch.testing.assert_close(pull, torch.zeros(2, 4), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("form", "relaxation"),
    [
        ("beta_decay", "softmax"),
        ("entropy", "softmax"),
        ("entropy", "sparsemax"),
        ("l1", "sigmoid"),
        ("dirichlet_kl", "dirichlet"),
    ],
)
def test_candidates_that_are_gone_are_left_out(alphas, form, relaxation):
    """Of the first five columns alone a penalty is the same, and what is gone feels no pull."""
    alpha = alphas["normal"]
    value, _ = pulls(form, {"normal": alpha}, relaxation)
    gone = torch.arange(7) >= 5
    masked = alpha.masked_fill(gone, -torch.inf)
    left, (of_left,) = pulls(form, {"normal": alpha[:, :5].detach().requires_grad_()}, relaxation)
    found = PENALTIES[form]({"normal": masked}, relax({"normal": masked}, relaxation))
    (of_masked,) = torch.autograd.grad(found, alpha)
    assert found.item() == pytest.approx(left, rel=1e-12)
    assert found.item() != pytest.approx(value, rel=1e-3)
    torch.testing.assert_close(of_masked[:, :5], of_left, rtol=1e-11, atol=1e-14)
    assert not of_masked[:, 5:].any()


def alpha_pulls(learner: Learner, at: StepIndex = START) -> list[torch.Tensor]:
    found, _ = gradients_of(learner, learner.alphas, next(stream(1)), at, VALID, list(learner.alphas.values()), True)
    return [pull for pull in found if pull is not None]


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_penalty_joins_the_loss_of_alpha_by_weight_and_schedule(accumulate):
    own = penalized("softmax", form="beta_decay", weight=3.0, schedule="rising")
    own = own.model_copy(update={"epochs": 4, "compute": own.compute.model_copy(update={"accumulate": accumulate})})
    learner = learner_of(own)
    plain = learner_of(own.model_copy(update={"penalties": ()}))
    points = sum(len(alpha) for alpha in learner.alphas.values())
    for epoch in (0, 3):
        at = StepIndex(epoch, 9)
        for alpha, pull, without in zip(
            learner.alphas.values(), alpha_pulls(learner, at), alpha_pulls(plain, at), strict=True
        ):
            extra = 3 * epoch / 4 * alpha.detach().softmax(-1) / points
            torch.testing.assert_close(pull, without + extra, rtol=1e-10, atol=1e-12)


def test_the_weights_feel_no_penalty():
    own = penalized("sigmoid", form="l1", weight=2.0)
    learner, plain = learner_of(own), learner_of(own.model_copy(update={"penalties": ()}))
    batch = next(stream(1))
    pulls_of = [gradients_of(one, one.alphas, batch, START, VALID, one.weights, True)[0] for one in (learner, plain)]
    for pull, other in zip(*pulls_of, strict=True):
        assert pull is not None
        assert torch.equal(pull, other)


@pytest.mark.parametrize("kind", STEPS)
def test_every_step_takes_a_penalty(kind):
    learner = learner_of(penalized("softmax", kind, form="entropy", weight=0.1))
    seen = STEPS[kind](learner, next(stream(1)), next(stream(2)))
    assert seen[:2].isfinite().all()
    assert all(alpha.isfinite().all() for alpha in learner.alphas.values())


def test_a_record_says_what_a_penalty_is():
    learner = learner_of(penalized("softmax", form="beta_decay", weight=3.0))
    rows = [row for alpha in learner.alphas.values() for row in alpha.detach()]
    expected = sum(row.exp().sum().log().item() for row in rows) / len(rows)
    record = gate_record(1, learner, learner.supernet.space)
    assert record["penalties"] == {"beta_decay": pytest.approx(expected, rel=1e-12)}
    plain = learner_of(settings_of("first_order", "softmax", 0, "squared", 5))
    assert "penalties" not in gate_record(1, plain, learner.supernet.space)


def test_what_has_no_meaning_is_refused():
    with pytest.raises(UserError, match=r"dirichlet_kl is for relaxation dirichlet, not softmax"):
        penalized("softmax", form="dirichlet_kl", weight=1.0)
    with pytest.raises(UserError, match=r"penalties\.0\.form.*beta_decay"):
        penalized("softmax", form="betadecay", weight=1.0)
    with pytest.raises(UserError, match="l1 is always the same under relaxation softmax"):
        penalized("softmax", form="l1", weight=1.0)
    content = settings_of("first_order", "softmax", 0, "squared", 5).model_dump(mode="json")
    one = {"form": "entropy", "weight": 1.0, "schedule": "constant"}
    with pytest.raises(UserError, match="entropy stands there more than once"):
        check(SearchSettings, content | {"penalties": [one, one]}, "test")
