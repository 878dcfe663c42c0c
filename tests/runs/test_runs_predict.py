"""`fairdarts.predict`: image by image what `evaluate` judges, by torch and by onnxruntime alone."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from test_runs_train import RECIPE

import fairdarts
from fairdarts.config import Notice, UserError
from fairdarts.data.geometry import Preparation
from fairdarts.data.serve import evaluation_batches
from fairdarts.data.sources import open_source
from fairdarts.networks.published import open_model, random_model, save_model
from fairdarts.networks.settings import NetworkSettings
from fairdarts.runs.evaluate import evaluate
from fairdarts.runs.export import export
from fairdarts.runs.predict import Prediction, predict
from fairdarts.runs.train import train
from fairdarts.runtime import checkpoint
from fairdarts.transfer.formats import FORMATS
from fairdarts.transfer.onnx import write_onnx

CLASSES = ("ant", "bee", "cat")
SMALL = NetworkSettings(cells=1, channels=2)
OTHER = json.dumps(Preparation(3, 8, 8, (0.5,) * 3, (0.2,) * 3).plain())
KINDS = {
    "imagenet": {"kind": "imagenet", "held_out": 2},
    "folder": {"kind": "folder", "train_portion": 0.5, "cutout": 0, "in_memory": True},
}


def photographs(root: Path) -> None:
    """Of any shape, some lying on their side, and hidden ones that are no data."""
    rng = np.random.default_rng(0)
    for name in CLASSES:
        (root / name).mkdir(parents=True)
        for number in range(6):
            height, width = rng.integers(20, 70, 2).tolist()
            exif = Image.Exif()
            exif[0x0112] = 1 + (number * 3) % 8
            blocks = Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8)).resize((width, height))
            blocks.save(root / name / f"{number}.jpg", exif=exif)
        (root / name / "._0.jpg").write_text("hidden")
        (root / name / "notes.txt").write_text("no image")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    photographs(path := tmp_path_factory.mktemp("predict") / "photos")
    return path


@pytest.fixture(scope="module", params=KINDS)
def run(request: pytest.FixtureRequest, photos: Path) -> fairdarts.Run:
    data = {"root": str(photos), "image_size": "24x18", "batch_size": 4, "workers": 0} | KINDS[request.param]
    settings = {"network.cells": 1}  # a file of ONNX takes a second for every cell
    recipe = RECIPE | {"data": data}
    return train("fairdarts-a", recipe, epochs=1, settings=settings, out=photos.parent / request.param)


@pytest.fixture(scope="module")
def exported(run: fairdarts.Run) -> dict[str, Path]:
    pytest.importorskip("onnxruntime")
    made = export(run, ["onnx", "onnx-int8", "safetensors"], run.path / "exported").files
    return {file.format: file.path for file in made}


def judged(run: fairdarts.Run, int8: Path | None = None) -> np.ndarray:
    """The probabilities [N, classes] of all images, as judging serves them, by the network or its int8 file."""
    model, data = open_model(run.path), run.settings.data
    source, every = open_source(data), range(3 * 6)
    served = evaluation_batches(source, data, every, torch.device("cpu"), torch.channels_last)
    network = model.network.to(memory_format=torch.channels_last)
    runs = FORMATS["onnx-int8"].open(int8) if int8 else network
    with torch.no_grad():
        return torch.cat([runs(images).softmax(1) for images, _ in served]).numpy()


@pytest.mark.parametrize("form", ["run", "checkpoint", "safetensors", "onnx", "onnx-int8"])
def test_every_image_is_predicted_as_it_is_judged(
    run: fairdarts.Run, exported: dict[str, Path], photos: Path, form: str
):
    files = exported | {"run": run.path, "checkpoint": next((run.path / "checkpoints").glob("*.pt"))}
    int8 = files[form] if form == "onnx-int8" else None
    found, expected = predict(files[form], photos), judged(run, int8)
    assert [one.path for one in found] == [str(photos / name / f"{n}.jpg") for name in CLASSES for n in range(6)]
    for one, shares in zip(found, expected, strict=True):
        assert {*one.classes} == {*CLASSES}
        assert one.classes[0] == CLASSES[shares.argmax()]
        assert [*one.probabilities] == sorted(one.probabilities, reverse=True)
        assert one.probabilities == pytest.approx([shares[CLASSES.index(name)] for name in one.classes], abs=1e-5)
    if int8:
        return
    confusion = np.zeros((3, 3), dtype=int)
    for one in found:
        confusion[CLASSES.index(Path(one.path).parent.name), CLASSES.index(one.classes[0])] += 1
    assert confusion.tolist() == evaluate(run, split="train").confusion.tolist()


def test_an_onnx_file_needs_no_torch(run: fairdarts.Run, exported: dict[str, Path], photos: Path):
    program = """
import json, sys
import fairdarts
found = fairdarts.predict(sys.argv[1], sys.argv[2], top=1, callbacks=fairdarts.ProgressBar())
print(json.dumps([found, [name for name in ("torch", "torchvision", "pandas") if name in sys.modules]]))
"""
    words = [sys.executable, "-c", program, exported["onnx"], photos / "bee"]
    found, loaded = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    assert loaded == []
    expected = predict(run, photos / "bee", top=1)
    assert [one[1] for one in found] == [[*one.classes] for one in expected]
    assert [one[2] for one in found] == [pytest.approx(one.probabilities, abs=1e-5) for one in expected]


def test_a_run_whose_models_do_not_say_how_they_are_judged(run: fairdarts.Run, photos: Path, tmp_path: Path):
    """Of before: the settings of the run say so."""
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "settings.yaml").write_text((run.path / "settings.yaml").read_text())
    state = checkpoint.load(run.directory.last)
    blueprint = {key: value for key, value in json.loads(state["blueprint"]).items() if key != "resize"}
    checkpoint.save(tmp_path / "checkpoints" / "last.pt", state | {"blueprint": json.dumps(blueprint)})
    old = tmp_path / "checkpoints" / "last.pt"
    assert open_model(old).blueprint.resize is None
    assert predict(old, photos) == predict(run.directory.last, photos)


def test_images_of_python_are_those_of_files(
    run: fairdarts.Run, exported: dict[str, Path], photos: Path, tmp_path: Path
):
    path = photos / "ant" / "3.jpg"
    (tmp_path / "cut.jpg").write_bytes(path.read_bytes()[:-40])
    with pytest.warns(Notice, match="image 0: cannot be decoded as an image"), Image.open(tmp_path / "cut.jpg") as cut:
        predict(run, cut)
    with Image.open(path) as picture:
        picture.load()
        (expected,) = predict(exported["onnx"], path)
        for form in (picture, [picture]):
            (found,) = predict(exported["onnx"], form)
            assert found == expected._replace(path="image 0")
    pixels = np.asarray(fairdarts.runs.predict.read_image(path))
    tensor = torch.from_numpy(pixels.copy()).permute(2, 0, 1)
    for form in (pixels, pixels[None], [pixels.transpose(2, 0, 1)], tensor):
        assert predict(exported["onnx"], form)[0][1:] == expected[1:]
    gray = predict(run, [pixels[..., 0], Image.fromarray(pixels[..., 0]), np.stack([pixels[..., 0]] * 3, -1)])
    assert len({one.classes for one in gray}) == 1
    assert gray[0].probabilities == pytest.approx(gray[1].probabilities) == gray[2].probabilities


def test_what_is_no_image_is_named_and_all_others_are_predicted(
    exported: dict[str, Path], photos: Path, tmp_path: Path
):
    (tmp_path / "broken.jpg").write_text("no image")
    path, gone = photos / "ant" / "0.jpg", tmp_path / "gone.png"
    with pytest.warns(Notice) as told:
        found = predict(exported["onnx"], [tmp_path / "broken.jpg", path, gone, np.zeros((3, 4), np.float32)], top=1)
    errors = [
        f"{tmp_path / 'broken.jpg'}: cannot be decoded as an image",
        "",
        f"{gone}: No such file or directory",
        "image 3: float32: should be uint8 from 0 to 255: of values in [0, 1] that is "
        "(255 * image).round().astype('uint8')",
    ]
    assert [one.error for one in found] == errors
    assert [str(one.message) for one in told] == [error for error in errors if error]
    assert found[0] == Prediction(str(tmp_path / "broken.jpg"), (), (), errors[0])
    assert found[1] == predict(exported["onnx"], path, top=1)[0]
    with pytest.warns(Notice):
        assert len(predict(exported["onnx"], [gone])) == 1


def refusal(*args: object, **told: object) -> str:
    with pytest.raises(UserError) as error:
        predict(*args, **told)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_bad_words_are_refused_in_a_line(exported: dict[str, Path], photos: Path, tmp_path: Path):
    file, path = exported["onnx"], photos / "ant" / "0.jpg"
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / ".hidden.jpg").write_text("")
    (tmp_path / "words.onnx").write_text("no model")
    assert refusal(file, tmp_path / "empty").startswith(f"predict: {tmp_path / 'empty'}: has no images, which end with")
    assert refusal(file, []) == "predict: there are no images: name files or folders"
    assert refusal(file, 7) == "predict: images: int: should be files, folders, PIL images or arrays"
    assert refusal(tmp_path / "no-run", path) == f"predict: {tmp_path / 'no-run'}: no such run or file"
    assert refusal(file, path, top=4) == f"predict: top: 4: should be from 1 to 3, the classes of {file}"
    assert refusal(file, path, top=0).startswith("predict: top: 0: should be from 1 to 3")
    assert (
        refusal(file, path, weights="raw")
        == f"predict: weights: raw: is for files of weights; {file} says itself what it is"
    )
    assert refusal(file, path, device="cuda") == "predict: device: cuda: ONNX files run on the CPU; should be cpu"
    assert refusal(tmp_path / "words.onnx", path).startswith(
        f"{tmp_path / 'words.onnx'}: is no ONNX file that onnxruntime"
    )
    assert refusal(photos, path).startswith(f"{photos}: not a run directory")


def test_metadata_that_lack_something_are_named(exported: dict[str, Path], photos: Path, tmp_path: Path):
    onnx = pytest.importorskip("onnx")
    path = photos / "ant" / "0.jpg"
    for change, said in (
        (
            {"transform": None},
            "its metadata lack transform, which `fairdarts export` writes: export the model with this",
        ),
        ({"transform": None, "classes": None}, "its metadata lack classes and transform, which"),
        ({"transform": "{"}, "transform: is damaged in its metadata: "),
        ({"transform": "{}"}, "transform: is damaged in its metadata: 'interpolation'"),
        ({"transform": OTHER}, "transform: makes images [3, 8, 8], but its input is of shape ['batch', 3, 24, 18]"),
        ({"classes": '["a", 2]'}, "classes: is damaged in its metadata: should be names, 2 or more"),
        ({"classes": '["a", "b"]'}, "classes: are 2, but its output is of shape ['batch', 3]"),
    ):
        proto = onnx.load(exported["onnx"])
        facts = {prop.key: prop.value for prop in proto.metadata_props} | change
        onnx.helper.set_model_props(proto, {key: value for key, value in facts.items() if value is not None})
        onnx.save(proto, file := tmp_path / "other.onnx")
        assert refusal(file, path).startswith(f"{file}: {said}")


@pytest.mark.parametrize("form", ["onnx", "safetensors"])
@pytest.mark.parametrize("channels", [1, 5])
def test_networks_of_other_channels_take_what_has_as_many(tmp_path: Path, photos: Path, channels: int, form: str):
    model = random_model("fairdarts-a", SMALL, classes=3, image=16)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        facts = {"mean": (0.5,) * channels, "std": (0.2,) * channels}
        blueprint = model.blueprint.model_copy(update=facts)
        network = fairdarts.networks.blueprint.assemble(blueprint).eval()
    model = model._replace(network=network, blueprint=blueprint)
    {"onnx": write_onnx, "safetensors": save_model}[form](file := tmp_path / f"it.{form}", model)
    pixels = np.random.default_rng(0).integers(0, 256, (20, 16, channels), dtype=np.uint8)
    (found,) = predict(file, pixels)
    assert predict(file, [pixels.transpose(2, 0, 1)])[0] == found
    if channels == 5:
        should = "no file of pictures has so many: hand arrays over from Python"
        assert refusal(file, photos) == f"predict: {file}: is for images of 5 channels; {should}"
        with pytest.warns(Notice, match=r"image 0: of shape \[20, 16\]; should be \[H, W, 5\] or \[5, H, W\]"):
            predict(file, pixels[..., 0])
        return
    Image.fromarray(pixels[..., 0]).save(tmp_path / "gray.png")
    assert predict(file, tmp_path / "gray.png")[0][1:] == found[1:]
    colour = photos / "ant" / "0.jpg"
    with pytest.warns(Notice):
        (refused,) = predict(file, colour)
    assert refused.error == f"{colour}: is in colour, but the network is for gray images"
