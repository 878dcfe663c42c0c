"""The training of a segmentation network: what it records, that a stop changes nothing, and what it may begin with."""

import json
from pathlib import Path

import pytest
import torch
from photographs import CLASSES, voc_folder
from runs import Watch, metrics, same
from segmenters import segmented, settings_of, small

from fairdarts.config import UserError
from fairdarts.data.settings import IGNORED
from fairdarts.networks.blueprint import Blueprint, build
from fairdarts.networks.published import TrainedModel, save_model
from fairdarts.runtime import checkpoint
from fairdarts.runtime.checkpoint import BadState
from fairdarts.runtime.device import LAYOUTS
from fairdarts.runtime.run import RunDirectory
from fairdarts.runtime.settings import Compute
from fairdarts.runtime.stop import Interrupted
from fairdarts.segmentation.images import open_pairs
from fairdarts.segmentation.model import assemble_segmenter, open_segmenter
from fairdarts.segmentation.score import score
from fairdarts.segmentation.task import check_fit, initialize, segmentation, segmenter_of


@pytest.fixture(scope="module")
def voc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return voc_folder(tmp_path_factory.mktemp("pictures") / "voc")


@pytest.fixture(scope="module")
def whole(voc: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole tiny training."""
    path = tmp_path_factory.mktemp("segment") / "whole"
    segmented(voc, path)
    return path


def test_every_epoch_is_judged_by_iou(whole: Path):
    records = RunDirectory(whole).records()
    assert [record["epoch"] for record in records] == [1, 2, 3]
    for record in records:
        ious = record["valid_iou"]
        assert tuple(ious) == CLASSES
        known = [own for own in ious.values() if own is not None]
        assert record["valid_miou"] == pytest.approx(sum(known) / len(known))
        assert 0 <= record["train_accuracy"] <= 1
    results = json.loads((whole / "results.json").read_text())
    best = max(records, key=lambda record: record["valid_miou"])
    assert (results["best"]["epoch"], results["best"]["miou"]) == (best["epoch"], best["valid_miou"])
    assert (results["on"], results["best_by"], results["images"]) == ("val", "val", 2)


def test_the_learning_rate_falls_by_a_power(whole: Path):
    rates = [record["lr"] for record in RunDirectory(whole).records()]
    assert rates == pytest.approx([0.05 * (1 - step / 9) ** 0.9 for step in (2, 5, 8)])


@pytest.mark.parametrize("step", [2, 6])
def test_a_training_stopped_after_a_step_is_as_if_it_never_was(voc: Path, whole: Path, tmp_path: Path, step: int):
    with pytest.raises(Interrupted):
        segmented(voc, tmp_path / "run", Watch(step=step))
    segmented(voc, tmp_path / "run", resume=True)
    assert metrics(tmp_path / "run") == metrics(whole)
    one, other = (checkpoint.load(RunDirectory(path).last) for path in (tmp_path / "run", whole))
    assert same(one, other)


def test_other_images_or_settings_make_another_training(voc: Path, tmp_path: Path):
    with pytest.raises(Interrupted):
        segmented(voc, tmp_path / "run", Watch(step=1))
    with pytest.raises(BadState, match=r"data\.crop: 16 when the run began, 24 now"):
        segmented(voc, tmp_path / "run", resume=True, data__crop=24)
    other = voc_folder(tmp_path / "other", train=4, val=2)
    with pytest.raises(BadState, match=r"images \(number, names\): 6, .* when the run began, 4, "):
        segmented(other, tmp_path / "run", resume=True)


def test_the_model_of_a_run_gives_what_its_last_record_says(voc: Path, whole: Path):
    model, settings = open_segmenter(whole), settings_of(voc)
    seen = score(
        model.network, open_pairs(settings.data, "val", "val"), 0, torch.device("cpu"), Compute(precision="float32")
    )
    assert seen.miou == RunDirectory(whole).records()[-1]["valid_miou"]
    assert model.blueprint.classes == CLASSES
    assert (model.about["recipe"], model.about["epoch"], model.about["judged_on"]) == ("tiny", 3, "val")


def test_averaged_weights_are_the_model_where_there_are_any(voc: Path, tmp_path: Path):
    segmented(voc, tmp_path / "run", epochs=1, ema=0.9)
    state, model = checkpoint.load(RunDirectory(tmp_path / "run").last), open_segmenter(tmp_path / "run")
    assert same(dict(model.network.state_dict()), dict(state["ema"]))


def test_not_every_epoch_need_be_judged_but_the_last_is(voc: Path, tmp_path: Path):
    results = segmented(voc, tmp_path / "run", judge_every=2)
    assert ["valid_miou" in record for record in RunDirectory(tmp_path / "run").records()] == [False, True, True]
    assert results["last"]["epoch"] == 3


@pytest.mark.parametrize("layout", LAYOUTS)
def test_images_have_the_layout_of_the_settings(voc: Path, tmp_path: Path, layouts: set[str], layout: str):
    segmented(voc, tmp_path / "run", epochs=1, compute__layout=layout)
    assert layouts == {layout}


def test_no_images_to_judge_by_is_no_error(voc: Path, tmp_path: Path):
    assert segmented(voc, tmp_path / "run", epochs=1, data__val="null") == {}


def test_a_network_goes_on_with_the_weights_of_one_with_other_classes(voc: Path, whole: Path):
    settings = settings_of(voc, init_from=whole, data__classes=["ground", "disc", "bar", "sky"], data__val="null")
    genotype, space = small()
    torch.manual_seed(3)
    network = assemble_segmenter(segmenter_of(settings, genotype, space))
    fresh = network.classifier.weight.clone()
    notes = initialize(network, settings, genotype, None)
    assert notes == [f"classifier: fresh, as {whole} has none that fits"]
    assert torch.equal(network.classifier.weight, fresh)
    before, after = open_segmenter(whole).network.state_dict(), network.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in after if not key.startswith("classifier."))


def test_a_network_goes_on_with_the_weights_of_a_classifier(voc: Path, tmp_path: Path):
    genotype, space = small()
    blueprint = Blueprint(
        genotype=genotype, space=space, classes=("cat", "dog"), image=64, mean=(0.5,) * 3, std=(0.2,) * 3
    )
    classifier = build(genotype, space, classes=2).eval()
    save_model(tmp_path / "cats.safetensors", TrainedModel(classifier, blueprint, {}))
    settings = settings_of(voc, init_from=tmp_path / "cats.safetensors")
    network = assemble_segmenter(segmenter_of(settings, genotype, space))
    assert initialize(network, settings, genotype, None) == ["what stands on the encoder: fresh"]
    encoder = network.encoder.model.state_dict()
    assert all(torch.equal(tensor, classifier.state_dict()[key]) for key, tensor in encoder.items())


def test_a_classifier_of_other_classes_is_fresh_though_there_are_as_many(voc: Path, whole: Path):
    settings = settings_of(voc, init_from=whole, data__classes=["bar", "disc", "ground"])
    network = assemble_segmenter(segmenter_of(settings, *small()))
    assert initialize(network, settings, small()[0], None) == [f"classifier: fresh, as {whole} has none that fits"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"deeplab__decoder": False}, "deeplab.decoder: is True, but this network has False: should be --deeplab.dec"),
        ({"deeplab__aspp": False}, "deeplab.aspp: is True, but this network has False: should be --deeplab.aspp true"),
        ({"network__activation": "swish"}, "network.activation: is relu6, but that of this small is swish"),
    ],
)
def test_weights_of_another_network_do_not_fit(voc: Path, whole: Path, overrides: dict, message: str):
    settings, (genotype, space) = settings_of(voc, init_from=whole, **overrides), small()
    network = assemble_segmenter(segmenter_of(settings, genotype, space))
    with pytest.raises(UserError) as error:
        initialize(network, settings, genotype, None)
    assert message in str(error.value)


def test_weights_of_another_genotype_do_not_fit(voc: Path, whole: Path):
    settings, (_, space) = settings_of(voc, init_from=whole), small()
    other = space.genotype_of((0, *(1,) * (len(space.choices) - 1)), "other", "")
    network = assemble_segmenter(segmenter_of(settings, other, space))
    with pytest.raises(UserError, match="is of small, another genotype than other"):
        initialize(network, settings, other, None)


def test_settings_reach_the_training_images(voc: Path):
    settings, (genotype, space) = settings_of(voc, data__scale=[0.5, 0.5], data__crop=40), small()
    pairs = open_pairs(settings.data, "train", "train")
    batches = [next(segmentation(settings, genotype, space, pairs, None).batches(start)) for start in (0, 1, 0)]
    for images, labels in batches:
        assert images.shape == (2, 3, 40, 40)
        assert int((labels != IGNORED).any(2).sum(1).max()) <= 12  # half the height
    assert torch.equal(batches[0][0], batches[2][0])
    assert not torch.equal(batches[0][0], batches[1][0])
    other = settings_of(voc, data__scale=[0.5, 0.5], data__crop=40, seed=1)
    again = next(segmentation(other, genotype, space, pairs, None).batches(0))
    assert not torch.equal(batches[0][0], again[0])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"data__batch_size": 8}, "data.batch_size: 8: should be at most 6, the training images"),
        ({"data__batch_size": 4, "compute__accumulate": 4}, "data.batch_size: 4: leaves 1 image a pass"),
        ({"data__batch_size": 3, "compute__accumulate": 2}, "data.batch_size: 3: is that of all processes"),
        ({"compute__compile": "default"}, "compute.compile: default: is for CUDA"),
        ({"network__cells": 5}, "network.cells: 5: is for cells"),
    ],
)
def test_what_does_not_fit_is_named(voc: Path, overrides: dict, message: str):
    settings = settings_of(voc, **overrides)
    trained = open_pairs(settings.data, "train", "train")
    with pytest.raises(UserError) as error:
        check_fit(settings, segmenter_of(settings, *small()), trained)
    assert message in str(error.value)


def test_what_is_no_segmentation_network_is_named(whole: Path, tmp_path: Path):
    torch.save({"blueprint": "{}"}, tmp_path / "classifier.pt")
    with pytest.raises(UserError, match=r"classifier\.pt: no segmentation network; should be a run of `fairdarts segm"):
        open_segmenter(tmp_path / "classifier.pt")
    state = checkpoint.load(RunDirectory(whole).last)
    for change, message in (
        ({"segmenter": "{}"}, r"segmenter\.genotype: Field required"),
        ({"network": {}}, "its weights are not the network's"),
        ({"about": None}, "about: should be a JSON object"),
        ({"about": "[1]"}, "about: should be a JSON object"),
        ({"about": "[" * 100_000}, "about: should be a JSON object"),
    ):
        torch.save(state | change, tmp_path / "damaged.pt")
        with pytest.raises(UserError, match=message):
            open_segmenter(tmp_path / "damaged.pt")
