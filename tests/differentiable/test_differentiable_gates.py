"""The gates of a pass: what is not there, what is moved, and the skip connection beside the candidates."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from test_combinations import SMALL
from torch.utils.flop_counter import FlopCounterMode

from fairdarts.checking import check
from fairdarts.differentiable.architect import STEPS
from fairdarts.differentiable.components import AuxiliarySettings
from fairdarts.differentiable.gates import (
    auxiliary_weight,
    gates_of_pass,
    of_the_living,
    relaxed,
    with_auxiliary,
)
from fairdarts.differentiable.learner import Learner, StepIndex
from fairdarts.differentiable.passes import losses
from fairdarts.differentiable.sampling import Draw, binary
from fairdarts.differentiable.settings import DenseSupernetSettings, SearchSettings
from fairdarts.relaxation import dense, initial_alphas, relax
from fairdarts.runtime.seed import TRAIN, VALID
from fairdarts.spaces.gates import Gate, Gates
from fairdarts.spaces.space import load_space
from fairdarts.supernet.supernet import make_supernet
from tests.search_steps import SPACE, learner_of, settings_of, stream

SKIP = SPACE.candidates.index("skip_connect")
AT = StepIndex(0, 0)


def learner(relaxation: str = "softmax", kind: str = "first_order", **changed) -> Learner:
    settings = settings_of(kind, relaxation, 0.0, "squared", 5.0)
    return learner_of(check(SearchSettings, settings.model_dump(mode="json") | changed, "test"))


def arithmetic(own: Learner, gates: Gates) -> int:
    """The floating point operations of a forward pass."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        own.supernet.eval()(next(stream(0))[0], gates)
    return counter.get_total_flops()


def test_a_candidate_that_is_not_there_has_a_gate_of_zero_and_does_not_run():
    own = learner()
    alive = {part: torch.ones_like(alpha, dtype=torch.bool) for part, alpha in own.alphas.items()}
    alive["normal"][:, SKIP] = False
    own = replace(own, alive=alive)
    gates = relaxed(own, own.alphas)
    assert not gates["normal"][:, SKIP].any()
    torch.testing.assert_close(gates["normal"].sum(-1), torch.ones(len(gates["normal"]), dtype=torch.float64))
    seen = gates_of_pass(own, own.alphas, AT, TRAIN, 0, True).seen
    assert all(SKIP not in seen[point].active for point in SPACE.parts["normal"].points)
    assert all(SKIP in seen[point].active for point in SPACE.parts["reduce"].points)


@pytest.mark.parametrize("relaxation", ["softmax", "sigmoid", "sparsemax", "dirichlet"])
def test_all_relaxations_leave_out_what_is_not_there(relaxation):
    own = learner(relaxation)
    alive = {part: torch.ones_like(alpha, dtype=torch.bool) for part, alpha in own.alphas.items()}
    alive["normal"][:, SKIP] = False
    own = replace(own, alive=alive)
    loss = losses(own, own.alphas, next(stream(0)), AT, TRAIN, 0, True)[0]
    loss.backward()
    grad = own.alphas["normal"].grad
    assert grad.isfinite().all()
    assert not grad[:, SKIP].any()
    assert grad.any()


@pytest.mark.parametrize(
    "sampling", [{"kind": "gumbel", "hard": True, "temperature": [1, 1]}, {"kind": "binary"}, {"kind": "uniform"}]
)
def test_under_drawn_gates_one_candidate_of_an_edge_runs(sampling):
    own = learner(sampling=sampling)
    gates = gates_of_pass(own, own.alphas, AT, TRAIN, 0, False).seen
    assert all(len(gate.active) == 1 for gate in gates)
    path, all_of_them = tuple(Gate(gate.active) for gate in gates), dense(relaxed(own, own.alphas), SPACE)
    one_each, alone = arithmetic(own, gates), arithmetic(own, path)
    assert alone <= one_each < 1.05 * alone  # a factorized reduction reads both its halves under a gate
    assert one_each < 0.7 * arithmetic(own, all_of_them)


def test_halves_and_steps_draw_differently_and_parts_of_a_batch_alike():
    own = learner(sampling={"kind": "gumbel", "hard": True, "temperature": [1, 1]})

    def active(at, half, shard):
        return [gate.active for gate in gates_of_pass(own, own.alphas, at, half, shard, True).seen]

    first = active(AT, TRAIN, 0)
    assert first == active(AT, TRAIN, 1)
    assert first != active(AT, VALID, 0)
    assert first != active(StepIndex(0, 1), TRAIN, 0)


def test_the_auxiliary_skip_connection_adds_to_what_the_edge_gives():
    own = learner()
    plain = dense(relaxed(own, own.alphas), SPACE)
    beside = with_auxiliary(plain, SPACE, 0.7, own.alphas["normal"])
    for gate, other in zip(plain, beside, strict=True):
        change = torch.zeros(3, dtype=torch.float64)
        change[SKIP] = 0.7
        torch.testing.assert_close(other.weights, gate.weights + change)
    others = tuple(column for column in range(3) if column != SKIP)
    single = tuple(Gate((others[0],)) for _ in SPACE.points)
    for gate in with_auxiliary(single, SPACE, 0.7, own.alphas["normal"]):
        assert gate.active == (SKIP, others[0])
        assert gate.weights.tolist() == [0.7, 1.0]
    assert with_auxiliary(plain, SPACE, 0.0, own.alphas["normal"]) is plain


def test_the_auxiliary_skip_connection_fades_by_its_schedule():
    settings = AuxiliarySettings(weight=2, schedule="falling")
    assert [auxiliary_weight(settings, done) for done in (0, 0.25, 1)] == [2, 1.5, 0]
    own = learner(epochs=4, auxiliary={"weight": 2, "schedule": "falling"})
    relaxed_alone = dense(relaxed(own, own.alphas), SPACE)
    for epoch, beside in enumerate([2, 1.5, 1, 0.5]):
        seen = gates_of_pass(own, own.alphas, StepIndex(epoch, 0), TRAIN, 0, False).seen
        for gate, plain in zip(seen, relaxed_alone, strict=True):
            assert (gate.weights - plain.weights)[SKIP].item() == pytest.approx(beside)


def test_temperature_noise_and_dropout_go_with_the_epochs():
    soft = {"kind": "gumbel", "hard": False, "temperature": [8, 0.5]}
    own = learner(epochs=5, sampling=soft)
    passes = [gates_of_pass(own, own.alphas, StepIndex(epoch, 0), TRAIN, 0, False).seen for epoch in (0, 4)]
    for first, last in zip(*passes, strict=True):  # of one draw: logarithms of gates grow as τ falls
        ratio = last.weights.log().diff() / first.weights.log().diff()
        torch.testing.assert_close(ratio, torch.full_like(ratio, 16))
    dropout = {"unit": "image", "rate": 0.5, "schedule": "falling", "operations": ["skip_connect"]}
    own = learner(epochs=5, dropout=dropout)
    found = [gates_of_pass(own, own.alphas, StepIndex(epoch, 0), TRAIN, 0, False).disturbance for epoch in (0, 4)]
    assert [disturbance.done for disturbance in found] == [0, 0.8]


@pytest.mark.parametrize("kind", ["first_order", "single_level"])
@pytest.mark.parametrize(
    "sampling",
    [
        {"kind": "gumbel", "hard": True, "temperature": [1, 1]},
        {"kind": "binary"},
    ],
)
def test_weights_of_candidates_that_do_not_run_stay(kind, sampling):
    own, batches = learner(kind=kind, sampling=sampling), stream(0)
    own.supernet.train()
    for number in range(3):
        before = {name: weight.clone() for name, weight in own.supernet.named_parameters()}
        at = StepIndex(0, number)
        learns = kind == "single_level"
        alphas = {part: alpha.detach().clone() for part, alpha in own.alphas.items()}
        STEPS[kind](own, next(batches), next(batches), at)
        used = own.alphas if not learns else alphas
        ran = gates_of_pass(own, used, at, TRAIN, 0, learns).seen
        running = {id(weight) for module in own.supernet.active(ran) for weight in module.parameters()}
        for name, weight in own.supernet.named_parameters():
            if ".candidates." in name and id(weight) not in running:
                assert torch.equal(before[name], weight), name
        moved = [name for name, weight in own.supernet.named_parameters() if not torch.equal(before[name], weight)]
        assert any(".candidates." in name for name in moved)


@pytest.mark.parametrize("kind", ["s1", "s2-small"])
def test_a_candidate_that_is_idle_changes_nothing_but_what_is_kept(kind):
    space = load_space(kind)
    space = space.model_copy(update=SMALL[space.kind](space))
    torch.manual_seed(0)
    supernet = make_supernet(space, 3, settings=DenseSupernetSettings()).double()
    alphas = initial_alphas(space, 1.0, torch.Generator().manual_seed(1))
    leaves = {part: alpha.double().requires_grad_() for part, alpha in alphas.items()}
    draw = Draw(space, leaves, "softmax", 0.0, True, False, torch.Generator().manual_seed(2))
    gates = binary(None, relax(leaves, "softmax"), draw)
    batch = torch.randn(4, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    found = []
    for idle in (True, False):
        one = deepcopy(supernet)
        logits = one(batch, gates if idle else tuple(gate._replace(idle=0) for gate in gates))
        wanted = [*leaves.values(), one.stem[0].weight if kind == "s1" else one.stem[0][0].weight]
        found.append([logits, *torch.autograd.grad(logits.square().sum(), wanted, retain_graph=True)])
    for with_idle, without in zip(*found, strict=True):
        torch.testing.assert_close(with_idle, without, rtol=1e-9, atol=1e-12)
    assert all(gradient.any() for gradient in found[0][1:])


def test_second_order_sees_only_what_runs():
    settings = {"kind": "gumbel", "hard": True, "temperature": [1, 1]}
    own, batches = learner(kind="second_order", sampling=settings), stream(0)
    own.supernet.train()
    twin = deepcopy(own)
    train, valid = next(batches), next(batches)
    STEPS["second_order"](own, train, valid, AT)

    # by hand: w' of what the training path runs, the held-out gradient there, and the exact correction
    gates = gates_of_pass(twin, twin.alphas, AT, TRAIN, 0, False).seen
    ran = {id(weight) for module in twin.supernet.active(gates) for weight in module.parameters()}
    ran |= {id(weight) for weight in twin.supernet.stem.parameters()}
    weights = [weight for weight in twin.weights if id(weight) in ran]
    alphas = list(twin.alphas.values())
    gradients = torch.autograd.grad(
        losses(twin, twin.alphas, train, AT, TRAIN, 0, False)[0], weights, create_graph=True
    )
    group = twin.weight_optimizer.param_groups[0]
    before = [weight.detach().clone() for weight in weights]
    with torch.no_grad():
        for weight, gradient in zip(weights, gradients, strict=True):
            weight -= group["lr"] * (gradient + group["weight_decay"] * weight)
    loss = losses(twin, twin.alphas, valid, AT, VALID, 0, True)[0]
    direct = torch.autograd.grad(loss, alphas, retain_graph=True)
    v = torch.autograd.grad(loss, weights, allow_unused=True, materialize_grads=True)
    with torch.no_grad():
        for weight, kept in zip(weights, before, strict=True):
            weight.copy_(kept)
    again = torch.autograd.grad(losses(twin, twin.alphas, train, AT, TRAIN, 0, False)[0], weights, create_graph=True)
    correction = torch.autograd.grad(again, alphas, grad_outputs=v)
    for alpha, of, bend in zip(alphas, direct, correction, strict=True):
        alpha.grad = of - group["lr"] * bend
    twin.alpha_optimizer.step()
    for part, alpha in twin.alphas.items():
        torch.testing.assert_close(own.alphas[part], alpha, rtol=1e-8, atol=1e-10)


def test_the_zero_one_loss_sees_gates_of_zero_but_not_what_is_gone():
    own = learner("sparsemax")
    with torch.no_grad():
        own.alphas["normal"].copy_(torch.tensor([[0.0, 2.0, 0.0]]).expand_as(own.alphas["normal"]))
        own.alphas["reduce"].copy_(own.alphas["normal"][: len(own.alphas["reduce"])])
    push = losses(own, own.alphas, next(stream(0)), AT, TRAIN, 0, True)[2]
    assert push.item() == pytest.approx(-0.25)  # all gates are 0 or 1
    alive = {part: torch.ones_like(alpha, dtype=torch.bool) for part, alpha in own.alphas.items()}
    for there in alive.values():
        there[:, 0] = False
    gates = of_the_living(replace(own, alive=alive), relaxed(own, own.alphas))
    assert all(gate.active == (1, 2) and gate.weights.tolist() == [1.0, 0.0] for gate in gates)


def test_beside_an_idle_candidate_the_auxiliary_skip_connection_runs():
    other = next(column for column in range(3) if column != SKIP)
    like = torch.zeros(1, dtype=torch.float64)
    for active in ((other, SKIP), (SKIP, other)):
        pair = tuple(Gate(active, like.new_tensor([1.0, 0.0]), idle=1) for _ in SPACE.points)
        for gate in with_auxiliary(pair, SPACE, 0.5, like):
            assert gate.active == (SKIP, other)
            assert gate.weights.tolist() == ([0.5, 1.0] if active[0] == other else [1.5, 0.0])
            assert gate.idle == (0 if active[0] == other else 1)
