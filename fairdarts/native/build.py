"""Compiles native.cpp at its first use, where a compiler is found; without one everything runs by torch alone."""

import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
import warnings
from functools import cache
from pathlib import Path

from fairdarts.config import Notice

SOURCES = sorted(path for path in Path(__file__).parent.iterdir() if path.suffix in (".cpp", ".h"))
FLAGS = ("-std=c++20", "-O3", "-march=native", "-fopenmp", "-shared", "-fPIC")
COMPILERS = ("c++", "g++", "clang++")


@cache
def library() -> ctypes.CDLL | None:
    """The compiled kernels; None, after one line of warning, where they cannot be compiled."""
    try:
        return ctypes.CDLL(str(compiled()))
    except (OSError, subprocess.SubprocessError) as error:
        said = error.stderr.strip().splitlines() if isinstance(error, subprocess.CalledProcessError) else []
        reason = said[0] if said else error
        advice = "install g++ for faster steps, or set compute.native never"
        warnings.warn(f"native kernels: {reason}; torch's own run instead: {advice}", Notice, stacklevel=2)
        return None


def compiled() -> Path:
    """The shared library in the user's cache, compiled if it is not there.

    Its name says what it was made from: the sources, the compiler, the processor, and flags. As everywhere, CXX names
    another compiler and CXXFLAGS more flags.
    """
    compiler = os.environ.get("CXX") or next(filter(shutil.which, COMPILERS), None)
    if compiler is None:
        raise OSError(f"no C++ compiler found ({', '.join(COMPILERS)})")
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True).stdout
    flags = *FLAGS, *shlex.split(os.environ.get("CXXFLAGS", ""))
    parts = [version, processor(), *flags, *(path.read_text() for path in SOURCES)]
    cache_root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    path = cache_root / "fairdarts" / f"native-{key}.so"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            made = Path(folder) / path.name
            source = next(one for one in SOURCES if one.suffix == ".cpp")
            subprocess.run([compiler, *flags, str(source), "-o", str(made)], capture_output=True, text=True, check=True)
            made.replace(path)
    return path


def processor() -> str:
    """The processor's model and what it can do, as far as the system says it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    said = {line.split(":")[0].strip(): line for line in lines if line.startswith(("model name", "flags", "Features"))}
    return "\n".join(said.values()) or platform.processor()
