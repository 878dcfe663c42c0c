"""`fairdarts train` and `fairdarts evaluate`: from a genotype to a judged network, stopped and resumed."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image

from fairdarts import resources
from fairdarts.checking import check
from fairdarts.cli import main
from fairdarts.cli.train import check_early
from fairdarts.config import UserError
from fairdarts.cost.count import count
from fairdarts.networks.blueprint import build
from fairdarts.networks.zoo import load_genotype
from fairdarts.options import Words
from fairdarts.reading import read_yaml
from fairdarts.runs.new import fitting, images_of
from fairdarts.runs.progress import ProgressBar
from fairdarts.runs.request import DEFAULTS, Request
from fairdarts.runtime import checkpoint
from fairdarts.runtime.shape import Shape
from fairdarts.training.settings import TrainSettings

RECIPE = {
    "name": "tiny",
    "source": "tests",
    "device": "cpu",
    "epochs": 2,
    "data": {
        "kind": "fake",
        "images": 64,
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


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a recipe, and a training by it."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "tiny.yaml").write_text(yaml.safe_dump(RECIPE))
    assert main(["train", "fairdarts-a", "--config", str(folder / "tiny.yaml"), "--out", str(folder / "run")]) == 0
    return folder


@pytest.fixture
def user(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(place)
    return place


def fails(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main(list(words)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    return err.splitlines()[-1]


def test_a_run_holds_all_that_it_came_to(user: Path):
    files = {path.relative_to("run").as_posix() for path in Path("run").rglob("*") if path.is_file()}
    assert {
        "settings.yaml",
        "space.yaml",
        "versions.json",
        "metrics.jsonl",
        "results.json",
        "genotypes/final.yaml",
        "checkpoints/last.pt",
        "checkpoints/best.pt",
        "figures/training.svg",
        "figures/training.png",
    } <= files
    assert any(name.startswith("tensorboard/") for name in files)


def test_a_training_that_was_stopped_goes_on_to_the_same_bits(user: Path, monkeypatch, capsys):
    def step(_: object, epoch: int, step: int, *__: object) -> None:
        if (epoch, step) == (2, 3):
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(ProgressBar, "step", step)
        words = ["train", "fairdarts-a", "--config", "tiny.yaml", "--out", "stopped"]
        assert main(words) == 128 + signal.SIGTERM
    assert "train --resume stopped" in capsys.readouterr().err
    assert main(["train", "--resume", "stopped"]) == 0
    whole, stopped = (checkpoint.load(Path(name) / "checkpoints" / "last.pt") for name in ("run", "stopped"))
    assert all(torch.equal(value, stopped["network"][key]) for key, value in whole["network"].items())
    assert Path("run/results.json").read_text() == Path("stopped/results.json").read_text()
    capsys.readouterr()
    assert main(["train", "--resume", "stopped"]) == 0
    said = capsys.readouterr().err
    assert "already finished" in said
    assert "top-1" in said


def test_an_evaluation_says_what_the_training_said(user: Path, capsys):
    assert main(["evaluate", "run", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    results = json.loads(Path("run/results.json").read_text())
    assert found["top1"] == results["best"]["top1"]
    assert (found["on"], found["images"]) == ("held-out", results["images"])
    assert list(found["by_class"]) == list("0123456789")
    right = sum(found["confusion"][row][row] for row in range(10))
    assert right / found["images"] == pytest.approx(found["top1"])
    assert Path("run/figures/confusion.png").is_file()


def pictures(root: Path, *classes: str, images: int = 10) -> Path:
    """Class folders of images, each class of a colour."""
    for number, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for image in range(images):
            Image.new("RGB", (12, 12), (80 * number, 10 * image, 200)).save(root / name / f"{image}.png")
    return root


@pytest.fixture
def photographs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with images of three classes, and `run`, a training on them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fairdarts.runs.figures.draw_network_training", lambda *_: [])
    data = {"kind": "folder", "root": "photos", "image_size": 8, "batch_size": 4, "train_portion": 0.8}
    Path("recipe.yaml").write_text(yaml.safe_dump(RECIPE | {"data": {**data, "cutout": 0, "workers": 0}}))
    pictures(Path("photos"), "ant", "bee", "cat")
    assert main(["train", "fairdarts-a", "--config", "recipe.yaml", "--epochs", "1", "--out", "run"]) == 0
    return tmp_path


def test_other_images_are_judged_whole_and_may_lack_classes(photographs: Path, capsys):
    pictures(Path("others"), "cat", "ant", images=7)
    capsys.readouterr()
    assert main(["evaluate", "run", "--data.root", "others", "--json"]) == 0
    out, err = capsys.readouterr()
    numbers = json.loads(out)
    assert (numbers["images"], numbers["on"]) == (14, "other")
    assert [sum(row) for row in numbers["confusion"]] == [7, 0, 7]
    assert "other ones than run began with: a test set, judged whole" in err
    assert "chose this epoch" not in err
    Path("run/checkpoints/last.pt").rename("kept.pt")  # then nothing tells that they are the run's
    assert main(["evaluate", "run/checkpoints/best.pt", "--data.root", "others", "--out", "f", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 14
    Path("kept.pt").rename("run/checkpoints/last.pt")
    pictures(Path("one"), "bee", images=3)
    assert main(["evaluate", "run", "--data.root", "one", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 3
    pictures(Path("strange"), "ant", "bees")
    assert "bees: is none of the 3 classes known (did you mean 'bee'?)" in fails(
        capsys, "evaluate", "run", "--data.root", "strange"
    )
    split = fails(capsys, "evaluate", "run", "--data.root", "others", "--split", "held-out")
    assert "others has other images than the run began with: all of them are a test set" in split


def test_images_that_trained_the_network_are_no_test_set_in_silence(photographs: Path, capsys):
    shutil.copytree("photos", "more")
    shutil.copy("more/ant/0.png", "more/ant/new.png")
    capsys.readouterr()
    assert main(["evaluate", "run", "--data.root", "more", "--json"]) == 0
    assert "BUT 30 of 31 are files of the run, of which most trained the network" in capsys.readouterr().err


def test_held_out_images_are_not_drawn_anew(photographs: Path, capsys):
    shutil.copy("photos/ant/0.png", "photos/ant/new.png")
    said = fails(capsys, "evaluate", "run")
    assert "others than it held out of training would be taken for held-out; put them back as they were" in said
    assert "data: images (number, names): 30, " in said
    assert main(["evaluate", "run", "--split", "train", "--json"]) == 0


def test_costs_and_drawings_of_a_run_are_for_its_images(photographs: Path, capsys):
    capsys.readouterr()
    assert main(["zoo", "run", "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    genotype, space = load_genotype("run")
    with torch.device("meta"):
        cost = count(build(genotype, space, classes=3), image=8)
    assert (entry["image"], entry["madds"], entry["params"]) == (8, cost.madds, cost.params)
    assert main(["zoo", "run", "--json", "--network", "cifar"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["image"] == 32


def test_a_supernet_does_not_judge_by_images_that_would_be_drawn_anew(photographs: Path, capsys):
    data = {"data.kind": "folder", "data.root": "photos", "data.image_size": "32", "data.batch_size": "4"}
    words = [f"--{key}={value}" for key, value in (data | {"data.train_portion": "0.8", "watch.paths": "0"}).items()]
    assert main(["supernet", "--config", "fairnas-macro-small", "--epochs", "1", "--out", "net", *words]) == 0
    shutil.copy("photos/ant/0.png", "photos/ant/new.png")
    said = fails(capsys, "evolve", "net", "--population", "2", "--generations", "1", "--out", "found")
    assert "net: data: images (number, names): 30, " in said
    assert not Path("found").exists()


def test_images_of_another_size_need_no_words_of_their_own(tmp_path: Path):
    recipe = read_yaml(resources.find("recipes", "train-darts-cifar10"))
    assert fitting(recipe, Shape(8, 1, 10)) == {"data.cutout": 4, "loss.auxiliary": 0}
    assert fitting(recipe, Shape(32, 3, 10)) == {}
    assert fitting(read_yaml(resources.find("recipes", "train-mnasnet-imagenet")), Shape(64, 3, 10)) == {}


def test_images_that_have_moved_are_still_the_run_s(photographs: Path, capsys):
    Path("photos").rename("moved")
    capsys.readouterr()
    assert main(["evaluate", "run", "--data.root", "moved", "--json"]) == 0
    numbers = json.loads(capsys.readouterr().out)
    assert (numbers["images"], numbers["on"]) == (6, "held-out")


def test_a_training_takes_the_images_of_the_run_that_its_genotype_is_of(photographs: Path, capsys):
    recipe = {"name": "r", "source": "tests", "epochs": 1, "data": {"kind": "folder", "root": "mine", "image_size": 9}}
    Path("search").mkdir()
    Path("search/settings.yaml").write_text(yaml.safe_dump(recipe))
    for given, config, told, expected in (
        ("search", None, {}, {"kind": "folder", "root": "mine", "image_size": 9}),
        ("search/genotypes/argmax.yaml", None, {}, {"kind": "folder", "root": "mine", "image_size": 9}),
        ("search", None, {"data.root": "yours"}, {"kind": "folder", "image_size": 9}),
        ("search", None, {"data.kind": "digits"}, {}),
        ("search", "train-darts-cifar10", {}, {}),
        ("search", "recipe.yaml", {}, {"kind": "folder", "root": "mine", "image_size": 9}),
        ("fairdarts-a", None, {}, {}),
    ):
        asked = Request(config, told, genotype=given)
        content = read_yaml(resources.find("recipes", config or "train-darts-cifar10"))
        found = images_of(asked, content, told)
        assert found == {f"data.{key}": value for key, value in expected.items()}, (given, config, told)


def test_all_that_does_not_fit_is_said_at_once(user: Path, capsys):
    words = ("--data.cutout", "8", "--loss.auxiliary", "0.4", "--data.batch_size", "50")
    said = fails(capsys, "train", "fairdarts-a", "--config", "tiny.yaml", *words, "--out", "new")
    for key in ("data.cutout: 8: blanks", "loss.auxiliary: 0.4: its head", "data.batch_size: 50: should be at most 32"):
        assert key in said
    assert not Path("new").exists()


def test_an_evaluation_reads_well(user: Path, capsys):
    assert main(["evaluate", "run/checkpoints/last.pt", "--split", "train", "--out", "figures"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "network    fairdarts-a, epoch 2"
    assert lines[1] == "images     64 training images of 10 classes"
    assert lines[2].startswith("accuracy   top-1 ")
    shares = [float(line.split()[2].rstrip("%")) for line in lines[5:]]
    assert shares == sorted(shares)  # the worst first
    assert len(shares) == 10


def test_weights_of_a_model_are_a_beginning(user: Path, capsys):
    words = ["--config", "tiny.yaml", "--epochs", "1", "--out", "finetuned", "--optimizer.lr", "1e-9"]
    assert main(["train", "fairdarts-a", "--init-from", "run", *words]) == 0
    assert "fresh" not in capsys.readouterr().err
    run, finetuned = (
        checkpoint.load(Path(name)) for name in ("run/checkpoints/best.pt", "finetuned/checkpoints/last.pt")
    )
    key = "cells.2.preprocess.0.conv_1.weight"
    torch.testing.assert_close(finetuned["network"][key], run["network"][key], atol=1e-6, rtol=0)


def test_the_recipes_where_none_is_named_are_shipped_and_of_that_size():
    for (_, size), name in DEFAULTS.items():
        path = resources.find("recipes", name)
        assert check(TrainSettings, read_yaml(path), path).network.size == size


def test_a_model_s_name_brings_its_settings(user: Path, capsys):
    words = ["--config", "tiny.yaml", "--network.cells", "null", "--network.channels", "null", "--epochs", "1"]
    assert main(["train", "fairnas-a-se05", *words, "--data.images", "16", "--out", "excited"]) == 0
    network = yaml.safe_load(Path("excited/settings.yaml").read_text())["network"]
    assert (network["se_ratio"], network["activation"], network["outer_activation"]) == (0.5, "swish", "relu")
    assert "10 classes" in capsys.readouterr().err


def test_an_authors_file_is_judged_with_as_many_classes_as_the_images_have(user: Path, capsys):
    builder = pytest.importorskip("timm.models._efficientnet_builder")
    genotype, space = load_genotype("fairnas-c")
    blocks = [["ds_r1_k3_s1_e1_c16"]]
    for (name,), layer in zip(genotype.layers, space.layers, strict=True):
        expansion, kernel = name.removeprefix("MBE").split("K")
        blocks.append([f"ir_r1_k{kernel}_s{layer.stride}_e{expansion}_c{layer.c_out}_se1.0_nsw"])
    shape = {"num_classes": 10, "num_features": 1280, "stem_size": 32}
    theirs = pytest.importorskip("timm").models.EfficientNet(builder.decode_arch_def(blocks), **shape)
    torch.save({"model_state": theirs.state_dict()}, "fairnas_c_se_transfer.pt.tar")
    words = ["fairnas_c_se_transfer.pt.tar", "--genotype", "fairnas-c-se", "--config", "tiny.yaml", "--json"]
    assert main(["evaluate", *words, "--data.images", "16"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["images"], len(found["by_class"])) == (8, 10)
    words = ["--config", "tiny.yaml", "--network.cells", "null", "--network.channels", "null", "--epochs", "1"]
    words += ["--data.images", "16", "--data.classes", "3", "--out", "fewer", "--init-from"]
    assert main(["train", "fairnas-c-se", *words, "fairnas_c_se_transfer.pt.tar"]) == 0
    said = capsys.readouterr().err
    assert "weights    from fairnas_c_se_transfer.pt.tar" in said
    assert "classifier: fresh" in said


def test_a_finished_run_is_still_looked_at(user: Path, capsys):
    shutil.copytree("run", "swapped")
    other = resources.find("genotypes", "fairdarts-b").read_text()
    Path("swapped/genotypes/final.yaml").write_text(other)
    said = fails(capsys, "train", "--resume", "swapped")
    assert "genotypes/final.yaml: fairdarts-a (" in said
    assert "fairdarts-b (" in said
    Path("swapped/genotypes/final.yaml").write_text(resources.find("genotypes", "fairdarts-a").read_text())
    Path("swapped/results.json").write_text('{"last": 5, "images": 3}')
    assert "results.json: not the results of a training; remove it" in fails(capsys, "train", "--resume", "swapped")
    shutil.copytree("run", "cut")
    Path("cut/checkpoints/last.pt").write_bytes(b"cut")
    assert "not a readable checkpoint" in fails(capsys, "train", "--resume", "cut")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train"], "train: the first word should be a GENOTYPE, or --resume a RUN"),
        (["train", "fairdart-a"], "did you mean 'fairdarts-a'?"),
        (["train", "fairdarts-a", "--config", "fairnas-macro"], "is a recipe of `fairdarts supernet`"),
        (["train", "fairdarts-a", "--config", "tiny.yaml", "--out", "run"], "run: already exists; continue it with"),
        (["train", "fairdarts-a", "--resume", "run"], "takes its genotype, settings and place from the run"),
        (["train", "--resume", "run", "--epochs", "9"], "epochs: 2, but the command line says 9"),
        (["train", "fairdarts-a", "--config", "tiny.yaml", "--optimizer.lrr", "1"], "did you mean '--optimizer.lr'?"),
        (["train", "fairnas-a", "--config", "tiny.yaml"], "network.cells: 3: is for cells"),
        (["train", "fairdarts-b", "--config", "tiny.yaml", "--init-from", "run"], "is it another genotype or size?"),
        (["search", "--resume", "run"], "is a run of `fairdarts train`, which resumes it"),
        (["derive", "run"], "is a run of `fairdarts train`: genotypes are derived from"),
        (["evaluate"], "evaluate: the first word should be a MODEL"),
        (["evaluate", "nowhere"], "nowhere"),
        (["evaluate", "run", "--split", "test"], "data: there are no test images"),
        (["evaluate", "run", "--data.kind", "digits"], "is for images of 3 channels, but these have 1"),
        (["evaluate", "run", "--data.train_portion", "0.9"], "data.train_portion: 0.9: the run has 0.5, so others"),
    ],
    ids=lambda value: " ".join(value)[:50] if isinstance(value, list) else "",
)
def test_a_mistake_is_named_and_nothing_is_lost(user: Path, capsys, words: list[str], message: str):
    assert message in fails(capsys, *words)
    assert Path("run/results.json").is_file()


def test_what_the_images_of_a_run_may_mend_is_not_refused_early(tmp_path: Path):
    epochs, size = Words({"epochs": "x"}), Words({"data.image_size": "x"})
    for genotype in ("fairdarts-a", "runs/mine"):
        with pytest.raises(UserError, match="--epochs: 'x': should be a valid integer"):
            check_early(Request(settings=epochs, genotype=genotype))
    check_early(Request(settings=size, genotype="runs/mine"))

    recipe = read_yaml(resources.find("recipes", "train-chain-cifar10"))
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(recipe | {"data": {"kind": "folder", "batch_size": 8}}))
    asked = Request(str(tmp_path / "mine.yaml"), Words({"epochs": "3"}), genotype="runs/mine")
    check_early(asked)  # the folder is that of the run
    with pytest.raises(UserError, match=r"data\.root: is missing"):
        check_early(asked._replace(genotype="fairdarts-a"))
