"""How a run is asked to stop: the first signal is noted, the second acts as it always did."""

import os
import signal
from collections.abc import Iterator

import pytest

from fairdarts.runtime.stop import Interrupted, catch_signals

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture
def received() -> Iterator[list[int]]:
    """What reaches the handlers that were installed before."""
    seen: list[int] = []
    before = {number: signal.signal(number, lambda number, _: seen.append(number)) for number in SIGNALS}
    yield seen
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_noted_and_the_second_acts_as_before(received: list[int], number: int):
    with catch_signals() as stop:
        assert stop.signal is None
        os.kill(os.getpid(), number)
        assert stop.signal == number
        assert received == []
        os.kill(os.getpid(), number)
        assert received == [number]
        assert stop.signal == number


def test_a_second_signal_of_the_other_kind_acts_as_before_too(received: list[int]):
    with catch_signals() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.signal == signal.SIGTERM
        assert received == [signal.SIGINT]


def test_a_patient_process_notes_the_first_signal_and_minds_no_other(received: list[int]):
    """torchrun hands on a signal that its processes have had already, as from Ctrl-C."""
    with catch_signals(patient=True) as stop:
        for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
        assert stop.signal == signal.SIGINT
        assert received == []


@pytest.mark.parametrize("ask", [True, False])
def test_handlers_are_restored(received: list[int], ask: bool):
    before = [signal.getsignal(number) for number in SIGNALS]
    with catch_signals():
        assert [signal.getsignal(number) for number in SIGNALS] != before
        if ask:
            os.kill(os.getpid(), signal.SIGTERM)
    assert [signal.getsignal(number) for number in SIGNALS] == before
    os.kill(os.getpid(), signal.SIGTERM)
    assert received == [signal.SIGTERM]


def test_handlers_are_restored_after_an_error(received: list[int]):
    before = [signal.getsignal(number) for number in SIGNALS]
    with pytest.raises(ZeroDivisionError), catch_signals():
        raise ZeroDivisionError
    assert [signal.getsignal(number) for number in SIGNALS] == before


def press_ctrl_c(times: int) -> None:
    with catch_signals():
        for _ in range(times):
            os.kill(os.getpid(), signal.SIGINT)


def test_a_second_ctrl_c_interrupts():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        press_ctrl_c(times=1)
        with pytest.raises(KeyboardInterrupt):
            press_ctrl_c(times=2)
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_interruption_names_its_signal():
    assert str(Interrupted(signal.SIGTERM)) == "SIGTERM"
    assert Interrupted(signal.SIGINT).signal == signal.SIGINT
