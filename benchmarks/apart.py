"""How is something measured so that what hangs, crashes or lacks memory ends alone? In processes of its own."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

FORKS = multiprocessing.get_context("forkserver")
Found = dict[str, Any]
"""what is found, as JSON holds it; or `error`, a line"""


def preload(*modules: str) -> None:
    """Processes begin with these programs of benchmarks/, and all that they import: to import torch takes seconds."""
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    FORKS.set_forkserver_preload(list(modules))


def apart(
    work: Callable[..., Found], names: Sequence[str], words: dict[str, Any], limit: Callable[[], float]
) -> Iterator[tuple[str, Found]]:
    """Every name with what `work(name, **words)` finds. All have one process, but after an error a new one begins: one
    that has met a fault of its device meets it again.

    `limit` gives the seconds that the next may take, and is asked before each.
    """
    left = list(names)
    while left:
        ours, theirs = FORKS.Pipe(duplex=False)
        process = FORKS.Process(target=_serve, args=(theirs, work, left, words))
        process.start()
        theirs.close()
        try:
            ended = False
            while left and not ended:
                seconds = limit()
                found = _received(ours, seconds) or {"error": _why(process, seconds)}
                ended = "error" in found
                yield left.pop(0), found
        finally:
            process.kill()
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # what it started itself, too
            process.join()


def _received(pipe: Connection, seconds: float) -> Found | None:
    with suppress(EOFError):
        if pipe.poll(max(0, seconds)):
            return pipe.recv()
    return None


def _why(process: multiprocessing.process.BaseProcess, seconds: float) -> str:
    process.join(1)
    return f"took more than {seconds:.0f} s" if process.is_alive() else f"ended with status {process.exitcode}"


def _serve(pipe: Connection, work: Callable[..., Found], names: Sequence[str], words: dict[str, Any]) -> None:
    os.setsid()
    multiprocessing.set_start_method(None, force=True)  # what it starts begins as usual: loading processes are forked
    for name in names:
        try:
            found = work(name, **words)
        except Exception as error:  # whatever it is, the others go on
            found = {"error": line_of(error)}
        pipe.send(found)


def line_of(error: Exception) -> str:
    """What an error is, in a line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:300]
