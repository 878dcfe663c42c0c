"""`fairdarts.train`: the runs that the verb makes, without a word, and from whatever holds a genotype."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from runs import same

import fairdarts
from fairdarts.cli import main
from fairdarts.config import UserError
from fairdarts.genotype import to_yaml
from fairdarts.networks.zoo import load_genotype
from fairdarts.reading import dump_yaml, read_yaml
from fairdarts.runs.search import search
from fairdarts.runs.train import train
from fairdarts.runtime import checkpoint
from fairdarts.spaces.space import load_space

RECIPE: dict[str, Any] = {
    "name": "tiny",
    "source": "tests",
    "device": "cpu",
    "epochs": 2,
    "data": {
        "kind": "fake",
        "images": 32,
        "image_size": 8,
        "batch_size": 8,
        "train_portion": 0.5,
        "cutout": 0,
        "workers": 0,
    },
    "network": {"cells": 3, "channels": 2},
    "optimizer": {"kind": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 3e-4},
    "schedule": {"kind": "cosine"},
}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def state(run: str | Path) -> dict[str, Any]:
    return checkpoint.load(Path(run) / "checkpoints" / "last.pt")


def test_the_verb_and_the_function_give_equal_runs(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("fairdarts.runs.figures.draw_network_training", lambda *_: [])
    Path("tiny.yaml").write_text(repr(RECIPE))  # YAML, too
    words = ["fairdarts-a", "--config", "tiny.yaml", "--out", "verb", "--epochs", "1", "--optimizer.lr", "0.05"]
    assert main(["train", *words]) == 0
    run = train("fairdarts-a", "tiny.yaml", epochs=1, settings={"optimizer.lr": 0.05}, out="function")
    assert same(state("verb"), state("function"))
    assert Path("verb/settings.yaml").read_text() == Path("function/settings.yaml").read_text()
    assert Path("verb/results.json").read_text() == Path("function/results.json").read_text()
    assert (run.state, run.genotype, run.results["last"]["epoch"]) == ("finished", load_genotype("fairdarts-a")[0], 1)


def test_a_training_says_nothing(capfd: pytest.CaptureFixture[str]):
    run = train("fairdarts-a", RECIPE, epochs=1)
    assert capfd.readouterr() == ("", "")
    assert run.path == Path("runs/fairdarts-a-tiny-seed0")


def test_a_genotype_is_given_in_several_ways():
    genotype, space = load_genotype("fairdarts-a")
    Path("mine.yaml").write_text(to_yaml(genotype))
    ways = ["fairdarts-a", Path("mine.yaml"), genotype, (genotype, space)]
    runs = [train(way, RECIPE, epochs=1, out=f"run{number}") for number, way in enumerate(ways)]
    runs.append(train(runs[0], RECIPE, epochs=1, out="of-a-run"))
    assert all(same(state(runs[0].path)["network"], state(run.path)["network"]) for run in runs[1:])


def test_a_genotype_of_a_space_of_one_s_own():
    space = load_space("s2-small").model_copy(update={"name": "mine"})
    genotype = space.genotype_of((1,) * len(space.choices), "found", "tests")
    with pytest.raises(UserError, match=r"genotype found: space: mine: is neither .* \(genotype, run\.space\)"):
        train(genotype, RECIPE)
    network = {"network.cells": None, "network.channels": None, "data.image_size": 32}
    run = train((genotype, space), RECIPE, epochs=1, settings=network)
    assert (run.space, run.genotype.name) == (space, "found")
    Path("mine.yaml").write_text(dump_yaml(space))
    assert fairdarts.open_run(run.path).state == "finished"


def test_a_run_is_trained_on_its_own_images(tiny_recipe: Path):
    found = search(tiny_recipe, epochs=1, settings={"derive.method": "argmax", "derive.threshold": None})
    notes: list[str] = []

    class Notes(fairdarts.Callback):
        def note(self, text: str) -> None:
            notes.append(text)

    smaller = {"network.cells": 2, "network.channels": 2, "data.batch_size": 8, "data.workers": 0}
    run = train(found, settings=smaller, epochs=1, callbacks=Notes())
    assert run.settings.data.kind == "fake"
    assert (run.shape.image, run.shape.classes, run.settings.loss.auxiliary) == (8, 3, 0)
    assert notes[0].startswith(f"images     those of {found.path}: --data.kind=fake")
    assert notes[-1].startswith(f"run {run.path}: ")


def test_a_training_that_was_stopped_goes_on_to_the_same_bits():
    class Interrupts(fairdarts.Callback):
        def step(self, epoch: int, step: int, steps: int, *seen: object) -> None:
            if (epoch, step) == (2, 1):
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train("fairdarts-a", RECIPE, out="stopped", callbacks=Interrupts())
    resumed = fairdarts.open_run("stopped").resume()
    whole = train("fairdarts-a", RECIPE, out="whole")
    assert same(state("stopped"), state("whole"))
    assert resumed.results == whole.results
    assert whole.resume().results == whole.results  # nothing is left to do


def test_weights_to_begin_with_may_be_a_run():
    first = train("fairdarts-a", RECIPE, epochs=1)
    second = train("fairdarts-a", RECIPE, epochs=1, init_from=first, settings={"optimizer.lr": 1e-9}, out="second")
    assert second.settings.init_from == str(first.path)
    key = "cells.2.preprocess.0.conv_1.weight"
    torch.testing.assert_close(state("second")["network"][key], state(first.path)["network"][key], atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("genotype", "given", "message"),
    [
        ("fairdart-a", {}, "did you mean 'fairdarts-a'?"),
        ("fairdarts-a", {"recipe": "fairnas-macro"}, "is a recipe of `fairdarts supernet`"),
        ("fairdarts-a", {"settings": {"optimizer.lrr": 1}}, "did you mean 'lr'?"),
        ("fairdarts-a", {"epoch": 1}, "did you mean 'epochs'?"),
        ("fairnas-a", {}, "network.cells: 3: is for cells"),
        ("fairdarts-a", {"init_from": "nowhere"}, "nowhere"),
        ("fairdarts-a", {"out": "."}, "already exists"),
    ],
)
def test_a_mistake_is_one_line(genotype: str, given: dict[str, Any], message: str):
    Path("something").touch()
    with pytest.raises(UserError) as error:
        train(genotype, **{"recipe": RECIPE} | given)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert not Path("runs").exists()


def test_a_recipe_is_a_mapping_that_stays_as_it_is():
    before = repr(RECIPE)
    train("fairdarts-a", RECIPE, epochs=1)
    assert repr(RECIPE) == before
    assert read_yaml(Path("runs/fairdarts-a-tiny-seed0/settings.yaml"))["epochs"] == 1


def test_the_function_is_not_hidden_by_the_package_of_its_name():
    import fairdarts.training.loop

    assert fairdarts.train is train
    assert fairdarts.search is search
