"""`fairdarts.evaluate`: what the verb tells, as an object."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from test_runs_train import RECIPE

import fairdarts
from fairdarts.cli import main
from fairdarts.cli.evaluate import show
from fairdarts.config import UserError
from fairdarts.runs.evaluate import evaluate
from fairdarts.runs.train import train


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> fairdarts.Run:
    return train("fairdarts-a", RECIPE, out=tmp_path_factory.mktemp("runs") / "run")


def test_it_tells_what_the_verb_tells(
    run: fairdarts.Run, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    judged = evaluate(run)
    assert capfd.readouterr() == ("", "")
    assert judged.figures() == [run.path / "figures" / f"confusion.{suffix}" for suffix in ("svg", "png")]
    monkeypatch.setattr("fairdarts.plot.confusion.draw_confusion", lambda *_: [])
    assert main(["evaluate", str(run.path), "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    keys = ("genotype", "epoch", "images", "on", "top1", "top5", "balanced", "loss")
    assert {key: told[key] for key in keys} == {key: getattr(judged, key) for key in keys}
    assert told["confusion"] == judged.confusion.tolist()
    assert list(told["by_class"]) == list(judged.classes)
    assert judged.top1 == run.results["best"]["top1"]
    assert judged.chose_epoch  # the held-out images have
    assert not evaluate(run.path, split="train").chose_epoch


def test_a_class_without_images_has_no_share(run: fairdarts.Run):
    judged = evaluate(run)
    for row, name in enumerate(judged.classes):
        count = int(judged.confusion[row].sum())
        assert math.isnan(judged.by_class[name]) == (count == 0)
    assert judged.confusion.sum() == judged.images == 16
    assert judged.balanced == pytest.approx(np.nanmean(list(judged.by_class.values())))


def test_the_mean_over_classes_is_shown_where_their_numbers_differ(
    run: fairdarts.Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    judged = evaluate(run)
    show(judged)
    assert f"mean over classes {judged.balanced:.2%}, loss" in capsys.readouterr().out
    show(replace(judged, confusion=4 * torch.eye(len(judged.classes), dtype=torch.int64)))
    assert "mean over classes" not in capsys.readouterr().out


def test_other_images_are_a_test_set_and_that_is_noted(tmp_path: Path):
    for number, name in enumerate(("ant", "bee")):
        for root, count in (("photos", 8), ("others", 3)):
            (tmp_path / root / name).mkdir(parents=True)
            for image in range(count):
                colour = (90 * number, 20 * image, 200)
                Image.new("RGB", (12, 12), colour).save(tmp_path / root / name / f"{root}{image}.png")
    data = {"kind": "folder", "root": str(tmp_path / "photos"), "image_size": 8, "batch_size": 4}
    data |= {"train_portion": 0.8, "cutout": 0, "workers": 0}
    run = train("fairdarts-a", RECIPE | {"data": data}, epochs=1, out=tmp_path / "run")
    notes: list[str] = []

    class Notes(fairdarts.Callback):
        def note(self, text: str) -> None:
            notes.append(text)

    judged = evaluate(run, settings={"data.root": str(tmp_path / "others")}, callbacks=Notes())
    assert (judged.images, judged.on) == (6, "other")
    assert notes == [f"images     other ones than {run.path} began with: a test set, judged whole"]
    weights = torch.load(run.directory.best, weights_only=True)
    assert "network" in weights
    recipe = {"data": data | {"root": str(tmp_path / "others")}}
    assert evaluate(run.directory.best, recipe=recipe, split="train").images == 6


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"split": "test"}, "data: there are no test images"),
        ({"split": "valid"}, "split: 'valid': should be one of test, held-out, train"),
        ({"weights": "average"}, "weights: 'average': should be one of auto, ema, raw"),
        ({"weights": "ema"}, "it has no ema weights"),
        ({"settings": {"data.kind": "digits"}}, "is for images of 3 channels, but these have 1"),
        ({"settings": {"data.train_portion": 0.9}}, "data.train_portion: 0.9: the run has 0.5, so others"),
        ({"recipe": {"name": "nothing"}}, "recipe: data: is missing"),
        ({"threads": 0}, "threads: 0: should be from 1 to 1024"),
    ],
)
def test_a_mistake_is_one_line(run: fairdarts.Run, given: dict[str, Any], message: str):
    with pytest.raises(UserError) as error:
        evaluate(run, **given)
    assert message in str(error.value)


def test_what_says_no_images_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match="nowhere: no such run or file"):
        evaluate(tmp_path / "nowhere")
    (tmp_path / "alone.safetensors").touch()
    with pytest.raises(UserError, match="says no images"):
        evaluate(tmp_path / "alone.safetensors")
