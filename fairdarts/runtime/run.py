"""What a run leaves behind: the run directory."""

import json
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from fairdarts import __version__
from fairdarts.config import Settings, UserError, dump_yaml
from fairdarts.genotype import Genotype, to_yaml
from fairdarts.runtime import checkpoint


def versions() -> dict[str, Any]:
    """What else decides a number besides the settings: a resume under other versions or threads may differ in bits."""
    packages = {"torch": torch.__version__, **{name: version(name) for name in ("torchvision", "numpy")}}
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine()
    return {
        "fairdarts": __version__,
        "python": platform.python_version(),
        **packages,
        "device": device,
        "threads": torch.get_num_threads(),
    }


@dataclass(frozen=True)
class Run:
    """A run directory: settings.yaml, space.yaml, versions.json, metrics.jsonl, checkpoints/, genotypes/, figures/."""

    path: Path
    unit: str = "epoch"
    """what a record of metrics.jsonl is of"""

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

    def log(self, record: dict[str, Any]) -> None:
        """Append one record to metrics.jsonl."""
        try:
            with open(self.metrics, "a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
        except OSError as error:
            raise UserError(f"{self.metrics}: cannot be written: {error.strerror}") from None

    def forget_after(self, number: int) -> None:
        """Drop the records of later units: a resumed run writes them again."""
        lines = [json.dumps(record) + "\n" for record in self.records() if record[self.unit] <= number]
        checkpoint.write_atomically(self.metrics, "".join(lines).encode())

    def write_genotype(self, genotype: Genotype, name: str) -> Path:
        """Write genotypes/NAME.yaml."""
        path = self.path / "genotypes" / f"{name}.yaml"
        checkpoint.write_atomically(path, to_yaml(genotype).encode())
        return path


def create(path: Path, settings: Settings, space: Settings) -> Run:
    """A new run directory. Raises UserError where the path is taken: nothing is ever overwritten."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        advice = f"continue it with --resume {path}, or " if (path / "settings.yaml").is_file() else ""
        raise UserError(f"{path}: already exists; {advice}name another --out")
    for name in ("checkpoints", "genotypes", "figures"):
        (path / name).mkdir(parents=True)
    (path / "space.yaml").write_text(dump_yaml(space), encoding="utf-8")
    (path / "versions.json").write_text(json.dumps(versions(), indent=1) + "\n", encoding="utf-8")
    (path / "settings.yaml").write_text(dump_yaml(settings), encoding="utf-8")  # last: its presence makes it a run
    return Run(path)


def open_run(path: Path) -> Run:
    """An existing run directory. Raises UserError where there is none."""
    if not (path / "settings.yaml").is_file():
        raise UserError(f"{path}: not a run directory: it has no settings.yaml")
    return Run(path)


def changed_versions(run: Run) -> str:
    """What differs from the machine and packages that began the run, as text; empty where nothing does."""
    try:
        before = json.loads((run.path / "versions.json").read_text(encoding="utf-8"))
        if not isinstance(before, dict):
            raise ValueError("not a mapping")
    except (OSError, ValueError):
        return "versions.json is missing or damaged"
    now = versions()
    return ", ".join(f"{key} {before.get(key)} → {now[key]}" for key in now if before.get(key) != now[key])
