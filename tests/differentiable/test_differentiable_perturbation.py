"""Gates that are moved before the weights train: how far, by whom, and that the weights see them."""

import pytest
import torch
from test_differentiable_gates import AT, learner

from fairdarts.config import UserError
from fairdarts.differentiable.architect import STEPS
from fairdarts.differentiable.gates import gates_of_pass, relaxed
from fairdarts.differentiable.learner import Learner, StepIndex
from fairdarts.differentiable.passes import losses
from fairdarts.differentiable.perturbation import perturbed
from fairdarts.relaxation import dense
from fairdarts.runtime.seed import TRAIN
from tests.search_steps import SPACE, stream

NOISE = {"on": "gate", "distribution": "gaussian", "std": 1.0, "schedule": "constant", "operations": ["skip_connect"]}


def mover(relaxation: str = "sigmoid", kind: str = "adversarial", radius: float = 0.2, **changed) -> Learner:
    steps = {"steps": 4} if kind == "adversarial" else {}
    own = {"kind": kind, "radius": [radius, radius]} | steps
    return learner(relaxation, **({"perturbation": own} | changed))


def distance(own: Learner, moved: dict[str, torch.Tensor]) -> float:
    return max((moved[part] - gates).abs().max().item() for part, gates in relaxed(own, own.alphas).items())


@pytest.mark.parametrize("kind", ["random", "adversarial"])
@pytest.mark.parametrize("relaxation", ["softmax", "sigmoid"])
def test_gates_stay_near_and_within_what_they_are(relaxation: str, kind: str):
    own = mover(relaxation, kind, 0.01)
    moved = perturbed(own, own.alphas, next(stream(0)), AT)
    columns = len(SPACE.candidates)
    bound = 0.01 if relaxation == "sigmoid" else 0.01 * (1 + columns)  # rows are divided by a sum near 1
    assert 0.005 < distance(own, moved) <= bound * (1 + 1e-9)
    for part, gates in moved.items():
        assert gates.min() >= 0
        assert gates.max() <= 1
        if relaxation == "softmax":
            torch.testing.assert_close(gates.sum(-1), torch.ones(len(gates), dtype=torch.float64))
        assert gates.shape == own.alphas[part].shape
    assert perturbed(learner(relaxation), own.alphas, next(stream(0)), AT) is None


def test_the_radius_grows_and_every_step_draws_anew():
    own = mover(kind="random", epochs=4, perturbation={"kind": "random", "radius": [0.01, 0.09]})
    batch = next(stream(0))
    reach = [distance(own, perturbed(own, own.alphas, batch, StepIndex(epoch, 0))) for epoch in range(4)]
    torch.testing.assert_close(torch.tensor(reach) / reach[0], torch.tensor([1.0, 3.0, 5.0, 7.0]))  # one draw, scaled
    one, same, other = (perturbed(own, own.alphas, batch, StepIndex(0, step)) for step in (0, 0, 1))
    assert all(torch.equal(one[part], same[part]) and not torch.equal(one[part], other[part]) for part in one)


@pytest.mark.parametrize("kind", ["random", "adversarial"])
def test_the_weights_train_under_moved_gates_and_alpha_does_not(kind: str):
    own, batches = mover("softmax", kind), stream(0)
    train, valid = next(batches), next(batches)
    before, seen = {part: gates.detach() for part, gates in relaxed(own, own.alphas).items()}, []
    own.supernet.register_forward_pre_hook(lambda _, given: seen.append(given[1]))
    twin = mover("softmax", kind)
    STEPS["first_order"](own, train, valid, AT)
    for gate, plain in zip(seen[0], dense(before, SPACE), strict=True):
        assert torch.equal(gate.weights, plain.weights)
    with torch.no_grad():
        for part, alpha in own.alphas.items():
            twin.alphas[part].copy_(alpha)
    moved = perturbed(twin, twin.alphas, train, AT)
    assert distance(twin, moved) > 0.01
    for gate, plain in zip(seen[-1], dense(moved, SPACE), strict=True):
        assert torch.equal(gate.weights, plain.weights)


def test_the_adversary_raises_the_training_loss_and_leaves_all_as_it_was():
    own, batch = mover("softmax"), next(stream(0))

    def loss(moved):
        return losses(own, own.alphas, batch, AT, TRAIN, 0, False, moved)[0].item()

    gates = {part: gate.detach() for part, gate in relaxed(own, own.alphas).items()}
    before = {name: value.clone() for name, value in own.supernet.state_dict().items()}
    moved = perturbed(own, own.alphas, batch, AT)
    assert all(torch.equal(before[name], value) for name, value in own.supernet.state_dict().items())
    assert all(alpha.grad is None for alpha in own.alphas.values())
    assert all(weight.grad is None and weight.requires_grad for weight in own.weights)
    again = perturbed(own, own.alphas, batch, AT)
    assert all(torch.equal(moved[part], again[part]) for part in moved)
    assert loss(moved) > loss(gates)


def test_an_adversary_that_is_pushed_down_leaves_the_gates(monkeypatch: pytest.MonkeyPatch):
    own, batch = mover("softmax"), next(stream(0))
    monkeypatch.setattr(torch.Tensor, "sign", lambda x: -torch.sgn(x))
    gates, moved = relaxed(own, own.alphas), perturbed(own, own.alphas, batch, AT)
    assert all(torch.equal(gates[part], moved[part]) for part in gates)


def test_gates_that_would_all_be_cut_stay_as_they_are():
    own = mover(kind="random", radius=1)
    with torch.no_grad():
        own.alphas["normal"].fill_(-6.0)  # gates that most draws take below zero
    gates = relaxed(own, own.alphas)["normal"]
    moved = [perturbed(own, own.alphas, next(stream(0)), StepIndex(0, step))["normal"] for step in range(20)]
    assert all((rows.sum(-1) > 0).all() for rows in moved)
    assert any((rows == gates).all(-1).any() for rows in moved)


@pytest.mark.parametrize("relaxation", ["softmax", "sigmoid"])
def test_noise_on_alpha_adds_to_the_move(relaxation: str):
    own, noisy = mover(relaxation, "random"), mover(relaxation, "random", noise=NOISE)
    moved = perturbed(own, own.alphas, next(stream(0)), AT)
    alone, both = (gates_of_pass(one, one.alphas, AT, TRAIN, 0, True, moved).seen for one in (own, noisy))
    unmoved = gates_of_pass(noisy, noisy.alphas, AT, TRAIN, 0, True).seen
    plain = dense(relaxed(own, own.alphas), SPACE)
    for with_both, with_move, with_noise, gate in zip(both, alone, unmoved, plain, strict=True):
        sums = (with_move.weights + with_noise.weights - gate.weights).clamp(0, 1)
        expected = sums / sums.sum() if relaxation == "softmax" else sums
        torch.testing.assert_close(with_both.weights, expected)
        assert not torch.allclose(with_both.weights, with_move.weights)
    gradients = torch.autograd.grad(sum(gate.weights.square().sum() for gate in both), [*noisy.alphas.values()])
    assert all(gradient.any() for gradient in gradients)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"kind": "random", "radius": [0.1, 0.3], "steps": 3}, r"perturbation.steps: .*kind is random"),
        ({"kind": "random", "radius": [0, 0]}, r"perturbation.radius: .*from 0 to 1, .* not both 0"),
        ({"kind": "adversarial", "radius": [-0.1, 0.3]}, r"perturbation.radius: "),
        ({"kind": "adversarial", "radius": [0.1, float("nan")]}, r"perturbation.radius"),
        ({"kind": "far", "radius": [0.1, 0.3]}, r"perturbation.kind: "),
    ],
)
def test_what_moves_nothing_is_refused(told: dict[str, object], message: str):
    with pytest.raises(UserError, match=message) as error:
        learner(perturbation=told)
    assert "\n" not in str(error.value)
