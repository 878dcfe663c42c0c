"""Which paths a step trains: exact counts after every step, and distributions by chi-square under fixed seeds."""

from collections import Counter
from collections.abc import Hashable, Iterable
from itertools import combinations, permutations, product
from statistics import fmean, pvariance
from typing import Any

import pytest
import torch
from one_shot import BENCH, CHAIN, GRAPH, IRREGULAR, SPACES, TOPOLOGIES, chain, every_path, settings_of
from scipy import stats

from fairdarts.oneshot.samplers import Sampler, Step, make_sampler, tally
from fairdarts.ranking.lemma import uniform_variance
from fairdarts.spaces.gates import SinglePath
from fairdarts.spaces.space import Space

UNLIKELY = 1e-3
"""p-value below which a distribution is not believed; seeds are fixed, so a test passes always or never"""
KINDS: dict[str, dict[str, Any]] = {
    "strict_fair": {},
    "uniform": {},
    "uniform_repeat": {"repeats": 3},
    "one_shot": {"rate": 0.3},
    "architecture": {},
}
SINGLE = chain({"channels": 4, "layers": 1, "stride": 1})


def sampler_of(kind: str, space: Space, seed: int = 0, **options: Any) -> Sampler:
    settings = settings_of({"kind": kind, **KINDS[kind], **options})
    return make_sampler(settings.sampler, space, torch.Generator().manual_seed(seed))


def paths_of(step: Step) -> list[SinglePath]:
    """The paths of the one update of a step."""
    (subnets,) = step
    assert all(len(chosen) == 1 for subnet in subnets for chosen in subnet)
    return [tuple(chosen[0] for chosen in subnet) for subnet in subnets]


def zeros(space: Space) -> list[torch.Tensor]:
    return [torch.zeros(len(names), dtype=torch.int64) for names in space.choices]


def assert_distributed(seen: Iterable[Hashable], expected: dict[Hashable, float]) -> None:
    """Whether draws have these probabilities, as far as chi-square can tell."""
    counts = Counter(seen)
    assert counts.keys() <= expected.keys()
    total, whole = sum(counts.values()), sum(expected.values())
    observed = [counts[key] for key in expected]
    assert stats.chisquare(observed, [total * share / whole for share in expected.values()]).pvalue > UNLIKELY


def assert_uniform(seen: Iterable[Hashable], over: Iterable[Hashable]) -> None:
    assert_distributed(seen, dict.fromkeys(over, 1))


@pytest.mark.parametrize("space", [CHAIN, BENCH], ids=["chain", "bench"])
def test_strict_fairness_updates_every_choice_equally_often_after_every_step(space: Space):
    sampler, counts = sampler_of("strict_fair", space), zeros(space)
    assert sampler.passes == len(space.candidates)
    for steps in range(1, 31):
        step = sampler.draw(0.5)
        assert len(step) == 1
        assert len(step[0]) == sampler.passes
        tally(counts, step)
        assert all(own.tolist() == [steps] * len(own) for own in counts)


def test_strict_fairness_draws_every_permutation_equally_often_and_each_layer_its_own():
    sampler = sampler_of("strict_fair", CHAIN)
    columns = [tuple(zip(*paths_of(sampler.draw(0)), strict=True)) for _ in range(1500)]
    orders = list(permutations(range(3)))
    for layer in range(4):
        assert_uniform((drawn[layer] for drawn in columns), orders)
    for one, other in combinations(range(4), 2):
        assert_uniform(((drawn[one], drawn[other]) for drawn in columns), product(orders, orders))


def test_layers_with_fewer_choices_are_filled_up_fairly():
    """Section "Irregular Search Spaces" of FairNAS' supplementary: 2, 3 and 5 choices make 5 paths."""
    sampler, counts, surplus = sampler_of("strict_fair", IRREGULAR), zeros(IRREGULAR), [[], [], [], []]
    assert sampler.passes == 5
    for steps in range(1, 601):
        step = sampler.draw(0)
        assert len(paths_of(step)) == 5
        own = zeros(IRREGULAR)
        tally(own, step)
        tally(counts, step)
        for point, of_step in enumerate(own):
            assert int(of_step.max() - of_step.min()) <= 1
            assert int(counts[point].sum()) == 5 * steps
            surplus[point].append(tuple((of_step > of_step.min()).nonzero().flatten().tolist()))
        assert counts[3].tolist() == [steps] * 5
    assert_uniform(surplus[0], [(0,), (1,)])
    for point in (1, 2):
        assert_uniform(surplus[point], [(0, 1), (0, 2), (1, 2)])
    assert set(surplus[3]) == {()}


def test_surplus_choices_stand_anywhere_among_the_paths():
    sampler = sampler_of("strict_fair", IRREGULAR)
    columns = Counter(tuple(path[0] for path in paths_of(sampler.draw(0))) for _ in range(2000))
    assert_uniform(columns.elements(), [column for column in product((0, 1), repeat=5) if 2 <= sum(column) <= 3])


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("kind", ["uniform", "architecture"])
def test_single_paths_update_one_choice_of_every_point_a_step(name: str, kind: str):
    space = SPACES[name]
    sampler, counts = sampler_of(kind, space), zeros(space)
    assert sampler.passes == 1
    for steps in range(1, 31):
        step = sampler.draw(0.5)
        assert len(paths_of(step)) == 1
        tally(counts, step)
        assert [int(own.sum()) for own in counts] == [steps] * len(counts)


@pytest.mark.parametrize("space", [CHAIN, IRREGULAR], ids=["chain", "irregular"])
def test_uniform_paths_are_equally_likely(space: Space):
    sampler = sampler_of("uniform", space)
    assert_uniform((paths_of(sampler.draw(0))[0] for _ in range(3000)), every_path(space))


@pytest.mark.parametrize("m", [2, 3])
def test_uniform_sampling_has_the_mean_and_the_variance_of_equation_1(m: int):
    space, n, trials = SINGLE.model_copy(update={"candidates": SINGLE.candidates[:m]}), 12, 1500
    sampler, found = sampler_of("uniform", space), []
    for _ in range(trials):
        counts = zeros(space)
        for _ in range(n):
            tally(counts, sampler.draw(0))
        found.append(int(counts[0][0]))
    variance = uniform_variance(m, n)
    assert variance == pytest.approx(n * (m - 1) / m**2)
    assert fmean(found) == pytest.approx(n / m, abs=4 * (variance / trials) ** 0.5)
    assert pvariance(found) == pytest.approx(variance, rel=4 * (2 / trials) ** 0.5)
    counts = zeros(space)
    fair = sampler_of("strict_fair", space)
    for _ in range(n // m):
        tally(counts, fair.draw(0))
    assert counts[0].tolist() == [n // m] * m  # the same number of passes, and no variance


def test_a_repeated_path_is_updated_so_many_times():
    sampler, counts = sampler_of("uniform_repeat", CHAIN), zeros(CHAIN)
    assert sampler.passes == 3
    drawn = []
    for steps in range(1, 1001):
        step = sampler.draw(0.5)
        assert len(step) == 3
        assert step[0] == step[1] == step[2]
        tally(counts, step)
        assert all(int(own.sum()) == 3 * steps and bool((own % 3 == 0).all()) for own in counts)
        drawn += paths_of(step[:1])
    assert_uniform(drawn, every_path(CHAIN))


def kept_sets(m: int, drop: float) -> dict[Hashable, float]:
    """The probability of every set of kept choices, each dropped with that probability; one is kept in any case."""
    sets = [kept for size in range(1, m + 1) for kept in combinations(range(m), size)]
    alone = drop**m / m
    return {kept: (1 - drop) ** len(kept) * drop ** (m - len(kept)) + alone * (len(kept) == 1) for kept in sets}


@pytest.mark.parametrize(("progress", "rate"), [(1.0, 0.3), (0.5, 0.3), (1.0, 0.9)])
def test_one_shot_drops_choices_with_a_probability_that_rises(progress: float, rate: float):
    sampler, counts = sampler_of("one_shot", IRREGULAR, rate=rate), zeros(IRREGULAR)
    assert sampler.passes == 1
    seen: list[list[tuple[int, ...]]] = [[], [], [], []]
    for _ in range(2000):
        step = sampler.draw(progress)
        ((subnet,),) = step
        before = [own.clone() for own in counts]
        tally(counts, step)
        for point, kept in enumerate(subnet):
            assert (counts[point] - before[point]).nonzero().flatten().tolist() == list(kept)
            seen[point].append(kept)
    for sets, names in zip(seen, IRREGULAR.choices, strict=True):
        assert all(sets)
        assert_distributed(sets, kept_sets(len(names), progress * rate ** (1 / len(names))))


@pytest.mark.parametrize(("progress", "rate"), [(0.0, 0.9), (1.0, 0.0)])
def test_one_shot_keeps_all_choices_at_first_and_where_nothing_is_dropped(progress: float, rate: float):
    sampler = sampler_of("one_shot", IRREGULAR, rate=rate)
    everything = tuple(tuple(range(len(names))) for names in IRREGULAR.choices)
    assert all(sampler.draw(progress) == [[everything]] for _ in range(100))


TWO_RUNS = chain(
    {"channels": 4, "layers": 2, "stride": 1},
    {"channels": 4, "layers": 1, "stride": 1, "candidates": ("skip_connect", "E1K5")},
    {"channels": 6, "layers": 1, "stride": 2, "candidates": ("skip_connect", "E1K5")},
)


@pytest.mark.parametrize("space", [CHAIN, TWO_RUNS], ids=["chain", "irregular"])
def test_architectures_are_equally_likely_though_some_have_more_paths(space: Space):
    classes = Counter(space.canonical(path) for path in every_path(space))
    assert len(set(classes.values())) > 1
    sampler = sampler_of("architecture", space)
    drawn = [paths_of(sampler.draw(0))[0] for _ in range(2500)]
    assert_uniform((space.canonical(path) for path in drawn), classes)
    within = {path: 1 / classes[space.canonical(path)] for path in every_path(space)}
    assert_distributed(drawn, within)


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_sampler_goes_on_from_the_saved_state_of_its_generator(name: str, kind: str):
    sampler = sampler_of(kind, SPACES[name])
    for _ in range(7):
        sampler.draw(0.3)
    state = sampler.generator.get_state()
    torch.manual_seed(99)  # what else draws does not count
    expected = [sampler.draw(number / 20) for number in range(20)]
    again = sampler_of(kind, SPACES[name], seed=5)
    assert [again.draw(number / 20) for number in range(20)] != expected
    again.generator.set_state(state)
    assert [again.draw(number / 20) for number in range(20)] == expected


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_strict_fairness_shares_a_topology_among_the_paths_of_a_step(name: str):
    """Appendix A.1 of "How to Train Your Super-Net": a topology first, then every operation of every pair once."""
    space = TOPOLOGIES[name]
    sampler, seen = sampler_of("strict_fair", space), []
    assert sampler.passes == len(space.candidates)
    for _ in range(400):
        paths = paths_of(sampler.draw(0))
        columns = list(zip(*paths, strict=True))
        for point, names in enumerate(space.choices):
            if point in space.topology:
                assert len(set(columns[point])) == 1
            else:
                assert sorted(columns[point]) == list(range(len(names)))
        if name == "graph":
            assert all(space.allows(path) for path in paths)
        seen.append(tuple(columns[point][0] for point in space.topology))
    valid = [path for path in every_path(space) if name == "cells" or space.allows(path)]
    assert_uniform(seen, {tuple(path[point] for point in space.topology) for path in valid})


def test_distinct_graphs_are_equally_likely():
    small = GRAPH.model_copy(update={"vertices": 4})
    classes = {small.canonical(path) for path in every_path(small) if small.allows(path)}
    for kind, believed in (("architecture", True), ("uniform", False)):
        sampler = sampler_of(kind, small)
        drawn = Counter(small.canonical(paths_of(sampler.draw(0))[0]) for _ in range(2500))
        assert drawn.keys() <= classes
        counts = [drawn[key] for key in classes]
        assert (stats.chisquare(counts).pvalue > UNLIKELY) == believed


def test_a_step_s_counts_are_of_all_its_updates():
    counts = zeros(CHAIN)
    tally(counts, [[((0,), (1,), (2,), (0, 2))], [((0,), (1,), (1,), (1,)), ((1,), (1,), (2,), (0, 1, 2))]])
    assert [own.tolist() for own in counts] == [[2, 1, 0], [0, 3, 0], [0, 1, 2], [2, 2, 2]]
