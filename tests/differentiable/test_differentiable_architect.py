"""One search step against plain autograd on a copy, in float64."""

from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from search_steps import learner_of, settings_of, sgd_of, stream
from torch.func import functional_call

from fairdarts.differentiable.architect import STEPS, warm_up
from fairdarts.differentiable.learner import Batch, Learner
from fairdarts.relaxation import RELAXATIONS, dense

CASES = [("sigmoid", 10, "squared", 0.1), ("softmax", 0, "squared", 1e9), ("sigmoid", 2, "absolute", 0.5)]
"""relaxation, weight and form of the zero-one loss, clipping norm (which bites, or does not)"""


class Reference:
    """The step as the papers write it, with optimizers of its own."""

    def __init__(self, learner: Learner):
        self.settings = learner.settings
        self.supernet, self.alphas = deepcopy((learner.supernet, learner.alphas))
        self.weights = list(self.supernet.parameters())
        self.sgd, architect = sgd_of(self.weights, self.settings), self.settings.architect
        self.adam = torch.optim.Adam(
            self.alphas.values(), architect.lr, architect.betas, weight_decay=architect.weight_decay
        )

    def losses(
        self, batch: Batch, weights: dict[str, torch.Tensor] | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Cross-entropy, accuracy, zero-one loss."""
        gates = {cell: RELAXATIONS[self.settings.relaxation](alpha) for cell, alpha in self.alphas.items()}
        logits = functional_call(self.supernet, weights or {}, (batch[0], dense(gates, self.supernet.space)))
        z = torch.cat([gates["normal"].flatten(), gates["reduce"].flatten()]) - 0.5
        push = -(z**2 if self.settings.zero_one.form == "squared" else z.abs()).mean()
        return F.cross_entropy(logits, batch[1]), (logits.argmax(1) == batch[1]).double().mean(), push

    def total(self, loss: torch.Tensor, push: torch.Tensor) -> torch.Tensor:
        weight = self.settings.zero_one.weight
        return loss + weight * push if weight else loss

    def zero(self) -> None:
        for tensor in (*self.weights, *self.alphas.values()):
            tensor.grad = None

    def clip(self) -> None:
        norm = torch.stack([weight.grad.square().sum() for weight in self.weights]).sum().sqrt()
        for weight in self.weights:
            weight.grad *= min(1.0, self.settings.weights.clip / (norm.item() + 1e-6))

    def train_weights(self, train: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        loss, accuracy, _ = self.losses(train)
        loss.backward()
        self.clip()
        self.sgd.step()
        self.zero()
        return loss, accuracy

    def first_order(self, train: Batch, valid: Batch) -> list[torch.Tensor]:
        valid_loss, valid_accuracy, push = self.losses(valid)
        self.total(valid_loss, push).backward()
        self.adam.step()
        self.zero()
        return [*self.train_weights(train), valid_loss, valid_accuracy, push]

    def second_order(self, train: Batch, valid: Batch) -> list[torch.Tensor]:
        """α by differentiating through the step of the weights itself."""
        statistics = {name: buffer.clone() for name, buffer in self.supernet.named_buffers()}
        gradients = torch.autograd.grad(self.losses(train)[0], self.weights, create_graph=True)
        moved, rule = {}, self.settings.weights
        for (name, weight), gradient in zip(self.supernet.named_parameters(), gradients, strict=True):
            change = gradient + rule.weight_decay * weight
            moment = rule.momentum * self.sgd.state[weight].get("momentum_buffer", torch.zeros(())) + change
            moved[name] = weight - rule.lr * (change + rule.momentum * moment if rule.nesterov else moment)
        valid_loss, valid_accuracy, push = self.losses(valid, moved)
        self.total(valid_loss, push).backward()
        for name, buffer in self.supernet.named_buffers():
            buffer.copy_(statistics[name])
        self.adam.step()
        self.zero()
        return [*self.train_weights(train), valid_loss, valid_accuracy, push]

    def single_level(self, train: Batch, valid: Batch) -> list[torch.Tensor]:
        loss, accuracy, push = self.losses(train)
        self.total(loss, push).backward()
        self.clip()
        self.sgd.step()
        self.adam.step()
        self.zero()
        nothing = torch.tensor(torch.nan)
        return [loss, accuracy, nothing, nothing, push]


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("kind", STEPS)
@pytest.mark.parametrize(("relaxation", "weight", "form", "clip"), CASES)
def test_steps_are_those_of_plain_autograd(
    kind: str, relaxation: str, weight: float, form: str, clip: float, nesterov: bool
):
    learner = learner_of(settings_of(kind, relaxation, weight, form, clip, nesterov))
    reference = Reference(learner)
    train, valid, train_again, valid_again = stream(1), stream(2), stream(1), stream(2)
    for _ in range(3):  # more than one, so that momentum and Adam's moments count too
        measured = STEPS[kind](learner, next(train), next(valid))
        expected = getattr(reference, kind)(next(train_again), next(valid_again))
        torch.testing.assert_close(measured, torch.stack(expected).to(measured), rtol=1e-6, atol=1e-6, equal_nan=True)
        for cell in ("normal", "reduce"):
            torch.testing.assert_close(learner.alphas[cell], reference.alphas[cell], rtol=1e-10, atol=1e-12)
        for name, tensor in reference.supernet.state_dict().items():  # weights and the statistics of BatchNorms
            torch.testing.assert_close(learner.supernet.state_dict()[name], tensor, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("clip", [0.1, 1e9])
def test_the_clipping_norm_bites_in_one_case_and_not_in_the_other(clip: float):
    """Else the test above would not tell whether anything is clipped."""
    reference = Reference(learner_of(settings_of("first_order", "sigmoid", 10, "squared", clip)))
    reference.losses(next(stream(1)))[0].backward()
    before = [weight.grad.clone() for weight in reference.weights]
    reference.clip()
    same = [torch.equal(weight.grad, old) for weight, old in zip(reference.weights, before, strict=True)]
    assert all(same) == (clip > 1)


def has_gradient(tensors: object) -> bool:
    return any(tensor.grad is not None for tensor in tensors)


@pytest.mark.parametrize("kind", STEPS)
def test_a_step_leaves_no_gradient_behind(kind: str):
    learner = learner_of(settings_of(kind, "sigmoid", 10, "squared", 5))
    STEPS[kind](learner, next(stream(1)), next(stream(2)))
    assert not has_gradient(learner.supernet.parameters())
    assert not has_gradient(learner.alphas.values())


def test_each_half_of_a_first_order_step_makes_only_its_own_gradients():
    learner = learner_of(settings_of("first_order", "sigmoid", 10, "squared", 5))
    seen = []
    for name, optimizer in (("alpha", learner.alpha_optimizer), ("weight", learner.weight_optimizer)):
        optimizer.register_step_pre_hook(
            lambda *_, name=name: seen.append(
                (name, has_gradient(learner.alphas.values()), has_gradient(learner.supernet.parameters()))
            )
        )
    STEPS["first_order"](learner, next(stream(1)), next(stream(2)))
    assert seen == [("alpha", True, False), ("weight", False, True)]


def test_single_level_reads_no_held_out_batch():
    learner = learner_of(settings_of("single_level", "sigmoid", 10, "squared", 5))
    assert STEPS["single_level"](learner, next(stream(1)), None).isnan().tolist() == [False, False, True, True, False]


@pytest.mark.parametrize("kind", STEPS)
def test_warming_up_trains_the_weights_alone(kind: str):
    learner = learner_of(settings_of(kind, "sigmoid", 10, "squared", 0.1))
    reference = Reference(learner)
    train, train_again = stream(1), stream(1)
    for _ in range(3):
        push = Reference(learner).losses(next(stream(2)))[2]
        measured, expected = warm_up(learner, next(train), None), reference.train_weights(next(train_again))
        nothing = torch.tensor(torch.nan)
        expected = torch.stack([*expected, nothing, nothing, push])
        torch.testing.assert_close(measured, expected, rtol=1e-6, atol=1e-6, equal_nan=True)
    assert all(torch.equal(learner.alphas[cell], reference.alphas[cell]) for cell in ("normal", "reduce"))
    assert not learner.alpha_optimizer.state
    weights = zip(learner.supernet.state_dict().items(), reference.supernet.state_dict().values(), strict=True)
    for (name, weight), expected in weights:
        torch.testing.assert_close(weight, expected, rtol=1e-9, atol=1e-10, msg=name)
    assert not has_gradient(learner.supernet.parameters())
