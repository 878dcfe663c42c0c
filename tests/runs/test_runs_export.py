"""`fairdarts.export`: the files that the verb writes, as an object."""

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from runs import same
from test_runs_train import RECIPE

import fairdarts
from fairdarts.cli import main
from fairdarts.config import Notice, UserError
from fairdarts.runs.export import export
from fairdarts.runs.train import train

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


def test_random_weights_are_warned_of():
    with pytest.warns(Notice, match="WEIGHTS ARE RANDOM: fairdarts-a is a genotype"):
        made = export("fairdarts-a", "safetensors", image=16, classes=3, settings=SMALL)
    network = fairdarts.load(made.files[0].path)
    assert (network.num_classes, network.default_cfg["input_size"]) == (3, (3, 16, 16))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"formats": ["onnxx"]}, "formats: 'onnxx' is not a format (did you mean 'onnx'?)"),
        ({"image": 0}, "image: 0: should be 1 or more"),
        ({"classes": 1}, "classes: 1: should be 2 or more"),
        ({"settings": {"network.cell": 3}}, "network.cell: unknown key (did you mean 'cells'?)"),
        ({"weights": "raw"}, "goes with a file of weights, which fairdarts-a is not"),
        ({"what": "gone.pt"}, "gone.pt: no such file"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(given: dict[str, Any], message: str):
    with pytest.raises(UserError) as error, warnings.catch_warnings(action="ignore"):
        export(**{"what": "fairdarts-a"} | given)
    assert message in str(error.value)
    assert not Path("exported").exists()
