"""The controller: what it draws, by chi-square; its probabilities, exactly; what it learns on toys; its state."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from random import Random
from statistics import fmean, pstdev
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from scipy import stats

from fairdarts.evolution.controller import Controller, clipped, normalized
from fairdarts.evolution.settings import PPO, ControllerSettings, Reinforce
from fairdarts.runtime import checkpoint
from fairdarts.runtime.stop import Diverged
from fairdarts.spaces.gates import SinglePath

UNLIKELY = 1e-3
"""p-value below which a distribution is not believed; seeds are fixed, so a test passes always or never"""
RAGGED = (2, 5, 1, 3)
NUMBERS: dict[str, dict[str, Any]] = {
    "ppo": {"hidden": 32, "lr": 0.02, "entropy": 0.01, "baseline": 0.1, "keep": 0.8, "clip": 0.2, "epochs": 4},
    "reinforce": {"hidden": 32, "lr": 0.05, "entropy": 0.01, "baseline": 0.1, "keep": 0.8},
}
KINDS = tuple(NUMBERS)

Reward = Callable[[SinglePath, SinglePath | None], float]


def controller(choices: Sequence[int], kind: str = "ppo", seed: int = 0, **numbers: Any) -> Controller:
    settings = TypeAdapter(ControllerSettings).validate_python({"kind": kind, **NUMBERS[kind], **numbers})
    return Controller(choices, settings, seed)


def random_paths(choices: Sequence[int], count: int, random: Random) -> list[SinglePath]:
    return [tuple(random.randrange(number) for number in choices) for _ in range(count)]


def z_scores(rewards: Sequence[float]) -> list[float]:
    mean, deviation = fmean(rewards), pstdev(rewards) or 1
    return [(reward - mean) / deviation for reward in rewards]


def practise(
    own: Controller, reward: Reward, rounds: int, parents: Callable[[], list[SinglePath]] | None = None
) -> float:
    """Draws 32 paths and learns from them, so many times; gives the mean reward of the last 32."""
    rewards = []
    for _ in range(rounds):
        given = parents() if parents else None
        paths = own.draw(32, given)
        rewards = [reward(path, parent) for path, parent in zip(paths, given or [None] * 32, strict=True)]
        own.learn(paths, given, z_scores(rewards))
    return fmean(rewards)


def trained(choices: Sequence[int], kind: str = "ppo") -> Controller:
    """A controller that has learned enough to be far from uniform, with parents and without."""
    own, random = controller(choices, kind), Random(1)
    practise(own, lambda path, parent: sum(path), 8)
    practise(own, lambda path, parent: -sum(path), 4, lambda: random_paths(choices, 32, random))
    return own


def probabilities(own: Controller, paths: Sequence[SinglePath], parent: SinglePath | None) -> torch.Tensor:
    """The probability of each path [paths], in float64."""
    own.policy.double()
    with torch.no_grad():
        parents = None if parent is None else torch.tensor([parent]).expand(len(paths), -1)
        log_probs, _, _ = own.policy.judge(torch.tensor(paths), parents)
    own.policy.float()
    return log_probs.sum(1).exp()


def weights(own: Controller) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in own.policy.parameters()])


def test_untrained_every_choice_of_a_point_is_as_likely_as_any_other():
    paths = controller(RAGGED).draw(3000, None)
    for number, column in zip(RAGGED, zip(*paths, strict=True), strict=True):
        counts = Counter(column)
        assert set(counts) == set(range(number))
        assert number == 1 or stats.chisquare([counts[index] for index in range(number)]).pvalue > UNLIKELY


@pytest.mark.parametrize("keep", [0.05, 0.8])
def test_untrained_a_choice_of_the_parent_is_kept_with_its_probability(keep: float):
    own, parent = controller(RAGGED, keep=keep), (1, 3, 0, 2)
    every = list(product(*map(range, RAGGED)))
    expected = torch.ones(len(every), dtype=torch.float64)
    for row, path in enumerate(every):
        for index, old, number in zip(path, parent, RAGGED, strict=True):
            if number > 1:
                expected[row] *= keep if index == old else (1 - keep) / (number - 1)
    torch.testing.assert_close(probabilities(own, every, parent), expected, rtol=1e-6, atol=0)
    drawn = own.draw(2000, [parent] * 2000)
    for point, number in enumerate(RAGGED):
        kept = sum(path[point] == parent[point] for path in drawn)
        assert kept == 2000 if number == 1 else stats.binomtest(kept, 2000, keep).pvalue > UNLIKELY


@pytest.mark.parametrize("parent", [None, (0, 4, 0, 1)])
def test_paths_are_drawn_with_the_probabilities_that_are_learned_from(parent: SinglePath | None):
    own = trained(RAGGED)
    every = list(product(*map(range, RAGGED)))
    expected = probabilities(own, every, parent)
    assert expected.sum().item() == pytest.approx(1, abs=1e-12)
    assert expected.max() > 3 / len(every)  # and no longer uniform
    counts = Counter(own.draw(3000, parent and [parent] * 3000))
    assert set(counts) <= set(every)  # no choice that a point lacks
    expected *= 3000
    often = [row for row, number in enumerate(expected) if number > 5]
    seen = [counts[every[row]] for row in often]
    rest = expected.sum() - expected[often].sum()
    assert stats.chisquare([*seen, 3000 - sum(seen)], [*expected[often], rest]).pvalue > UNLIKELY


@pytest.mark.parametrize(
    ("ratio", "advantage", "slope"),
    [
        (1.3, 2.0, 0),
        (1.1, 2.0, 2.2),
        (1, 2.0, 2),
        (0.7, 2.0, 1.4),
        (0.7, -2.0, 0),
        (0.9, -2.0, -1.8),
        (1.3, -2.0, -2.6),
    ],
)
def test_nothing_is_gained_beyond_the_clip(ratio: float, advantage: float, slope: float):
    old = torch.tensor([-1.5], dtype=torch.float64)
    log_probs = (old + math.log(ratio)).requires_grad_()
    clipped(log_probs, old, torch.tensor([advantage], dtype=torch.float64), 0.2).backward()
    assert log_probs.grad.item() == pytest.approx(slope)  # of ratio · advantage by the log-probability


def test_one_epoch_of_ppo_is_a_step_of_reinforce():
    steps = []
    for kind, numbers in (("ppo", {"epochs": 1, "lr": 0.01}), ("reinforce", {"lr": 0.01})):
        own = controller(RAGGED, kind, **numbers)
        paths = own.draw(16, None)
        own.learn(paths, None, z_scores([sum(path) for path in paths]))
        steps.append(weights(own) - weights(controller(RAGGED)))
    assert steps[0].abs().max() > 5e-3
    torch.testing.assert_close(*steps, atol=1e-6, rtol=0)


def test_epochs_move_the_policy_and_the_clip_holds_it_back():
    def moved(**numbers: Any) -> float:
        """By what share the probabilities of choices changed in one update, on average."""
        own = controller([4] * 3, entropy=0, baseline=0, lr=0.01, **numbers)
        paths = own.draw(16, None)
        own.learn(paths, None, z_scores([path[0] for path in paths]))
        log_probs, _, _ = own.policy.judge(torch.tensor(paths), None)
        return (log_probs.exp() * 4 - 1).abs().mean().item()

    assert 2 * moved(epochs=1, clip=0.9) < moved(epochs=4, clip=0.9) < moved(epochs=16, clip=0.9)
    assert 2 * moved(epochs=16, clip=0.1) < moved(epochs=16, clip=0.9)  # Adam overshoots, but not far


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_hidden_path_is_found_where_random_drawing_does_not_find_it(kind: str, seed: int):
    choices = [5] * 8
    hidden = random_paths(choices, 1, Random(100 + seed))[0]

    def matches(path: SinglePath, parent: SinglePath | None = None) -> int:
        return sum(index == wanted for index, wanted in zip(path, hidden, strict=True))

    at_random = max(map(matches, random_paths(choices, 30 * 32, Random(seed))))
    assert practise(controller(choices, kind, seed), matches, 30) > at_random + 0.5 > 4


@pytest.mark.parametrize("kind", KINDS)
def test_mutations_follow_the_whole_parent(kind: str):
    """The best mutation is the parent reversed. Who sees of it what stands at the points so far, knows half of it."""
    choices, random = [4] * 4, Random(0)

    def reversed_matches(path: SinglePath, parent: SinglePath | None) -> float:
        return fmean(index == wanted for index, wanted in zip(path, parent[::-1], strict=True))

    own = controller(choices, kind, hidden=64, lr=0.01, keep=0.3)
    rounds = {"ppo": 150, "reinforce": 300}[kind]
    assert practise(own, reversed_matches, rounds, lambda: random_paths(choices, 32, random)) > 0.8


def test_the_entropy_bonus_makes_choices_more_even():
    own, parents = controller([4] * 3, keep=0.9, entropy=1), [(0, 1, 2)] * 8
    entropies = [own.learn(own.draw(8, parents), parents, [0] * 8)["entropy"] for _ in range(30)]
    assert entropies[0] == pytest.approx(-0.9 * math.log(0.9) - 0.1 * math.log(0.1 / 3))
    assert entropies[-1] > 0.95 * math.log(4)


def test_the_baseline_learns_what_return_is_to_be_expected():
    own = controller([3] * 4, entropy=0, baseline=1)
    paths = random_paths([3] * 4, 16, Random(0))
    rewards = [path[0] - 1 for path in paths]
    errors = [own.learn(paths, None, rewards)["error"] for _ in range(60)]
    assert errors[0] == pytest.approx(fmean(reward**2 for reward in rewards))  # of a baseline of 0
    assert errors[-1] < 0.3 * errors[0]  # before the first choice, one in four, there is nothing to tell paths apart by


def test_advantages_are_normalized_unless_no_reward_differs():
    advantages, rewards = torch.tensor([[3.0, 1.0], [2.0, 6.0]]), torch.tensor([[1.0], [2.0]])
    mean, deviation = normalized(advantages, rewards).mean().item(), normalized(advantages, rewards).std().item()
    assert (mean, deviation) == (pytest.approx(0, abs=1e-6), pytest.approx(1))
    assert normalized(advantages, torch.ones(2, 1)) is advantages
    assert normalized(advantages[:1], rewards[:1]).equal(advantages[:1])  # a batch of one


@pytest.mark.parametrize("kind", KINDS)
def test_rewards_that_do_not_differ_teach_nothing(kind: str):
    own = controller(RAGGED, kind, entropy=0)
    before = weights(own)
    own.learn(own.draw(8, None), None, [0.0] * 8)
    assert weights(own).equal(before)


@pytest.mark.parametrize("reward", [1.0, -1.0])
@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_of_one_is_learned(kind: str, reward: float):
    own = controller([4] * 3, kind, entropy=0)
    (path,) = own.draw(1, None)
    before = probabilities(own, [path], None)
    own.learn([path], None, [reward])
    assert (probabilities(own, [path], None) - before).item() * reward > 0


def test_nothing_is_drawn_or_learned_from_no_paths():
    own = controller(RAGGED)
    before = weights(own)
    assert own.draw(0, None) == own.draw(0, []) == []
    assert own.learn([], [], []) == {}
    assert weights(own).equal(before)


def go_on(own: Controller) -> tuple[list[list[SinglePath]], list[dict[str, float]], torch.Tensor]:
    """Two rounds: the paths drawn, the numbers of their learning, the weights after."""
    random, drawn, numbers = Random(5), [], []
    for _ in range(2):
        parents = random_paths(RAGGED, 16, random)
        for given in (parents, None):
            drawn.append(own.draw(16, given))
            numbers.append(own.learn(drawn[-1], given, z_scores([sum(path) for path in drawn[-1]])))
    return drawn, numbers, weights(own)


@pytest.mark.parametrize("kind", KINDS)
def test_a_restored_controller_goes_on_bit_for_bit(kind: str, tmp_path: Path):
    own = trained(RAGGED, kind)
    state = own.state()
    checkpoint.save(tmp_path / "state.pt", {"controller": state})
    drawn, numbers, after = go_on(own)
    for saved in (checkpoint.load(tmp_path / "state.pt")["controller"], state, state):  # a state may be used again
        other = controller(RAGGED, kind, seed=7)
        go_on(other)
        other.restore(saved)
        again = go_on(other)
        assert again[:2] == (drawn, numbers)
        assert again[2].equal(after)


def test_a_state_from_before_the_first_step_is_restored():
    state, other = controller(RAGGED).state(), controller(RAGGED, seed=7)
    go_on(other)
    other.restore(state)
    assert go_on(other)[2].equal(go_on(controller(RAGGED))[2])


def test_the_state_of_another_space_is_refused():
    with pytest.raises(RuntimeError):
        controller(RAGGED).restore(controller([2, 5, 1]).state())


def test_all_chance_comes_from_the_seed():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    drawn, _, after = go_on(controller(RAGGED, seed=3))
    assert torch.get_rng_state().equal(before)
    torch.manual_seed(2)
    again, _, same = go_on(controller(RAGGED, seed=3))
    assert again == drawn
    assert same.equal(after)
    assert go_on(controller(RAGGED, seed=4))[0] != drawn


def test_settings_are_told_apart_by_their_kind():
    read = TypeAdapter(ControllerSettings).validate_python
    assert type(read({"kind": "ppo", **NUMBERS["ppo"]})) is PPO
    assert type(read({"kind": "reinforce", **NUMBERS["reinforce"]})) is Reinforce
    with pytest.raises(ValidationError, match="clip"):  # REINFORCE has none
        read({"kind": "reinforce", **NUMBERS["ppo"]})
    with pytest.raises(ValidationError, match="keep"):
        read({"kind": "ppo", **NUMBERS["ppo"], "keep": 1})


@pytest.mark.parametrize("kind", KINDS)
def test_a_controller_that_diverges_says_what_to_lower(kind: str):
    own = controller((3, 3), kind, lr=1e20)
    with pytest.raises(Diverged, match=r"no longer finite; lower evolve.controller.lr \(1e\+20\)"):
        practise(own, lambda path, parent: sum(path), 4)
