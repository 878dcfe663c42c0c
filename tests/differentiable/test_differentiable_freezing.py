"""Candidates that are frozen: GM by hand, and weights that stay to the last bit."""

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from search_steps import learner_of, settings_of, stream

from fairdarts.checking import check
from fairdarts.config import UserError
from fairdarts.differentiable.architect import first_order, warm_up
from fairdarts.differentiable.components import FreezingSettings
from fairdarts.differentiable.freezing import Freezing, cosines, make_freezing
from fairdarts.differentiable.learner import START, Learner
from fairdarts.differentiable.loop import gate_record
from fairdarts.differentiable.passes import gradients_of
from fairdarts.differentiable.settings import SearchSettings
from fairdarts.differentiable.state import put_back, state_of
from fairdarts.runtime.seed import TRAIN, VALID


def freezing(threshold: float, steps: int, **changes: Any) -> SearchSettings:
    content = settings_of("first_order", "softmax", 0, "squared", 5).model_dump(mode="json")
    own = {"freezing": {"threshold": threshold, "steps": steps}}
    return check(SearchSettings, content | own | changes, "test")


def freezer(threshold: float, steps: int, **changes: Any) -> Learner:
    learner = learner_of(settings := freezing(threshold, steps, **changes))
    assert settings.freezing
    return replace(learner, freezing=make_freezing(settings.freezing, learner.supernet, learner.weights))


def run(learner: Learner, steps: range) -> None:
    for step in steps:
        first_order(learner, next(stream(10 + step)), next(stream(90 + step)), START._replace(step=step))


def frozen_weights(learner: Learner) -> list[torch.Tensor]:
    assert learner.freezing
    held = [learner.freezing.groups[candidate] for candidate in learner.freezing.frozen.nonzero()]
    return [learner.weights[weight] for group in held for weight in group]


def small(threshold: float, steps: int) -> Freezing:
    """Of two candidates, of two weights and of one; weight 3 is none's."""
    sums, frozen = torch.zeros(2, dtype=torch.float64), torch.zeros(2, dtype=torch.bool)
    own = FreezingSettings(threshold=threshold, steps=steps)
    return Freezing(own, ((0, 2), (1,)), sums, sums.clone(), frozen, torch.zeros((), dtype=torch.int64))


def drawn(generator: torch.Generator) -> list[torch.Tensor]:
    return [torch.randn(shape, dtype=torch.float64, generator=generator) for shape in ((2, 3), (4,), (5,), (2,))]


@pytest.mark.parametrize("summed", [False, True])
def test_the_cosine_is_that_of_flattened_gradients(summed):
    one, other = drawn(torch.Generator().manual_seed(0)), drawn(torch.Generator().manual_seed(1))
    pairs = [(one[0].flatten(), other[0].flatten()), (one[2], other[2]), (one[1], torch.zeros_like(one[1]))]
    found, there = cosines(pairs, summed)
    expected = [F.cosine_similarity(a, a + b if summed else b, dim=0).item() for a, b in pairs[:2]]
    assert found.tolist() == pytest.approx([*expected, 0], rel=1e-12)
    assert there.tolist() == [True, True, False]


def test_a_candidate_is_judged_by_its_mean_over_the_steps():
    """GM by hand, over two steps; the threshold is between those of the candidates."""
    generator = torch.Generator().manual_seed(0)
    steps = [(drawn(generator), drawn(generator)) for _ in range(2)]
    scores = []
    for group in ((0, 2), (1,)):
        vectors = [[torch.cat([side[weight].flatten() for weight in group]) for side in sides] for sides in steps]
        scores.append(sum(F.cosine_similarity(a, b, dim=0).item() for a, b in vectors) / 2)
    own = small(sum(scores) / 2, 2)
    assert all(gradient is not None for gradient in own.rested(*steps[0]))
    assert own.sums.tolist() != [0, 0]
    left = own.rested(*steps[1])
    weak = int(scores[1] < scores[0])
    assert own.frozen.tolist() == [weak == 0, weak == 1]
    assert [number for number, gradient in enumerate(left) if gradient is None] == [[0, 2], [1]][weak]
    assert not own.sums.any()
    assert not own.counts.any()
    assert own.since == 0
    other = steps[0][0]
    assert [gradient is None for gradient in own.rested(other, None)] == [gradient is None for gradient in left]


def test_what_did_not_run_in_both_passes_is_not_counted():
    one, other = drawn(torch.Generator().manual_seed(0)), drawn(torch.Generator().manual_seed(1))
    own = small(1, 2)
    own.rested([one[0], one[1], None, one[3]], other)
    own.rested(one, [other[0], torch.zeros(4, dtype=torch.float64), *other[2:]])
    assert own.counts.tolist() == [1, 1]  # of the first the second step, of the second the first one
    assert not own.frozen.any()
    own.rested(one, other)
    own.rested(one, other)
    assert own.frozen.all()


def test_a_step_compares_the_gradients_of_both_halves_at_the_same_weights():
    learner, plain = freezer(-1, 100), freezer(-1, 100)
    train, valid = next(stream(1)), next(stream(2))
    held_out, _ = gradients_of(plain, plain.alphas, valid, START, VALID, plain.weights, True)
    first_order(learner, train, valid)
    trained, _ = gradients_of(plain, learner.alphas, train, START, TRAIN, plain.weights, False)
    assert learner.freezing
    for group, found in zip(learner.freezing.groups, learner.freezing.sums.tolist(), strict=True):
        a, b = (torch.cat([side[weight].flatten() for weight in group]) for side in (trained, held_out))
        assert found == pytest.approx((a @ b / (a.norm() * b.norm())).item(), rel=1e-9)


def test_only_candidates_are_judged_and_each_alone():
    learner = freezer(1, 1)
    assert learner.freezing
    names = {id(weight): name for name, weight in learner.supernet.named_parameters()}
    held = [
        {names[id(learner.weights[weight])].rpartition(".candidates.")[0] for weight in group}
        for group in learner.freezing.groups
    ]
    assert all(len(cells) == 1 for cells in held)
    edges = len(learner.supernet.space.edges)
    reducing = 2 * 2 * 2  # skip connections that change shape: of two reduction cells, two nodes, two inputs
    assert len(learner.freezing.groups) == 3 * edges + reducing
    run(learner, range(1))
    assert gate_record(1, learner, learner.supernet.space)["frozen"] == len(learner.freezing.groups)


def test_none_is_frozen_below_any_threshold_and_nothing_changes():
    learner, plain = freezer(-1, 1), learner_of(settings_of("first_order", "softmax", 0, "squared", 5))
    for one in (learner, plain):
        run(one, range(3))
    assert learner.freezing
    assert not learner.freezing.frozen.any()
    pairs = zip([*learner.weights, *learner.alphas.values()], [*plain.weights, *plain.alphas.values()], strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_frozen_weights_stay_to_the_last_bit_while_all_else_trains():
    learner = freezer(0.1, 2)
    run(learner, range(2))
    assert learner.freezing
    assert 0 < learner.freezing.frozen.sum() < len(learner.freezing.frozen)
    resting = frozen_weights(learner)
    before = [weight.detach().clone() for weight in learner.weights]
    alphas = [alpha.detach().clone() for alpha in learner.alphas.values()]
    still = {id(weight) for weight in resting}
    first_order(learner, next(stream(5)), next(stream(6)))
    warm_up(learner, next(stream(7)), None)
    again = {id(weight) for weight in frozen_weights(learner)}
    for weight, then in zip(learner.weights, before, strict=True):
        assert torch.equal(weight, then) == (id(weight) in still)
    assert still <= again
    assert not any(torch.equal(alpha, then) for alpha, then in zip(learner.alphas.values(), alphas, strict=True))


def test_a_search_goes_on_with_what_is_frozen_and_half_judged():
    whole, begun, resumed = freezer(0.1, 2), freezer(0.1, 2), freezer(0.1, 2)
    run(whole, range(7))
    run(begun, range(3))
    put_back(resumed, state_of(begun))
    run(resumed, range(3, 7))
    assert whole.freezing
    assert resumed.freezing
    assert whole.freezing.frozen.any()
    for name, value in whole.freezing.state().items():
        assert torch.equal(resumed.freezing.state()[name], value)
    pairs = zip([*whole.weights, *whole.alphas.values()], [*resumed.weights, *resumed.alphas.values()], strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


@pytest.mark.parametrize("sampling", [{"kind": "binary"}, {"kind": "gumbel", "hard": True, "temperature": [5, 1]}])
def test_of_sampled_gates_whoever_trained_in_both_passes_is_counted(sampling):
    learner = freezer(-1, 3, sampling=sampling)
    run(learner, range(1))
    assert learner.freezing
    counts = learner.freezing.counts
    assert set(counts.tolist()) == {0, 1}
    run(learner, range(1, 9))
    assert not learner.freezing.frozen.any()


def test_what_has_no_meaning_is_refused():
    content = settings_of("single_level", "softmax", 0, "squared", 5).model_dump(mode="json")
    with pytest.raises(UserError, match=r"architect.kind first_order, not single_level"):
        freezing(0.4, 20, architect=content["architect"])
    with pytest.raises(UserError, match=r"supernet.ofa_kernel"):
        freezing(0.4, 20, supernet={"ofa_kernel": True})
