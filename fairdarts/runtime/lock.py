"""One process at a time: whoever works on a run, a study's line or a comparison holds a lock, and says who it is."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from fairdarts.config import UserError


class InUse(UserError):
    """Another process holds a lock."""


_open: set[int] = set()


def _forget() -> None:
    """Closes, in a child, the locks of its parent: a loading process must not hold them when the parent was killed."""
    for descriptor in _open:
        with suppress(OSError):
            os.close(descriptor)
    _open.clear()


os.register_at_fork(after_in_child=_forget)


@contextmanager
def held(path: Path, what: Path | None = None) -> Iterator[None]:
    """Within it this process alone holds the lock of that file, which is made, and stays.

    A lock ends with its process, however that ends. Raises InUse naming the process that holds it, and `what` it is at:
    where it is None, the folder that the file is in.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None
    _open.add(descriptor)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 1000, 0).decode("utf-8", "replace").strip() or "another process"
            raise InUse(
                f"{what or path.parent}: {holder} is at work on it; wait until it has ended, or stop it"
            ) from None
        except OSError:  # a file system without locks
            pass
        began = datetime.now().astimezone().isoformat(" ", "seconds")
        with suppress(OSError):  # on a full disk the lock holds all the same
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()} since {began}\n".encode(), 0)
        try:
            yield
        finally:
            with suppress(OSError):
                os.ftruncate(descriptor, 0)
    finally:
        _open.discard(descriptor)
        os.close(descriptor)
