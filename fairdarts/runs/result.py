"""A run as Python sees it: what it was told, what it found, its figures, and how it goes on."""

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairdarts.checking import check
from fairdarts.config import UserError
from fairdarts.genotype import Genotype
from fairdarts.networks.zoo import load_genotype
from fairdarts.plot.settings import USUAL, checked_formats
from fairdarts.reading import read_text
from fairdarts.runs.request import KINDS
from fairdarts.runtime import run as folder
from fairdarts.runtime.run import RESULTS, State
from fairdarts.runtime.shape import Shape, shape_of
from fairdarts.spaces.space import Space, load_space, stated_shape

if TYPE_CHECKING:
    from fairdarts.runs.callbacks import Watches
    from fairdarts.runs.evolved import EvolvedModel


class Run:
    """A run directory and what lies in it. All is read when it is asked for, so a run at work may be looked at, too.

    >>> run = fairdarts.open_run("runs/mine")
    >>> run.state, run.records[-1]["train_loss"], run.genotype
    >>> pandas.DataFrame(run.records)
    """

    def __init__(self, path: str | Path):
        """Raises UserError where there is no run."""
        self.path = Path(path)
        self.directory = folder.open_run(self.path)
        """its files, for who needs more than is told here"""

    def __fspath__(self) -> str:
        """Its directory: a run may stand wherever a path may."""
        return str(self.path)

    def __repr__(self) -> str:
        done = f", {self.directory.unit} {self.records[-1][self.directory.unit]}" if self.records else ""
        return f"<{self.verb} {self.path}: {self.state}{done}>"

    @property
    def verb(self) -> str:
        """The verb that made it: search, supernet, evolve, train or segment."""
        return self.directory.verb

    @property
    def state(self) -> State:
        """new, stopped, finished or diverged; stopped also while a process is at work on it."""
        return self.directory.state

    @cached_property
    def settings(self) -> Any:
        """All that it was told, checked and frozen: `run.settings.weights.lr`."""
        path = self.path / folder.SETTINGS
        return check(KINDS[self.verb].model, folder.read_settings(path), path)

    @cached_property
    def space(self) -> Space:
        """The search space."""
        return load_space(str(self.path / "space.yaml"))

    @property
    def shape(self) -> Shape:
        """Size, channels and classes of its images; of a run of version 0.1 those that its space was made for."""
        return shape_of(self.path) or stated_shape(self.space)

    @property
    def records(self) -> list[dict[str, Any]]:
        """What metrics.jsonl tells of every epoch, or generation: flat dicts, nested keys joined by dots."""
        return [flat(record) for record in self.directory.records()]

    @property
    def genotype(self) -> Genotype:
        """The architecture: what a search has found, or a training has trained. Raises UserError where there is none
        yet, or never is."""
        if self.verb == "supernet":
            raise UserError(f"{self.path}: a supernet has no genotype; fairdarts.evolve finds some with it")
        return load_genotype(str(self.path))[0]

    @cached_property
    def models(self) -> "list[EvolvedModel]":
        """The models that an evolution ends with, each with name, genotype, accuracy and costs; those of now, where it
        is still at work. Raises UserError where it is no evolution."""
        if self.verb != "evolve":
            raise UserError(f"{self.path}: is a run of `fairdarts {self.verb}`; only an evolution ends with models")
        evolved: Any = import_module("fairdarts.runs.evolved")
        return list(evolved.models_of_run(self.directory))

    @property
    def results(self) -> dict[str, Any]:
        """What a finished training is worth, as its results.json tells; empty where no images judged it."""
        name = RESULTS.get(self.verb, "")
        path = self.path / name
        if not name.endswith(".json"):
            raise UserError(f"{self.path}: a run of `fairdarts {self.verb}` has no results.json; see run.records")
        if not path.is_file():
            raise UserError(f"{path}: no such file: the training has not finished")
        return dict(json.loads(read_text(path)))

    def figures(self, out: str | Path | None = None, formats: Sequence[str] | str = USUAL) -> list[Path]:
        """Draws all that there is to draw of it, into `out` or its own figures/; gives the files.

        `formats` are some of svg, png and pdf.
        """
        drawing: Any = import_module("fairdarts.runs.figures")
        folder = Path(out) if out else self.directory.figures
        return list(drawing.figures_of(self.directory, folder, checked_formats(formats, "formats")))

    def report(self, out: str | Path | None = None) -> Path:
        """Writes one self-contained HTML page of it, `out` or its own report.html; gives the file."""
        reporting: Any = import_module("fairdarts.runs.report")
        return Path(reporting.report([self.path], out))

    def resume(
        self, data: Any = None, settings: Mapping[str, Any] | None = None, callbacks: "Sequence[Watches] | Watches" = ()
    ) -> "Run":
        """Goes on where it was stopped, to the same bits on the CPU; of a finished run nothing is left to do.

        A run that was handed its images asks for the same `data` again. `settings` are of the few that a resumed run
        may be told anew, such as `data.workers`.
        """
        if self.state == "finished" and self.verb != "evolve":
            return self
        return make(self.verb).resume(self.path, data, settings or {}, callbacks)


def make(verb: str) -> Any:
    """The module that makes the runs of a verb, which has its name."""
    return import_module(f"fairdarts.runs.{verb}")


def open_run(path: str | Path) -> Run:
    """The run in a directory, whatever made it. Raises UserError where there is none.

    >>> fairdarts.open_run("runs/mine").resume()
    """
    return Run(path)


def flat(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A record whose mappings are taken apart: `{"dominant": {"normal": …}}` becomes `{"dominant.normal": …}`."""
    found: dict[str, Any] = {}
    for key, value in record.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found
