"""How a state is written so that a crash at any moment leaves a whole one behind, and read without executing it."""

import io
import os
import warnings
from pathlib import Path
from secrets import token_hex
from typing import Any

import torch

from fairdarts.config import UserError


class BadState(UserError):
    """A checkpoint that cannot be resumed from."""


TEMPORARY = ".*.tmp"
"""what files are called that are still being written; a killed process leaves them"""


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside the file, flush to disk, rename over it: readers see the old content or the new, never a part.

    Raises UserError naming the file where it cannot be written; what it held before stays.
    """
    temporary = path.with_name(f".{path.name[:40]}.{token_hex(4)}.tmp")  # of one's own: another may write it as well
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        kept = "; what it held before is still whole" if path.exists() else ""
        raise UserError(f"{path}: cannot be written: {error.strerror}{kept}") from None
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Flushes a folder to disk: the names in it survive a power cut."""
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def save(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint atomically. Raises UserError where the disk is full; the previous checkpoint stays."""
    buffer = io.BytesIO()  # torch.save into a full disk ends in an error that no longer says so
    torch.save(state, buffer)
    write_atomically(path, buffer.getvalue())


def load(path: Path) -> dict[str, Any]:
    """A checkpoint, on the CPU. Raises BadState where it is missing, truncated, or holds more than plain tensors."""
    try:
        with warnings.catch_warnings(action="ignore"):  # what torch has to say of a file that is none is said below
            state = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(state, dict):
            raise ValueError("not a state")
        return state
    except FileNotFoundError:
        raise BadState(f"{path}: no such checkpoint") from None
    except PermissionError as error:
        raise BadState(f"{path}: {error.strerror}") from None
    except Exception:  # torch raises OSError, RuntimeError, EOFError, … for a file that is not whole
        raise BadState(
            f"{path}: not a readable checkpoint: truncated, damaged, or holds more than tensors and plain values"
        ) from None
