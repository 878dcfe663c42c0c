"""Records: whatever a crash, a power cut or a hand has left of the log, it holds what the checkpoint says."""

import json
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairdarts.config import Notice
from fairdarts.runtime import checkpoint
from fairdarts.runtime.checkpoint import BadState
from fairdarts.runtime.records import kept_records, mend, state_of_records
from fairdarts.runtime.run import RunDirectory

RECORDS = [{"epoch": epoch, "loss": epoch / 3} for epoch in range(1, 6)]
LINES = [json.dumps(record) for record in RECORDS]
STATE = state_of_records(RECORDS[:3])


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    (tmp_path / "settings.yaml").write_text("verb: supernet\n")
    return RunDirectory(tmp_path)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("tail", ["", "\n".join(LINES[3:]) + "\n", '{"epoch": 4, "lo'])
def test_what_is_behind_the_checkpoint_is_dropped_without_a_word(run: RunDirectory, tail: str):
    for state in (STATE, {}):
        run.metrics.write_text("\n".join(LINES[:3]) + "\n" + tail)
        assert kept_records(run, state, 3) == RECORDS[:3]
        assert run.metrics.read_text() == "\n".join(LINES[:3]) + "\n"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.sampled_from([*LINES, "", "3", "{", "[]", '{"epoch": true}', "no JSON", "\x00"])))
def test_a_log_is_mended_from_the_checkpoint_whatever_it_holds(run: RunDirectory, lines: list[str]):
    run.metrics.write_text("".join(line + "\n" for line in lines))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert kept_records(run, STATE, 3) == RECORDS[:3]
    assert run.metrics.read_text() == "\n".join(LINES[:3]) + "\n"
    whole = [line for line in lines if line not in LINES[3:]] == LINES[:3]
    assert [warning.category for warning in told] == ([] if whole else [Notice])


@pytest.mark.parametrize("text", ["", "{\n", LINES[0] + "\n", "\n".join(LINES) + "\n", None])
def test_the_log_of_a_run_that_has_ended_is_mended(run: RunDirectory, text: str | None):
    run.last.parent.mkdir()
    checkpoint.save(run.last, STATE)
    if text is not None:
        run.metrics.write_text(text)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        mend(run)
    assert run.records() == RECORDS[:3]
    assert len(told) == (text != "\n".join(LINES) + "\n")


def test_without_a_checkpoint_that_tells_nothing_is_mended(run: RunDirectory):
    run.metrics.write_text("{\n")
    mend(run)
    run.last.parent.mkdir()
    for state in ({"epoch": 3}, {"records": "{"}):
        checkpoint.save(run.last, state)
        mend(run)
    assert run.metrics.read_text() == "{\n"


def test_records_that_stand_twice_are_kept_once_where_the_checkpoint_is_of_version_0_1(run: RunDirectory):
    twice = [LINES[0], LINES[1], LINES[1].replace("0.6", "0.7"), LINES[2], LINES[2]]
    run.metrics.write_text("\n".join(twice) + "\n")
    with pytest.warns(Notice, match="metrics.jsonl: did not hold every epoch until 3 once"):
        assert kept_records(run, {}, 3) == RECORDS[:3]
    assert run.records() == RECORDS[:3]


@pytest.mark.parametrize("lines", [LINES[:2], LINES[1:3], ["{", *LINES[:3]], []])
def test_records_that_nobody_knows_are_named(run: RunDirectory, lines: list[str]):
    run.metrics.write_text("".join(line + "\n" for line in lines))
    before = run.metrics.read_text()
    with pytest.raises(BadState, match=r"metrics\.jsonl"):
        kept_records(run, {}, 3)
    assert run.metrics.read_text() == before


@pytest.mark.parametrize("text", ["{", "3", "[3]", '{"epoch": 1}', json.dumps(RECORDS[:2]), 3])
def test_a_checkpoint_whose_records_are_none_is_named(run: RunDirectory, text: object):
    run.metrics.write_text("\n".join(LINES[:3]) + "\n")
    with pytest.raises(BadState):
        kept_records(run, {"records": text}, 3)
