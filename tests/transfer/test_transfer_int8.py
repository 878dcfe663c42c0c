"""An int8 file says what the float32 file says, is smaller, and is measured beside it."""

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from fairdarts.config import Notice
from fairdarts.networks.blueprint import NetworkSettings
from fairdarts.networks.published import TrainedModel, random_model
from fairdarts.transfer.formats import FORMATS, Making, export
from fairdarts.transfer.int8 import Pictures, Quantized, judge_int8, tell_loss

pytest.importorskip("onnxruntime")
ON = {"calibration": 16, "on": "test"}


@pytest.fixture(scope="module")
def model() -> TrainedModel:
    return random_model("fairdarts-a", NetworkSettings(cells=2, channels=16), image=8)


@pytest.fixture(scope="module")
def pictures(model: TrainedModel) -> Pictures:
    """Random images, whose labels are the classes that the model gives them."""
    images = torch.randn(48, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        labels = model.network(images).argmax(1)
    batches = [*zip(images.split(16), labels.split(16), strict=True)]
    return Pictures(lambda: iter(batches[:1]), 16, lambda: iter(batches[1:]), "test")


def test_an_int8_file_is_smaller_and_has_the_metadata_of_the_other(
    model: TrainedModel, pictures: Pictures, tmp_path: Path, capfd: pytest.CaptureFixture[str], recwarn
):
    import onnx

    int8, floating = export(model, tmp_path / "it", ["onnx-int8", "onnx"], Making(pictures=pictures))
    assert capfd.readouterr() == ("", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["it.int8.onnx", "it.onnx"]
    assert int8.size < 0.75 * floating.size
    protos = [onnx.load(made.path) for made in (int8, floating)]
    facts = [{entry.key: entry.value for entry in proto.metadata_props} for proto in protos]
    assert facts[0] == facts[1]
    assert "QuantizeLinear" in {node.op_type for node in protos[0].graph.node}
    dims = [[dim.dim_param or dim.dim_value for dim in p.graph.input[0].type.tensor_type.shape.dim] for p in protos]
    assert dims[0] == dims[1]
    assert floating.quantized is None
    of = int8.quantized
    assert of is not None
    assert (of.images, of.on, of.before, of.calibration) == (32, "test", 1, 16)
    assert of.after == of.alike  # as the labels are what the float32 file says
    assert of.alike >= 0.8
    assert any("int8 gives other answers" in str(one.message) for one in recwarn) == (of.alike < 0.98)
    with torch.no_grad():
        (images, _), *_ = pictures.judging()
        assert (FORMATS["onnx-int8"].open(int8.path)(images) - model.network(images)).abs().max() > 0


def test_what_both_give_is_counted(pictures: Pictures):
    def says(*classes: int):
        return lambda images: nn.functional.one_hot(torch.tensor(classes), 3).float()

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        yield torch.zeros(4, 3, 8, 8), torch.tensor([0, 1, 2, 0])

    found = judge_int8(says(0, 1, 2, 1), says(0, 2, 2, 1), pictures._replace(judging=batches))
    assert found == Quantized(4, "test", before=0.75, after=0.5, alike=0.75, calibration=16)


def test_a_loss_is_told_with_the_layer_that_loses_most(model: TrainedModel, pictures: Pictures, tmp_path: Path):
    skewed = copy.deepcopy(model.network)
    with torch.no_grad():  # a channel a thousand times as large as the others, which makes their values 0 in int8
        norm = skewed.cells[0].preprocess["0"][2]
        norm.weight[0] *= 1000
        norm.bias[0] *= 1000
    skewed = model._replace(network=skewed)
    with pytest.warns(
        Notice, match=r"it\.int8\.onnx: int8 gives other answers: top-1 .+ the outputs of \S+ lose most"
    ) as seen:
        export(skewed, tmp_path / "it", ["onnx-int8"], Making(pictures=pictures))
    (told,) = [str(one.message) for one in seen if issubclass(one.category, Notice)]
    layer = told.split("the outputs of ")[1].split()[0]
    assert layer in dict(model.network.named_modules())
    assert told.endswith("more than 16 images to calibrate with may help (calibration)")


@pytest.mark.parametrize(("after", "alike"), [(0.9, 0.98), (0.891, 1.0)])
def test_a_small_loss_is_not_told(after: float, alike: float, pictures: Pictures, recwarn):
    of = Quantized(images=100, before=0.9, after=after, alike=alike, **ON)
    tell_loss(Path("it"), Path("gone"), Path("gone"), of, pictures, NetworkSettings())
    assert not list(recwarn)
