"""A sampler that learns: what REINFORCE ascends, that it finds what is rewarded, and what a training makes of it."""

from functools import partial
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch
from one_shot import BENCH, CELLS, CHAIN, CLASSES, GRAPH, IRREGULAR, TOPOLOGIES, settings_of
from runs import Watch, metrics
from trainings import CONTROLLER, LAST, STEPS_AN_EPOCH, TINY, Go, Whole, assert_same_training

from fairdarts.config import UserError
from fairdarts.data.serve import evaluation_batches
from fairdarts.data.sources import open_source
from fairdarts.oneshot.controlled import Controlled, objective
from fairdarts.oneshot.evaluate import Evaluator
from fairdarts.oneshot.policy import Policy
from fairdarts.oneshot.samplers import make_sampler
from fairdarts.oneshot.state import load_weights
from fairdarts.oneshot.train import best_watched, check_fit, check_sampler, held_out_images
from fairdarts.runs.truth import genotypes_of
from fairdarts.runtime import checkpoint
from fairdarts.runtime.run import RunDirectory
from fairdarts.runtime.seed import WATCHED, fold
from fairdarts.runtime.stop import Diverged, Interrupted
from fairdarts.spaces.gates import SinglePath
from fairdarts.spaces.space import Space
from fairdarts.supernet.supernet import make_supernet


def controlled(space: Space, seed: int = 0, **options: Any) -> Controlled:
    settings = settings_of(CONTROLLER | options)
    made = make_sampler(settings.sampler, space, torch.Generator().manual_seed(seed))
    assert isinstance(made, Controlled)
    return made


def test_the_gradient_is_that_of_the_expected_reward_and_the_entropy():
    """Over all 12 paths, each as often as it is likely, with a baseline that changes nothing on average."""
    torch.manual_seed(0)
    choices, weight, baseline = (2, 3, 2), 0.3, 0.7
    policy = Policy(choices, 5, layers=2, temperature=2.0, bound=1.5).double()
    for parameter in policy.parameters():
        torch.nn.init.normal_(parameter)
    paths = torch.tensor(list(product(*map(range, choices))))
    accuracy = torch.rand(len(paths), dtype=torch.float64)
    weights = [own for name, own in policy.named_parameters() if name.startswith(("previous", "lstm", "actor"))]

    log_probs, entropy, _ = policy.judge(paths, None)
    logs = log_probs.sum(1)
    assert logs.exp().sum().item() == pytest.approx(1, abs=1e-12)
    closed = (logs.exp() * accuracy).sum() - weight * (logs.exp() * logs).sum()
    expected = torch.autograd.grad(closed, weights, retain_graph=True)

    advantages = accuracy + weight * entropy.detach().sum(1) - baseline
    terms = [
        objective(log_probs[n : n + 1], entropy[n : n + 1], advantages[n : n + 1], weight) for n in range(len(paths))
    ]
    found = torch.autograd.grad((torch.stack(terms) * logs.detach().exp()).sum(), weights)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)
    assert max(own.abs().max() for own in expected) > 1e-3


@pytest.mark.parametrize("space", [CHAIN, IRREGULAR, BENCH, CELLS], ids=["chain", "irregular", "bench", "cells"])
def test_a_choice_that_is_rewarded_is_preferred(space: Space):
    """The reward is the share of decisions that take their last choice."""
    own = controlled(space, hidden=32, lr=0.03, updates=60, paths=32)
    last = tuple(len(names) - 1 for names in space.choices)

    def judge(paths: list[SinglePath]) -> list[float]:
        return [100 * sum(map(int.__eq__, path, last)) / len(last) for path in paths]

    before = fmean(judge(own.promising(200, torch.Generator().manual_seed(1))))
    told = own.learn(judge)
    after = fmean(judge(own.promising(200, torch.Generator().manual_seed(1))))
    assert before < 60
    assert after > 90
    assert before < told["reward"] < after
    assert 0 < told["baseline"] < 1


def test_untrained_all_choices_are_drawn_alike_and_a_path_a_step():
    own = controlled(IRREGULAR)
    steps = [own.draw(0.0) for _ in range(600)]
    assert all(len(step) == len(step[0]) == 1 for step in steps)
    for point, names in enumerate(IRREGULAR.choices):
        drawn = [step[0][0][point][0] for step in steps]
        for choice in range(len(names)):
            assert drawn.count(choice) / 600 == pytest.approx(1 / len(names), abs=0.06)


def test_the_baseline_is_the_moving_average_of_all_rewards():
    own = controlled(CHAIN, decay=0.75, entropy=0)
    own.update([(0, 0, 0, 0), (1, 1, 1, 1), (2, 2, 2, 2)], [40.0, 80.0, 20.0])
    assert own.baseline == pytest.approx(0.75 * (0.75 * 0.4 + 0.25 * 0.8) + 0.25 * 0.2)


def test_equal_rewards_teach_nothing_without_an_entropy():
    own = controlled(CHAIN, entropy=0)
    before = {name: tensor.clone() for name, tensor in own.policy.state_dict().items()}
    own.learn(lambda paths: [50.0] * len(paths))
    assert all(torch.equal(before[name], tensor) for name, tensor in own.policy.state_dict().items())


def test_a_restored_controller_goes_on_bit_for_bit(tmp_path: Path):
    one, other = controlled(CHAIN), controlled(CHAIN, seed=5)
    assert one.draw(0) != other.draw(0) or not torch.equal(one.learnt[0], other.learnt[0])

    def judge(paths: list[SinglePath]) -> list[float]:
        return [float(sum(path)) for path in paths]

    one.learn(judge)
    checkpoint.save(tmp_path / "state.pt", {"sampler": one.state()})
    other.restore(checkpoint.load(tmp_path / "state.pt")["sampler"])
    assert one.learn(judge) == other.learn(judge)
    assert [one.draw(0) for _ in range(5)] == [other.draw(0) for _ in range(5)]
    assert all(torch.equal(mine, yours) for mine, yours in zip(one.learnt, other.learnt, strict=True))


def test_a_controller_that_diverges_says_what_to_lower():
    own = controlled(CHAIN, lr=0.5)
    torch.nn.init.constant_(own.policy.actor.bias, torch.nan)
    with pytest.raises(Diverged, match=r"no longer finite; lower sampler.lr \(0.5\)"):
        own.draw(0.0)


@pytest.mark.parametrize("at", [{"step": 3}, {"step": 6}, {"epoch": 1}, {"epoch": 2}], ids=str)
@pytest.mark.parametrize("space", ["chain", "cells"])
def test_a_training_stopped_once_is_as_if_it_never_was(go: Go, tmp_path: Path, at: dict[str, int], space: str):
    options = {"sampler": "controller", "space": {"chain": CHAIN, **TOPOLOGIES}[space]}
    with pytest.raises(Interrupted):
        go("stopped", Watch(**at), **options)
    go("stopped", resume=True, **options)
    go("whole", **options)
    assert_same_training(tmp_path / "stopped", tmp_path / "whole")


def test_what_is_found_is_the_best_of_the_paths_drawn_then(go: Go, whole: Whole):
    settings = settings_of(CONTROLLER, **TINY)
    run = whole(sampler="controller")
    records = metrics(run)
    for record in records:
        assert best_watched(record, settings, CHAIN) == tuple(record["best"])
        assert record["passes"] == record["epoch"] * STEPS_AN_EPOCH
        assert {"reward", "entropy", "baseline"} <= set(record)
        assert len(record["watched"]) == 3
    names = [CHAIN.chosen(tuple(record["best"])) for record in records]
    assert [genotype.layers for genotype in genotypes_of(records, settings, CHAIN)] == [
        tuple((name,) for name in own) for own in names
    ]

    state, own = checkpoint.load(RunDirectory(run).last), controlled(CHAIN)
    own.restore(state["sampler"])
    assert own.baseline == records[-1]["baseline"]
    paths = own.promising(3, torch.Generator().manual_seed(fold(settings.seed, WATCHED, LAST // STEPS_AN_EPOCH)))
    source, supernet = open_source(settings.data), make_supernet(CHAIN, CLASSES, settings=settings.supernet)
    load_weights(supernet, RunDirectory(run))
    images = held_out_images(settings, check_fit(settings, CHAIN, source)[1], 5)
    batches = partial(evaluation_batches, source, settings.data, images, torch.device("cpu"), torch.contiguous_format)
    accuracies = Evaluator(supernet, batches)(paths)
    assert accuracies == pytest.approx(records[-1]["watched"])
    assert tuple(records[-1]["best"]) == paths[accuracies.index(max(accuracies))]


def test_to_watch_paths_changes_nothing(go: Go, whole: Whole, tmp_path: Path):
    go("unwatched", sampler="controller", **{"watch.paths": 0})
    states = [checkpoint.load(RunDirectory(run).last) for run in (tmp_path / "unwatched", whole(sampler="controller"))]
    for name, tensor in states[0]["supernet"].items():
        assert torch.equal(tensor, states[1]["supernet"][name])
    assert sum(sum(own) for own in metrics(tmp_path / "unwatched")[-1]["updates"]) == LAST * len(CHAIN.choices)


def test_what_has_no_meaning_is_refused_in_one_line():
    with pytest.raises(UserError, match=r"sampler.kind: controller: draws decision by decision.* take uniform$"):
        check_sampler("controller", GRAPH)
    with pytest.raises(UserError, match="leaves no images to reward the controller's paths on"):
        settings_of(CONTROLLER, **(TINY | {"data.train_portion": 1, "watch.paths": 0}))
    settings = settings_of(CONTROLLER, **(TINY | {"data.train_portion": 0.9, "data.batch_size": 8}))
    with pytest.raises(UserError, match=r"data.batch_size: 8: should be at most 4, the images that reward paths"):
        check_fit(settings, CHAIN, open_source(settings.data))
