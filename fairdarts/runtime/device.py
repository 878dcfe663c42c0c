"""Where a search runs, and with what memory."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from fairdarts.config import UserError
from fairdarts.runtime.settings import check_threads

LAYOUTS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}
"""name of a setting → memory format of images and weights"""


def use_threads(threads: int | None) -> None:
    """Run on that many CPU threads, or leave torch's default. UserError where no machine has so many."""
    check_threads(threads)
    if threads is not None:
        torch.set_num_threads(threads)


def keep_memory() -> None:
    """Memory that tensors leave stays with the process, for the next ones: under glibc, and nothing elsewhere.

    By default every tensor of more than 32 MiB on the CPU is given back to the system when it goes, and the next one is
    made of pages that have to be cleared first: a third of the time of a fair step (benchmarks/fair_step.py), up to two
    fifths of the time of judging, and up to a third of that of a search step (benchmarks/growth.py).
    """
    trim_threshold, mmap_max = -1, -4  # of malloc.h
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(mmap_max, 0)
        mallopt(trim_threshold, 2**31 - 1)


def pick(name: str) -> torch.device:
    """The device of a setting: `auto` takes CUDA where it is, `cpu` and `cuda` insist. UserError without CUDA."""
    if name not in ("auto", "cpu", "cuda"):
        raise UserError(f"device: {name!r}: should be auto, cpu or cuda")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("device: no CUDA device on this machine; use --device cpu or auto")
    if name == "cuda" and "LOCAL_RANK" in os.environ:  # of several processes each has its own
        number, count = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if number >= count:
            raise UserError(f"device: process {number} of this machine has no CUDA device of its own, of {count}")
        torch.cuda.set_device(number)
        return torch.device(name, number)
    return torch.device(name)


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The context of a forward pass in a precision: `auto` is bfloat16 on CUDA and float32 elsewhere."""
    lower = precision == "bfloat16" or (precision == "auto" and device.type == "cuda")
    return torch.autocast(device.type, torch.bfloat16, enabled=lower)


def peak_memory(device: torch.device) -> int | None:
    """The most bytes so far: of tensors on CUDA, of the whole process on a CPU under Linux; None elsewhere."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    sizes = [line.split()[1] for line in lines if line.startswith("VmHWM")]  # getrusage counts the parent's memory too
    return int(sizes[0]) * 1024 if sizes else None


@contextmanager
def memory_advice() -> Iterator[None]:
    """Where memory does not suffice, says what would: a UserError."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
            raise
        advice = "take --compute.memory checkpoint or --compute.accumulate 2, as a resumed search may too"
        raise UserError(f"out of memory: {advice}, or a smaller batch or supernet") from None
