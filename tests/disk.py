"""A disk that remembers what a power cut would leave of it: what was flushed, and no more."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

Tree = dict[str, bytes | None]
"""path within the disk → content of a file, None for a folder"""


class Disk:
    """Watches a folder. After every flush and every rename it notes two states that a power cut could leave then:

    names as they were flushed, and names as they are; in both, files hold what of them was flushed (nothing, as file
    systems that delay allocation do, if nothing was).
    """

    def __init__(self, root: Path):
        self.root = root
        self.files: dict[int, bytes] = {}
        self.names: dict[int, dict[str, int]] = {}
        self.kinds: dict[int, bool] = {}
        self.states: list[Tree] = []

    def flushed(self, path: Path) -> None:
        """Takes a file or folder as it is now for what the disk holds."""
        if path != self.root and self.root not in path.parents:
            return
        number = path.stat().st_ino
        if path.is_dir():
            self.names[number] = {own.name: own.stat().st_ino for own in path.iterdir()}
            self.kinds |= {own.stat().st_ino: own.is_dir() for own in path.iterdir()}
        else:
            self.files[number] = path.read_bytes()

    def note(self) -> None:
        """Notes both states of this moment, unless they are known."""
        for state in (dict(self._kept(self.root.stat().st_ino, "")), dict(self._named(self.root))):
            if state not in self.states:
                self.states.append(state)

    def _kept(self, folder: int, path: str) -> Iterator[tuple[str, bytes | None]]:
        for name, number in self.names.get(folder, {}).items():
            if self.kinds[number]:
                yield f"{path}{name}", None
                yield from self._kept(number, f"{path}{name}/")
            else:
                yield f"{path}{name}", self.files.get(number, b"")

    def _named(self, folder: Path) -> Iterator[tuple[str, bytes | None]]:
        for own in sorted(folder.rglob("*")):
            content = None if own.is_dir() else self.files.get(own.stat().st_ino, b"")
            yield own.relative_to(self.root).as_posix(), content


def lay(state: Tree, folder: Path) -> None:
    """Makes a folder of what a power cut left."""
    folder.mkdir()
    for name, content in state.items():
        if content is None:
            (folder / name).mkdir(parents=True, exist_ok=True)
        else:
            (folder / name).write_bytes(content)


@contextmanager
def watched(root: Path) -> Iterator[Disk]:
    """Within it, what this process flushes and renames in a folder is watched."""
    disk, fsync, replace = Disk(root), os.fsync, os.replace

    def flush(descriptor: int) -> None:
        fsync(descriptor)
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        disk.note()
        disk.flushed(path)
        disk.note()

    def rename(source: object, target: object) -> None:
        replace(source, target)
        disk.note()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", flush)
        patch.setattr(os, "replace", rename)
        yield disk
