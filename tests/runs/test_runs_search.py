"""`fairdarts.search` and `fairdarts.train_supernet`: the runs that the verbs make, without a word."""

from pathlib import Path

import pytest
import yaml
from runs import Interrupts, assert_same_run

import fairdarts
from fairdarts.cli import main
from fairdarts.cli.summary import summarize
from fairdarts.config import UserError
from fairdarts.cost.count import count
from fairdarts.networks.blueprint import NetworkSettings, build
from fairdarts.networks.models import find
from fairdarts.reading import read_yaml
from fairdarts.runs.derive import derive
from fairdarts.runs.report import report
from fairdarts.runs.search import search
from fairdarts.runs.supernet import train_supernet
from fairdarts.runtime import checkpoint
from fairdarts.runtime.shape import ImageSize, Shape


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_verb_and_the_function_give_equal_runs(tiny_recipe: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("fairdarts.runs.figures.figures_of", lambda *_: [])
    words = ["search", "--config", str(tiny_recipe), "--out", "verb", "--epochs", "2", "--weights.lr", "0.05"]
    assert main(words) == 0
    run = search(tiny_recipe, epochs=2, settings={"weights.lr": 0.05}, out="function")
    assert_same_run(Path("verb"), run.path)
    assert (run.state, run.settings.weights.lr) == ("finished", 0.05)


def test_a_search_says_nothing(tiny_recipe: Path, capfd: pytest.CaptureFixture[str]):
    search(tiny_recipe, epochs=1, settings={"derive.method": "argmax", "derive.threshold": None})
    assert capfd.readouterr() == ("", "")


def test_what_a_callback_is_told(tiny_recipe: Path):
    told: list[object] = []

    class Watch(fairdarts.Callback):
        def begin(self, run: fairdarts.Run) -> None:
            told.append((run.path.name, run.state))

        def step(self, epoch: int, step: int, steps: int, *seen: object) -> None:
            told.append((epoch, step, steps))

        def end(self, run: fairdarts.Run) -> None:
            told.append(run.state)

    records: list[dict] = []
    run = search(tiny_recipe, epochs=1, out="run", callbacks=[Watch(), records.append])
    assert told == [("run", "new"), (1, 1, 4), (1, 2, 4), (1, 3, 4), (1, 4, 4), "finished"]
    assert records == run.directory.records()[1:]


def test_a_search_that_was_stopped_goes_on_to_the_same_bits(tiny_recipe: Path):
    with pytest.raises(KeyboardInterrupt):
        search(tiny_recipe, out="stopped", callbacks=Interrupts())
    assert fairdarts.open_run("stopped").state == "stopped"
    resumed = fairdarts.open_run("stopped").resume()
    whole = search(tiny_recipe, out="whole")
    assert_same_run(resumed.path, whole.path)
    before = checkpoint.load(whole.directory.last)
    assert whole.resume().state == "finished"  # nothing is left to do
    assert checkpoint.load(whole.directory.last)["records"] == before["records"]


def test_a_recipe_may_be_a_mapping(tiny_recipe: Path):
    run = search(read_yaml(tiny_recipe), epochs=1)
    assert run.path == Path("runs/tiny-seed0")
    assert run.settings.epochs == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weights.lr": -1}, r"weights\.lr: -1: should be greater than 0"),
        ({"weights.lt": 1}, r"weights\.lt: unknown key \(did you mean 'lr'\?\)"),
        ({"epochs": "many"}, "epochs: 'many': "),
    ],
)
def test_what_is_wrong_with_settings_is_one_line(tiny_recipe: Path, settings: dict, message: str):
    with pytest.raises(UserError, match=message):
        search(tiny_recipe, settings=settings, out="run")
    assert not Path("run").exists()


def test_of_a_search_on_large_images_the_network_is_theirs(tiny_recipe: Path, capsys: pytest.CaptureFixture[str]):
    """Of 33×48 pixels: its size, its cost, and what it is trained as where nothing is said."""
    settings = {"supernet.stem": "imagenet", "data.image_size": (33, 48), "derive.method": "argmax", "data.cutout": 16}
    settings |= {"cost.quantity": "madds", "cost.target": 1e6}
    run = search(tiny_recipe, settings=settings | {"derive.threshold": None}, epochs=1, out="large")
    assert read_yaml(run.path / "settings.yaml")["data"]["image_size"] == "33x48"
    assert run.shape == Shape(ImageSize(33, 48), 3, 3)
    assert find(run).network.size == find(run.path / "genotypes" / "final.yaml").network.size == "imagenet"
    (row,) = fairdarts.zoo(run)
    network = build(run.genotype, run.space, NetworkSettings(size="imagenet"), classes=3)
    assert (row["network"], row["image"]) == ("imagenet", (33, 48))
    assert row["madds"] == count(network, image=(33, 48)).madds
    assert run.records[-1]["cost.derived"] == row["madds"]
    assert derive(run, budget=f"madds <= {row['madds']}").normal == run.genotype.normal
    summarize(run)
    assert f"{row['madds'] / 1e6:.1f} M multiply-adds for 33×48 images; 2 cells" in capsys.readouterr().err
    assert main(["zoo", str(run.path)]) == 0
    assert "33×48" in capsys.readouterr().out
    report(run, out="report.html")
    assert f"{row['madds'] / 1e6:.1f} M multiply-adds for 33×48 images" in Path("report.html").read_text()


def test_a_recipe_of_another_verb_is_refused(tiny_recipe: Path):
    with pytest.raises(UserError, match="is a recipe of `fairdarts search`, not of `fairdarts supernet`"):
        train_supernet(tiny_recipe)


def test_supernets_are_alike_too(tiny_recipe: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("fairdarts.runs.figures.draw_training", lambda *_: [])
    recipe = {
        "verb": "supernet",
        "name": "tiny-fair",
        "source": "none",
        "space": read_yaml(tiny_recipe)["space"],
        "epochs": 1,
        "threads": 1,
        "data": {"kind": "fake", "images": 32, "image_size": 8, "batch_size": 4, "workers": 0, "train_portion": 0.5},
        "sampler": {"kind": "strict_fair"},
        "weights": {"lr": 0.1, "lr_min": 0, "momentum": 0.9, "weight_decay": 0},
        "watch": {"paths": 2, "images": 8},
    }
    recipe["data"]["cutout"] = 0
    Path("fair.yaml").write_text(yaml.safe_dump(recipe))
    assert main(["supernet", "--config", "fair.yaml", "--out", "verb"]) == 0
    run = train_supernet(recipe, out="function")
    assert_same_run(Path("verb"), run.path)
    with pytest.raises(UserError, match="a supernet has no genotype"):
        _ = run.genotype
