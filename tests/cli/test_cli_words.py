"""How verbs speak: results that any program can read, messages that end nothing."""

import errno
import io
import json
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairdarts.cli.words import say, to_json
from fairdarts.runs.progress import ProgressBar, Shown

NUMBERS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
PLAIN = st.recursive(NUMBERS, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner), max_leaves=9)


def refuse(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


@given(PLAIN)
@settings(derandomize=True, deadline=None)
def test_a_result_is_json_by_the_letter(found: object):
    text = to_json(found)
    assert text.isascii()
    json.loads(text, parse_constant=refuse)


def test_what_is_no_finite_number_is_null():
    found = {"a": float("nan"), "b": (1.5, float("inf"), [-float("inf")]), "c": "é"}
    assert json.loads(to_json(found)) == {"a": None, "b": [1.5, None, [None]], "c": "é"}


class Full(io.StringIO):
    def write(self, _: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_message_that_nobody_can_hear_ends_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stderr", Full())
    say("the run goes on")
    progress = ProgressBar()
    progress.note("the run goes on")
    progress.shown = Shown(lambda *_: "", lambda record: f"epoch {record['epoch']}")
    progress.epoch({"epoch": 1})


def test_a_message_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str]):
    say("a\x1b[2Jb\nc")
    assert capsys.readouterr().err == "a\\x1b[2Jb\nc\n"
