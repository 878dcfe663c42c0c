"""Locks: one process at a time, named to the others, and free as soon as it is gone."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fairdarts.config import UserError
from fairdarts.runtime.lock import InUse, held

HOLDS = """
import os
import sys
from pathlib import Path
from fairdarts.runtime.lock import held
with held(Path(sys.argv[1])):
    if len(sys.argv) == 2 or not os.fork():  # a loading process, which outlives its parent
        print("held", flush=True)
    sys.stdin.read()
"""


def holder(path: Path, *words: str) -> subprocess.Popen:
    """A process that holds a lock."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", HOLDS, str(path), *words], **pipes)
    assert process.stdout.readline() == "held\n"
    return process


def test_a_lock_is_held_by_one_and_says_by_whom(tmp_path: Path):
    process = holder(tmp_path / "run" / "lock")
    told = rf"{tmp_path}/run: process {process.pid} on \S+ since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\+\d\d:\d\d is at work"
    with pytest.raises(InUse) as error, held(tmp_path / "run" / "lock"):
        pass
    assert re.match(told, str(error.value))
    process.communicate("")
    with held(tmp_path / "run" / "lock"):
        pass


@pytest.mark.parametrize("words", [[], ["fork"]])
def test_a_lock_ends_with_a_process_that_is_killed(tmp_path: Path, words: list[str]):
    process = holder(tmp_path / "lock", *words)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with held(tmp_path / "lock"):
        pass
    process.stdin.close()  # ends its child


def test_a_lock_is_not_lost_when_a_child_ends(tmp_path: Path):
    with held(tmp_path / "lock"):
        if (child := os.fork()) == 0:
            os._exit(0)
        os.waitpid(child, 0)
        with pytest.raises(InUse), held(tmp_path / "lock"):
            pass


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=f"{tmp_path}/file/lock: cannot be written"), held(tmp_path / "file" / "lock"):
        pass
