"""`fairdarts supernet`: it begins, stops, goes on to the same bits, and says what it was."""

import json
import os
import signal
from pathlib import Path

import pytest
import torch
from one_shot import CHAIN, settings_of

from fairdarts.cli import main
from fairdarts.plot.supernet import draw_training
from fairdarts.reading import dump_yaml
from fairdarts.runs.progress import ProgressBar
from fairdarts.runtime import checkpoint
from fairdarts.runtime.run import RunDirectory

WORDS = ("--data.images", "32", "--data.image_size", "8", "--data.batch_size", "4", "--watch.images", "8")


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe of two epochs of four steps, in a directory of its own; nothing is drawn."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fairdarts.runs.figures.draw_training", lambda *_: [])
    (tmp_path / "space.yaml").write_text(dump_yaml(CHAIN))
    settings = settings_of(epochs=2).model_copy(update={"space": str(tmp_path / "space.yaml")})
    text = dump_yaml(settings).replace("  warmup_epochs: 0.0\n", "")  # a recipe need not say it
    assert "warmup_epochs" not in text
    (tmp_path / "recipe.yaml").write_text(text)
    return tmp_path / "recipe.yaml"


def fails(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main(list(words)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    return err.splitlines()[-1]


def test_a_training_that_was_stopped_goes_on_to_the_same_bits(recipe: Path, monkeypatch, capsys):
    assert main(["supernet", "--config", str(recipe), "--out", "whole", *WORDS]) == 0

    def step(_: object, epoch: int, step: int, *__: object) -> None:
        if (epoch, step) == (2, 2):
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(ProgressBar, "step", step)
        assert main(["supernet", "--config", str(recipe), "--out", "stopped", *WORDS]) == 128 + signal.SIGTERM
    assert "supernet --resume stopped" in capsys.readouterr().err
    assert main(["supernet", "--resume", "stopped"]) == 0
    whole, stopped = (checkpoint.load(RunDirectory(Path(name)).last) for name in ("whole", "stopped"))
    assert all(torch.equal(value, stopped["supernet"][key]) for key, value in whole["supernet"].items())
    assert torch.equal(whole["sampler"], stopped["sampler"])
    capsys.readouterr()
    assert main(["supernet", "--resume", "stopped"]) == 0
    assert "already finished" in capsys.readouterr().err


def test_what_a_training_came_to_is_said(recipe: Path, capsys):
    assert main(["supernet", "--config", str(recipe), "--out", "run", *WORDS]) == 0
    said = capsys.readouterr().err
    assert "space      tiny: 4 choice points, 81 paths" in said
    assert "passes     24 of 4 images" in said
    assert "updates    8 of a choice, of variance 0.0 at a choice point; uniform draws: 5.3" in said
    assert "rank run --benchmark FILE" in said
    last = RunDirectory(Path("run")).records()[-1]
    assert last["updates_variance"] == [0] * 4
    assert (Path("run") / "tensorboard").is_dir()


def test_a_training_whose_checkpoint_is_gone_has_not_finished(recipe: Path, capsys):
    main(["supernet", "--config", str(recipe), "--out", "run", *WORDS])
    RunDirectory(Path("run")).last.unlink()
    assert "run/checkpoints/last.pt: no such checkpoint" in fails(capsys, "supernet", "--resume", "run")


def test_runs_and_recipes_of_the_other_verb_are_refused(recipe: Path, tiny_recipe: Path, monkeypatch, capsys):
    monkeypatch.setattr("fairdarts.runs.figures.figures_of", lambda *_: [])
    monkeypatch.setattr("fairdarts.runs.search.log_epoch", lambda *_: None)
    main(["supernet", "--config", str(recipe), "--out", "run", *WORDS])
    assert main(["search", "--config", str(tiny_recipe), "--out", "searched"]) == 0
    assert "run: is a run of `fairdarts supernet`" in fails(capsys, "search", "--resume", "run")
    assert "searched: is a run of `fairdarts search`" in fails(capsys, "supernet", "--resume", "searched")
    assert "is a recipe of `fairdarts supernet`" in fails(capsys, "search", "--config", "fairnas-macro")
    assert "is a recipe of `fairdarts search`" in fails(capsys, "supernet", "--config", "fairdarts-s1-digits")
    assert "--verb: is neither an option nor a setting" in fails(
        capsys, "supernet", "--resume", "run", "--verb", "search"
    )


def test_recipes_and_runs_of_version_0_1_which_say_no_verb_are_read(recipe: Path, capsys):
    words = ["supernet", "--config", "old.yaml", "--out", "old", *WORDS]
    Path("old.yaml").write_text("".join(line for line in recipe.read_text().splitlines(True) if "verb" not in line))
    assert main(words) == 0
    path = Path("old/settings.yaml")
    assert path.read_text().startswith("verb: supernet\n")
    path.write_text(path.read_text().removeprefix("verb: supernet\n"))
    state = checkpoint.load(RunDirectory(Path("old")).last)
    state["identity"].pop("settings.yaml: verb")
    checkpoint.save(RunDirectory(Path("old")).last, state | {"epoch": 0, "records": "[]"})
    assert RunDirectory(Path("old")).state == "stopped"
    assert main(["supernet", "--resume", "old"]) == 0
    assert RunDirectory(Path("old")).state == "finished"
    assert "is a run of `fairdarts supernet`" in fails(capsys, "search", "--resume", "old")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--space", "s1", "--sampler.kind", "architecture"), "which is not counted for cells, as in space s1"),
        (("--supernet.wsbn", "true"), "supernet.wsbn: true: is for cells"),
        (("--weights.shared_gradient", "man"), "--weights.shared_gradient: 'man'"),
        (("--sampler.kind", "uniform_repeat"), "--sampler.kind: needs --sampler.repeats as well"),
        (("--data.batch_size", "400"), "data.batch_size: 400: should be at most 16"),
    ],
)
def test_settings_that_do_not_fit(recipe: Path, capsys, words: tuple[str, ...], message: str):
    assert message in fails(capsys, "supernet", "--config", str(recipe), *WORDS, *words)
    assert not Path("runs").exists()


def test_a_study_of_supernets_continues_and_says_how_they_are_ranked(recipe: Path, capsys):
    study = {"name": "small", "source": "tests", "seeds": [0, 1], "runs": [{"name": "fair", "config": str(recipe)}]}
    Path("study.yaml").write_text(json.dumps(study))
    assert main(["study", "study.yaml", *WORDS]) == 0
    assert "fairdarts rank runs/small/* --benchmark FILE" in capsys.readouterr().err
    assert main(["study", "study.yaml", *WORDS]) == 0
    assert "2 of 2 runs are done" in capsys.readouterr().err
    assert sorted(path.name for path in Path("runs/small").glob("*seed*")) == ["fair-seed0", "fair-seed1"]


def test_a_run_is_drawn(recipe: Path, monkeypatch, capsys):
    main(["supernet", "--config", str(recipe), "--out", "run", *WORDS])
    monkeypatch.setattr("fairdarts.runs.figures.draw_training", draw_training)
    capsys.readouterr()
    assert main(["draw", "run", "--out", "drawn"]) == 0
    assert Path("drawn/updates.svg").is_file()
