"""What a run leaves behind: the run directory."""

import json
import os
import platform
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from fairdarts import __version__, own
from fairdarts.config import Settings, UserError
from fairdarts.genotype import Genotype, to_yaml
from fairdarts.reading import dump_yaml, read_yaml
from fairdarts.runtime import checkpoint
from fairdarts.runtime.checkpoint import BadState
from fairdarts.runtime.lock import InUse, held
from fairdarts.runtime.shape import FILE
from fairdarts.runtime.verb import read_verb


def versions(settings: Settings | None = None) -> dict[str, Any]:
    """What else decides a number besides the settings: a resume under other versions or threads may differ in bits.

    Of settings that leave it open, also which kernels of the library's own the CPU runs.
    """
    import torch  # here, as what only looks for files need not wait for it

    packages = {"torch": torch.__version__, **{name: version(name) for name in ("torchvision", "numpy")}}
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine()
    return {
        "fairdarts": __version__,
        "python": platform.python_version(),
        **packages,
        "device": device,
        "threads": torch.get_num_threads(),
        **({"native": _native(settings)} if hasattr(settings, "compute") else {}),
    }


def _native(settings: Any) -> str:
    """The key of the native kernels that a run goes by, or none."""
    from fairdarts.native.build import in_use  # as both look for more than files
    from fairdarts.runtime.device import pick

    return in_use(settings.compute.native) if pick(settings.device).type == "cpu" else "none"


SETTINGS, LOCK = "settings.yaml", "lock"
FOLDERS = ("checkpoints", "genotypes", "figures")
MADE = {LOCK, "space.yaml", "versions.json", SETTINGS, "final.yaml", "latency.csv", FILE, own.FILE}
"""files that a run may have before it has begun"""
DIVERGED = "diverged.txt"
RESULTS = {
    "search": "genotypes/final.yaml",
    "evolve": "genotypes/final.yaml",
    "train": "results.json",
    "segment": "results.json",
}
"""verb → what its runs write last; that of a supernet is its last checkpoint"""
State = Literal["new", "stopped", "finished", "diverged"]


@dataclass(frozen=True)
class RunDirectory:
    """A run directory: settings.yaml, space.yaml, versions.json, metrics.jsonl, lock, checkpoints/, genotypes/,
    figures/."""

    path: Path

    @cached_property
    def verb(self) -> str:
        """The verb that made the run. Raises UserError where its settings.yaml does not tell it."""
        return read_verb(self.path / SETTINGS)

    @property
    def unit(self) -> str:
        """What a record of metrics.jsonl is of."""
        return "generation" if self.verb == "evolve" else "epoch"

    @property
    def state(self) -> State:
        """How far the run has come, as its files say: new before its first checkpoint, and stopped also while a process
        is at work on it, which its lock tells."""
        if self.divergence is not None:
            return "diverged"
        if self._is_finished():
            return "finished"
        begun = self.last.is_file() or any(record[self.unit] > 0 for record in self.records())
        return "stopped" if begun else "new"

    def _is_finished(self) -> bool:
        if self.verb in RESULTS:
            return (self.path / RESULTS[self.verb]).is_file()
        epochs, records = read_yaml(self.path / SETTINGS).get("epochs"), self.records()
        if not records or records[-1]["epoch"] != epochs or not self.last.is_file():
            return False
        with suppress(BadState):  # a damaged one; who resumes from it will say so
            return bool(checkpoint.load(self.last).get("epoch") == epochs)  # it is written after the record
        return False

    @property
    def divergence(self) -> str | None:
        """Why the run diverged; None where it did not, or has gone on since."""
        path = self.path / DIVERGED
        return path.read_text(encoding="utf-8", errors="replace").strip() if path.is_file() else None

    def note_divergence(self, reason: str) -> None:
        """Keeps in the run why it diverged."""
        checkpoint.write_atomically(self.path / DIVERGED, f"{reason}\n".encode())

    def clear_divergence(self) -> None:
        """Takes the reason away, as the run goes on."""
        (self.path / DIVERGED).unlink(missing_ok=True)

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def last(self) -> Path:
        return self.path / "checkpoints" / "last.pt"

    @property
    def best(self) -> Path:
        return self.path / "checkpoints" / "best.pt"

    @property
    def figures(self) -> Path:
        return self.path / "figures"

    def records(self) -> list[dict[str, Any]]:
        """The whole lines of metrics.jsonl, one record a unit. Raises UserError where one is no such record."""
        if not self.metrics.is_file():
            return []
        records = []
        lines = self.metrics.read_text(encoding="utf-8", errors="replace").split("\n")
        for number, line in enumerate(lines[:-1], start=1):  # behind the last newline stands nothing, or a torn line
            try:
                record = json.loads(line)
            except (json.JSONDecodeError, RecursionError):
                raise UserError(f"{self.metrics}, line {number}: not JSON") from None
            if not isinstance(record, dict) or not isinstance(record.get(self.unit), int):
                raise UserError(f"{self.metrics}, line {number}: should be a record with its {self.unit}")
            records.append(record)
        return records

    def logged(self) -> int:
        """The number of whole lines of metrics.jsonl, be they records or not."""
        return self.metrics.read_bytes().count(b"\n") if self.metrics.is_file() else 0

    def log(self, record: dict[str, Any]) -> None:
        """Append one record to metrics.jsonl, flushed to disk: the checkpoint that follows must not know more."""
        try:
            with open(self.metrics, "a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise UserError(f"{self.metrics}: cannot be written: {error.strerror}") from None

    def rewrite(self, records: Sequence[dict[str, Any]]) -> None:
        """Put records in the place of all that metrics.jsonl holds."""
        lines = [json.dumps(record) + "\n" for record in records]
        checkpoint.write_atomically(self.metrics, "".join(lines).encode())

    @contextmanager
    def held(self) -> Iterator[None]:
        """Within it this process alone works on the run. Raises InUse where another does."""
        with held(self.path / LOCK):
            for folder in ("checkpoints", "genotypes"):  # only who holds the lock writes there
                for left in (self.path / folder).glob(checkpoint.TEMPORARY):
                    left.unlink(missing_ok=True)
            yield

    def write_genotype(self, genotype: Genotype, name: str) -> Path:
        """Write genotypes/NAME.yaml."""
        path = self.path / "genotypes" / f"{name}.yaml"
        checkpoint.write_atomically(path, to_yaml(genotype).encode())
        return path


def create(path: Path, settings: Settings, space: Settings, others: Mapping[str, str] | None = None) -> RunDirectory:
    """A new run directory; `others` are texts to lie in it from the start, by their names in it.

    What a process left that was ended within `create` is taken over. Raises UserError where the path is taken: nothing
    is ever overwritten; or where it cannot be written, and then leaves nothing.
    """
    if not is_free(path):
        advice = f"continue it with --resume {path}, or " if (path / SETTINGS).is_file() else ""
        raise UserError(f"{path}: already exists; {advice}name another --out")
    began = json.dumps(versions(settings), indent=1) + "\n"
    texts = {"space.yaml": dump_yaml(space), "versions.json": began, **(others or {})}
    texts |= own.file_of_parts(settings, space)
    texts[SETTINGS] = dump_yaml(settings)  # last: its presence makes it a run
    new = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        with held(path / LOCK):
            if not is_free(path):
                raise UserError(f"{path}: another process has just made it; name another --out")
            for left in path.glob(checkpoint.TEMPORARY):
                left.unlink()
            for name in FOLDERS:
                (path / name).mkdir(exist_ok=True)
            for name, text in texts.items():
                checkpoint.write_atomically(path / name, text.encode())
        for folder in new:  # their names survive a power cut as well
            checkpoint.sync_folder(folder.parent)
    except InUse:
        raise
    except (UserError, OSError) as error:
        with suppress(OSError, UserError):  # a name too long for a file
            if path in new and path.is_dir() and is_free(path):
                shutil.rmtree(path, ignore_errors=True)
        checkpoint.remove_empty(new)
        if isinstance(error, OSError):
            raise UserError(f"{error.filename or path}: cannot be made: {error.strerror}") from None
        raise
    return RunDirectory(path)


def read_settings(path: Path) -> dict[str, Any]:
    """What the settings.yaml of a run holds. A setting that the version which wrote it did not have is as it was then,
    where that is no longer the default."""
    content = read_yaml(path)
    data = content.get("data")
    if isinstance(data, dict) and "train_portion" in data:
        data.setdefault("split", "shuffled")
    return content


def is_free(path: Path) -> bool:
    """Whether a run may be made there: nothing is there, an empty folder, or what is left of a run that never began."""
    try:
        if not path.is_dir():
            if path.is_symlink():
                raise UserError(f"{path}: is a link that leads nowhere; name another --out")
            return not path.exists()
        if not any(path.iterdir()):
            return True
        files = [file for file in path.rglob("*") if not file.is_dir()]
        names = {entry.name for entry in path.iterdir()}
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    made = LOCK in names or names & set(FOLDERS)  # else it is somebody's folder, with a space.yaml in it
    if not made or not all(file.name in MADE or file.match(checkpoint.TEMPORARY) for file in files):
        return False
    with suppress(UserError):  # it is not there, or was cut off by a power cut
        return not read_yaml(path / SETTINGS)
    return True


def open_run(path: Path) -> RunDirectory:
    """An existing run directory. Raises UserError where there is none, or it needs parts that nobody has registered."""
    if path.is_dir() and any(path.iterdir()) and is_free(path):
        raise UserError(f"{path}: its run ended before it began; begin it again with --out {path}")
    if not (path / SETTINGS).is_file():
        raise UserError(f"{path}: not a run directory: it has no {SETTINGS}")
    own.check_parts(path)
    return RunDirectory(path)


def changed_versions(run: RunDirectory, settings: Settings | None = None) -> str:
    """What differs from the machine and packages that began the run, as text; empty where nothing does."""
    try:
        before = json.loads((run.path / "versions.json").read_text(encoding="utf-8"))
        if not isinstance(before, dict):
            raise ValueError("not a mapping")
    except (OSError, ValueError):
        return "versions.json is missing or damaged"
    before, now = {"native": "none"} | before, versions(settings)  # there were none before 0.2
    return ", ".join(f"{key} {before.get(key)} → {now[key]}" for key in now if before.get(key) != now[key])
