"""Published models: what is saved is loaded, bit for bit, and nothing else is taken for it."""

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch
from damage import flipped, outcome
from torch import nn

import fairdarts
from fairdarts.config import UserError
from fairdarts.genotype import ChainGenotype, EdgeGenotype, to_yaml
from fairdarts.networks.blueprint import NetworkSettings, assemble
from fairdarts.networks.published import TrainedModel, blueprint_of, load, open_model, random_model, save_model
from fairdarts.runtime import checkpoint

SMALL = NetworkSettings(cells=3, channels=4)
EDGES = ("nor_conv_3x3", "none", "skip_connect", "avg_pool_3x3", "nor_conv_1x1", "skip_connect")


@pytest.fixture(scope="module")
def model() -> TrainedModel:
    return random_model("fairdarts-a", SMALL)._replace(about={"recipe": "ä", "metrics": {"valid_top1": 0.5}})


def chain(path: Path) -> str:
    layers = [
        ["E3K3", "skip_connect"] if number == 1 else ["E3K5"] if number in (0, 2, 6, 10, 14, 18) else []
        for number in range(19)
    ]
    genotype = ChainGenotype(name="shallow", space="s2-small", source="a test", layers=layers)
    path.write_text(to_yaml(genotype))
    return str(path)


def edges(path: Path) -> str:
    path.write_text(to_yaml(EdgeGenotype(name="edges", space="nasbench201", source="a test", edges=EDGES)))
    return str(path)


def trained(model: TrainedModel, path: Path, **changes: object) -> Path:
    """A checkpoint as a training writes it."""
    state = {
        "blueprint": model.blueprint.model_dump_json(by_alias=True),
        "about": json.dumps(model.about),
        "network": model.network.state_dict(),
        "ema": None,
        "optimizer": {"state": {}},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    checkpoint.save(path, state | changes)
    return path


def shifted(model: TrainedModel, by: float) -> dict[str, torch.Tensor]:
    return {
        key: value + by if value.is_floating_point() else value for key, value in model.network.state_dict().items()
    }


def same(one: nn.Module, other: nn.Module) -> bool:
    own, others = one.state_dict(), other.state_dict()
    return own.keys() == others.keys() and all(torch.equal(own[key], others[key]) for key in own)


def refused(path: Path, *said: str, **words: object) -> None:
    with pytest.raises(UserError) as caught:
        open_model(path, **words)
    text = str(caught.value)
    assert "\n" not in text
    for part in (str(path), *said):
        assert part in text


@pytest.mark.parametrize("kind", ["cells", "imagenet", "chain", "edges"])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_saved_model_comes_back_bit_for_bit(kind: str, layout: torch.memory_format, tmp_path: Path):
    name, settings = {
        "cells": ("fairdarts-a", SMALL),
        "imagenet": ("fairdarts-b", NetworkSettings(size="imagenet", cells=4, channels=4, dropout=0.25)),
        "chain": (chain(tmp_path / "chain.yaml"), NetworkSettings(se_ratio=0.25, activation="swish")),
        "edges": (edges(tmp_path / "edges.yaml"), NetworkSettings()),
    }[kind]
    model = random_model(name, settings, classes=5, image=32)
    model.network.to(memory_format=layout)
    save_model(tmp_path / "it.safetensors", model)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    network, blueprint, about = open_model(tmp_path / "it.safetensors")
    assert torch.equal(torch.get_rng_state(), before)
    assert same(network, model.network)
    assert (blueprint, about) == (model.blueprint, {"weights": "random"})
    assert not any(module.training for module in network.modules())
    assert all(parameter.requires_grad for parameter in network.parameters())
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(network(images), model.network.to(memory_format=torch.contiguous_format)(images))
    assert not any(tensor.is_meta for tensor in (*network.parameters(), *network.buffers()))


def test_load_gives_a_network_that_says_for_which_images_it_is(model: TrainedModel, tmp_path: Path):
    save_model(tmp_path / "a.safetensors", model._replace(blueprint=model.blueprint.model_copy(update={"image": 48})))
    assert fairdarts.load is load
    network = fairdarts.load(str(tmp_path / "a.safetensors"))
    assert same(network, model.network)
    told = network.default_cfg
    assert (told["input_size"], told["pool_size"], told["num_classes"]) == ((3, 48, 48), (12, 12), 10)
    assert (told["mean"], told["std"]) == (model.blueprint.mean, model.blueprint.std)


def test_weights_that_are_saved_hold_blueprint_and_about_as_text(model: TrainedModel, tmp_path: Path):
    save_model(tmp_path / "a.safetensors", model)
    with safetensors.safe_open(tmp_path / "a.safetensors", "pt") as file:
        metadata = file.metadata()
    assert metadata["format"] == "pt"
    assert json.loads(metadata["fairdarts"])["genotype"]["name"] == "fairdarts-a"
    assert json.loads(metadata["about"]) == model.about
    assert list(tmp_path.iterdir()) == [tmp_path / "a.safetensors"]


# checkpoints and runs


def test_the_layout_of_a_training_changes_no_bit_of_what_is_published(tmp_path: Path):
    model = random_model("fairdarts-a", SMALL)
    model.network.to(memory_format=torch.channels_last)
    read = open_model(trained(model, tmp_path / "it.pt"))
    save_model(tmp_path / "it.safetensors", read)
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(load(tmp_path / "it.safetensors")(images), read.network(images))


def test_a_checkpoint_gives_its_average_where_it_has_one(model: TrainedModel, tmp_path: Path):
    plain = trained(model, tmp_path / "plain.pt")
    averaged = trained(model, tmp_path / "averaged.pt", ema=shifted(model, 1.0))
    network, blueprint, about = open_model(plain)
    assert same(network, model.network)
    assert blueprint == model.blueprint
    assert about == {**model.about, "file": "plain.pt", "weights": "raw"}
    average = open_model(averaged)
    assert average.about["weights"] == "ema"
    assert torch.equal(average.network.classifier.bias, model.network.classifier.bias + 1)
    assert same(load(averaged, "ema"), average.network)
    assert same(load(averaged, "raw"), model.network)
    refused(plain, "it has no ema weights", weights="ema")
    save_model(tmp_path / "it.safetensors", average)
    assert same(load(tmp_path / "it.safetensors", "ema"), average.network)
    refused(tmp_path / "it.safetensors", "it has no raw weights", weights="raw")


def test_the_auxiliary_head_is_left_behind(model: TrainedModel, tmp_path: Path):
    whole = assemble(model.blueprint, auxiliary=True)
    names = whole.state_dict().keys() - model.network.state_dict().keys()
    assert names
    path = trained(model, tmp_path / "it.pt", network=whole.state_dict())
    network = load(path)
    assert network.state_dict().keys() == model.network.state_dict().keys()
    assert torch.equal(network.classifier.weight, whole.classifier.weight)


def test_of_a_run_the_best_epoch_is_taken_where_held_out_images_chose_it(model: TrainedModel, tmp_path: Path):
    run = tmp_path / "run"
    trained(model, run / "checkpoints" / "last.pt", network=shifted(model, 2.0))
    refused(run, "not a run directory")
    (run / "settings.yaml").write_text("name: it\n")
    last = open_model(run)
    assert last.about["file"] == "last.pt"
    told = {**model.about, "epoch": 3, "judged_on": "test"}
    trained(model, run / "checkpoints" / "best.pt", about=json.dumps(told))
    assert open_model(run).about["file"] == "last.pt"  # what the test set chose is no result
    told |= {"judged_on": "held-out"}
    trained(model, run / "checkpoints" / "best.pt", about=json.dumps(told))
    best = open_model(run)
    assert best.about == {**told, "file": "best.pt", "weights": "raw"}
    assert same(best.network, model.network)
    found = {"images": 100, "on": "test", "best_by": "held-out"}
    found |= {"last": {"epoch": 4, "top1": 0.1}, "best": {"epoch": 3, "top1": 0.5}}
    (run / "results.json").write_text(json.dumps(found))
    results = open_model(run).about["results"]
    assert results == {"images": 100, "on": "test", "best_by": "held-out", "epoch": 3, "top1": 0.5}
    (run / "results.json").write_text("[1")
    assert open_model(run).about == best.about


def test_a_run_without_a_trained_network_is_to_be_trained_first(tmp_path: Path):
    run = tmp_path / "run"
    (run / "genotypes").mkdir(parents=True)
    (run / "settings.yaml").write_text("name: it\n")
    refused(run, "train one first: fairdarts train GENOTYPE")
    (run / "genotypes" / "final.yaml").touch()
    refused(run, f"train one first: fairdarts train {run}")
    (run / "checkpoints").mkdir()
    checkpoint.save(run / "checkpoints" / "last.pt", {"supernet": {}})
    refused(run, f"train one first: fairdarts train {run}")


# files that are none, or not whole


def test_tensors_that_are_not_the_network_s_are_named(model: TrainedModel, tmp_path: Path):
    state, path = model.network.state_dict(), tmp_path / "it.pt"
    key = "classifier.weight"
    few = {name: tensor for name, tensor in state.items() if name != key}
    for network, said in (
        (few, f"{key}: is missing"),
        ({**state, "classifier.wight": state[key]}, "classifier.wight: is no weight of fairdarts-a (did you mean"),
        ({**state, key: state[key][:4]}, f"{key}: is float32 [4, 64], should be float32 [10, 64]"),
        ({**state, key: state[key].double()}, f"{key}: is float64 [10, 64], should be float32"),
        ({**state, key: 3}, f"{key}: is int, should be"),
    ):
        refused(trained(model, path, network=network), said)
    refused(trained(model, path, network=None), "it has no raw weights")
    model_of_few = safetensors.torch.save(few, metadata(model))
    (tmp_path / "it.safetensors").write_bytes(model_of_few)
    refused(tmp_path / "it.safetensors", f"{key}: is missing")


def test_a_flipped_bit_in_a_model_s_file_is_refused_or_changes_nothing(model: TrainedModel, tmp_path: Path):
    path, refusals = tmp_path / "it.safetensors", 0
    save_model(path, model)
    whole = path.read_bytes()
    texts = 8 + int.from_bytes(whole[:8], "little")  # where the weights begin
    for content in (*flipped(whole[:texts], 60), *(whole[:texts] + part for part in flipped(whole[texts:], 20))):
        path.write_bytes(content + whole[len(content) :])
        found = outcome(lambda: open_model(path))
        if isinstance(found, str):
            refusals += 1
            continue
        assert found.blueprint == model.blueprint
        assert found.about == model.about
        state = model.network.state_dict()
        assert all(torch.equal(tensor, state[name]) for name, tensor in found.network.state_dict().items())
    assert refusals >= 75


def metadata(model: TrainedModel) -> dict[str, str]:
    return {"fairdarts": model.blueprint.model_dump_json(by_alias=True), "about": "{}"}


def test_weights_that_are_not_finite_are_refused(model: TrainedModel, tmp_path: Path):
    spoiled = model.network.state_dict() | {"classifier.bias": torch.full((10,), float("nan"))}
    message = r": classifier\.bias: holds numbers that are not finite: its training has diverged$"
    with pytest.raises(UserError, match=f"^{tmp_path / 'last.pt'}{message}"):
        load(trained(model, tmp_path / "last.pt", network=spoiled))
    file = trained(model, tmp_path / "both.pt", ema=spoiled)
    assert load(file, weights="raw") is not None
    with pytest.raises(UserError, match=message):
        load(file)


def test_damaged_and_foreign_safetensors_are_refused(model: TrainedModel, tmp_path: Path):
    path = tmp_path / "it.safetensors"
    refused(path, "No such file")
    save_model(path, model)
    whole = path.read_bytes()
    for content in (b"", b"\0" * 100, whole[:100], whole[:-1], b"\xff" * 8 + whole[8:]):
        path.write_bytes(content)
        refused(path, "not a whole .safetensors file")
    state = model.network.state_dict()
    for told, said in (
        (None, "fairdarts"),
        ({"fairdarts": "{"}, "blueprint: Invalid JSON"),
        ({"fairdarts": "{}"}, "blueprint.genotype: Field required"),
        (metadata(model) | {"about": "[1]"}, "about: should be a JSON object"),
        (metadata(model) | {"about": "{"}, "about: should be a JSON object"),
    ):
        path.write_bytes(safetensors.torch.save(state, told))
        refused(path, said)


def test_a_blueprint_whose_genotype_its_space_does_not_allow_is_refused(model: TrainedModel, tmp_path: Path):
    blueprint = json.loads(metadata(model)["fairdarts"])
    blueprint["genotype"]["normal"][0][0] = "conv_9x9"
    refused(trained(model, tmp_path / "it.pt", blueprint=json.dumps(blueprint)), "conv_9x9")
    other = blueprint_of("darts-v2", SMALL).model_dump_json(by_alias=True)
    refused(trained(model, tmp_path / "it.pt", blueprint=other), "is missing")


def test_files_that_are_no_model_are_refused(model: TrainedModel, tmp_path: Path):
    path = tmp_path / "it.pt"
    refused(path, "no such checkpoint")
    path.write_bytes(b"nothing")
    refused(path, "not a readable checkpoint")
    checkpoint.save(path, {"state_dict": {}})
    refused(path, "say which genotype it is of")
    path.write_bytes(trained(model, tmp_path / "whole.pt").read_bytes()[:-400])
    refused(path, "not a readable checkpoint")


def test_an_authors_file_needs_the_name_of_its_genotype(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    path = tmp_path / "released.pt.tar"
    checkpoint.save(path, {"state_dict": {"weight": torch.ones(2)}})
    seen = []

    def fill(network: nn.Module, tensors: dict[str, torch.Tensor], name: str, path: Path) -> str:
        seen.append((path, name, network.classifier.out_features, [*tensors]))
        nn.init.ones_(network.classifier.bias)
        return "theirs"

    monkeypatch.setattr("fairdarts.networks.released.fill_released", fill)
    network, blueprint, about = open_model(path, genotype="fairdarts-a", network=SMALL, classes=7)
    assert seen == [(path, "fairdarts-a", 7, ["weight"])]
    assert torch.equal(network.classifier.bias, torch.ones(7))
    assert not network.training
    assert blueprint == blueprint_of("fairdarts-a", SMALL, classes=7)
    assert "theirs" in about["source"]
    monkeypatch.undo()
    refused(path, "no layout that is known", genotype="fairdarts-a")
    with pytest.raises(UserError, match="fairdarts-z"):
        open_model(path, genotype="fairdarts-z")


# random weights


def test_random_weights_tell_images_apart_and_are_always_the_same():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    one, other = random_model("fairdarts-a", SMALL), random_model("fairdarts-a", SMALL)
    assert torch.equal(torch.get_rng_state(), before)
    assert same(one.network, other.network)
    assert {module.momentum for module in one.network.modules() if isinstance(module, nn.BatchNorm2d)} == {0.1}
    logits = one.network(torch.randn(8, 3, 32, 32))
    assert logits.std(0).min() > 0.01


def test_a_name_says_how_its_network_is_built():
    imagenet = blueprint_of("fairdarts-a-imagenet", NetworkSettings())
    assert (imagenet.network.size, imagenet.image, len(imagenet.classes)) == ("imagenet", 224, 1000)
    assert imagenet.mean[0] == 0.485
    assert blueprint_of("fairnas-a-se", NetworkSettings()).network.se_ratio == 1
    small = blueprint_of("fairdarts-a", SMALL, classes=3, image=16)
    assert (small.network, small.image, small.classes) == (SMALL, 16, ("0", "1", "2"))
    for words, said in (
        ({"classes": 1}, "classes: 1: should be 2 or more"),
        ({"image": 0}, "image: 0: should be 1 or more"),
        ({"network": NetworkSettings(size="cifar")}, "fairnas-a: space fairnas-b has no cifar network, only imagenet"),
    ):
        with pytest.raises(UserError, match=said):
            blueprint_of("fairnas-a", **{"network": NetworkSettings(), **words})
