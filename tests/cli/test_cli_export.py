"""`fairdarts export`: from a word to files that run."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from fairdarts import cli
from fairdarts.cli.export import main, show
from fairdarts.config import UserError
from fairdarts.networks.blueprint import NetworkSettings
from fairdarts.networks.published import TrainedModel, load, random_model, save_model
from fairdarts.runs.export import Exported, file_name
from fairdarts.runtime import checkpoint
from fairdarts.transfer.formats import FORMATS, Made
from fairdarts.transfer.int8 import Quantized

SMALL = ("--network.cells", "2", "--network.channels", "2")


@pytest.fixture(scope="module")
def model() -> TrainedModel:
    settings = NetworkSettings(cells=1, channels=2)
    return random_model("fairdarts-a", settings, image=16)._replace(about={"recipe": "it"})


@pytest.fixture
def run(model: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A training's run directory in the current folder."""
    monkeypatch.chdir(tmp_path)
    Path("run/checkpoints").mkdir(parents=True)
    Path("run/settings.yaml").write_text("name: it\n")
    facts = {"blueprint": model.blueprint.model_dump_json(by_alias=True), "about": json.dumps(model.about)}
    checkpoint.save(Path("run/checkpoints/best.pt"), {**facts, "network": model.network.state_dict(), "ema": None})
    return "run"


def test_a_run_becomes_all_files_that_one_asks_for(run: str, model: TrainedModel, capfd: pytest.CaptureFixture[str]):
    pytest.importorskip("onnxruntime")
    formats = ("--format", "onnx,safetensors", "--format", "torchscript")
    assert main([run, *formats, "--benchmark", "--threads", "1"]) == 0
    out, err = capfd.readouterr()
    assert err == "measuring 50 rounds, one image at a time, all by turns\n"
    lines = out.splitlines()
    suffixes = (".onnx", ".safetensors", ".torchscript.pt", ".md")
    assert [line.split()[0] for line in lines[:4]] == [f"exported/fairdarts-a{suffix}" for suffix in suffixes]
    assert "logits differ by" in lines[0] or "bit for bit" in lines[0]
    assert all("the model's logits, bit for bit" in line for line in lines[1:3])
    assert lines[5].split() == ["one", "image,", "CPU,", "1", "thread", "median", "90", "%", "within"]
    titles = ["torch (eager, channels_last)", "onnx (onnxruntime)", "torchscript"]
    assert [line.split("  ")[0] for line in lines[6:9]] == titles
    images = torch.randn(2, 3, 16, 16)
    expected = model.network(images).detach()
    assert torch.equal(load("exported/fairdarts-a.safetensors")(images), expected)
    assert torch.equal(FORMATS["torchscript"].open(Path("exported/fairdarts-a.torchscript.pt"))(images), expected)
    assert "- recipe: it" in Path("exported/fairdarts-a.md").read_text()
    with pytest.raises(UserError, match=r"exported/fairdarts-a\.md: already exists; name another --out"):
        main([run, *formats])


def test_an_int8_file_is_shown_with_what_it_loses(run: str, capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("onnxruntime")
    Path("images.yaml").write_text(
        "data: {kind: fake, images: 40, image_size: 16, batch_size: 8, workers: 0, train_portion: 0.5, cutout: 0}"
    )
    words = ["--format", "onnx-int8", "--config", "images.yaml", "--calibration", "8"]
    assert main([run, *words]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("exported/fairdarts-a.int8.onnx")
    assert "; the same class for " in line
    assert line.endswith(" of 20 held-out images")


def test_json_has_what_an_int8_file_loses(capsys: pytest.CaptureFixture[str]):
    of = Quantized(images=200, on="test", before=0.9, after=0.895, alike=0.98, calibration=128)
    show(Exported([Made("onnx-int8", Path("it.int8.onnx"), 1, 0.1, 1, of)], None, None), as_json=True)
    (file,) = json.loads(capsys.readouterr().out)["files"]
    assert file["quantized"] == of._asdict()


def test_what_was_exported_is_exported_again(run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main([run, "--format", "safetensors", "--out", "first"]) == 0
    capsys.readouterr()
    words = ["--format", "safetensors", "--out", "second", "--image", "24", "--json", "--benchmark"]
    assert main(["first/fairdarts-a.safetensors", *words]) == 0
    found = json.loads(capsys.readouterr().out)
    (file,) = found["files"]
    assert file["path"] == "second/fairdarts-a.safetensors"
    assert (file["format"], file["difference"]) == ("safetensors", 0)
    assert file["size"] == Path(file["path"]).stat().st_size
    assert found["card"] == "second/fairdarts-a.md"
    assert found["benchmark"]["threads"] == torch.get_num_threads()
    assert found["benchmark"]["milliseconds"]["torch"]["median"] > 0
    assert load(file["path"]).default_cfg["input_size"] == (3, 24, 24)


def test_a_genotype_is_exported_with_random_weights_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "new" / "folder"
    words = ["--network.size", "imagenet", "--classes", "3", "--image", "32", "--format", "safetensors"]
    assert cli.main(["export", "fairdarts-a-imagenet", *SMALL, *words, "--out", str(out)]) == 0
    assert "WEIGHTS ARE RANDOM" in capsys.readouterr().err
    network = load(out / "fairdarts-a-imagenet.safetensors")
    assert (network.num_classes, network.default_cfg["input_size"]) == (3, (3, 32, 32))
    assert "**Its weights are random**" in (out / "fairdarts-a-imagenet.md").read_text()


def test_a_file_of_one_s_own_genotype(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(Path(__file__).parents[2] / "genotypes" / "fairdarts-b.yaml", "mine.yaml")
    assert cli.main(["export", "mine.yaml", *SMALL, "--format", "torchscript"]) == 0
    assert [path.name for path in Path("exported").iterdir()] == ["fairdarts-b.torchscript.pt"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "the following arguments are required: WHAT"),
        ("run --format onnxx", "--format: 'onnxx' is not a format (did you mean 'onnx'?)"),
        (
            "run --format onnx,",
            "--format: '' is not a format (known: onnx, onnx-int8, openvino, safetensors, torchscript, torch-export)",
        ),
        ("run --image 0", "--image: 0: should be 1 or more, at most 8192"),
        ("fairdarts-a --image 99999999", "export: --image: 99999999: should be 1 or more, at most 8192"),
        ("run --classes 1", "--classes: 1: should be 2 or more"),
        ("run --threads 99999", "threads: 99999: should be from 1 to 1024"),
        ("run --threads 99999999999", "argument --threads: '99999999999': should be within"),
        (
            "fairdarts-a --network.cells 1000000000",
            "--network.cells: '1000000000': should be less than or equal to 1000",
        ),
        ("fairdarts-a --network.channels 1e20", "--network.channels: '1e20': should be a valid integer"),
        ("fairdarts-a --network.channels 0", "--network.channels: '0': should be greater than or equal to 2"),
        ("run --threads 0", "threads: 0: should be from 1 to 1024"),
        ("run --weights ema", "it has no ema weights"),
        ("run --classes 5", "run says itself how it is built"),
        ("run --network.cells 3", "run says itself how it is built"),
        (
            "run --network.cell 3",
            "--network.cell: is neither an option nor a setting (did you mean '--network.cells'?)",
        ),
        ("run --cells 3", "--classes and --network.… do not apply"),
        ("run --genotype fairdarts-a --classes 5", "run says itself how it is built"),
        ("run --genotype darts-v2", "run says itself that it is of fairdarts-a"),
        ("run more", "'more' is neither an option nor a setting"),
        ("fairdarts-z", "fairdarts-z"),
        ("fairdarts-a --genotype darts-v2", "goes with a file of weights, which fairdarts-a is not"),
        ("fairdarts-a --weights raw", "goes with a file of weights, which fairdarts-a is not"),
        ("gone.pt", "gone.pt: no such file"),
        ("gone/best.safetensors", "gone/best.safetensors: no such file"),
        ("checkpoints", "checkpoints: not a run directory"),
        ("run --opset 7", "export: --opset: 7: should be from 18 to"),
        ("run --format safetensors --opset 20", "export: --opset: 20: goes with the formats onnx and onnx-int8"),
        ("run --format torch-export --dynamic", "export: --dynamic: not with the format torch-export"),
        ("run --data.root photos", "export: --data.root: goes with the format onnx-int8"),
        ("run --config recipe.yaml", "export: --config: goes with the format onnx-int8"),
        ("run --format onnx-int8 --calibration 0", "export: --calibration: 0: should be 1 or more"),
        ("run --format onnx-int8 --config gone.yaml", "gone.yaml"),
        ("fairdarts-a --format onnx-int8", "export: fairdarts-a: says no images: name them with --config RECIPE"),
    ],
)
def test_what_cannot_be_exported(words: str, said: str, run: str):
    Path("checkpoints").mkdir()
    with pytest.raises(UserError) as caught:
        main(words.split())
    assert said in str(caught.value)
    assert not Path("exported").exists()


def test_a_name_stays_within_the_folder(model: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert [file_name(name) for name in ("fairdarts-a", "../../x", "…", "a b/c")] == [
        "fairdarts-a",
        "x",
        "model",
        "a-b-c",
    ]
    monkeypatch.chdir(tmp_path)
    genotype = model.blueprint.genotype.model_copy(update={"name": "../out"})
    save_model(
        Path("it.safetensors"), model._replace(blueprint=model.blueprint.model_copy(update={"genotype": genotype}))
    )
    assert main(["it.safetensors", "--format", "safetensors"]) == 0
    assert Path("exported/out.safetensors").is_file()


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        (("network", "cells"), 10**9, "blueprint.network.cells: should be less than or equal to 1000"),
        (("network", "cells"), True, "blueprint.network.cells: should be a number"),
        (("network", "channels"), 1e20, "blueprint.network.channels: Unable to parse input string as an integer"),
        (("space", "networks", "cifar", "cells"), 10**9, "blueprint.space.networks.cifar.cells: should be less than"),
        (("genotype", "name"), "a\x1b[31m", "blueprint.genotype.name: should hold no control characters"),
        (("classes", 0), "a\0", "blueprint.classes.0: should hold no control characters"),
        (("image",), 10**8, "blueprint.image: should be less than or equal to 8192"),
    ],
    ids=str,
)
def test_a_blueprint_that_no_machine_holds_is_refused(key: tuple, value: object, said: str, run: str):
    state = checkpoint.load(Path("run/checkpoints/best.pt"))
    inner = blueprint = json.loads(state["blueprint"])
    for part in key[:-1]:
        inner = inner[part]
    inner[key[-1]] = value
    checkpoint.save(Path("run/checkpoints/best.pt"), {**state, "blueprint": json.dumps(blueprint)})
    with pytest.raises(UserError) as error:
        main(["run/checkpoints/best.pt", "--format", "safetensors"])
    assert str(error.value).startswith(f"run/checkpoints/best.pt: {said}")
    assert not Path("exported").exists()
