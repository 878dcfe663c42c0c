"""Learning rates, optimizers and the average of the weights, each against its definition."""

import math
from typing import Any

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor, nn

from fairdarts.checking import check
from fairdarts.config import Settings
from fairdarts.training.optimize import Average, learning_rate, make_optimizer
from fairdarts.training.settings import OptimizerSettings, ScheduleSettings

CPU = torch.device("cpu")
SGD = {"kind": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}
RMSPROP = {"kind": "rmsprop", "lr": 0.1, "momentum": 0.9, "alpha": 0.8, "eps": 0.03, "weight_decay": 0.01}


class Scheduled(Settings):
    """Settings with a schedule."""

    schedule: ScheduleSettings
    """the learning rate"""


class Optimized(Settings):
    """Settings with an optimizer."""

    optimizer: OptimizerSettings
    """what updates"""


def schedule(kind: str, **changes: Any) -> ScheduleSettings:
    return check(Scheduled, {"schedule": {"kind": kind, **changes}}, "r.yaml").schedule


def optimizer(network: nn.Module, content: dict[str, Any], **changes: Any) -> torch.optim.Optimizer:
    settings = check(Optimized, {"optimizer": {**content, **changes}}, "r.yaml").optimizer
    return make_optimizer(network, settings, CPU)


def network() -> nn.Sequential:
    """A network in float64 with a matrix, BatchNorm and biases, the same at every call."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).double()


def whole(kind: str, lr: float = 0.5, epochs: int = 4, steps: int = 5, **changes: Any) -> list[float]:
    """The learning rate of every step of a training."""
    settings = schedule(kind, **changes)
    return [learning_rate(settings, lr, epochs, step, steps) for step in range(epochs * steps)]


def test_a_cosine_falls_by_steps_over_all_steps():
    expected = [0.1 + 0.4 * (1 + math.cos(math.pi * step / 20)) / 2 for step in range(20)]
    assert whole("cosine", lr_min=0.1) == pytest.approx(expected, rel=1e-12)


def test_a_cosine_falls_by_epochs_as_torch_s_does():
    weight = nn.Parameter(torch.zeros(1))
    theirs = torch.optim.SGD([weight], 0.5)
    annealed = torch.optim.lr_scheduler.CosineAnnealingLR(theirs, 4, eta_min=0.1)
    expected = []
    for _ in range(4):
        expected += [annealed.get_last_lr()[0]] * 5
        theirs.step()
        annealed.step()
    assert whole("cosine", lr_min=0.1, unit="epoch") == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("unit", "parts"), [("step", 20), ("epoch", 4)])
def test_a_line_is_straight_and_would_end_at_lr_min_behind_the_last_step(unit: str, parts: int):
    rates = whole("linear", lr_min=0.1, unit=unit)[:: 20 // parts]
    assert rates == pytest.approx([0.5 - 0.4 * part / parts for part in range(parts)], rel=1e-12)


@pytest.mark.parametrize("kind", ["cosine", "linear"])
def test_by_epochs_all_steps_of_an_epoch_have_one_learning_rate(kind: str):
    rates = whole(kind, unit="epoch")
    assert all(len(set(rates[begin : begin + 5])) == 1 for begin in range(0, 20, 5))
    assert len(set(rates)) == 4


@pytest.mark.parametrize("kind", ["cosine", "linear"])
def test_warm_up_is_a_line_that_reaches_lr_with_its_last_step(kind: str):
    rates = whole(kind, warmup_epochs=2)
    assert rates[:10] == pytest.approx([0.05 * step for step in range(1, 11)], rel=1e-12)
    assert rates[10:] == pytest.approx(whole(kind, epochs=2), rel=1e-12)  # behind it the rest of the training falls


def test_warm_up_by_epochs_rises_once_an_epoch():
    rates = whole("linear", epochs=6, warmup_epochs=2, unit="epoch")[::5]
    assert rates == pytest.approx([0.25, 0.5, 0.5, 0.375, 0.25, 0.125], rel=1e-12)


def test_warm_up_may_end_within_an_epoch():
    rates = whole("linear", warmup_epochs=0.5)  # 2.5 steps
    assert rates[:3] == pytest.approx([0.2, 0.4, 0.5], rel=1e-12)
    assert rates[3:] == pytest.approx([0.5 * (1 - (step / 5 - 0.5) / 3.5) for step in range(3, 20)], rel=1e-12)


def test_an_exponential_decay_is_a_staircase_every_so_many_epochs():
    steps = 10
    rates = whole("exponential", epochs=12, steps=steps, factor=0.97, every=2.4)
    expected = [0.5 * 0.97 ** (10 * step // (24 * steps)) for step in range(12 * steps)]  # in integers, so exact
    assert rates == pytest.approx(expected, rel=1e-12)
    stairs = [step for step in range(1, len(rates)) if rates[step] != rates[step - 1]]
    assert stairs == [24, 48, 72, 96]


@given(st.integers(1, 300), st.integers(0, 60), st.integers(1, 50))
@example(1, 3, 2)  # 0.6 / 0.2 is less than 3
def test_a_stair_begins_exactly_where_its_epoch_does(part: int, stair: int, tenths: int):
    """Every so many tenths of an epoch, where these are whole steps, and never a step late by rounding."""
    settings, steps = schedule("exponential", factor=0.5, every=tenths / 10), 10 * part
    first = tenths * part * stair
    assert learning_rate(settings, 1.0, 350, first, steps) == 0.5**stair
    if first:
        assert learning_rate(settings, 1.0, 350, first - 1, steps) == 0.5 ** (stair - 1)


def test_an_exponential_decay_counts_the_epochs_of_its_warm_up():
    rates = whole("exponential", epochs=6, factor=0.5, every=2, warmup_epochs=3)
    assert rates[:15] == pytest.approx([0.5 * (step + 1) / 15 for step in range(15)], rel=1e-12)
    assert rates[15:] == pytest.approx([0.25] * 5 + [0.125] * 10, rel=1e-12)


KINDS = [
    {"kind": "cosine"},
    {"kind": "linear"},
    {"kind": "cosine", "unit": "epoch"},
    {"kind": "linear", "unit": "epoch"},
    {"kind": "exponential", "factor": 0.9, "every": 1.5},
]


@given(st.sampled_from(KINDS), st.integers(1, 40), st.integers(1, 30), st.floats(0, 1), st.floats(0, 1), st.data())
def test_the_learning_rate_stays_between_its_ends(
    kind: dict[str, Any], epochs: int, steps: int, warm: float, low: float, data: st.DataObject
):
    """It is positive before the end, rises in the warm-up and never behind it."""
    changes = {"warmup_epochs": warm * epochs} | ({"lr_min": 0.3 * low} if kind["kind"] != "exponential" else {})
    settings = schedule(**kind, **changes)
    total = epochs * steps
    one, other = sorted(data.draw(st.tuples(*[st.integers(0, total - 1)] * 2)))
    first, second = (learning_rate(settings, 0.3, epochs, step, steps) for step in (one, other))
    for rate in (first, second):
        assert 0 < rate <= 0.3 * (1 + 1e-12)
    if other / steps < settings.warmup_epochs:
        assert first <= second * (1 + 1e-12)
    elif one / steps >= settings.warmup_epochs:
        assert first >= second * (1 - 1e-12)
        assert second >= getattr(settings, "lr_min", 0) * (1 - 1e-12)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(map(str, kind.values())))
def test_the_first_step_has_lr_and_the_last_is_a_step_before_the_end(kind: dict[str, Any]):
    rates = whole(**kind)
    assert rates[0] == pytest.approx(0.5)
    parts = 4 if kind.get("unit") == "epoch" else 20
    share = (parts - 1) / parts
    ends = {"cosine": 0.25 * (1 + math.cos(math.pi * share)), "linear": 0.5 * (1 - share), "exponential": 0.5 * 0.9**2}
    assert rates[-1] == pytest.approx(ends[kind["kind"]], rel=1e-12)


@pytest.mark.parametrize("content", [SGD, RMSPROP], ids=["sgd", "rmsprop"])
def test_weight_decay_may_spare_vectors(content: dict[str, Any]):
    built = network()
    matrices, vectors = [built[0].weight, built[2].weight], [built[0].bias, *built[1].parameters(), built[2].bias]
    (group,) = optimizer(built, content).param_groups
    assert [id(weight) for weight in group["params"]] == [id(weight) for weight in built.parameters()]
    assert group["weight_decay"] == 0.01
    decayed, spared = optimizer(built, content, decay_all=False).param_groups
    assert [id(weight) for weight in decayed["params"]] == [id(weight) for weight in matrices]
    assert [id(weight) for weight in spared["params"]] == [id(weight) for weight in vectors]
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.01, 0)
    assert decayed["lr"] == spared["lr"] == 0.1


def steps_of(content: dict[str, Any], count: int = 2, **changes: Any) -> tuple[list[Tensor], list[list[Tensor]]]:
    """Weights before and after every step of an optimizer, and the gradients of the steps, which are drawn."""
    built = network()
    optimized = optimizer(built, content, **changes)
    weights, gradients = [[weight.detach().clone() for weight in built.parameters()]], []
    for _ in range(count):
        for weight in built.parameters():
            weight.grad = torch.randn_like(weight)
        gradients.append([weight.grad.clone() for weight in built.parameters()])
        optimized.step()
        weights.append([weight.detach().clone() for weight in built.parameters()])
    return weights, gradients


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_is_its_definition(nesterov: bool):
    """v ← 0.9 v + g + 0.01 w; w ← w − 0.1 v, or with Nesterov's momentum w − 0.1 (g + 0.01 w + 0.9 v)."""
    weights, gradients = steps_of(SGD, nesterov=nesterov)
    for number, start in enumerate(weights[0]):
        weight, velocity = start, torch.zeros_like(start)
        for step in range(2):
            gradient = gradients[step][number] + 0.01 * weight
            velocity = 0.9 * velocity + gradient
            weight = weight - 0.1 * (gradient + 0.9 * velocity if nesterov else velocity)
            torch.testing.assert_close(weights[step + 1][number], weight, rtol=1e-12, atol=1e-14)


def test_rmsprop_is_its_definition():
    """s ← 0.8 s + 0.2 g²; v ← 0.9 v + g / (√s + 0.03); w ← w − 0.1 v, with g that includes the decay."""
    weights, gradients = steps_of(RMSPROP)
    for number, start in enumerate(weights[0]):
        weight, square, velocity = start, torch.zeros_like(start), torch.zeros_like(start)
        for step in range(2):
            gradient = gradients[step][number] + 0.01 * weight
            square = 0.8 * square + 0.2 * gradient**2
            velocity = 0.9 * velocity + gradient / (square.sqrt() + 0.03)
            weight = weight - 0.1 * velocity
            torch.testing.assert_close(weights[step + 1][number], weight, rtol=1e-12, atol=1e-14)


def moved(built: nn.Module) -> dict[str, Tensor]:
    """Other weights and statistics for a network; gives those of floating point."""
    with torch.no_grad():
        for value in built.state_dict().values():
            value.copy_(torch.randn_like(value) if value.is_floating_point() else value + 1)
    return floating(built)


def floating(built: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in built.state_dict().items() if value.is_floating_point()}


@pytest.mark.parametrize("decay", [0.3, 0.9999])
def test_the_average_is_its_closed_form(decay: float):
    """Weights w₀ … wₙ have the shares (1 − dₖ) ∏ dⱼ over j > k, of w₀ ∏ dⱼ, with dₖ = min(decay, (1+k)/(10+k))."""
    built = network()
    history = [floating(built)]
    average = Average(built, decay)
    for _ in range(12):
        history.append(moved(built))
        average.update(built)
    decays = [1.0] + [min(decay, (1 + k) / (10 + k)) for k in range(1, 13)]  # of update k, from 1 on
    shares = [(1 - decays[k] if k else 1) * math.prod(decays[k + 1 :]) for k in range(13)]
    assert sum(shares) == pytest.approx(1)
    assert average.updates == 12
    found = floating(average.network)
    assert "1.running_mean" in found  # of BatchNorm, which is averaged as weights are
    for name, value in found.items():
        expected = sum(share * weights[name] for share, weights in zip(shares, history, strict=True))
        torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-13)
        torch.testing.assert_close(floating(built)[name], history[-1][name], rtol=0, atol=0)  # untouched


def test_the_average_has_no_gradient_and_judges():
    built = network()
    average = Average(built, 0.9)
    built(torch.randn(5, 3, dtype=torch.float64)).sum().backward()
    average.update(built)
    assert not any(weight.requires_grad for weight in average.network.parameters())
    assert all(weight.grad is None for weight in average.network.parameters())
    assert all(weight.requires_grad and weight.grad is not None for weight in built.parameters())
    assert not any(module.training for module in average.network.modules())
    assert built.training
    own = {value.data_ptr() for value in built.state_dict().values()}
    assert not own & {value.data_ptr() for value in average.network.state_dict().values()}


def test_an_average_that_is_loaded_goes_on():
    """Its numbers are replaced in place, as a resumed training does, and the next update starts from them."""
    built = network()
    one, other = Average(built, 0.9), Average(built, 0.9)
    for _ in range(3):
        moved(built)
        one.update(built)
    other.network.load_state_dict(one.network.state_dict())
    other.updates = one.updates
    moved(built)
    for average in (one, other):
        average.update(built)
    for name, value in one.network.state_dict().items():
        assert torch.equal(value, other.network.state_dict()[name])
