"""What came of a study? Of one of factors numbers, figures and a page, from the files of its runs alone."""

import json
import math
import warnings
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from fairdarts.checking import check
from fairdarts.config import Notice, UserError
from fairdarts.oneshot.settings import TrainingSettings
from fairdarts.plot.factor_page import Facts, draw_factors, page
from fairdarts.ranking import factor_study
from fairdarts.ranking.factor_study import FactorResult, Outcome, SettingResult, SpaceResult, Spread
from fairdarts.reading import dump_yaml, read_text, read_yaml
from fairdarts.runs.result import Run
from fairdarts.runs.study import compared
from fairdarts.runs.study.asked import recipe_of
from fairdarts.runs.study.form import RESULTS, STUDY, FactorStudy, RecipeStudy, SpaceStudy, texts
from fairdarts.runs.study.jobs import outcome
from fairdarts.runs.study.plan import Row, Step, kept_of, planned
from fairdarts.runs.study.trained import TrainedRow, trained_rows
from fairdarts.runtime.checkpoint import write_atomically
from fairdarts.runtime.run import SETTINGS


class Concluded(NamedTuple):
    """What a study of factors has found."""

    spaces: list[SpaceResult]
    page: Path


class StudyResult:
    """What a study has come to. All is read when it is asked for."""

    def __init__(
        self,
        name: str,
        folder: Path,
        paths: Sequence[Path],
        failed: Sequence[str] = (),
        whole: bool = False,
        concluded: "Concluded | compared.Compared | None" = None,
    ):
        self.name = name
        self.folder = folder
        """of its runs"""
        self.paths = list(paths)
        """its run directories, those that are still to be made, too"""
        self.failed = list(failed)
        """names of the runs that failed here"""
        self.whole = whole
        """whether nothing is left to wait for, and this process is the one to tell of it: else another one is"""
        self.concluded = concluded
        """what its tables show"""

    def __repr__(self) -> str:
        return f"<study {self.name}: {len(self.runs)} of {len(self.paths)} runs, in {self.folder}>"

    @property
    def problem(self) -> str:
        """Which runs have failed, in a sentence."""
        return f"{self.name}: {len(self.failed)} of its runs failed: {', '.join(self.failed)}"

    @property
    def runs(self) -> list[Run]:
        """Those that have begun."""
        return [Run(path) for path in self.paths if (path / SETTINGS).is_file()]

    @property
    def trained(self) -> list[TrainedRow]:
        """The numbers of a study that trains its cells, a row a method; else there are none."""
        return trained_rows(self.paths)

    @property
    def results(self) -> dict[str, Any]:
        """What results.json tells. Raises UserError where there is none yet."""
        if not (self.folder / RESULTS).is_file():
            raise UserError(
                f"{self.folder}: has no {RESULTS} yet, which is written once all runs are done; see report()"
            )
        return dict(json.loads(read_text(self.folder / RESULTS)))

    def report(self, out: str | Path | None = None) -> Path:
        """Writes one HTML page of all runs, `out` or report.html in the folder; gives the file."""
        reporting: Any = import_module("fairdarts.runs.report")
        return Path(reporting.report([self.folder], out))


def conclude(folder: Path, out: Path | None = None) -> Concluded | compared.Compared:
    """Writes results.json, figures and page of a study's folder; gives what they tell, and the page.

    A Notice says how many runs are not done yet. Raises UserError where there is nothing to tell of yet.
    """
    content = read_yaml(folder / STUDY)
    if "spaces" not in content:
        return compared.conclude(check(RecipeStudy, content, folder / STUDY), folder, out)
    study = check(FactorStudy, content, folder / STUDY)
    spaces = [result for space in study.spaces if (result := space_result(study, space, folder))]
    if not spaces:
        raise UserError(f"{folder}: none of its runs has been judged yet; `fairdarts study` goes on with it")
    recipes = {space.name: _recipe(study, space, folder) for space in study.spaces}
    facts = Facts(study.name, study.source, study.deviations, study.seeds, recipes)
    results = {"name": study.name, "seeds": study.seeds, "spaces": spaces}
    text = json.dumps(_plain(results), indent=1, allow_nan=False)
    write_atomically(folder / RESULTS, f"{text}\n".encode())
    draw_factors(spaces, folder / "figures")
    out = out or folder / "report.html"
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, page(facts, spaces).encode())
    return Concluded(spaces, out)


def space_result(study: FactorStudy, space: SpaceStudy, folder: Path) -> SpaceResult | None:
    """The numbers of a space; None as long as none of its runs has been judged."""
    steps = list(planned(study, space, folder))
    known: dict[Path, Outcome] = {}
    groups: dict[str, tuple[str, Outcome]] = {}

    def outcomes(row: Row) -> list[Outcome]:
        for run in row.runs:
            if run not in known:
                known[run] = outcome(run, row.settings)
        return [known[run] for run in row.runs]

    def factor(step: Step) -> FactorResult:
        kept = kept_of(step)
        begun = next(row for row in step.rows if row.baseline)
        settings = []
        for row in step.rows:
            numbers = factor_study.numbers_of(outcomes(row), None if row.runs == begun.runs else outcomes(begun))
            runs = tuple(run.name for run in row.runs)
            settings.append(SettingResult(row.label, row.own, runs, row.baseline, row is kept, numbers))
            for run, run_outcome in zip(runs, outcomes(row), strict=True):
                groups.setdefault(run, (step.factor.group, run_outcome))
        return FactorResult(step.factor.name, step.factor.title, step.factor.group, step.factor.keep, tuple(settings))

    factors = tuple(factor(step) for step in steps)
    rankings = [run_outcome for run_outcome in known.values() if isinstance(run_outcome, dict)]
    if not rankings:
        return None
    left = sum(run_outcome is None for run_outcome in known.values())
    if left:
        warnings.warn(f"{space.name}: {left} of {len(known)} runs are not done yet", Notice, stacklevel=2)
    points = factor_study.points_of(groups)
    return SpaceResult(
        space.name,
        space.title or space.name,
        rankings[0]["recipe"],
        f"{rankings[0]['benchmark']}, {rankings[0]['column']}",
        max(len(ranking["score"]) for ranking in rankings),
        max(ranking["images"] for ranking in rankings),
        factors,
        points,
        factor_study.correlations_of(points),
    )


def _recipe(study: FactorStudy, space: SpaceStudy, folder: Path) -> str:
    """The recipe of a space with all that lies over it before the first factor."""
    path = recipe_of(space, folder)
    return dump_yaml(check(TrainingSettings, read_yaml(path), path, texts(study.shared) | texts(space.changes)))


def _plain(value: Any) -> Any:
    """A result as JSON can hold it: null for what is no finite number."""
    if isinstance(value, Spread):
        return {"values": _plain(value.values), "mean": _plain(value.mean), "deviation": _plain(value.deviation)}
    if hasattr(value, "_asdict"):
        return {key: _plain(part) for key, part in value._asdict().items()}
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
