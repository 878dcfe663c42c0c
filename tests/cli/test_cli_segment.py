"""`fairdarts segment`: from a genotype to masks of photographs, stopped and resumed."""

import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import yaml
from photographs import CLASSES, picture, recipe, voc_folder
from PIL import Image

from fairdarts.cli import main
from fairdarts.cli.segment_use import show_classes
from fairdarts.genotype import to_yaml
from fairdarts.runs.progress import ProgressBar
from fairdarts.spaces.space import load_space


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with pictures, a genotype, a recipe, and a training by it."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "tiny.yaml").write_text(yaml.safe_dump(recipe(voc_folder(folder / "voc"))))
    space = load_space("s2-small")
    genotype = space.genotype_of((1,) * len(space.choices), "small", "tests")
    (folder / "small.yaml").write_text(to_yaml(genotype))
    words = ["segment", str(folder / "small.yaml"), "--config", str(folder / "tiny.yaml")]
    assert main([*words, "--out", str(folder / "run")]) == 0
    return folder


@pytest.fixture
def user(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(place)
    return place


def fails(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main(["segment", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err


def test_a_run_holds_curves_and_predictions(user: Path):
    assert {path.name for path in (user / "run" / "figures").iterdir()} == {
        "training.svg",
        "training.png",
        "overlay.png",
    }
    assert json.loads((user / "run" / "results.json").read_text())["last"]["iou"].keys() == set(CLASSES)
    assert (user / "run" / "genotypes" / "final.yaml").is_file()


@pytest.mark.usefixtures("rendered")
def test_its_curves_are_drawn_again(user: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["draw", "run", "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / name) for name in ("training.svg", "training.png")]
    assert (tmp_path / "training.svg").read_text() == (user / "run" / "figures" / "training.svg").read_text()


def test_its_cost_is_told_without_any_images(user: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["segment", "fairnas-a", "--count", "--deeplab.output_stride", "8"]) == 0
    assert "3.26 M parameters, 13575.4 M multiply-adds" in capsys.readouterr().out  # a finer map costs more
    assert main(["segment", "fairnas-a", "--count", "--data.root", "nowhere"]) == 0
    assert (
        capsys.readouterr().out
        == "fairnas-a: 3.26 M parameters, 4030.3 M multiply-adds for 513×513 images, 21 classes\n"
    )


def test_a_finished_training_is_told_again(user: Path, capsys: pytest.CaptureFixture[str]):
    before = (user / "run" / "metrics.jsonl").read_text()
    assert main(["segment", "--resume", "run"]) == 0
    said = capsys.readouterr().err
    assert "this training has already finished" in said
    assert "mean IoU" in said
    assert (user / "run" / "metrics.jsonl").read_text() == before


def test_a_signal_stops_it_and_the_command_that_it_says_continues_it(
    user: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def stop(self, epoch: int, step: int, steps: int, *seen: object) -> None:
        if (epoch, step) == (2, 1):
            os.kill(os.getpid(), signal.SIGINT)

    out = str(tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(ProgressBar, "step", stop)
        assert main(["segment", "small.yaml", "--config", "tiny.yaml", "--out", out]) == 130
    assert f"segment --resume {out}" in capsys.readouterr().err
    assert main(["segment", "--resume", out]) == 0
    results = [json.loads((Path(run) / "results.json").read_text()) for run in ("run", out)]
    assert results[0] == results[1]


def test_a_trained_network_is_judged_class_by_class(
    user: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    assert main(["segment", "--judge", "run", "--json", "--out", str(tmp_path)]) == 0
    found = json.loads(capsys.readouterr().out)
    last = json.loads((user / "run" / "results.json").read_text())["last"]
    assert (found["miou"], found["iou"], found["epoch"]) == (last["miou"], last["iou"], 3)
    assert (tmp_path / "overlay.png").is_file()
    best = str(user / "run" / "checkpoints" / "best.pt")
    assert main(["segment", "--judge", best, "--data.val", "train", "--out", str(tmp_path)]) == 0
    assert (tmp_path / "overlay-train.png").is_file()
    monkeypatch.chdir(user / "run" / "checkpoints")
    assert main(["segment", "--judge", "last.pt", "--out", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert "6 train images of 3 classes" in err
    assert all(name in out for name in CLASSES)


def test_photographs_become_masks(user: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for number in range(2):
        Image.fromarray(picture(number, (31, 45))[0]).save(tmp_path / f"photo{number}.jpg")
    words = [str(tmp_path / f"photo{number}.jpg") for number in range(2)]
    assert main(["segment", "--predict", "run", *words, "--out", str(tmp_path / "masks")]) == 0
    said = capsys.readouterr().err.splitlines()
    for number in range(2):
        with Image.open(tmp_path / "masks" / f"photo{number}.png") as mask:
            assert (mask.mode, mask.size) == ("P", (45, 31))
            shares = np.bincount(np.asarray(mask).ravel(), minlength=3) / mask.size[0] / mask.size[1]
        most = int(shares.argmax())
        assert f"{CLASSES[most]} {shares[most]:.0%}" in said[number]
        assert (tmp_path / "masks" / f"photo{number}-overlay.png").is_file()


def test_nothing_is_written_over(user: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for name in ("a", "a-overlay"):
        Image.fromarray(picture(0)[0]).save(tmp_path / f"{name}.png")
    before = (tmp_path / "a.png").read_bytes()
    assert "a.png: already exists" in fails(capsys, "--predict", "run", str(tmp_path / "a.png"), "--out", str(tmp_path))
    assert (tmp_path / "a.png").read_bytes() == before
    both = [str(tmp_path / f"{name}.png") for name in ("a", "a-overlay")]
    said = fails(capsys, "--predict", "run", *both, "--out", str(tmp_path / "masks"))
    assert "a-overlay.png: would be written of two images" in said
    assert not (tmp_path / "masks").exists()


def test_nothing_is_written_where_an_image_is_missing(user: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    Image.fromarray(picture(0)[0]).save(tmp_path / "a.png")
    words = [str(tmp_path / "a.png"), str(tmp_path / "b.png"), "--out", str(tmp_path / "masks")]
    assert "b.png: No such file" in fails(capsys, "--predict", "run", *words)
    assert not (tmp_path / "masks").exists()
    assert "threads: 0: should be from 1 to 1024" in fails(capsys, "--predict", "run", words[0], "--threads", "0")


def test_a_photograph_is_seen_as_it_is_shown(user: Path, tmp_path: Path):
    turned = Image.Exif()
    turned[0x0112] = 6  # the camera was held upright
    Image.fromarray(picture(0)[0]).save(tmp_path / "phone.jpg", exif=turned)
    assert main(["segment", "--predict", "run", str(tmp_path / "phone.jpg"), "--out", str(tmp_path / "masks")]) == 0
    with Image.open(tmp_path / "masks" / "phone.png") as mask:
        assert mask.size == (24, 36)


def test_a_network_goes_on_from_another(user: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    words = ["small.yaml", "--config", "tiny.yaml", "--epochs", "1", "--out", str(tmp_path / "run")]
    assert main(["segment", *words, "--init-from", "run"]) == 0
    assert "weights    from run" in capsys.readouterr().err
    assert yaml.safe_load((tmp_path / "run" / "settings.yaml").read_text())["init_from"] == "run"


def test_mistakes_are_told_in_one_line(user: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    tiny = ("small.yaml", "--config", "tiny.yaml")
    assert "the first word should be a GENOTYPE" in fails(capsys)
    assert "fairnas-z: neither a model" in fails(capsys, "fairnas-z")
    assert "is a recipe of `fairdarts train`" in fails(capsys, "fairnas-a", "--config", "train-mnasnet-imagenet")
    assert "data.root: nowhere: no such folder" in fails(capsys, *tiny, "--data.root", "nowhere")
    assert "init_from" in fails(capsys, *tiny, "--init-from", "")
    assert "data.corp: is neither an option nor a setting (did you mean" in fails(capsys, *tiny, "--data.corp", "5")
    assert "output_stride: 16" in fails(capsys, "darts-v2", "--network.size", "cifar", "--count")
    assert "run: already exists" in fails(capsys, *tiny, "--out", "run")
    assert "nowhere: not a run directory" in fails(capsys, "--judge", "nowhere")
    assert "data.val: nothing: there is no file" in fails(capsys, "--judge", "run", "--data.val", "nothing")
    assert "required: IMAGE" in fails(capsys, "--predict", "run")
    assert "cat.jpg: No such file" in fails(capsys, "--predict", "run", "cat.jpg", "--out", str(tmp_path))
    assert "a.png: would be written of two images" in fails(capsys, "--predict", "run", "x/a.jpg", "y/a.jpg")
    assert "'fairnas-b' is neither an option nor a setting" in fails(capsys, "fairnas-b", "--judge", "run")
    assert "--deeplab.aspp: is neither an option nor a setting" in fails(
        capsys, "--judge", "run", "--deeplab.aspp", "false"
    )
    content = yaml.safe_load((user / "tiny.yaml").read_text())
    del content["deeplab"]
    (tmp_path / "headless.yaml").write_text(yaml.safe_dump(content))
    said = fails(capsys, "small.yaml", "--config", str(tmp_path / "headless.yaml"))
    assert "not of `fairdarts segment`: it has the section optimizer, and not the section deeplab" in said
    assert "voc/JPEGImages: not a run directory" in fails(capsys, *tiny, "--init-from", "voc/JPEGImages")


def test_a_classifier_s_verbs_say_what_a_segmentation_run_is(user: Path, tmp_path: Path, capsys):
    capsys.readouterr()
    assert main(["export", "run", "--out", str(tmp_path)]) == 2
    assert "fairdarts segment" in capsys.readouterr().err
    assert main(["evaluate", "run"]) == 2
    assert "is a run of `fairdarts segment`: fairdarts segment --judge measures it" in capsys.readouterr().err
    assert main(["train", "--resume", "run"]) == 2
    assert "is a run of `fairdarts segment`, which resumes it" in capsys.readouterr().err


def test_a_damaged_result_is_told(user: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    shutil.copytree("run", tmp_path / "run")
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    for damaged in ({}, results | {"last": results["last"] | {"iou": None}}):
        (tmp_path / "run" / "results.json").write_text(json.dumps(damaged))
        assert main(["segment", "--resume", str(tmp_path / "run")]) == 2
        assert "results.json: not the results of a training" in capsys.readouterr().err


def test_names_of_classes_may_hold_brackets(capsys: pytest.CaptureFixture[str]):
    show_classes({"[red]x": 0.25, "[/b]": None, "y": 0.125})
    lines = capsys.readouterr().out.split()
    assert lines == ["class", "IoU", "y", "12.5%", "[red]x", "25.0%", "[/b]", "not", "there"]
