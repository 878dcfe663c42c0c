"""A step of training: its loss, parts of a batch, clipping, and what it reports."""

from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairdarts.checking import check
from fairdarts.training.optimize import Average, make_optimizer
from fairdarts.training.settings import LossSettings, TrainSettings
from fairdarts.training.setup import Trainee
from fairdarts.training.step import SUMS, measured, train_step

RECIPE = {
    "name": "tiny",
    "source": "tests",
    "epochs": 1,
    "device": "cpu",
    "data": {"kind": "digits", "batch_size": 8, "train_portion": 1, "cutout": 0, "workers": 0},
    "optimizer": {"kind": "sgd", "lr": 0.1, "momentum": 0, "weight_decay": 0},
    "schedule": {"kind": "cosine"},
}
CLASSES = 4


class TwoHeads(nn.Module):
    """A network without BatchNorm, with an auxiliary head in training."""

    def __init__(self):
        super().__init__()
        self.trunk, self.classifier, self.auxiliary = nn.Linear(6, 5), nn.Linear(5, CLASSES), nn.Linear(5, CLASSES)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        x = self.trunk(x.flatten(1)).tanh()
        return (self.classifier(x), self.auxiliary(x)) if self.training else self.classifier(x)


def batch(count: int = 8) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(count, 1, 2, 3, dtype=torch.float64, generator=generator)
    return images, torch.randint(CLASSES, (count,), generator=generator)


def trainee(ema: float | None = None, **overrides: Any) -> Trainee:
    settings = check(TrainSettings, RECIPE, "r.yaml", {key.replace("__", "."): str(v) for key, v in overrides.items()})
    torch.manual_seed(0)
    network = TwoHeads().double()
    made = make_optimizer(network, settings.optimizer, torch.device("cpu"))
    measure = partial(measured, settings=settings.loss)
    return Trainee(settings, network, network, measure, made, Average(network, ema) if ema else None)


def gradients(built: nn.Module) -> list[Tensor]:
    return [weight.grad.clone() for weight in built.parameters()]


def plain_loss(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Cross-entropy with a target of 1 − s + s/classes for the label and s/classes for any other class, in float64."""
    target = torch.full_like(logits, smoothing / CLASSES)
    target[range(len(labels)), labels] += 1 - smoothing
    return -(target * (logits - logits.exp().sum(1, keepdim=True).log())).sum(1).mean()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weight", [0.0, 0.4])
def test_the_loss_is_smoothed_cross_entropy_and_a_share_of_the_auxiliary_head_s(smoothing: float, weight: float):
    torch.manual_seed(0)
    logits, auxiliary = torch.randn(2, 7, CLASSES, dtype=torch.float64)
    labels = torch.randint(CLASSES, (7,))
    settings = LossSettings(label_smoothing=smoothing, auxiliary=weight)
    expected = plain_loss(logits, labels, smoothing) + weight * plain_loss(auxiliary, labels, smoothing)
    loss, accuracy = measured((logits, auxiliary), labels, settings)
    assert float(accuracy) == pytest.approx(sum(logits.argmax(1) == labels) / 7)
    assert float(loss) == pytest.approx(float(expected), rel=1e-6)  # the loss is computed in float32


def test_logits_alone_have_no_auxiliary_loss():
    torch.manual_seed(0)
    logits, labels = torch.randn(7, CLASSES), torch.randint(CLASSES, (7,))
    loss, _ = measured(logits, labels, LossSettings(auxiliary=0.4))
    assert float(loss) == float(F.cross_entropy(logits, labels))


def test_half_precision_does_not_reach_the_loss():
    logits = torch.tensor([[40.0, 40.125, -3.0, 1.0]], dtype=torch.bfloat16)
    loss, _ = measured(logits, torch.tensor([1]), LossSettings())
    assert loss.dtype == torch.float32
    assert float(loss) == pytest.approx(float(F.cross_entropy(logits.double(), torch.tensor([1]))), rel=1e-5)


@pytest.mark.parametrize("parts", [1, 2, 4])
def test_parts_of_a_batch_give_the_gradient_of_the_whole(parts: int):
    x, y = batch()
    own = trainee(compute__accumulate=parts, loss__auxiliary=0.4, loss__label_smoothing=0.1)
    seen = train_step(own, (x, y))
    other = trainee()
    logits, auxiliary = other.network(x)
    expected = plain_loss(logits, y, 0.1) + 0.4 * plain_loss(auxiliary, y, 0.1)
    expected.backward()
    for found, gradient in zip(gradients(own.network), gradients(other.network), strict=True):
        torch.testing.assert_close(found, gradient, rtol=1e-5, atol=1e-7)
    accuracy = float((logits.argmax(1) == y).double().mean())
    assert dict(zip(SUMS, seen.tolist(), strict=True)) == pytest.approx(
        {"train_loss": float(expected.detach()), "train_accuracy": accuracy}, rel=1e-5
    )


def test_a_step_moves_weights_by_its_own_gradient_alone():
    own = trainee()
    for _ in range(3):
        before = [weight.detach().clone() for weight in own.network.parameters()]
        train_step(own, batch())
        for start, gradient, end in zip(before, gradients(own.network), own.network.parameters(), strict=True):
            torch.testing.assert_close(end.detach(), start - 0.1 * gradient, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("parts", [1, 2])
def test_clipping_shortens_the_gradient_of_the_whole_batch(parts: int):
    whole = trainee()
    train_step(whole, batch())
    norm = float(torch.cat([gradient.flatten() for gradient in gradients(whole.network)]).norm())
    own = trainee(optimizer__clip=norm / 3, compute__accumulate=parts)
    train_step(own, batch())
    for short, long in zip(gradients(own.network), gradients(whole.network), strict=True):
        torch.testing.assert_close(short, long / 3, rtol=1e-4, atol=1e-7)  # torch adds 1e-6 to the norm
    own = trainee(optimizer__clip=norm * 3, compute__accumulate=parts)
    train_step(own, batch())
    for short, long in zip(gradients(own.network), gradients(whole.network), strict=True):
        torch.testing.assert_close(short, long, rtol=1e-5, atol=1e-7)


def test_the_average_moves_once_a_step():
    own = trainee(ema=0.5, compute__accumulate=4)
    start = [weight.clone() for weight in own.average.network.parameters()]
    train_step(own, batch())
    assert own.average.updates == 1
    assert own.judged is own.average.network
    for first, weight, moved in zip(start, own.network.parameters(), own.average.network.parameters(), strict=True):
        torch.testing.assert_close(moved, 2 / 11 * first + 9 / 11 * weight.detach(), rtol=1e-12, atol=1e-14)


def test_only_the_last_part_of_a_batch_is_shared_by_processes(monkeypatch: pytest.MonkeyPatch):
    """As DistributedDataParallel, whose `no_sync` holds the gradients of the others back."""
    own, log = trainee(compute__accumulate=4), []

    class Unsynchronized:
        def __enter__(self):
            log.append("alone")

        def __exit__(self, *_: object):
            log.append("together")

    monkeypatch.setattr(own.network, "no_sync", Unsynchronized, raising=False)
    own.network.register_forward_hook(lambda *_: log.append("forward"))
    own.network.trunk.weight.register_hook(lambda _: log.append("backward"))
    train_step(own, batch())
    assert log == ["alone", "forward", "backward", "together"] * 3 + ["forward", "backward"]
