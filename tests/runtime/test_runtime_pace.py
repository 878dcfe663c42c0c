"""What happens before a step: a batch is fetched, the state saved when it is time, a stop obeyed."""

from collections.abc import Callable

import pytest

from fairdarts.config import SaidElsewhere, UserError
from fairdarts.runtime import distributed, pace
from fairdarts.runtime.pace import FAILED, SAVE, Pace
from fairdarts.runtime.position import Position
from fairdarts.runtime.stop import Interrupted, Stop


class Clock:
    """A clock that tests set, in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    own = Clock()
    monkeypatch.setattr(pace, "time", own)
    return own


class Kept:
    """A pace, and at what step each save was made."""

    def __init__(self, minutes: float = 10, step: int = 3):
        self.at, self.stop, self.saves = Position(step=step), Stop(), []
        self.pace = Pace(minutes, self.at, self.stop, lambda: self.saves.append(self.at.step))

    def fetch(self, draw: Callable[[], str] = lambda: "batch") -> str:
        return self.pace.fetch(draw)


def test_a_batch_is_fetched_and_nothing_saved_before_its_time(clock: Clock):
    kept = Kept()
    clock.now += 599
    assert kept.fetch() == "batch"
    assert kept.saves == []


def test_the_state_is_saved_when_it_is_due_and_then_not_for_a_while(clock: Clock):
    kept = Kept(minutes=10)
    clock.now += 600
    assert kept.fetch() == "batch"
    kept.at.step += 1
    clock.now += 599
    assert kept.fetch() == "batch"
    assert kept.saves == [3]
    clock.now += 1
    kept.fetch()
    assert kept.saves == [3, 4]


def test_what_is_saved_elsewhere_counts(clock: Clock):
    kept = Kept(minutes=10)
    clock.now += 500
    kept.pace.save()
    clock.now += 500
    kept.fetch()
    assert kept.saves == [3]


def test_the_begin_of_an_epoch_is_saved_already(clock: Clock):
    kept = Kept(minutes=0, step=0)
    clock.now += 6000
    kept.fetch()
    assert kept.saves == []
    kept.at.step = 1
    kept.fetch()
    assert kept.saves == [1]


@pytest.mark.parametrize("number", [2, 15])
def test_a_signal_saves_and_interrupts(clock: Clock, number: int):
    kept = Kept()
    kept.fetch()
    kept.stop.signal = number
    with pytest.raises(Interrupted) as interrupted:
        kept.fetch()
    assert interrupted.value.signal == number
    assert kept.saves == [3]


def fails() -> str:
    raise UserError("cat.png: cannot be decoded as an image")


@pytest.mark.parametrize("signal", [None, 15])
def test_a_batch_that_cannot_be_drawn_ends_the_run_with_its_state_saved(clock: Clock, signal: int | None):
    kept = Kept()
    kept.stop.signal = signal
    with pytest.raises(UserError, match=r"^cat\.png: cannot be decoded as an image$"):
        kept.fetch(fails)
    assert kept.saves == [3]


def test_other_errors_are_no_matter_of_a_user(clock: Clock):
    kept = Kept()
    with pytest.raises(ZeroDivisionError):
        kept.fetch(lambda: str(1 // 0))
    assert kept.saves == []


def test_the_time_that_loading_takes_is_noted_also_where_it_fails(clock: Clock):
    kept = Kept()

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
    clock: Clock, monkeypatch: pytest.MonkeyPatch, asked: int, raised: type[Exception] | None, saves: list[int]
):
    """Even if this one, which is not the first, would save by its own clock or has nothing to complain of."""
    monkeypatch.setattr(distributed, "rank", lambda: 1)
    monkeypatch.setattr(distributed, "ranks", lambda: 2)
    told = []

    def highest(own: int) -> int:
        told.append(own)
        return asked if len(told) == 1 else 2  # then the first process says that the problem is its own

    monkeypatch.setattr(distributed, "highest", highest)
    kept = Kept(minutes=0)
    clock.now += 6000
    if raised:
        with pytest.raises(raised):
            kept.fetch()
    else:
        assert kept.fetch() == "batch"
    assert told[0] == 0
    assert kept.saves == saves
