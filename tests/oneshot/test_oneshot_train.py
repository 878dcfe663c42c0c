"""A whole training: what it leaves behind, and what decides it."""

import math
from collections.abc import Sequence
from pathlib import Path
from random import Random
from statistics import fmean, pstdev, pvariance
from typing import Any

import pytest
import torch
from one_shot import CHAIN, CLASSES, IRREGULAR, chain, settings_of
from runs import metrics
from trainings import (
    SAMPLERS,
    STEPS_AN_EPOCH,
    TINY,
    Go,
    Watch,
    Whole,
    assert_same_training,
    same,
    updates_of,
)

from fairdarts.config import UserError
from fairdarts.data.serve import evaluation_batches
from fairdarts.data.sources import Source, open_source
from fairdarts.oneshot.evaluate import Evaluator
from fairdarts.oneshot.state import load_weights
from fairdarts.oneshot.train import check_fit, held_out_images, learning_rate, make_learner, train
from fairdarts.ops.depthwise import is_depthwise
from fairdarts.runtime import checkpoint, distributed
from fairdarts.runtime.device import LAYOUTS
from fairdarts.runtime.position import TIMES
from fairdarts.runtime.run import RunDirectory, create
from fairdarts.runtime.seed import WATCHED, fold
from fairdarts.runtime.stop import Diverged
from fairdarts.supernet.supernet import make_supernet


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_training_leaves_a_complete_run_behind(go: Go, tmp_path: Path, sampler: str):
    watch, run = Watch(), tmp_path / "run"
    settings = go("run", watch, sampler=sampler)
    assert watch.steps == [(epoch, step, STEPS_AN_EPOCH) for epoch in (1, 2, 3) for step in (1, 2, 3, 4)]
    records = RunDirectory(run).records()
    assert (RunDirectory(run).verb, RunDirectory(run).state) == ("supernet", "finished")
    assert records == watch.records
    assert [record["epoch"] for record in records] == [1, 2, 3]
    passes = {"strict_fair": 3, "uniform_repeat": 2}.get(sampler, 1)
    for record in records:
        done = record["epoch"] * STEPS_AN_EPOCH
        assert record["passes"] == done * passes
        assert record["updates"] == updates_of(settings, CHAIN, done)
        if sampler == "strict_fair":
            assert record["updates"] == [[done] * 3] * 4
        elif sampler != "one_shot":
            assert [sum(own) for own in record["updates"]] == [done * passes] * 4
        assert record["updates_mean"] == pytest.approx([fmean(own) for own in record["updates"]])
        assert record["updates_variance"] == pytest.approx([pvariance(own) for own in record["updates"]])
        if sampler == "strict_fair":
            assert record["updates_variance"] == [0] * 4
        means = [total / STEPS_AN_EPOCH for total in watch.sums[done - 1]]
        assert [record["train_loss"], record["train_accuracy"]] == pytest.approx(means, rel=1e-6)
        assert record["lr"] == learning_rate(settings, done - 1, STEPS_AN_EPOCH)
        assert record["watched_mean"] == pytest.approx(fmean(record["watched"]))
        assert record["watched_std"] == pytest.approx(pstdev(record["watched"]))
    measured = {"train_loss", "train_accuracy", "watched", "watched_mean", "watched_std"}
    counted = {"epoch", "passes", "updates", "updates_mean", "updates_variance", "lr"}
    assert set(records[0]) == {*counted, *measured, *TIMES}
    state = checkpoint.load(RunDirectory(run).last)
    assert (state["epoch"], state["step"]) == (3, 0)
    assert state["optimizer"]["param_groups"][0]["lr"] == records[-1]["lr"]
    assert [own.tolist() for own in state["updates"]] == records[-1]["updates"]


def test_an_irregular_space_s_counts_are_exact_too(go: Go, tmp_path: Path):
    settings = go("run", space=IRREGULAR)
    for record in metrics(tmp_path / "run"):
        done = record["epoch"] * STEPS_AN_EPOCH
        assert record["passes"] == 5 * done
        assert record["updates"] == updates_of(settings, IRREGULAR, done)
        assert [sum(own) for own in record["updates"]] == [5 * done] * 4
        assert record["updates"][3] == [done] * 5


def test_a_supernet_learns_the_digits(tmp_path: Path):
    space = chain({"channels": 8, "layers": 1, "stride": 1}, {"channels": 16, "layers": 2, "stride": 2}, stem=8)
    space = space.model_copy(update={"head": 32})
    data = {"data.kind": "digits", "data.batch_size": 32, "data.train_portion": 0.3}
    weights = {"weights.lr": 0.2, "weights.weight_decay": 1e-4}
    settings = settings_of(**data, **weights, **{"epochs": 8, "watch.paths": 4, "watch.images": 200})
    watch, run = Watch(), create(tmp_path / "run", settings, space)
    train(settings, space, open_source(settings.data), run, watch, watch.stop)
    first, last = watch.records[0], watch.records[-1]
    assert last["updates"] == [[8 * (539 // 32)] * 3] * 3
    assert last["train_loss"] < 0.8 * first["train_loss"]
    assert first["train_accuracy"] < 0.2 < 0.3 < last["train_accuracy"]
    assert max(last["watched"]) > 25  # percent; chance gives ten


def test_a_seed_decides_every_number(go: Go, whole: Whole, tmp_path: Path):
    first = whole(sampler="strict_fair")
    torch.manual_seed(99)  # what went on before does not count
    go("again")
    go("other", seed=1)
    assert_same_training(first, tmp_path / "again")
    one, other = metrics(first), metrics(tmp_path / "other")
    assert all(mine["train_loss"] != theirs["train_loss"] for mine, theirs in zip(one, other, strict=True))


def test_to_watch_paths_changes_nothing(go: Go, whole: Whole, tmp_path: Path):
    go("alone", **{"watch.paths": 0})
    one, other = (checkpoint.load(RunDirectory(run).last) for run in (whole(sampler="strict_fair"), tmp_path / "alone"))
    assert all(same(one[part], other[part]) for part in ("supernet", "optimizer", "sampler", "updates"))
    assert not {"watched", "watched_mean", "watched_std"} & set(metrics(tmp_path / "alone")[0])


def test_what_is_watched_are_paths_of_the_seed_on_held_out_images_with_the_weights_so_far(go: Go, tmp_path: Path):
    settings = go("run", **{"watch.images": 7})
    supernet = make_supernet(CHAIN, CLASSES)
    assert load_weights(supernet, RunDirectory(tmp_path / "run")) == (3, 0)
    source = open_source(settings.data)
    trained, held_out = check_fit(settings, CHAIN, source)
    images = held_out_images(settings, held_out, 7)
    assert len(set(images)) == 7
    assert set(images) < set(held_out)
    assert not set(images) & set(trained)
    random = Random(fold(settings.seed, WATCHED))
    paths = [CHAIN.random_path(random.randrange) for _ in range(3)]
    judge = Evaluator(
        supernet, lambda: evaluation_batches(source, settings.data, images, torch.device("cpu"), torch.channels_last)
    )
    assert metrics(tmp_path / "run")[-1]["watched"] == judge(paths)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_images_have_the_layout_of_the_settings(go: Go, layouts: set[str], layout: str):
    go("run", epochs=1, **{"compute.layout": layout})
    assert layouts == {layout}


def test_a_loss_that_is_no_longer_finite_ends_the_training(go: Go, tmp_path: Path):
    with pytest.raises(Diverged, match=r"the loss is no longer finite in epoch 1; lower weights\.lr") as error:
        go("run", **{"weights.lr": "1.0e+20"})
    assert "\n" not in str(error.value)
    assert metrics(tmp_path / "run") == []
    assert RunDirectory(tmp_path / "run").state == "diverged"
    assert RunDirectory(tmp_path / "run").divergence == str(error.value)


def test_weights_that_the_last_step_of_an_epoch_spoils_end_the_training(go: Go):
    huge = {"weights.lr": "1.0e+20", "weights.weight_decay": "1.0e+20", "data.batch_size": "16"}
    with pytest.raises(Diverged, match=r"the weights are no longer finite in epoch 1; lower weights\.lr"):
        go("run", **huge)


def rates(steps: int, **overrides: Any) -> list[float]:
    """The learning rate of every step of a training."""
    settings = settings_of(**overrides)
    return [learning_rate(settings, step, steps) for step in range(settings.epochs * steps)]


def test_the_learning_rate_is_that_of_torch_s_cosine():
    found = rates(10, epochs=5, **{"weights.lr": 0.045, "weights.lr_min": 0.001})
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.045)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=50, eta_min=0.001)
    for rate in found:
        assert rate == pytest.approx(schedule.get_last_lr()[0], rel=1e-9)
        optimizer.step()
        schedule.step()
    assert found[0] == 0.045
    settings = settings_of(epochs=5, **{"weights.lr": 0.045, "weights.lr_min": 0.001})
    assert learning_rate(settings, 50, 10) == pytest.approx(0.001)


@pytest.mark.parametrize(("warmup", "steps"), [(1, 10), (0.5, 5), (2.25, 22)])
def test_the_learning_rate_rises_in_equal_parts_and_then_falls(warmup: float, steps: int):
    found = rates(10, epochs=5, **{"weights.lr": 0.1, "weights.warmup_epochs": warmup})
    assert found[:steps] == pytest.approx([0.1 * (step + 1) / steps for step in range(steps)])
    assert found[steps - 1] == found[steps] == 0.1
    cosine = [0.05 * (1 + math.cos(math.pi * step / (50 - steps))) for step in range(50 - steps)]
    assert found[steps:] == pytest.approx(cosine)


def test_a_training_may_be_all_warm_up():
    found = rates(4, epochs=2, **{"weights.lr": 0.1, "weights.warmup_epochs": 2})
    assert found == pytest.approx([0.1 * (step + 1) / 8 for step in range(8)])


def fit(ranks: int, monkeypatch: pytest.MonkeyPatch, **overrides: Any) -> tuple[Sequence[int], Sequence[int]]:
    """What `check_fit` says to so many processes."""
    monkeypatch.setattr(distributed, "ranks", lambda: ranks)
    settings = settings_of(**(TINY | overrides))
    return check_fit(settings, CHAIN, open_source(settings.data))


@pytest.mark.parametrize(
    ("ranks", "overrides", "message"),
    [
        (1, {"compute.accumulate": 3}, "data.batch_size: 4: .* 1 process × compute.accumulate 3 = 3"),
        (3, {}, "data.batch_size: 4: .* 3 processes × compute.accumulate 1 = 3"),
        (2, {"compute.accumulate": 4}, "data.batch_size: 4: .* 2 processes × compute.accumulate 4 = 8"),
        (1, {"data.batch_size": 17}, "data.batch_size: 17: should be at most 16, the images that train the weights"),
        (4, {"compute.parallel": "path"}, "compute.parallel: path: 4 processes, but a step has 3 paths"),
        (1, {"compute.compile": "default"}, "compute.compile: default: is for CUDA; on the CPU it should be none"),
        (2, {"compute.parallel": "path", "compute.accumulate": 2}, "compute.accumulate: 2: should be 1 with .* path"),
    ],
)
def test_what_does_not_fit_is_refused(ranks: int, overrides: dict, message: str, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(UserError, match=message) as error:
        fit(ranks, monkeypatch, **overrides)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("ranks", "overrides"),
    [
        (2, {"compute.accumulate": 2}),
        (1, {"data.batch_size": 16}),
        (3, {"compute.parallel": "path"}),
    ],
)
def test_what_fits_gives_two_parts_of_all_images(ranks: int, overrides: dict, monkeypatch: pytest.MonkeyPatch):
    trained, held_out = fit(ranks, monkeypatch, **overrides)
    assert (len(trained), len(held_out)) == (16, 16)
    assert {*trained, *held_out} == set(range(32))


@pytest.mark.parametrize(
    ("sampler", "overrides", "message"),
    [
        ("uniform", {"compute.parallel": "path"}, "compute.parallel path shares out several paths a step; uniform has"),
        ("one_shot", {"compute.parallel": "path"}, "one_shot has one"),
        ("strict_fair", {"weights.warmup_epochs": 3.5}, "weights.warmup_epochs 3.5: should be at most the 3 epochs"),
        ("strict_fair", {"data.train_portion": 1}, "data.train_portion 1.0 leaves no images to watch paths on"),
        ("one_shot", {"sampler.rate": 1}, r"sampler\.\S*rate: "),
        ("uniform_repeat", {"sampler.repeats": 0}, r"sampler\.\S*repeats: "),
        ("uniform", {"sampler.repeats": 2}, r"sampler\.\S*repeats: unknown key"),
        ("uniform", {"sampler.kind": "fair"}, r"sampler"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(sampler: str, overrides: dict, message: str):
    with pytest.raises(UserError, match=message) as error:
        settings_of(SAMPLERS[sampler], **(TINY | overrides))
    assert "\n" not in str(error.value)


def test_all_images_may_train_where_nothing_is_watched(go: Go, tmp_path: Path):
    go("run", **{"data.train_portion": 1, "watch.paths": 0, "epochs": 1})
    assert metrics(tmp_path / "run")[0]["updates"] == [[8] * 3] * 4


def test_a_learner_s_weights_are_those_of_its_optimizer_and_decided_by_the_seed():
    settings = settings_of(**TINY)
    source: Source = open_source(settings.data)
    learners = [make_learner(settings, CHAIN, source, torch.device("cpu")) for _ in range(2)]
    assert [id(weight) for weight in learners[0].weights] == [id(w) for w in learners[0].supernet.parameters()]
    assert same(*(learner.supernet.state_dict() for learner in learners))
    depthwise = [module for module in learners[0].supernet.modules() if is_depthwise(module)]
    assert all("forward" in vars(module) for module in depthwise)  # with fast gradients
    other = make_learner(settings_of(**TINY, seed=1), CHAIN, source, torch.device("cpu"))
    assert not same(other.supernet.state_dict(), learners[0].supernet.state_dict())
