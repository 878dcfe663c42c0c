"""`fairdarts predict`: the same predictions as a table, as CSV and as JSON, and what is said beside them."""

import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fairdarts.cli import main
from fairdarts.networks.published import random_model, save_model
from fairdarts.networks.settings import NetworkSettings
from fairdarts.runs.predict import predict


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of three classes, and three pictures, one of them deeper in a folder."""
    monkeypatch.chdir(tmp_path)
    save_model(Path("it.safetensors"), random_model("fairdarts-a", NetworkSettings(cells=2, channels=2), 3, 8))
    Path("photos/more").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in ("a [b].png", "more/c.png", "more/d.jpg"):
        Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)).save(Path("photos", name))


def test_every_form_tells_the_same(capsys: pytest.CaptureFixture[str]):
    found = predict("it.safetensors", "photos", top=2)
    assert [one.path for one in found] == ["photos/a [b].png", "photos/more/c.png", "photos/more/d.jpg"]
    words = ["predict", "it.safetensors", "photos", "--top", "2"]
    assert main([*words, "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    expected = [{"image": one.path, "classes": [*one[1]], "probabilities": [*one[2]]} for one in found]
    assert told == expected
    assert main([*words, "--format", "csv"]) == 0
    lines = [*csv.DictReader(io.StringIO(capsys.readouterr().out))]
    assert [(line["image"], line["rank"], line["class"]) for line in lines] == [
        (one.path, str(rank), name) for one in found for rank, name in enumerate(one.classes, 1)
    ]
    assert [float(line["probability"]) for line in lines] == pytest.approx(
        [p for one in found for p in one[2]], abs=1e-6
    )
    assert main(words) == 0
    out, err = capsys.readouterr()
    first = found[0]
    shares = [f"{name} {share:.1%}" for name, share in zip(first.classes, first.probabilities, strict=True)]
    assert re.split("  +", out.splitlines()[1].rstrip()) == ["photos/a [b].png", *shares]
    assert err == ""


def test_what_is_no_image_is_named_and_the_status_says_so(capsys: pytest.CaptureFixture[str]):
    Path("words.txt").write_text("no image")
    assert main(["predict", "it.safetensors", "words.txt", "photos/more", "--format", "json"]) == 2
    out, err = capsys.readouterr()
    assert err == "words.txt: cannot be decoded as an image\n"
    told = json.loads(out)
    assert told[0] == {"image": "words.txt", "classes": [], "probabilities": [], "error": err.strip()}
    assert [len(one["classes"]) for one in told[1:]] == [3, 3]
    assert main(["predict", "it.safetensors", "words.txt"]) == 2
    assert main(["predict", "it.safetensors", "words.txt", "--format", "csv"]) == 2
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == ["image", "words.txt", "image,rank,class,probability"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("gone photos", "predict: gone: no such run or file"),
        ("it.safetensors", "predict: the following arguments are required: IMAGE"),
        ("it.safetensors photos --top 4", "predict: top: 4: should be from 1 to 3, the classes of it.safetensors"),
        ("it.safetensors photos --format xml", "predict: argument --format: invalid choice: 'xml'"),
        ("it.safetensors photos --threads 0", "threads: 0: should be from 1 to 1024"),
    ],
)
def test_a_mistake_is_told_in_a_line(words: str, said: str, capsys: pytest.CaptureFixture[str]):
    assert main(["predict", *words.split()]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"fairdarts: {said}")
    assert err.count("\n") == 1
