"""Files of other programs give the model's logits; and the card that lies beside a published model."""

import json
import warnings
from pathlib import Path

import pytest
import torch
import yaml
from torch import nn

from fairdarts.config import UserError
from fairdarts.genotype import CellGenotype, ChainGenotype, to_yaml
from fairdarts.networks.blueprint import Blueprint, NetworkSettings
from fairdarts.networks.models import find, model_names
from fairdarts.networks.published import TrainedModel, load, random_model, save_model
from fairdarts.spaces.cell import CellSpace
from fairdarts.transfer.card import card
from fairdarts.transfer.formats import FORMATS, TOLERANCE, Format, Made, Making, compare, export, latencies, other_shape
from fairdarts.transfer.int8 import Quantized
from fairdarts.transfer.onnx import image_shape
from fairdarts.transfer.settings import SUFFIXES

SMALL = NetworkSettings(cells=3, channels=4)


@pytest.fixture(scope="module")
def model() -> TrainedModel:
    return random_model("fairdarts-a", SMALL)


def test_a_network_of_cells_is_the_same_in_onnx(model: TrainedModel, tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    onnx = pytest.importorskip("onnx")
    (made,) = export(model, tmp_path / "it", ["onnx"])
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == [made.path] == [tmp_path / "it.onnx"]
    assert made.size == made.path.stat().st_size
    assert made.difference <= 1e-5 * made.largest
    proto = onnx.load(made.path)
    facts = {prop.key: prop.value for prop in proto.metadata_props}
    assert Blueprint.model_validate_json(facts["fairdarts"]) == model.blueprint
    assert json.loads(facts["classes"]) == list("0123456789")
    assert json.loads(facts["mean"]) == list(model.blueprint.mean)
    assert json.loads(facts["about"]) == {"weights": "random"}
    (image,), (logits,) = proto.graph.input, proto.graph.output
    assert (image.name, logits.name) == ("image", "logits")
    shapes = [[dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in (image, logits)]
    assert shapes == [["batch", 3, 32, 32], ["batch", 10]]
    assert str(Path(__file__).parents[2]).encode() not in made.path.read_bytes()  # it tells nothing of this machine
    run = FORMATS["onnx"].open(made.path)
    images = torch.randn(5, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(run(images), model.network(images), rtol=0, atol=1e-5)


def test_a_chain_is_the_same_in_every_format(tmp_path: Path):
    kept = {0: ["E3K3"], 1: ["E3K5", "skip_connect"], **{number: ["E6K7"] for number in (2, 6, 10, 14, 18)}}
    layers = [kept.get(number, []) for number in range(19)]
    genotype = ChainGenotype(name="shallow", space="s2-small", source="a test", layers=layers)
    (tmp_path / "shallow.yaml").write_text(to_yaml(genotype))
    settings = NetworkSettings(se_ratio=0.25, activation="swish")
    model = random_model(str(tmp_path / "shallow.yaml"), settings, classes=5, image=32)
    formats = [name for name in FORMATS if name not in ("onnx-int8", "openvino")]
    for made in export(model, tmp_path / "it", formats):
        assert made.path.is_file()
        assert made.difference <= (1e-5 * made.largest if made.format == "onnx" else 0), made.format
    blueprint = {"fairdarts": ""}
    with warnings.catch_warnings(action="ignore"):  # TorchScript is deprecated
        torch.jit.load(tmp_path / "it.torchscript.pt", _extra_files=blueprint)
    assert Blueprint.model_validate_json(blueprint["fairdarts"]) == model.blueprint


def doubled(path: Path):
    network = load(path)
    return lambda images: 2 * network(images)


def test_a_file_that_gives_other_logits_is_not_kept(
    model: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(FORMATS, "wrong", Format(lambda path, model, _: save_model(path, model), doubled))
    monkeypatch.setitem(SUFFIXES, "wrong", ".wrong.safetensors")
    with pytest.raises(UserError, match=r"it\.wrong\.safetensors: not written: its logits differ from the model's by"):
        export(model, tmp_path / "it", ["safetensors", "wrong"])
    assert not list(tmp_path.iterdir())


def test_a_network_without_finite_logits_is_not_exported(model: TrainedModel, tmp_path: Path):
    broken = random_model("fairdarts-a", SMALL)
    nn.init.constant_(broken.network.classifier.bias, float("inf"))
    with pytest.raises(UserError, match="not finite"):
        export(broken, tmp_path / "it", ["safetensors"])
    assert not list(tmp_path.iterdir())


# any height and width, any opset


def test_a_dynamic_file_takes_images_of_any_size(tmp_path: Path):
    onnx = pytest.importorskip("onnx")
    operations = ("max_pool_3x3", "avg_pool_3x3", "dil_conv_3x3", "skip_connect", "sep_conv_3x3")
    edges = [(name, 2 + number // 2, number % 2) for number, name in enumerate(operations)]
    genotype = CellGenotype(name="few", space="s1", source="a test", normal=edges, reduce=edges)
    (tmp_path / "few.yaml").write_text(to_yaml(genotype))
    model = random_model(str(tmp_path / "few.yaml"), NetworkSettings(cells=2, channels=2), image=16)  # both reduce
    made, traced = export(model, tmp_path / "it", ["onnx", "torchscript"], Making(opset=21, dynamic=True))
    proto = onnx.load(made.path)
    assert [used.version for used in proto.opset_import if used.domain == ""] == [21]
    (image,) = proto.graph.input
    dims = [dim.dim_param or dim.dim_value for dim in image.type.tensor_type.shape.dim]
    assert dims == ["batch", 3, "height", "width"]
    run = FORMATS["onnx"].open(made.path)
    for shape in ((1, 3, 16, 16), (2, 3, 15, 33), (1, 3, 5, 8)):  # odd at every stride
        images = torch.randn(shape)
        with torch.no_grad():
            torch.testing.assert_close(run(images), model.network(images), rtol=0, atol=1e-5)
    assert traced.difference == 0


class OneSize(nn.Module):
    """A network whose classifier sees all pixels."""

    def __init__(self):
        super().__init__()
        self.classifier = nn.Linear(3 * 16 * 16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(x.flatten(1))


class Even(nn.Module):
    """A network that treats images of one height in another way."""

    def __init__(self):
        super().__init__()
        self.classifier = nn.Linear(3, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(x.mean((2, 3)) * (1 if x.shape[2] == 16 else 2))


@pytest.mark.parametrize(
    ("network", "format", "said"),
    [
        (OneSize, "safetensors", r"^dynamic: the network takes no images but those of 16×16 pixels: .+"),
        (Even, "onnx", r"^dynamic: this network cannot be written for any height of its images: it depends on it$"),
        (Even, "torchscript", r"^\S+it\.torchscript\.pt: not written: its logits differ"),
    ],
)
def test_a_network_for_images_of_one_size_is_refused(network: type[nn.Module], format: str, said: str, tmp_path: Path):
    pytest.importorskip("onnx")
    model = random_model("fairdarts-a", NetworkSettings(cells=2, channels=2), image=16)._replace(network=network())
    with pytest.raises(UserError, match=said):
        export(model, tmp_path / "it", [format], Making(dynamic=True))
    assert not list(tmp_path.iterdir())


def test_the_second_size_is_larger_odd_and_not_square(model: TrainedModel):
    (_, height, width), (channels, other_height, other_width) = image_shape(model), other_shape(model)
    assert channels == 3
    assert other_height > height
    assert other_width > width
    assert other_height != other_width
    assert other_height % 2 == other_width % 2 == 1


# OpenVINO


def test_a_network_is_the_same_in_openvino(tmp_path: Path):
    openvino = pytest.importorskip("openvino")
    model = random_model("fairdarts-a", NetworkSettings(cells=2, channels=2), image=16)
    (made,) = export(model, tmp_path / "it", ["openvino"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["it.bin", "it.xml"]
    assert made.path == tmp_path / "it.xml"
    assert made.size == sum(path.stat().st_size for path in tmp_path.iterdir())
    assert made.difference <= 1e-5 * made.largest
    read = openvino.Core().read_model(made.path)
    facts = {key: read.get_rt_info(["framework", key]).astype(str) for key in ("fairdarts", "classes", "mean")}
    assert Blueprint.model_validate_json(facts["fairdarts"]) == model.blueprint
    assert json.loads(facts["classes"]) == list("0123456789")
    assert json.loads(facts["mean"]) == list(model.blueprint.mean)


def test_a_file_beside_is_not_overwritten(model: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(FORMATS, "openvino", FORMATS["openvino"]._replace(check=lambda: None))
    (tmp_path / "it.bin").write_text("mine")
    with pytest.raises(UserError, match=r"it\.bin: already exists"):
        export(model, tmp_path / "it", ["openvino"])


def test_a_small_mistake_is_seen(model: TrainedModel):
    def almost(images: torch.Tensor) -> torch.Tensor:
        return model.network(images.roll(1, -1))

    difference, largest = compare(almost, model)
    assert difference > 10 * TOLERANCE * largest  # so that the check can tell
    assert compare(model.network, model)[0] == 0


def test_nothing_is_overwritten(model: TrainedModel, tmp_path: Path):
    (tmp_path / "it.safetensors").write_text("mine")
    with pytest.raises(UserError, match="already exists"):
        export(model, tmp_path / "it", ["safetensors"])
    assert (tmp_path / "it.safetensors").read_text() == "mine"


def test_what_is_missing_is_named_with_the_line_that_installs_it(model: TrainedModel, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("fairdarts.transfer.onnx.find_spec", lambda name: None if name == "onnxscript" else name)
    with pytest.raises(UserError, match=r"onnx: needs onnxscript: pip install 'fairdarts\[export\]'"):
        export(model, tmp_path / "it", ["onnx"])


def test_openvino_is_named_with_the_line_that_installs_it(model: TrainedModel, tmp_path: Path, monkeypatch):
    there = {"onnx", "onnxruntime", "onnxscript"}
    for name in ("onnx", "openvino"):
        monkeypatch.setattr(f"fairdarts.transfer.{name}.find_spec", lambda name: name if name in there else None)
    with pytest.raises(UserError, match=r"openvino: needs openvino: pip install 'fairdarts\[openvino\]'"):
        export(model, tmp_path / "it", ["openvino"])


def test_latencies_are_those_of_turns():
    turns = []
    runs = {name: lambda image, name=name: turns.append((name, tuple(image.shape))) or image for name in "ab"}
    found = latencies(runs, (3, 8, 8))
    assert turns[:4] == [("a", (1, 3, 8, 8)), ("b", (1, 3, 8, 8))] * 2
    assert all(0 < median <= p90 for median, p90 in found.values())


# the card


def python_of(text: str) -> str:
    return text.split("```python\n")[1].split("```")[0]


def test_the_python_of_a_card_runs(model: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    save_model(tmp_path / "it.safetensors", model)
    text = card(model, "it.safetensors")
    assert text.startswith("# it\n")
    assert "**Its weights are random**" in text
    names: dict = {}
    exec(python_of(text), names)
    assert names["logits"].shape == (1, 10)
    written = yaml.safe_load(text.split("```yaml\n")[1].split("```")[0])
    assert written["normal"] == [list(edge) for edge in model.blueprint.genotype.normal]


def test_a_card_tells_what_is_known_of_the_weights(model: TrainedModel):
    about = {
        "recipe": "train-darts-cifar10",
        "deviations": ["no cutout", "a | line\nand another"],
        "metrics": {"valid_top1": 0.9712, "train_loss": 0.25},
        "results": {"on": "test", "best_by": "test", "images": 10000, "epoch": 7}
        | {"top1": 0.9612, "top5": 0.999, "loss": 0.125},
        "weights": "ema",
        "ours": None,
    }
    text = card(model._replace(about=about), "it.safetensors")
    params = sum(parameter.numel() for parameter in model.network.parameters())
    for line in (
        f"| Parameters | {params:,} |",
        "| Network | cells 3, channels 4 |",
        "| Classes | 10: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 |",
        "- recipe: train-darts-cifar10",
        "  - a | line and another",
        "- metrics: valid_top1 97.12%, train_loss 0.25",
        "- results: top-1 96.12%, top-5 99.90% of 10,000 test images, loss 0.125; epoch 7, chosen by these very images",
        "- weights: the moving average of the training's weights",
    ):
        assert line in text.splitlines(), line
    assert "random" not in text
    assert "ours" not in text
    many = model.blueprint.model_copy(update={"classes": tuple(f"c|{number}" for number in range(1000))})
    shown = card(model._replace(blueprint=many, about={"results": "good"}), "it.safetensors")
    assert "| Classes | 1000: c\\|0, c\\|1, c\\|2, … c\\|999; all of them are in the file's metadata |" in shown
    assert "- results: good" in shown


def test_a_card_tells_what_the_int8_file_is_worth(model: TrainedModel):
    of = Quantized(images=1200, on="test", before=0.9, after=0.895, alike=0.98, calibration=128)
    made = Made("onnx-int8", Path("exported/it.int8.onnx"), 1, 0.1, 1, of)
    worth = "top-1 89.50%, in float32 90.00%, the same class for 98.00% of 1,200 test images"
    text = card(model, "it.safetensors", [made])
    assert f"| In int8 | it.int8.onnx: {worth}; calibrated with 128 training images |" in text.splitlines()
    assert "int8" not in card(model, "it.safetensors")


# every genotype


LARGE = ("darts-v2-imagenet", "fairdarts-a-imagenet", "fairdarts-d-imagenet")


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in model_names() if not name.endswith("-imagenet") or name in LARGE])
def test_every_genotype_is_the_same_in_onnx(name: str, tmp_path: Path):
    found = find(name)
    if isinstance(found.space, CellSpace):  # narrow, with both kinds of cells
        settings = found.network.model_copy(update={"cells": 5, "channels": 4})
        model = random_model(name, settings, image=64 if found.size == "imagenet" else 32)
    else:
        model = random_model(name, found.network, classes=5, image=64)
    (made,) = export(model, tmp_path / "it", ["onnx"])
    assert made.difference <= 1e-4 * made.largest
    with torch.no_grad():
        logits = model.network(torch.randn(8, *image_shape(model)))
    assert logits.std(0).max() > 100 * TOLERANCE * made.largest  # else the comparison could not tell
