"""Two processes that share a run, as those of torchrun do, but forked from one that has imported the library.

Torchrun's import it anew, all three, which takes longer than what they are to do.
"""

import multiprocessing
import os
import runpy
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["fairdarts.runs.search", "fairdarts.runs.train", "fairdarts.runs.supernet"])
PATIENCE = 300
"""seconds to wait for a process; only one that hangs takes as long"""


def launch(program: str | Path, *words: object, ranks: int = 2) -> subprocess.CompletedProcess:
    """What `torchrun --nproc-per-node RANKS PROGRAM WORDS` would give, of a program's file or a module's name.

    The status is that of the first process that failed, the output that of all, one after the other.
    """
    with socket.socket() as free, tempfile.TemporaryDirectory() as folder:
        free.bind(("127.0.0.1", 0))
        meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "WORLD_SIZE": str(ranks)}
        free.close()
        argv, told = [str(program), *map(str, words)], {**os.environ, **meeting}
        started = [
            FORKS.Process(target=run, args=(argv, Path.cwd(), told | place(rank), Path(folder, str(rank))))
            for rank in range(ranks)
        ]
        for process in started:
            process.start()
        for process in started:
            process.join(PATIENCE)
            if process.exitcode is None:
                process.kill()
                process.join()
        said = ["".join(path.read_text() for path in sorted(Path(folder).glob(f"*.{end}"))) for end in ("out", "err")]
    failed = [process.exitcode for process in started if process.exitcode]
    return subprocess.CompletedProcess(argv, failed[0] if failed else 0, *said)


def place(rank: int) -> dict[str, str]:
    """What torchrun tells a process of its place."""
    return {"RANK": str(rank), "LOCAL_RANK": str(rank)}


def run(argv: list[str], folder: Path, environment: Mapping[str, str], out: Path) -> None:
    """Runs a program in this process, with its output in the files `out`.out and `out`.err."""
    for number, end in ((1, "out"), (2, "err")):
        os.dup2(os.open(out.with_suffix(f".{end}"), os.O_WRONLY | os.O_CREAT), number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    torch.set_num_threads(1)
    sys.argv = argv
    if Path(argv[0]).suffix == ".py":
        sys.path.insert(0, str(Path(argv[0]).resolve().parent))
        runpy.run_path(argv[0], run_name="__main__")
    else:
        runpy.run_module(argv[0], run_name="__main__", alter_sys=True)
