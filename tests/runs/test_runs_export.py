"""`fairdarts.export`: the files that the verb writes, as an object."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from runs import same
from test_runs_train import RECIPE

import fairdarts
from fairdarts.cli import main
from fairdarts.config import Notice, UserError
from fairdarts.networks.published import open_model
from fairdarts.reading import read_yaml
from fairdarts.runs.evaluate import evaluate
from fairdarts.runs.export import export
from fairdarts.runs.quantize import spread
from fairdarts.runs.train import train
from fairdarts.runtime.shape import ImageSize

SMALL = {"network.cells": 2, "network.channels": 2}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_run_becomes_the_files_that_the_verb_writes(capfd: pytest.CaptureFixture[str]):
    run = train("fairdarts-a", RECIPE, epochs=1, out="run")
    made = export(run, ["safetensors", "torchscript", "safetensors"], "function", benchmark=True)
    assert capfd.readouterr() == ("", "")
    assert [file.path.name for file in made.files] == ["fairdarts-a.safetensors", "fairdarts-a.torchscript.pt"]
    assert all(file.size == file.path.stat().st_size and file.difference == 0 for file in made.files)
    assert made.times is not None
    assert set(made.times["milliseconds"]) == {"torch", "torchscript"}
    assert main(["export", "run", "--format", "safetensors,torchscript", "--out", "verb"]) == 0
    assert Path("verb/fairdarts-a.md").read_text() == Path("function/fairdarts-a.md").read_text()
    weights = [fairdarts.load(f"{folder}/fairdarts-a.safetensors").state_dict() for folder in ("verb", "function")]
    assert same(*weights)
    assert made.card == Path("function/fairdarts-a.md")
    images = torch.randn(2, 3, 8, 8)
    assert torch.equal(fairdarts.load(made.files[0].path)(images), fairdarts.load(run.path)(images))


def test_height_and_width_are_those_of_the_training():
    """And what judging resizes images to: 8/7 of them, as the images are taken for ImageNet's."""
    for name in ("ant", "bee"):
        for number in range(6):
            Path("photos", name).mkdir(parents=True, exist_ok=True)
            Image.effect_noise((20, 30), 90).save(Path("photos", name, f"{number}.png"))
    data = {"kind": "imagenet", "root": "photos", "image_size": "14x21", "held_out": 2, "batch_size": 4, "workers": 0}
    run = train("fairdarts-a", RECIPE | {"data": data}, epochs=1, out="run")
    assert read_yaml("run/settings.yaml")["data"]["image_size"] == "14x21"
    judged = evaluate(run)
    assert (judged.on, judged.images) == ("held-out", 4)
    assert judged.loss == pytest.approx(run.results["last"]["loss"], rel=1e-5)
    model = open_model(run.path)
    assert (model.blueprint.image, model.blueprint.resize) == (ImageSize(14, 21), ImageSize(16, 24))
    assert model.network.default_cfg["input_size"] == (3, 14, 21)
    made = export(run, ["safetensors"])
    again = open_model(made.files[0].path).blueprint
    assert again == model.blueprint
    assert json.loads(again.model_dump_json())["image"] == "14x21"
    assert "3×14×21, values" in made.card.read_text()
    larger = export(run, ["safetensors"], "larger", image=(28, 42))
    again = open_model(larger.files[0].path).blueprint
    assert (again.image, again.resize) == (ImageSize(28, 42), ImageSize(32, 48))
    square = export(run, ["safetensors"], "square", image=28)
    assert open_model(square.files[0].path).blueprint.image == 28


def test_random_weights_are_warned_of():
    with pytest.warns(Notice, match="WEIGHTS ARE RANDOM: fairdarts-a is a genotype"):
        made = export("fairdarts-a", "safetensors", image=16, classes=3, settings=SMALL)
    network = fairdarts.load(made.files[0].path)
    assert (network.num_classes, network.default_cfg["input_size"]) == (3, (3, 16, 16))


def test_an_int8_file_is_made_with_the_images_of_its_run():
    pytest.importorskip("onnxruntime")
    run = train("fairdarts-a", RECIPE, epochs=1, settings={"network.cells": 1}, out="run")
    with warnings.catch_warnings(action="ignore", category=Notice):  # after an epoch it knows nothing
        made = export(run, ["onnx-int8", "safetensors"], calibration=12, benchmark=True)
    of = made.files[0].quantized
    assert of is not None
    assert (of.images, of.on, of.calibration) == (16, "held-out", 12)
    assert of.before == pytest.approx(fairdarts.evaluate(run, split="held-out").top1)
    assert made.card is not None
    assert f"| In int8 | fairdarts-a.int8.onnx: top-1 {of.after:.2%}" in made.card.read_text()
    assert made.times is not None
    assert set(made.times["milliseconds"]) == {"torch", "onnx-int8"}
    # the file alone says no images
    with pytest.raises(UserError, match=r"export: exported/fairdarts-a\.safetensors: says no images: name them with"):
        export("exported/fairdarts-a.safetensors", "onnx-int8", "again")
    rng = np.random.default_rng(0)
    data = rng.integers(0, 256, (30, 8, 8, 3), dtype=np.uint8), np.arange(30) % 10
    with warnings.catch_warnings(action="ignore", category=Notice):
        again = export("exported/fairdarts-a.safetensors", "onnx-int8", "again", data=data, calibration=20)
    of = again.files[0].quantized
    assert of is not None
    assert (of.images, of.on, of.calibration) == (10, "other", 20)  # those that did not calibrate
    with pytest.raises(UserError, match="data: all of the 30 images calibrate, and none is left to judge by"):
        export("exported/fairdarts-a.safetensors", "onnx-int8", "more", data=data)


def test_the_images_that_calibrate_are_spread_over_the_classes():
    labels = [0, 0, 0, 0, 1, 1, 2, 0]
    assert spread(labels, [7, 3, 2, 5, 6, 4, 1], 5) == [7, 5, 6, 3, 4]
    assert spread(labels, [7, 3], 128) == [7, 3]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"formats": ["onnxx"]}, "formats: 'onnxx' is not a format (did you mean 'onnx'?)"),
        ({"image": 0}, "image: 0: should be 1 or more"),
        ({"image": (8, 9000)}, "image: 9000: should be 1 or more, at most 8192"),
        ({"classes": 1}, "classes: 1: should be 2 or more"),
        ({"settings": {"network.cell": 3}}, "network.cell: unknown key (did you mean 'cells'?)"),
        ({"weights": "raw"}, "goes with a file of weights, which fairdarts-a is not"),
        ({"what": "gone.pt"}, "gone.pt: no such file"),
        ({"formats": "onnx", "opset": 17}, "opset: 17: should be from 18 to "),
        ({"formats": "onnx", "opset": 999}, "opset: 999: should be from 18 to "),
        ({"formats": "openvino", "opset": 20}, "opset: 20: goes with the formats onnx and onnx-int8"),
        ({"formats": "torch-export", "dynamic": True}, "dynamic: not with the format torch-export"),
        ({"data": "photos"}, "data: goes with the format onnx-int8, which alone is made with images"),
        ({"settings": {"data.root": "photos"}}, "data.root: goes with the format onnx-int8"),
        ({"formats": "onnx-int8", "calibration": 0}, "calibration: 0: should be 1 or more"),
        ({"formats": "onnx-int8"}, "export: fairdarts-a: says no images: name them with --config RECIPE"),
        ({"formats": "onnx-int8", "what": "gone.pt"}, "export: gone.pt: no such run or file"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(given: dict[str, Any], message: str):
    with pytest.raises(UserError) as error, warnings.catch_warnings(action="ignore"):
        export(**{"what": "fairdarts-a"} | given)
    assert message in str(error.value)
    assert not Path("exported").exists()
