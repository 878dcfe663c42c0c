"""How a state is written so that a crash at any moment leaves a whole one behind, and read without executing it."""

import io
import os
import struct
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Any, BinaryIO

from fairdarts.config import UserError
from fairdarts.reading import open_regular

ZIP = b"PK\x03\x04"
"""what a zip begins with"""


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


@contextmanager
def folder_for(path: Path) -> Iterator[None]:
    """A folder for what is written within; where that fails, no empty folder is left that was not there before."""
    new = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        remove_empty(new)
        raise


def remove_empty(folders: Iterable[Path]) -> None:
    """Removes those of the folders, inner ones first, that are there and empty."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def sync_folder(path: Path) -> None:
    """Flushes a folder to disk: the names in it survive a power cut."""
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def save(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint atomically. Raises UserError where the disk is full; the previous checkpoint stays."""
    import torch  # here, as what only looks for files need not wait for it

    buffer = io.BytesIO()  # torch.save into a full disk ends in an error that no longer says so
    torch.save(state, buffer)
    write_atomically(path, buffer.getvalue())


def load(path: Path) -> dict[str, Any]:
    """A checkpoint, on the CPU. Raises BadState where it is missing, damaged, or holds more than plain tensors.

    What torch wrote before version 1.6 is no zip, and has no checksums to see damage by.
    """
    try:
        file = open_regular(path)
    except FileNotFoundError:
        raise BadState(f"{path}: no such checkpoint") from None
    except OSError as error:
        raise BadState(f"{path}: {error.strerror}") from None
    import torch

    try:
        with file, warnings.catch_warnings(action="ignore"):  # what torch has to say of a bad file is said below
            state = torch.load(verified(file), map_location="cpu", weights_only=True)
        if not isinstance(state, dict):
            raise ValueError("not a state")
        return state
    except Exception:  # torch raises OSError, RuntimeError, EOFError, … for a file that is not whole
        raise BadState(
            f"{path}: not a readable checkpoint: truncated, damaged, or holds more than tensors and plain values"
        ) from None


def verified(file: BinaryIO) -> BinaryIO:
    """A file as it is, or of a zip a copy in memory of its members, whose checksums were found right.

    It is for torch, which looks at no checksum, and at parts of a zip that have none, and for numpy, which looks at
    that of a member that it reads to its end. Raises one of zipfile's many exceptions where the file is damaged.
    """
    head = file.read(len(ZIP))
    file.seek(0)
    if head != ZIP:
        return file
    copy = io.BytesIO()
    with zipfile.ZipFile(file) as archive, zipfile.ZipFile(copy, "w") as members:
        names = archive.namelist()
        for name in names:
            members.writestr(name, archive.read(name))
        # The number of members stands in the last record, and zipfile passes over it.
        file.seek(-22 - len(archive.comment), os.SEEK_END)
        (count,) = struct.unpack("<10xH", file.read(12))
        if count not in (len(names), 0xFFFF):  # more than that are told elsewhere
            raise zipfile.BadZipFile(f"{len(names)} members, should be {count}")
    copy.seek(0)
    return copy
