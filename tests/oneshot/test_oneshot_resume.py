"""A stop at any step of a training changes nothing, and what cannot go on is refused."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from one_shot import CHAIN, CLASSES, IRREGULAR, settings_of
from runs import Broken, Watch, metrics
from trainings import EPOCHS, LAST, SAMPLERS, STEPS_AN_EPOCH, TINY, Go, Whole, assert_same_training

from fairdarts.config import Notice, UserError
from fairdarts.oneshot.state import load_weights
from fairdarts.runtime import checkpoint
from fairdarts.runtime.checkpoint import BadState
from fairdarts.runtime.run import RunDirectory, create
from fairdarts.runtime.stop import Interrupted
from fairdarts.supernet.supernet import make_supernet


@pytest.mark.parametrize("sampler", ["strict_fair", "uniform"])
def test_a_training_stopped_after_every_step_is_as_if_it_never_was(go: Go, whole: Whole, tmp_path: Path, sampler: str):
    for step in range(1, LAST):
        with pytest.raises(Interrupted):
            go("stopped", Watch(step=step), resume=step > 1, sampler=sampler)
        state = checkpoint.load(RunDirectory(tmp_path / "stopped").last)
        assert state["epoch"] * STEPS_AN_EPOCH + state["step"] == step
        assert len(metrics(tmp_path / "stopped")) == step // STEPS_AN_EPOCH
    go("stopped", resume=True, sampler=sampler)
    assert_same_training(tmp_path / "stopped", whole(sampler=sampler))


@pytest.mark.parametrize("at", [{"step": 6}, {"epoch": 2}], ids=str)
@pytest.mark.parametrize("sampler", ["strict_fair", "uniform", "one_shot", "uniform_repeat"])
def test_a_training_stopped_once_is_as_if_it_never_was(
    go: Go, whole: Whole, tmp_path: Path, sampler: str, at: dict[str, int]
):
    options = {"sampler": sampler, "weights.warmup_epochs": 1.5}
    with pytest.raises(Interrupted):
        go("stopped", Watch(**at), **options)
    go("stopped", resume=True, **options)
    assert_same_training(tmp_path / "stopped", whole(**options))


@pytest.mark.parametrize("at", [{"step": LAST}, {"epoch": EPOCHS}], ids=str)
def test_a_stop_asked_for_at_the_very_end_comes_too_late(go: Go, tmp_path: Path, at: dict[str, int]):
    go("run", Watch(**at))
    assert len(metrics(tmp_path / "run")) == EPOCHS


def test_checkpoints_are_written_within_an_epoch_when_they_are_due(go: Go, whole: Whole, tmp_path: Path):
    class Crash(Exception):
        pass

    class Crashing(Watch):
        def step(self, epoch: int, step: int, steps: int, sums: torch.Tensor) -> None:
            if (epoch, step) == (2, 3):
                raise Crash

    for minutes, kept in ((0, 2), (10, 0)):
        with pytest.raises(Crash):
            go(f"crashed-{minutes}", Crashing(), save_minutes=minutes)
        state = checkpoint.load(RunDirectory(tmp_path / f"crashed-{minutes}").last)
        assert (state["epoch"], state["step"]) == (1, kept)
    go("crashed-0", resume=True, save_minutes=3)
    assert_same_training(tmp_path / "crashed-0", whole(sampler="strict_fair"))


@pytest.mark.parametrize("paths", [0, 3])
def test_a_training_goes_on_once_a_broken_image_is_mended(go: Go, whole: Whole, tmp_path: Path, paths: int):
    """Without a watch it fails in a step of the second epoch, with one in the watch after the first."""
    watched = {"watch.paths": paths, "watch.images": 16}
    with pytest.raises(UserError, match=r"cat\.png"):
        go("broken", spoil=partial(Broken, readings=30), **watched)  # in the second epoch
    state = checkpoint.load(RunDirectory(tmp_path / "broken").last)
    assert state["epoch"] * STEPS_AN_EPOCH + state["step"] == (0 if paths else 7)
    go("broken", resume=True, **watched)
    assert_same_training(tmp_path / "broken", whole(**watched))


def test_settings_edited_in_a_run_cannot_continue_it(go: Go):
    with pytest.raises(Interrupted):
        go("run", Watch(step=2), sampler="one_shot")
    edits = {"weights.lr": 0.2, "weights.shared_gradient": "mean", "sampler.rate": 0.6, "seed": 1, "epochs": 4}
    for key, value in (edits | {"threads": 1, "watch.paths": 4, "data.cutout": 2}).items():
        with pytest.raises(BadState, match=rf"settings\.yaml: {key}: .* when the run began, {value} now"):
            go("run", resume=True, sampler="one_shot", **{key: value})


def test_another_sampler_or_space_or_other_images_cannot_continue_a_run(go: Go):
    with pytest.raises(Interrupted):
        go("run", Watch(step=2))
    with pytest.raises(BadState, match=r"settings\.yaml: sampler\.kind: strict_fair when the run began, uniform now"):
        go("run", resume=True, sampler="uniform")
    with pytest.raises(BadState, match=r"space\.yaml: stages"):
        go("run", resume=True, space=IRREGULAR)
    with pytest.raises(BadState, match=r"data: images \(number, names\): 32 when the run began, 28 now"):
        go("run", resume=True, **{"data.images": 28})
    go("run", resume=True, save_minutes=3, **{"compute.accumulate": 2, "data.workers": 0})


def test_a_checkpoint_that_does_not_fit_is_refused(go: Go, tmp_path: Path):
    with pytest.raises(Interrupted):
        go("run", Watch(step=2))
    last = RunDirectory(tmp_path / "run").last
    whole = checkpoint.load(last)
    for key in ("supernet", "optimizer", "sampler", "updates", "sums", "step"):
        without = {name: part for name, part in whole.items() if name != key}
        for spoiled in (without, without | {key: None}, without | {key: []}):
            checkpoint.save(last, spoiled)
            with pytest.raises(BadState, match=f"{last}: does not fit the run's settings.yaml and space.yaml"):
                go("run", resume=True)
    checkpoint.save(last, whole)
    go("run", resume=True)


def truncated(last: Path) -> None:
    last.write_bytes(last.read_bytes()[:-100])


def emptied(last: Path) -> None:
    last.write_bytes(b"")


def lost(last: Path) -> None:
    last.unlink()


def of_something_else(last: Path) -> None:
    checkpoint.save(last, {"weights": torch.zeros(3)})


@pytest.mark.parametrize("spoil", [truncated, emptied, lost, of_something_else])
def test_a_damaged_checkpoint_is_named(go: Go, tmp_path: Path, spoil: Callable[[Path], None]):
    with pytest.raises(Interrupted):
        go("run", Watch(step=6))
    run = RunDirectory(tmp_path / "run")
    spoil(run.last)
    with pytest.raises(BadState) as error:
        go("run", resume=True)
    assert str(error.value).startswith(f"{run.last}: ")
    assert "\n" not in str(error.value)
    with pytest.raises(BadState, match=f"{run.last}: "):
        load_weights(make_supernet(CHAIN, CLASSES), run)
    assert len(metrics(run.path)) == 1


def test_weights_of_another_space_are_refused(go: Go, tmp_path: Path):
    with pytest.raises(Interrupted):
        go("run", Watch(step=1))
    assert load_weights(make_supernet(CHAIN, CLASSES), RunDirectory(tmp_path / "run"))[0] == 0
    with pytest.raises(BadState, match=r"last\.pt: not the checkpoint of a supernet of the run's space\.yaml"):
        load_weights(make_supernet(IRREGULAR, CLASSES), RunDirectory(tmp_path / "run"))


@pytest.mark.parametrize("damage", ["lost", "no JSON", "twice"])
def test_records_that_are_not_whole_are_written_again(go: Go, whole: Whole, tmp_path: Path, damage: str):
    with pytest.raises(Interrupted):
        go("run", Watch(step=6))
    lines = RunDirectory(tmp_path / "run").metrics
    lines.write_text({"lost": "", "no JSON": "no JSON\n", "twice": 2 * lines.read_text()}[damage])
    with pytest.warns(Notice, match=r"metrics\.jsonl: did not hold every epoch until 1 once"):
        go("run", resume=True)
    assert_same_training(tmp_path / "run", whole(sampler="strict_fair"))


@pytest.mark.filterwarnings("error")
def test_records_behind_the_checkpoint_are_dropped_without_a_word(go: Go, whole: Whole, tmp_path: Path):
    with pytest.raises(Interrupted):
        go("run", Watch(step=6))
    lines = RunDirectory(tmp_path / "run").metrics
    written = lines.read_text()
    lines.write_text(written + written.replace('"epoch": 1', '"epoch": 2') + '{"epoch": 3, "tor')
    go("run", resume=True)
    assert_same_training(tmp_path / "run", whole(sampler="strict_fair"))


def test_a_training_killed_before_its_first_checkpoint_begins_anew(go: Go, whole: Whole, tmp_path: Path):
    settings = settings_of(SAMPLERS["strict_fair"], **TINY)
    create(tmp_path / "killed", settings, CHAIN).metrics.write_text('{"epoch": 1, "pas')
    go("killed", resume=True)
    assert_same_training(tmp_path / "killed", whole(sampler="strict_fair"))
