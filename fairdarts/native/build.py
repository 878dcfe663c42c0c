"""Compiles native.cpp at its first use, where a compiler is found; without one everything runs by torch alone."""

import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
import time
import warnings
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from fairdarts.config import Notice, UserError

SOURCES = sorted(path for path in Path(__file__).parent.iterdir() if path.suffix in (".cpp", ".h"))
FLAGS = ("-O3", "-march=native")
"""what CXXFLAGS may change"""
NEEDED = ("-std=c++20", "-fopenmp", "-shared", "-fPIC", "-fno-fast-math", "-fvisibility=default")
COMPILERS = ("c++", "g++", "clang++")
EXPORTED = [
    f"{name}_{dtype}"
    for name in ("kernel_gradient", "unit_forward", "unit_backward", "add_up", "dots")
    for dtype in ("float32", "float64")
]
SWITCH = "FAIRDARTS_NATIVE"
"""environment variable that as `never` is to all runs what `compute.native never` is to one"""


@cache
def library() -> ctypes.CDLL | None:
    """The compiled kernels; None where they are not wanted, or after one line of warning where they cannot be had."""
    said = os.environ.get(SWITCH, "auto")
    if said not in ("auto", "never"):
        raise UserError(f"{SWITCH}: {said!r}: should be auto or never")
    if said == "never":
        return None
    try:
        command = compiler()
        return loaded(command, key_of(command))
    except (OSError, ValueError, AttributeError, subprocess.SubprocessError) as error:
        advice = "they need a compiler for C++20, g++ say; compute.native never does without"
        warnings.warn(f"no native kernels, so steps take longer: {reason(error)} ({advice})", Notice, stacklevel=2)
        return None


def in_use(mode: str) -> str:
    """What decides the last bits of what native kernels compute in a mode: the key of the library, or none."""
    return key_of(compiler()) if mode == "auto" and library() else "none"


def compiler() -> list[str]:
    """The command that compiles: as everywhere, CXX names another compiler and CXXFLAGS more flags."""
    named = shlex.split(os.environ.get("CXX", "")) or [*filter(shutil.which, COMPILERS)][:1]
    if not named:
        raise OSError(f"no C++ compiler found ({', '.join(COMPILERS)})")
    return [*named, *FLAGS, *shlex.split(os.environ.get("CXXFLAGS", "")), *NEEDED]


def key_of(command: Sequence[str]) -> str:
    """What a library is made from: sources, compiler with its flags, processor."""
    version = run([*command[: command.index(FLAGS[0])], "--version"])
    parts = [version, processor(), *command, *(path.read_text(encoding="utf-8") for path in SOURCES)]
    return hashlib.sha256("\0".join(parts).encode(errors="surrogateescape")).hexdigest()[:16]


def loaded(command: Sequence[str], key: str) -> ctypes.CDLL:
    """The library of a key from the user's cache; compiled where it is not there, damaged, or of no use here.

    Its name holds a hash of what is in it. Where there is no folder that only the user writes to, it serves this
    process alone.
    """
    cache_folder = private_folder()
    for path in cache_folder.glob(f"native-{key}-*.so") if cache_folder else ():
        with suppress(OSError):
            if path.name == name_of(key, path):  # else loading it may crash
                return opened(path)
    if cache_folder is None:
        advice = "XDG_CACHE_HOME names another place"
        said = f"native kernels are compiled for this process alone, as no cache is to be had ({advice})"
        warnings.warn(said, Notice, stacklevel=3)
    else:
        for left in cache_folder.glob("tmp*"):  # by a process that was killed
            with suppress(OSError):
                if time.time() - left.stat().st_mtime > 3600:
                    shutil.rmtree(left)
    with tempfile.TemporaryDirectory(dir=cache_folder, ignore_cleanup_errors=True) as folder:
        made = Path(folder) / "native.so"
        compiled(command, made)
        library = opened(made)
        if cache_folder:
            made.replace(cache_folder / name_of(key, made))
        return library


def opened(path: Path) -> ctypes.CDLL:
    """A library with all that it should have. Raises OSError or AttributeError where it is none."""
    library = ctypes.CDLL(str(path))
    for name in EXPORTED:
        getattr(library, name)
    return library


def name_of(key: str, library: Path) -> str:
    """The name under which a library of a key is kept."""
    return f"native-{key}-{hashlib.sha256(library.read_bytes()).hexdigest()[:16]}.so"


def private_folder() -> Path | None:
    """The folder for compiled files in the user's cache; None where others may write to it, or the user may not."""
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fairdarts" / "native"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except (OSError, RuntimeError):  # the latter without a home
        return None
    ours = not hasattr(os, "getuid") or (status.st_uid == os.getuid() and not status.st_mode & 0o022)
    return folder if ours and os.access(folder, os.W_OK | os.X_OK) else None


def compiled(command: Sequence[str], made: Path) -> None:
    """Compiles the sources; by a compiler without OpenMP for one thread."""
    files = [str(next(path for path in SOURCES if path.suffix == ".cpp")), "-o", str(made)]
    try:
        run([*command, *files])
    except subprocess.CalledProcessError as error:
        if not any(name in error.stderr for name in ("openmp", "omp")):  # -fopenmp, -lgomp, libomp
            raise
        run([*(word for word in command if word != "-fopenmp"), *files])


def run(command: Sequence[str]) -> str:
    """What a command says. Raises OSError or SubprocessError where it fails."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=600,
        check=True,
    )
    return done.stdout


def reason(error: Exception) -> str:
    """An error in one line: of a compiler's, the first that says so."""
    lines = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
    return next((line for line in lines if "error" in line), lines[0] if lines else type(error).__name__).strip()


def processor() -> str:
    """The processor's model and what it can do, as far as the system says it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    said = {line.split(":")[0].strip(): line for line in lines if line.startswith(("model name", "flags", "Features"))}
    return "\n".join(said.values()) or f"{platform.machine()} {platform.processor()}"
