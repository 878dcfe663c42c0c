"""Class folders from the command line: what is said of them before a run, and how runs that are older go on."""

import os
import signal
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image

from fairdarts.cli import main
from fairdarts.ranking.report import open_training
from fairdarts.runs.judged_data import read_data
from fairdarts.runs.progress import ProgressBar
from fairdarts.runtime import checkpoint
from fairdarts.runtime.run import RunDirectory, read_settings

SEEN = "a random square of the shorter side trains, that at the centre judges"
CUT = "up to 50% of an image is cut away, 50% on average"


@pytest.fixture(autouse=True)
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """12 ants, 12 bees and one emu, of 16×8 pixels; no figures, which take longer than a search."""
    monkeypatch.setattr("fairdarts.runs.figures.figures_of", lambda *_: [])
    monkeypatch.setattr("fairdarts.runs.search.log_epoch", lambda *_: None)
    monkeypatch.chdir(tmp_path)
    for name, count in (("ant", 12), ("bee", 12), ("emu", 1)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(count):
            Image.effect_noise((16, 8), 90).save(tmp_path / "photos" / name / f"{number:02}.png")
    return Path("photos")


FOLDER = ("--data.kind", "folder", "--data.root", "photos", "--data.image_size", "8")


def search(recipe: Path, *words: str) -> int:
    return main(["search", "--config", str(recipe), *FOLDER, *words])


def test_what_is_cut_away_and_held_out_is_said_once(tiny_recipe: Path, capsys: pytest.CaptureFixture[str]):
    assert search(tiny_recipe, "--out", "run") == 0
    said = capsys.readouterr().err
    assert said.count(f"data.root: photos: images of 16×8 pixels: {SEEN}: {CUT}\n") == 1
    assert said.count("data.train_portion: 0.5 (stratified): no image is held out of emu\n") == 1
    assert said.count("data.balance: none: emu has 1 image, bee 12, 12 times as many; sampling, or loss") == 1
    assert main(["search", "--resume", "run"]) == 0
    assert "cut away" not in capsys.readouterr().err
    assert search(tiny_recipe, "--out", "kept", "--data.in_memory", "true") == 0
    assert capsys.readouterr().err.count(f"with in_memory only the centre square is ever seen: {CUT}\n") == 1


def test_a_test_set_is_examined_before_the_first_epoch(photos: Path, capsys: pytest.CaptureFixture[str]):
    photos.rename("train")
    for name in ("ant", "bee"):
        Path("photos/test", name).mkdir(parents=True)
        Image.effect_noise((8, 8), 90).save(f"photos/test/{name}/0.png")
    Path("train").rename("photos/train")
    small = ["--network.cells", "3", "--network.channels", "2", "--data.cutout", "0", "--loss.auxiliary", "0"]
    words = [*FOLDER, *small, "--data.workers", "0", "--data.batch_size", "5", "--epochs", "1", "--threads", "1"]
    Path("photos/test/bee/1.png").write_bytes(b"")
    assert main(["train", "fairdarts-a", *words, "--out", "run"]) == 2
    said = capsys.readouterr().err
    assert said.endswith("photos/test/bee/1.png: cannot be decoded as an image; mend or remove it\n")
    assert not Path("run").exists()
    Path("photos/test/bee/1.png").unlink()
    assert main(["train", "fairdarts-a", *words, "--out", "run"]) == 0
    capsys.readouterr()
    assert main(["evaluate", "run", "--split", "train"]) == 0
    assert f"data.root: photos/train: images of 16×8 pixels: {SEEN}: {CUT}\n" in capsys.readouterr().err
    Path("photos/test/ant/0.png").write_bytes(b"")
    assert main(["evaluate", "run"]) == 2
    assert "photos/test/ant/0.png: cannot be decoded as an image; mend" in capsys.readouterr().err


def older(run: Path) -> None:
    """Makes a run what version 0.1 left: without the settings that it did not have."""
    settings = yaml.safe_load((run / "settings.yaml").read_text())
    for key in ("split", "white"):
        del settings["data"][key]
    (run / "settings.yaml").write_text(yaml.safe_dump(settings))
    state = checkpoint.load(RunDirectory(run).last)
    for key in ("split", "white"):
        del state["identity"][f"settings.yaml: data.{key}"]
    checkpoint.save(RunDirectory(run).last, state)


def test_a_run_of_an_older_version_goes_on_with_the_split_that_it_began_with(
    tiny_recipe: Path, monkeypatch: pytest.MonkeyPatch
):
    def step(_: object, epoch: int, step: int, *__: object) -> None:
        if (epoch, step) == (2, 2):
            os.kill(os.getpid(), signal.SIGTERM)

    words = ("--data.split", "shuffled", "--threads", "1")
    with monkeypatch.context() as patch:
        patch.setattr(ProgressBar, "step", step)
        assert search(tiny_recipe, "--out", "run", *words) == 128 + signal.SIGTERM
    older(Path("run"))
    assert main(["search", "--resume", "run"]) == 0
    for name, split in (("alone", "shuffled"), ("new", "stratified")):
        assert search(tiny_recipe, "--out", name, "--data.split", split, "--threads", "1") == 0
    alphas = {name: checkpoint.load(RunDirectory(Path(name)).last)["alphas"] for name in ("run", "alone", "new")}
    for part, alpha in alphas["run"].items():
        assert torch.equal(alpha, alphas["alone"][part])
        assert not torch.equal(alpha, alphas["new"][part])


def test_whoever_reads_an_older_run_has_its_split(tmp_path: Path):
    """As a new run's settings say theirs, what says none is old."""
    settings = yaml.safe_load(
        Path(__file__).parents[2].joinpath("fairdarts/recipes/supernet-darts-small.yaml").read_text()
    )
    data = {"kind": "folder", "root": "photos", "batch_size": 4, "workers": 0, "train_portion": 0.5, "cutout": 0}
    Path("run").mkdir()
    file = Path("run/settings.yaml")
    for own, split in (({}, "shuffled"), ({"split": "stratified"}, "stratified")):
        file.write_text(yaml.safe_dump(settings | {"data": data | own}))
        Path("run/space.yaml").write_text(Path(__file__).parents[2].joinpath("search_spaces/s1.yaml").read_text())
        assert open_training(RunDirectory(Path("run")))[0].data.split == split
        assert read_data(Path("run"), None, None, {})[0].data.split == split
    file.write_text(yaml.safe_dump({"data": {"kind": "imagenet", "root": "photos", "batch_size": 4, "workers": 0}}))
    assert "split" not in read_settings(file)["data"]
