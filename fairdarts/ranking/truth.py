"""What is an architecture worth in truth? A benchmark's accuracies of it, beside what a run believes."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

from fairdarts.config import UserError
from fairdarts.genotype import Genotype
from fairdarts.ranking.benchmarks import BENCH201, Benchmark, columns_in, regret_of
from fairdarts.ranking.report import open_benchmarks
from fairdarts.runtime.settings import TruthSettings
from fairdarts.spaces.base import SearchSpace
from fairdarts.spaces.gates import SinglePath


@dataclass(frozen=True)
class Truth:
    """The true accuracies of the architectures of a space, in percent, by one column of a benchmark or several."""

    space: SearchSpace
    benchmarks: tuple[Benchmark, ...]
    """one a column; the first is the one by which an architecture is called good"""
    best: dict[str, float] = field(init=False)
    """column → the highest accuracy of the benchmark"""

    def __post_init__(self) -> None:
        object.__setattr__(self, "best", {table.column: max(table.truth.values()) for table in self.benchmarks})

    @property
    def columns(self) -> tuple[str, ...]:
        """Where the accuracies are from; of NAS-Bench-201 cifar10_test200 and others."""
        return tuple(self.best)

    def of(self, path: SinglePath) -> dict[str, float | None]:
        """Column → accuracy of a path; that of an isomorphic one, their mean if there are several, where the file holds
        only those; None where it holds none of them."""
        return {table.column: self.by(number, path) for number, table in enumerate(self.benchmarks)}

    def about(self, genotype: Genotype) -> dict[str, Any]:
        """What a record says of a genotype: `truth` and `regret`, column → percent, and percentage points to the best
        of the space; None where the file does not know it, and of what is no path, such as a layer of two choices."""
        try:
            found = self.of(self.space.path_of(genotype))
        except UserError:
            found = dict.fromkeys(self.best)
        return {"truth": found, "regret": self.regret(found)}

    def about_path(self, path: SinglePath) -> dict[str, Any]:
        """The same of a path."""
        return {"truth": (found := self.of(path)), "regret": self.regret(found)}

    def regret(self, accuracies: dict[str, float | None]) -> dict[str, float | None]:
        """Column → by how many percentage points the best of the space is better."""
        return {
            column: None if value is None else regret_of(self.best[column], value)
            for column, value in accuracies.items()
        }

    def by(self, number: int, path: SinglePath) -> float | None:
        """The same by one of the benchmarks, the column of this number."""
        exact = self.benchmarks[number].truth.get(path)
        return self._isomorphic[number].get(self.space.canonical(path)) if exact is None else exact

    @cached_property
    def _isomorphic(self) -> list[dict[Hashable, float]]:
        """Of every column: stand-alone network → mean accuracy of its paths."""
        every = []
        for table in self.benchmarks:
            known: dict[Hashable, list[float]] = {}
            for path, accuracy in table.truth.items():
                known.setdefault(self.space.canonical(path), []).append(accuracy)
            every.append({network: fmean(accuracies) for network, accuracies in known.items()})
        return every


def read_truth(file: Path, space: SearchSpace, columns: Sequence[str] = ()) -> Truth:
    """The truth in a file. Its columns are those named, or else validation and test accuracies of all data sets of
    NAS-Bench-201 that it has, or else its usual one. Raises UserError as `read_benchmark`."""
    space = space.benchmarked
    known = () if space.topology else columns_in(file)  # tables of cells have a form of their own
    chosen: list[str | None] = [*columns] or [name for name in BENCH201 if name in known] or [None]
    return Truth(space, open_benchmarks(file, space, chosen))


def truth_of(settings: TruthSettings, space: SearchSpace) -> Truth | None:
    """The truth that a run is told; None where it is told none. Raises UserError as `read_benchmark`."""
    return read_truth(Path(settings.truth), space, settings.truth_columns) if settings.truth else None
