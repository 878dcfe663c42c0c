"""One supernet step against the plain form: every path runs the whole supernet, forward and backward, one by one."""

from collections.abc import Sequence
from copy import deepcopy
from random import Random

import pytest
import torch
import torch.nn.functional as F
from one_shot import CELLS, CHAIN, DEAD, SPACES, assert_equal, batches_of, held_by, learner_of, settings_of
from torch import Tensor, nn

from fairdarts.oneshot.samplers import Step, make_sampler
from fairdarts.oneshot.step import Batch, Learner, data_parallel, supernet_step
from fairdarts.spaces.gates import Gates, Subnet, subnet
from fairdarts.spaces.space import Space
from fairdarts.supernet.supernet import Supernet, norms

SAMPLERS = {
    "strict_fair": {"kind": "strict_fair"},
    "uniform": {"kind": "uniform"},
    "uniform_repeat": {"kind": "uniform_repeat", "repeats": 3},
    "one_shot": {"kind": "one_shot", "rate": 0.3},
    "architecture": {"kind": "architecture"},
}
FAIR = [subnet(path) for path in ((0, 2, 1, 1), (2, 0, 0, 2), (1, 1, 2, 0))]
"""a strictly fair step of CHAIN"""
DEAD_STEPS = {
    "one reaches nothing": [*map(subnet, DEAD)],
    "none reaches anything": [subnet(DEAD[1])] * 2,
}


def ready(space: Space, sampler: str = "strict_fair", **overrides: object) -> Learner:
    learner = learner_of(space, settings_of(SAMPLERS[sampler], **overrides))
    learner.supernet.train()
    return learner


def steps_of(space: Space, sampler: str, count: int) -> list[Step]:
    settings = settings_of(SAMPLERS[sampler])
    drawing = make_sampler(settings.sampler, space, torch.Generator().manual_seed(3))
    return [drawing.draw(0.9) for _ in range(count)]


def gated(learner: Learner, subnets: Sequence[Subnet]) -> list[Gates]:
    return [learner.supernet.space.gates(chosen) for chosen in subnets]


def plain_passes(supernet: Supernet, subnets: Sequence[Subnet], batch: Batch) -> tuple[list[Tensor | None], Tensor]:
    """The sum of the gradients of some subnets, None where no pass made one; and the sums of loss and accuracy."""
    weights = list(supernet.parameters())
    total: list[Tensor | None] = [None] * len(weights)
    seen = torch.zeros(2, dtype=torch.float64)
    for chosen in subnets:
        logits = supernet(batch[0], supernet.space.gates(chosen))
        loss = F.cross_entropy(logits, batch[1])
        found = torch.autograd.grad(loss, weights, allow_unused=True)
        total = [
            one if new is None else new if one is None else one + new for one, new in zip(total, found, strict=True)
        ]
        seen += torch.stack([loss.detach(), (logits.argmax(1) == batch[1]).double().mean()])
    return total, seen


def assert_gradients(found: Sequence[Tensor | None], expected: Sequence[Tensor | None]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert (one is None) == (other is None)
        if other is not None:
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def assert_statistics(found: Supernet, expected: Supernet) -> None:
    assert norms([found])
    for one, other in zip(norms([found]), norms([expected]), strict=True):
        assert one.momentum == other.momentum
        for own, plain in zip(one.buffers(), other.buffers(), strict=True):
            torch.testing.assert_close(own, plain, rtol=1e-12, atol=1e-12)


CASES = [(name, sampler) for name in SPACES for sampler in SAMPLERS]


@pytest.mark.parametrize(("name", "sampler"), CASES, ids=["-".join(case) for case in CASES])
def test_gradients_and_statistics_are_those_of_passes_one_by_one(name: str, sampler: str):
    (step,), (batch,) = steps_of(SPACES[name], sampler, 1), batches_of(1)
    learner = ready(SPACES[name], sampler)
    plain = deepcopy(learner.supernet)
    expected, measured = plain_passes(plain, step[0], batch)
    seen = data_parallel(learner, gated(learner, step[0]), batch)
    assert_gradients([weight.grad for weight in learner.weights], expected)
    torch.testing.assert_close(seen, measured, rtol=1e-12, atol=1e-12)
    assert_statistics(learner.supernet, plain)
    stem = norms([learner.supernet.stem])[0]
    assert stem.num_batches_tracked == len(step[0])  # though it ran once


@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
def test_either_stem_of_cells_runs_once(stem: str):
    random, (batch,) = Random(0), batches_of(1)
    subnets = [subnet(CELLS.random_path(random.randrange)) for _ in range(3)]
    learner = ready(CELLS, **{"supernet.stem": stem})
    plain = deepcopy(learner.supernet)
    expected, measured = plain_passes(plain, subnets, batch)
    seen = data_parallel(learner, gated(learner, subnets), batch)
    assert_gradients([weight.grad for weight in learner.weights], expected)
    torch.testing.assert_close(seen, measured, rtol=1e-12, atol=1e-12)
    assert_statistics(learner.supernet, plain)


@pytest.mark.parametrize("name", DEAD_STEPS)
def test_what_reaches_no_logits_has_no_gradient(name: str):
    (batch,), subnets = batches_of(1), DEAD_STEPS[name]
    learner = ready(SPACES["bench"], **{"weights.shared_gradient": "mean"})
    plain = deepcopy(learner.supernet)
    expected, _ = plain_passes(plain, subnets, batch)
    assert (expected[0] is None) == (name == "none reaches anything")
    data_parallel(learner, gated(learner, subnets), batch)
    assert_gradients([weight.grad for weight in learner.weights], expected)
    assert_statistics(learner.supernet, plain)
    before = held_by(learner)["weight stem.0.weight"]
    supernet_step(learner, [subnets], batch)
    assert torch.equal(held_by(learner)["weight stem.0.weight"], before) == (name == "none reaches anything")


def by_hand(learner: Learner, steps: Sequence[Step], batches: Sequence[Batch]) -> dict[str, Tensor]:
    """What SGD with momentum and weight decay, written out, leaves in a copy of a learner after some steps."""
    supernet, settings = deepcopy(learner.supernet), learner.settings.weights
    named = dict(supernet.named_parameters())
    velocity: dict[str, Tensor] = {}
    for step, batch in zip(steps, batches, strict=True):
        for subnets in step:
            found, _ = plain_passes(supernet, subnets, batch)
            every = [supernet.space.gates(chosen) for chosen in subnets]
            runs = [nn.ModuleList([supernet.stem, *supernet.active(gates)]) for gates in every]
            for (name, weight), gradient in zip(named.items(), found, strict=True):
                if gradient is None:
                    continue
                if settings.shared_gradient == "mean":
                    gradient = gradient / sum(any(weight is own for own in ran.parameters()) for ran in runs)
                change = gradient + settings.weight_decay * weight.detach()
                velocity[name] = settings.momentum * velocity[name] + change if name in velocity else change
                weight.data -= settings.lr * velocity[name]
    held = {f"weight {name}": weight.detach() for name, weight in named.items()}
    held |= {f"momentum {name}": velocity[name] for name in named if name in velocity}
    return held | {f"statistic {name}": buffer for name, buffer in supernet.named_buffers()}


@pytest.mark.parametrize("shared_gradient", ["sum", "mean"])
@pytest.mark.parametrize(("name", "sampler"), CASES, ids=["-".join(case) for case in CASES])
def test_three_steps_are_those_of_sgd_by_hand(name: str, sampler: str, shared_gradient: str):
    steps, batches = steps_of(SPACES[name], sampler, 3), batches_of(3)
    learner = ready(SPACES[name], sampler, **{"weights.shared_gradient": shared_gradient, "weights.lr": 0.03})
    expected = by_hand(learner, steps, batches)
    for step, batch in zip(steps, batches, strict=True):
        supernet_step(learner, step, batch)
    assert_equal(held_by(learner), expected, 1e-9)
    assert all(weight.grad is None for weight in learner.weights)


def test_a_shared_gradient_is_divided_where_the_settings_say_so_and_a_choice_s_never():
    (batch,) = batches_of(1)
    moved = {}
    for form in ("sum", "mean"):
        options = {"weights.weight_decay": 0, "weights.momentum": 0, "weights.shared_gradient": form}
        learner = ready(SPACES["bench"], **options)
        before = held_by(learner)
        supernet_step(learner, steps_of(SPACES["bench"], "strict_fair", 1)[0], batch)
        after = held_by(learner)
        moved[form] = {name: after[name] - before[name] for name in before if name.startswith("weight")}
    shares = {}
    for name, change in moved["sum"].items():
        if change.any():
            part = name.removeprefix("weight ").split(".")
            kind = part[2] if part[0] == "stages" else part[0]
            shares.setdefault(kind, []).append(float((moved["mean"][name] / change).nanmedian()))
    assert set(shares) == {"stem", "tail", "module", "candidates"}
    for kind, found in shares.items():
        assert found == pytest.approx([1 if kind == "candidates" else 1 / 5] * len(found), rel=1e-9)


def choice_of(name: str) -> tuple[int, int] | None:
    """Layer and index of the choice that a weight of CHAIN belongs to."""
    parts = name.split(" ")[1].split(".")
    return (int(parts[1]), int(parts[3])) if parts[0] == "stages" else None


def test_a_choice_that_does_not_run_is_left_alone():
    """Neither weight decay nor momentum move it, though it has run before."""
    learner, batches = ready(CHAIN, "uniform"), batches_of(2)
    supernet_step(learner, [FAIR], batches[0])
    before = held_by(learner)
    supernet_step(learner, [[subnet((1, 2, 1, 1))]], batches[1])
    after = held_by(learner)
    moved = {choice_of(name) for name, held in after.items() if not torch.equal(held, before[name])}
    assert moved == {None, (0, 1), (1, 2), (2, 1), (3, 1)}
    assert any(name.startswith("momentum stages") for name in after)


def test_a_repeated_path_makes_so_many_updates_on_the_same_batch():
    learner, (batch,), path = ready(CHAIN, "uniform_repeat"), batches_of(1), subnet((1, 2, 1, 0))
    updates = []
    learner.optimizer.register_step_post_hook(lambda *_: updates.append(held_by(learner)))
    seen = supernet_step(learner, [[path]] * 3, batch)
    assert len(updates) == 3
    single = ready(CHAIN, "uniform_repeat")
    measured = [supernet_step(single, [[path]], batch) for _ in range(3)]
    assert_equal(held_by(single), updates[2], 1e-14)
    torch.testing.assert_close(seen, torch.stack(measured).mean(0), rtol=1e-12, atol=1e-12)
    assert measured[0][0] > measured[2][0]


@pytest.mark.parametrize("name", SPACES)
def test_a_batch_in_two_parts_gives_the_mean_of_their_gradients(name: str):
    (step,), (batch,) = steps_of(SPACES[name], "strict_fair", 1), batches_of(1)
    learner = ready(SPACES[name], **{"compute.accumulate": 2})
    plain = deepcopy(learner.supernet)
    halves = [plain_passes(plain, step[0], part) for part in zip(*(tensor.chunk(2) for tensor in batch), strict=True)]
    expected = [
        None if one is None else (one + other) / 2 for one, other in zip(*(found for found, _ in halves), strict=True)
    ]
    seen = data_parallel(learner, gated(learner, step[0]), batch)
    assert_gradients([weight.grad for weight in learner.weights], expected)
    torch.testing.assert_close(seen, (halves[0][1] + halves[1][1]) / 2, rtol=1e-12, atol=1e-12)
    assert_statistics(learner.supernet, plain)


def test_a_step_measures_the_mean_over_its_passes():
    learner, (batch,) = ready(CHAIN), batches_of(1)
    _, measured = plain_passes(deepcopy(learner.supernet), FAIR, batch)
    torch.testing.assert_close(supernet_step(learner, [FAIR], batch), measured / 3, rtol=1e-12, atol=1e-12)
