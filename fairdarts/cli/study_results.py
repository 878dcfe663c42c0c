"""What came of a study of factors? Its tables, results.json, figures and page, from the files of its runs alone."""

from pathlib import Path
from typing import Any

from fairdarts.cli.study_form import FactorStudy, SpaceStudy, texts
from fairdarts.cli.study_plan import Row, Step, kept_of, outcome, planned, recipe_of
from fairdarts.cli.words import empty_table, print_table, say, to_json
from fairdarts.config import UserError, check, dump_yaml, read_yaml
from fairdarts.oneshot.settings import TrainingSettings
from fairdarts.plot.factor_page import COLUMNS, Facts, draw_factors, page, table_rows
from fairdarts.plot.measured import measured_text
from fairdarts.ranking import factor_study
from fairdarts.ranking.factor_study import METRICS, FactorResult, Outcome, SettingResult, SpaceResult, Spread
from fairdarts.runtime.checkpoint import write_atomically

STUDY = "study.yaml"
"""the study in the folder of its runs"""


def conclude(folder: Path, out: Path | None = None) -> None:
    """Writes results.json, figures and page of a study's folder; prints a table a space, and where the page is.

    Raises UserError where there is nothing to tell of yet.
    """
    study = check(FactorStudy, read_yaml(folder / STUDY), folder / STUDY)
    spaces = [result for space in study.spaces if (result := space_result(study, space, folder))]
    if not spaces:
        raise UserError(f"{folder}: none of its runs has been judged yet; `fairdarts study` goes on with it")
    recipes = {space.name: _recipe(study, space, folder) for space in study.spaces}
    facts = Facts(study.name, study.source, study.deviations, study.seeds, recipes)
    results = {"name": study.name, "seeds": study.seeds, "spaces": [_plain(result) for result in spaces]}
    write_atomically(folder / "results.json", to_json(results).encode())
    draw_factors(spaces, folder / "figures")
    out = out or folder / "report.html"
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, page(facts, spaces).encode())
    for result in spaces:
        show(result)
    print(out)


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
        say(f"{space.name}: {left} of {len(known)} runs are not done yet")
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


def show(space: SpaceResult) -> None:
    """A table on stdout, a setting a row; then what correlates with what."""
    print(f"{space.title}: recipe {space.recipe}; truth {space.truth}; {space.architectures} architectures")
    table = empty_table("factor", "setting", *COLUMNS, words=2)
    for row in table_rows(space):
        table.add_row(*row)
    print_table(table)
    for pair, correlation in space.correlations.items():
        one, other = pair.split(", ")
        print(f"ρ of {METRICS[one]} and {METRICS[other]}: {measured_text(correlation)}, {correlation.n} runs")


def _recipe(study: FactorStudy, space: SpaceStudy, folder: Path) -> str:
    """The recipe of a space with all that lies over it before the first factor."""
    path = recipe_of(space, folder)
    return dump_yaml(check(TrainingSettings, read_yaml(path), path, texts(study.shared) | texts(space.changes)))


def _plain(value: Any) -> Any:
    """A result as JSON can hold it."""
    if isinstance(value, Spread):
        return {"values": _plain(value.values), "mean": _plain(value.mean), "deviation": _plain(value.deviation)}
    if hasattr(value, "_asdict"):
        return {key: _plain(part) for key, part in value._asdict().items()}
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value
