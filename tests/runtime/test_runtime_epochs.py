"""The frame of all loops: what begins, what goes on, what happens before a step and after an epoch, what ends a run."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nan, tensor

from fairdarts.config import SaidElsewhere, UserError
from fairdarts.runtime import checkpoint, distributed, epochs, position
from fairdarts.runtime.checkpoint import BadState
from fairdarts.runtime.epochs import FAILED, SAVE, begin, check_converging, check_processes, means_of, resumes
from fairdarts.runtime.position import Position
from fairdarts.runtime.run import RunDirectory
from fairdarts.runtime.stop import Diverged, Interrupted, Stop


class Clock:
    """A clock that tests set, in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    own = Clock()
    monkeypatch.setattr(epochs, "time", own)
    monkeypatch.setattr(position, "time", own)
    return own


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    (tmp_path / "settings.yaml").write_text("verb: supernet\nepochs: 2\n")
    (tmp_path / "checkpoints").mkdir()
    return RunDirectory(tmp_path)


class Kept:
    """A run in the midst of an epoch of ten steps, and at what step each of its saves was made."""

    def __init__(self, run: RunDirectory, minutes: float = 10, step: int = 3):
        self.at, self.stop, self.draw, self.saves = Position(step=step, clock=1000.0), Stop(), lambda: "batch", []
        self.records: list[dict[str, Any]] = []
        self.told: list[dict[str, Any]] = []
        settings, watch = SimpleNamespace(epochs=2, save_minutes=minutes), SimpleNamespace(epoch=self.told.append)
        draw = lambda: self.draw()  # noqa: E731
        self.epochs = epochs.epochs(settings, run, self.at, self.records, self.state, 10, draw, watch.epoch, self.stop)
        self.batches = next(self.epochs)

    def state(self) -> dict[str, Any]:
        self.saves.append(self.at.step)
        return {"epoch": self.at.epoch, "step": self.at.step}

    def fetch(self, draw: Callable[[], str] = lambda: "batch") -> str:
        """The batch of the next step; what was fetched before has been a step."""
        self.draw = draw
        return next(self.batches)


def test_a_batch_is_fetched_and_nothing_saved_before_its_time(run: RunDirectory, clock: Clock):
    kept = Kept(run)
    clock.now += 599
    assert kept.fetch() == "batch"
    assert kept.saves == []


def test_the_state_is_saved_when_it_is_due_and_then_not_for_a_while(run: RunDirectory, clock: Clock):
    kept = Kept(run, minutes=10)
    clock.now += 600
    assert kept.fetch() == "batch"
    clock.now += 599
    assert kept.fetch() == "batch"
    assert kept.saves == [3]
    clock.now += 1
    kept.fetch()
    assert kept.saves == [3, 5]


def test_the_begin_of_an_epoch_is_saved_already(run: RunDirectory, clock: Clock):
    kept = Kept(run, minutes=0, step=0)
    clock.now += 6000
    kept.fetch()
    assert kept.saves == []
    kept.fetch()
    assert kept.saves == [1]


def test_an_epoch_ends_in_its_record_and_a_checkpoint_and_is_told_of(run: RunDirectory, clock: Clock):
    kept = Kept(run)
    assert list(kept.batches) == ["batch"] * 7
    assert kept.at.step == 10
    clock.now += 500
    kept.at.finish_epoch(40)
    kept.records.append({"epoch": 1})
    clock.now += 7  # of which something was measured
    assert (kept.saves, run.records()) == ([], [])
    following = next(kept.epochs)
    assert run.records() == kept.told == [{"epoch": 1}]
    assert checkpoint.load(run.last) == {"epoch": 1, "step": 0}
    assert kept.at.spent() == 0
    clock.now += 500
    assert list(following) == ["batch"] * 10
    assert kept.saves == [0]  # ten minutes after it, no sooner
    kept.at.finish_epoch(40)
    kept.records.append({"epoch": 2})
    assert next(kept.epochs, None) is None
    assert [record["epoch"] for record in run.records()] == [1, 2]


@pytest.mark.parametrize("number", [2, 15])
def test_a_signal_saves_and_interrupts(run: RunDirectory, clock: Clock, number: int):
    kept = Kept(run)
    kept.fetch()
    kept.stop.signal = number
    with pytest.raises(Interrupted) as interrupted:
        kept.fetch()
    assert interrupted.value.signal == number
    assert kept.saves == [4]
    assert checkpoint.load(run.last) == {"epoch": 0, "step": 4}


def fails() -> str:
    raise UserError("cat.png: cannot be decoded as an image")


@pytest.mark.parametrize("signal", [None, 15])
def test_a_batch_that_cannot_be_drawn_ends_the_run_with_its_state_saved(
    run: RunDirectory, clock: Clock, signal: int | None
):
    kept = Kept(run)
    kept.stop.signal = signal
    with pytest.raises(UserError, match=r"^cat\.png: cannot be decoded as an image$"):
        kept.fetch(fails)
    assert kept.saves == [3]


def test_other_errors_are_no_matter_of_a_user(run: RunDirectory, clock: Clock):
    kept = Kept(run)
    with pytest.raises(ZeroDivisionError):
        kept.fetch(lambda: str(1 // 0))
    assert kept.saves == []


def test_the_time_that_loading_takes_is_noted_also_where_it_fails(run: RunDirectory, clock: Clock):
    kept = Kept(run)

    def slowly() -> str:
        clock.now += 2.5
        return "batch"

    def slowly_fails() -> str:
        clock.now += 1.5
        return fails()

    kept.fetch(slowly)
    kept.fetch(slowly)
    with pytest.raises(UserError):
        kept.fetch(slowly_fails)
    assert kept.at.loading == 6.5


@pytest.mark.parametrize(
    ("asked", "raised", "saves"),
    [(0, None, []), (SAVE, None, [3]), (15, Interrupted, [3]), (FAILED, SaidElsewhere, [3])],
)
def test_what_another_process_asks_for_is_done_here_too(
    run: RunDirectory,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    asked: int,
    raised: type[Exception] | None,
    saves: list[int],
):
    """Even if this one, which is not the first, would save by its own clock or has nothing to complain of."""
    kept, told = Kept(run, minutes=0), []

    def highest(own: int) -> int:
        told.append(own)
        return asked if len(told) == 1 else 2  # then the first process says that the problem is its own

    monkeypatch.setattr(distributed, "rank", lambda: 1)
    monkeypatch.setattr(distributed, "ranks", lambda: 2)
    monkeypatch.setattr(distributed, "highest", highest)
    monkeypatch.setattr(epochs, "save", lambda _, state: state())
    clock.now += 6000
    if raised:
        with pytest.raises(raised):
            kept.fetch()
    else:
        assert kept.fetch() == "batch"
    assert told[0] == 0
    assert kept.saves == saves


@pytest.mark.parametrize("log", ["", '{"epoch": 0}\n', '{"epoch": 0}\n{"epoch": 1, "ga'])
def test_a_run_that_was_killed_before_its_first_checkpoint_begins_anew(run: RunDirectory, log: str):
    run.metrics.write_text(log)
    assert not resumes(run, True)
    begin(run, [{"epoch": 0, "gates": 1}], lambda: {"epoch": 0})
    assert run.records() == [{"epoch": 0, "gates": 1}]
    assert not resumes(run, False)
    assert resumes(run, True)


@pytest.mark.parametrize("verb", ["search", "supernet", "train", "segment", "evolve"])
def test_a_lost_checkpoint_of_recorded_epochs_is_refused_and_the_records_stay(run: RunDirectory, verb: str):
    (run.path / "settings.yaml").write_text(f"verb: {verb}\n")
    unit = "generation" if verb == "evolve" else "epoch"
    run.metrics.write_text(log := f'{{"{unit}": 0}}\n{{"{unit}": 1}}\n')
    lost = rf"last\.pt: no such checkpoint, but .*metrics\.jsonl tells of {unit} 1; put it back, or begin a new run"
    with pytest.raises(BadState, match=lost):
        resumes(run, True)
    assert run.metrics.read_text() == log


@pytest.mark.parametrize(
    ("loss", "weight", "said"),
    [(nan, 1.0, "the loss is no longer finite"), (0.5, nan, "the weights are no longer finite")],
)
def test_what_diverges_ends_and_the_run_knows_why_until_it_goes_on(
    run: RunDirectory, loss: float, weight: float, said: str
):
    with pytest.raises(Diverged, match=f"{run.path}: {said}; lower lr"):
        check_converging(run, loss, [tensor([0.0, weight])], "no longer finite; lower lr")
    assert run.divergence == f"{run.path}: {said}; lower lr"
    assert run.state == "diverged"
    Kept(run)
    assert run.divergence is None


def test_what_converges_goes_on(run: RunDirectory):
    check_converging(run, 0.5, [tensor([0.0, 1.0])], "no longer finite")
    check_processes(run, 1, [tensor(1.0)], "weights")
    assert run.divergence is None


def test_a_divergence_in_another_process_is_known_too(run: RunDirectory, monkeypatch: pytest.MonkeyPatch):
    told: list[Tensor] = []
    monkeypatch.setattr(distributed, "ranks", lambda: 2)
    monkeypatch.setattr(distributed, "highest", lambda own: told.append(own) or (1 if len(told) in (1, 3) else 0))
    with pytest.raises(SaidElsewhere):
        check_converging(run, 0.5, [], "no longer finite")
    assert run.divergence == "the loss of another process is no longer finite"


def test_processes_that_hold_other_weights_are_told_of(run: RunDirectory, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(distributed, "agree_on", lambda _: False)
    with pytest.raises(UserError, match=f"{run.path}: after epoch 3 the processes hold different weights"):
        check_processes(run, 3, [tensor(1.0)], "weights")


def test_means_are_of_an_epoch_and_its_sums_begin_anew():
    sums = tensor([6.0, 2.0])
    assert means_of(sums, ("loss", "accuracy"), 4) == {"loss": 1.5, "accuracy": 0.5}
    assert torch.equal(sums, torch.zeros(2))
