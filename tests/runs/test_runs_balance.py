"""`data.balance` in the three loops: it reaches their steps, and a run that was stopped goes on to the same bits."""

import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from one_shot import CHAIN, batches_of
from one_shot import learner_of as one_shot_learner
from one_shot import settings_of as training_of
from runs import assert_same_run, metrics
from search_steps import learner_of, settings_of
from test_runs_train import RECIPE

import fairdarts
from fairdarts.differentiable.architect import STEPS
from fairdarts.oneshot.samplers import make_sampler
from fairdarts.oneshot.step import supernet_step
from fairdarts.reading import dump_yaml
from fairdarts.training.settings import LossSettings
from fairdarts.training.step import measured

WEIGHTS = torch.tensor([0.5, 3.0, 1.0])


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fairdarts.runs.figures.figures_of", lambda *_: [])


@pytest.fixture
def data() -> tuple[np.ndarray, np.ndarray]:
    """24 images of class 0, 8 of class 1."""
    return np.random.default_rng(0).integers(0, 256, (32, 3, 8, 8), dtype=np.uint8), np.repeat([0, 1], [24, 8])


@pytest.mark.parametrize("kind", STEPS)
def test_a_step_of_a_search_weighs_both_halves(kind: str):
    plain = learner_of(settings_of(kind, "sigmoid", 0, "squared", 5))
    images = torch.randn(4, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    train, valid = (images, torch.full((4,), 1)), (images, torch.full((4,), 0))
    before = STEPS[kind](plain, train, valid)
    again = replace(learner_of(settings_of(kind, "sigmoid", 0, "squared", 5)), class_weights=WEIGHTS)
    with_weights = STEPS[kind](again, train, valid)
    if kind == "single_level":
        assert with_weights[0] == pytest.approx(3 * float(before[0]))
    else:
        near = 0.2 if kind == "second_order" else 1e-9  # which measures it at weights that have made a step
        assert with_weights[2] == pytest.approx(float(before[2]) / 2, rel=near)
        assert with_weights[0] > 2 * before[0]  # α has moved otherwise before


def test_a_step_of_a_supernet_weighs_its_images():
    (images, _), *_ = batches_of(1)
    batch, seen = (images, torch.full((len(images),), 1)), []
    for weights in (None, WEIGHTS):
        learner = replace(one_shot_learner(CHAIN, training_of()), class_weights=weights)
        sampler = make_sampler(training_of().sampler, CHAIN, torch.Generator().manual_seed(0))
        seen.append(supernet_step(learner, sampler.draw(0.0), batch)[0].item())
    assert seen[1] == pytest.approx(3 * seen[0])


def test_the_loss_of_a_training_weighs_both_heads():
    logits, labels = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)), torch.full((4,), 1)
    settings = LossSettings(auxiliary=0.4)
    plain, accuracy = measured((logits, 2 * logits), labels, settings)
    weighed, same = measured((logits, 2 * logits), labels, settings, WEIGHTS)
    assert weighed == pytest.approx(3 * float(plain))
    assert same == accuracy


@pytest.mark.filterwarnings("ignore:data.balance")
@pytest.mark.parametrize("balance", ["sampling", "loss"])
def test_a_search_that_was_stopped_goes_on_to_the_same_bits(tiny_recipe: Path, data, balance: str):
    class Stops(fairdarts.Callback):
        def step(self, epoch: int, step: int, steps: int, *seen: object) -> None:
            if (epoch, step) == (2, 2):
                os.kill(os.getpid(), 2)

    content = yaml.safe_load(tiny_recipe.read_text())
    content["data"] = {"batch_size": 4, "train_portion": 0.5, "cutout": 2, "workers": 0}
    told = {"settings": {"data.balance": balance}, "data": data}
    whole = fairdarts.search(content, out="whole/run", **told)
    with pytest.raises(KeyboardInterrupt):
        fairdarts.search(content, out="cut/run", callbacks=Stops(), **told)
    assert_same_run(whole.path, fairdarts.open_run("cut/run").resume(data=data).path)
    plain = fairdarts.search(content, out="plain", data=data)
    assert plain.settings.data.balance == "none"
    assert metrics(plain.path)[-1]["train_loss"] != metrics(whole.path)[-1]["train_loss"]


@pytest.mark.filterwarnings("ignore:data.balance")
@pytest.mark.parametrize("verb", ["supernet", "train"])
def test_supernets_and_trainings_are_balanced_too(data, verb: str):
    Path("chain.yaml").write_text(dump_yaml(CHAIN))
    Path("supernet.yaml").write_text(dump_yaml(training_of().model_copy(update={"space": "chain.yaml"})))
    small = {"data": {"batch_size": 4, "train_portion": 0.5, "cutout": 0, "workers": 0}}
    begin = {
        "supernet": partial(fairdarts.train_supernet, yaml.safe_load(Path("supernet.yaml").read_text()) | small),
        "train": partial(fairdarts.train, "fairdarts-a", RECIPE | small),
    }
    losses = set()
    for balance in ("none", "sampling", "loss"):
        run = begin[verb](settings={"data.balance": balance}, data=data, epochs=1, out=balance)
        losses.add(run.records[-1]["train_loss"])
    assert len(losses) == 3
