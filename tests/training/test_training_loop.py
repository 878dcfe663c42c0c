"""A training from settings to a model: what it records, what it keeps, and that a stop changes nothing."""

import json
import math
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from networks import EPOCHS, STEPS_AN_EPOCH, assert_same_training, settings_of, trained
from runs import Watch, metrics

from fairdarts import resources
from fairdarts.checking import check
from fairdarts.data.sources import open_source
from fairdarts.networks.blueprint import Blueprint, assemble
from fairdarts.networks.zoo import load_genotype
from fairdarts.reading import read_yaml
from fairdarts.runtime import checkpoint
from fairdarts.runtime.checkpoint import BadState
from fairdarts.runtime.device import LAYOUTS
from fairdarts.runtime.run import RunDirectory, create
from fairdarts.runtime.settings import Compute
from fairdarts.runtime.stop import Diverged, Interrupted
from fairdarts.training import loop
from fairdarts.training.classify import blueprint_of, build_classifier, classification, judging_images
from fairdarts.training.loop import train
from fairdarts.training.score import score
from fairdarts.training.settings import TrainSettings
from fairdarts.training.setup import make_trainee
from fairdarts.training.state import changes_of
from fairdarts.training.step import measured


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole tiny training, with an average of the weights."""
    path = tmp_path_factory.mktemp("train") / "whole"
    trained(path, ema=0.9)
    return path


def test_every_epoch_leaves_a_record_and_the_end_a_result(whole: Path):
    records = RunDirectory(whole).records()
    assert [record["epoch"] for record in records] == [1, 2, 3]
    for record in records:
        assert {"train_loss", "train_accuracy", "lr", "valid_loss", "valid_top1", "valid_top5"} <= record.keys()
        assert 0 <= record["valid_top1"] <= record["valid_top5"] == 1  # of three classes all are among five
    results = json.loads((whole / "results.json").read_text())
    assert (results["on"], results["best_by"], results["images"]) == ("held-out", "held-out", 12)
    best = max(records, key=lambda record: record["valid_top1"])
    assert (results["best"]["epoch"], results["best"]["top1"]) == (best["epoch"], best["valid_top1"])
    assert (results["last"]["epoch"], results["last"]["top1"]) == (EPOCHS, records[-1]["valid_top1"])


@pytest.mark.parametrize("step", [1, 4, 6, 8])
def test_a_training_stopped_after_a_step_is_as_if_it_never_was(whole: Path, tmp_path: Path, step: int):
    with pytest.raises(Interrupted):
        trained(tmp_path / "stopped", Watch(step=step), ema=0.9)
    state = checkpoint.load(RunDirectory(tmp_path / "stopped").last)
    assert state["epoch"] * STEPS_AN_EPOCH + state["step"] == step
    trained(tmp_path / "stopped", resume=True, ema=0.9)
    assert_same_training(tmp_path / "stopped", whole)


def test_a_training_that_ended_before_its_results_were_written_still_gives_them(whole: Path, tmp_path: Path):
    trained(tmp_path / "run", ema=0.9)
    (tmp_path / "run" / "results.json").unlink()
    trained(tmp_path / "run", resume=True, ema=0.9)
    assert_same_training(tmp_path / "run", whole)


def test_a_training_whose_checkpoint_is_gone_is_refused(tmp_path: Path):
    with pytest.raises(Interrupted):
        trained(tmp_path / "run", Watch(epoch=2), ema=0.9)
    run = RunDirectory(tmp_path / "run")
    before = run.metrics.read_text()
    assert (run.verb, run.state) == ("train", "stopped")
    run.last.unlink()
    with pytest.raises(checkpoint.BadState, match=r"last\.pt: no such checkpoint"):
        trained(tmp_path / "run", resume=True, ema=0.9)
    assert run.metrics.read_text() == before


def test_a_best_epoch_that_somebody_took_away_costs_its_result_alone(whole: Path, tmp_path: Path):
    with pytest.raises(Interrupted):
        trained(tmp_path / "run", Watch(epoch=2), ema=0.9)
    run = RunDirectory(tmp_path / "run")
    run.best.unlink()
    records = [record | {"valid_top1": 2.0} for record in run.records()]  # better than what is to come
    run.rewrite(records)
    checkpoint.save(run.last, checkpoint.load(run.last) | {"records": json.dumps(records)})
    results = trained(tmp_path / "run", resume=True, ema=0.9)
    assert "best" not in results
    assert results["last"] == json.loads((whole / "results.json").read_text())["last"]


def test_a_checkpoint_is_a_model_that_gives_the_recorded_accuracy(whole: Path):
    settings = settings_of(ema=0.9)
    source = open_source(settings.data)
    images, _ = judging_images(settings, source)
    for name in ("last.pt", "best.pt"):
        state = checkpoint.load(whole / "checkpoints" / name)
        blueprint = Blueprint.model_validate_json(state["blueprint"])
        about = json.loads(state["about"])
        assert blueprint == blueprint_of(settings, *load_genotype("fairdarts-a"), source)
        network = assemble(blueprint).eval()
        network.load_state_dict(state["ema"])
        record = RunDirectory(whole).records()[about["epoch"] - 1]
        assert about["metrics"]["valid_top1"] == record["valid_top1"]
        found = score(network, images, settings.data, torch.device("cpu"), Compute(precision="float32"))
        assert (found.top1, found.loss) == (record["valid_top1"], record["valid_loss"])


def test_drop_path_rises_from_epoch_to_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    seen = []
    monkeypatch.setattr(
        loop,
        "train_step",
        lambda trainee, batch: (seen.append(float(trainee.network.drop_probability)), torch.zeros(2))[1],
    )
    trained(tmp_path / "run", drop_path=0.3)
    assert seen == pytest.approx([0.0] * 3 + [0.1] * 3 + [0.2] * 3)


def test_what_is_random_in_a_step_depends_on_the_step_alone(tmp_path: Path):
    trained(tmp_path / "one", epochs=2)
    torch.manual_seed(5)
    torch.rand(7)
    trained(tmp_path / "two", epochs=2)
    assert metrics(tmp_path / "one") == metrics(tmp_path / "two")
    trained(tmp_path / "other", epochs=2, seed=1)
    assert metrics(tmp_path / "one") != metrics(tmp_path / "other")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_images_have_the_layout_of_the_settings(tmp_path: Path, layouts: set[str], layout: str):
    trained(tmp_path / "run", epochs=1, compute__layout=layout)
    assert layouts == {layout}


def test_no_images_to_judge_by_is_no_error(tmp_path: Path):
    assert trained(tmp_path / "run", epochs=1, data__train_portion=1.0) == {}
    assert "valid_top1" not in RunDirectory(tmp_path / "run").records()[0]
    assert not RunDirectory(tmp_path / "run").best.exists()
    assert RunDirectory(tmp_path / "run").state == "finished"


def test_a_loss_that_is_no_number_ends_it(tmp_path: Path):
    with pytest.raises(Diverged, match=r"no longer finite in epoch 1; lower optimizer\.lr"):
        trained(tmp_path / "run", optimizer__lr=1e20, optimizer__clip="null", epochs=1)
    assert RunDirectory(tmp_path / "run").state == "diverged"


def test_weights_that_the_last_step_of_an_epoch_spoils_end_it(tmp_path: Path):
    huge = {"optimizer__lr": 1e20, "optimizer__weight_decay": 1e20, "data__batch_size": 12}
    with pytest.raises(Diverged, match=r"the weights are no longer finite in epoch 1; lower optimizer\.lr"):
        trained(tmp_path / "run", **huge, epochs=1)


def test_a_resumed_training_keeps_its_settings_and_its_genotype(tmp_path: Path):
    with pytest.raises(Interrupted):
        trained(tmp_path / "run", Watch(step=2))
    with pytest.raises(BadState, match=r"optimizer\.lr: 0\.05 when the run began, 0\.1 now"):
        trained(tmp_path / "run", resume=True, optimizer__lr=0.1)
    with pytest.raises(BadState, match=r"fairdarts-a \(\w{8}\) when the run began, darts-v2 \(\w{8}\) now"):
        trained(tmp_path / "run", resume=True, genotype="darts-v2")
    with pytest.raises(BadState, match="a resumed run keeps"):
        trained(tmp_path / "run", resume=True, ema=0.5)
    trained(tmp_path / "run", resume=True, data__workers=0, save_minutes=3)


def test_a_setting_that_a_later_version_brings_does_not_make_a_run_another(tmp_path: Path):
    with pytest.raises(Interrupted):
        trained(tmp_path / "run", Watch(step=2))
    state = checkpoint.load(RunDirectory(tmp_path / "run").last)
    del state["identity"]["settings.yaml: ema"]
    checkpoint.save(RunDirectory(tmp_path / "run").last, state)
    assert trained(tmp_path / "run", resume=True)["last"]["epoch"] == EPOCHS


def test_what_was_changed_of_a_recipe_is_told():
    settings = settings_of()
    assert changes_of(settings) == {}  # there is no shipped recipe of that name
    path = resources.find("recipes", "train-darts-cifar10")
    words = {"epochs": "2", "data.root": "elsewhere", "optimizer.lr": "0.1", "seed": "3"}
    changed = check(TrainSettings, read_yaml(path), path, words)
    assert changes_of(changed) == {"epochs": "2", "optimizer.lr": "0.1"}


def test_a_network_may_begin_with_given_weights(tmp_path: Path):
    settings = settings_of(epochs=1)
    genotype, space = load_genotype("fairdarts-a")
    seen: list[torch.nn.Module] = []
    run = create(tmp_path / "run", settings, space)
    source = open_source(settings.data)
    task = classification(settings, genotype, space, source, judging_images(settings, source))
    train(settings, task, run, Watch(), Watch().stop, False, seen.append)
    assert len(seen) == 1


def test_settings_reach_the_network():
    settings = settings_of(batch_norm_momentum=0.01, ema=0.9)
    source = open_source(settings.data)
    blueprint, cpu = blueprint_of(settings, *load_genotype("fairdarts-a"), source), torch.device("cpu")
    build = partial(build_classifier, settings, blueprint, cpu)
    trainee = make_trainee(settings, build, measured, cpu)
    norms = [module for module in trainee.network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert {norm.momentum for norm in norms} == {0.01}
    assert trainee.judged is trainee.average.network is not trainee.network
    again = make_trainee(settings, build, measured, cpu)
    assert all(map(torch.equal, trainee.network.parameters(), again.network.parameters()))


def test_the_learning_rate_of_the_records_falls(whole: Path):
    rates = [record["lr"] for record in RunDirectory(whole).records()]
    expected = [0.05 * (1 + math.cos(math.pi * epoch / EPOCHS)) / 2 for epoch in range(EPOCHS)]
    assert rates == pytest.approx(expected)
    assert all(before > after for before, after in pairwise(rates))
