"""What came of a study of recipes? Its runs against a benchmark: numbers, figures, a page, from their files alone."""

import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from fairdarts.checking import check
from fairdarts.config import Notice, UserError
from fairdarts.differentiable.settings import SearchSettings
from fairdarts.differentiable.stopping import kept_record, verdict
from fairdarts.oneshot.settings import TrainingSettings
from fairdarts.plot.truth_page import draw_comparison, page
from fairdarts.ranking.compared import (
    Comparison,
    PublishedResult,
    RowResult,
    SeedResult,
    Series,
    content_of,
    rounded,
    table_of,
)
from fairdarts.ranking.truth import Truth, read_truth
from fairdarts.runs.request import KINDS
from fairdarts.runs.study.form import RESULTS, RecipeStudy
from fairdarts.runs.study.rows import StoppedRow, published_number
from fairdarts.runs.study.trained import content_of as trained_content
from fairdarts.runs.study.trained import trained_rows
from fairdarts.runs.truth import genotypes_of, skips
from fairdarts.runtime.checkpoint import write_atomically
from fairdarts.runtime.run import SETTINGS, open_run, read_settings
from fairdarts.spaces.space import Space, load_space

Settings = SearchSettings | TrainingSettings


class Compared(NamedTuple):
    """What a study of recipes has found."""

    comparison: Comparison
    page: Path | None
    """None where it has no benchmark: the page is the report of its runs"""


class Judged(NamedTuple):
    """A run that is done."""

    name: str
    seed: int
    settings: Settings
    space: Space
    records: list[dict[str, Any]]


def conclude(study: RecipeStudy, folder: Path, out: Path | None = None) -> Compared:
    """Writes results.json of a study's folder, and where it has a benchmark figures and page.

    A Notice says how many runs are not done yet. Raises UserError where none is, or the benchmark cannot be read.
    """
    comparison = compare(study, folder)
    if comparison.missing:
        total = len(study.runs) * len(study.seeds)
        warnings.warn(f"{study.name}: {len(comparison.missing)} of {total} runs are not done yet", Notice, stacklevel=2)
    content = content_of(comparison)
    if study.train:
        content["trained"] = rounded([trained_content(row) for row in trained_rows(paths_of(study, folder))])
    write_atomically(folder / RESULTS, f"{written(content)}\n".encode())
    if not comparison.table:
        return Compared(comparison, None)
    draw_comparison(comparison, folder / "figures")
    out = out or folder / "report.html"
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, page(comparison).encode())
    return Compared(comparison, out)


def compare(study: RecipeStudy, folder: Path) -> Comparison:
    """The numbers of a study, from what is done so far; `benchmark` of the study is a path."""
    runs = {run.name: list(_done(run.name, study, folder)) for run in study.runs}
    missing = [
        f"{run.name}-seed{seed}"
        for seed in study.seeds
        for run in study.runs
        if not any(done.seed == seed for done in runs[run.name])
    ]
    every = [run for done in runs.values() for run in done]
    if not every and study.files:
        raise UserError(f"{folder}: none of its runs is done yet; `fairdarts study` goes on with it")
    known = _truths(Path(study.files[0])) if study.files else None
    rows = [row for run in study.runs if (row := _row(run.name, runs[run.name], known, None))]
    rows += [row for rule in study.stopped if (row := _row(rule.name, runs[rule.of], known, rule))]
    return Comparison(
        study.name,
        study.source,
        study.deviations,
        study.seeds,
        table_of(known(every[0]), Path(study.files[0]).name) if known else None,
        tuple(rows),
        tuple(
            PublishedResult(row.name, row.source, {key: published_number(text) for key, text in row.numbers.items()})
            for row in study.published
        ),
        tuple(missing),
    )


def paths_of(study: RecipeStudy, folder: Path) -> list[Path]:
    """All run directories of a study, those that are still to be made, too."""
    rows = [row.name for row in study.runs] + [row.name for row in study.random]
    names = [f"{name}-seed{seed}" for seed in study.seeds for name in rows]
    return [folder / f"{name}{end}" for name in names for end in ("", "-train")]


def _done(name: str, study: RecipeStudy, folder: Path) -> Iterator[Judged]:
    """The runs of a row that are finished; a Notice tells of damaged ones."""
    for seed in study.seeds:
        path = folder / f"{name}-seed{seed}"
        try:
            if not (path / SETTINGS).is_file() or (run := open_run(path)).state != "finished":
                continue
            settings: Any = check(KINDS[run.verb].model, read_settings(path / SETTINGS), path / SETTINGS)
            yield Judged(path.name, seed, settings, load_space(str(path / "space.yaml")), run.records())
        except UserError as error:
            warnings.warn(f"left out: {error}", Notice, stacklevel=2)  # one damaged run hides no others


def _truths(file: Path) -> Callable[[Judged], Truth]:
    """Gives the truth that a run is held against, read once for every space."""

    read: dict[tuple[str, ...], Truth] = {}

    def truth(run: Judged) -> Truth:
        key = (run.space.model_dump_json(), *run.settings.truth_columns)
        if key not in read:
            read[key] = read_truth(file, run.space, run.settings.truth_columns)
        return read[key]

    return truth


def _row(
    name: str, runs: list[Judged], known: Callable[[Judged], Truth] | None, rule: StoppedRow | None
) -> RowResult | None:
    """A row; None as long as none of its runs is done."""
    if not runs:
        return None
    settings = runs[0].settings
    return RowResult(
        name,
        settings.verb,
        settings.name,
        rule.of if rule else "",
        _told(rule) if rule else "",
        tuple(_seed(run, known and known(run), rule) for run in runs),
    )


def _told(rule: StoppedRow) -> str:
    """'stopped by skips, limit 3' or 'derived by threshold 0.85'."""
    what, settings = ("derived", rule.derive) if rule.derive else ("stopped", rule.stopping)
    assert settings is not None, "it has either"
    kind, *rest = ((key, value) for key, value in settings.model_dump().items() if value is not None)
    return f"{what} by {', '.join([str(kind[1]), *(f'{key} {value}' for key, value in rest)])}"


def _seed(run: Judged, truth: Truth | None, rule: StoppedRow | None) -> SeedResult:
    """What a run has come to, or would have by another rule."""
    settings, records, ended = run.settings, run.records, ""
    if isinstance(settings, SearchSettings):
        if rule and rule.derive:
            settings = settings.model_copy(update={"derive": rule.derive, "choose": None})
        records, ended = _kept(records, settings, rule)
    genotypes = genotypes_of(records, settings, run.space)
    every = [truth.about(genotype) if truth and genotype else {"truth": {}, "regret": {}} for genotype in genotypes]
    main = truth.columns[0] if truth else ""
    epochs: dict[str, Series] = {
        "epoch": [record["epoch"] for record in records],
        "truth": [about["truth"].get(main) for about in every],
        "skips": [skips(genotype) for genotype in genotypes],
        "accuracy": [_accuracy(record) for record in records],
        **{key: [record.get(key) for record in records] for key in ("eigenvalue", "passes")},
    }
    measured = {key: numbers for key, numbers in epochs.items() if any(number is not None for number in numbers)}
    found = {"truth": every[-1]["truth"], "regret": every[-1]["regret"], "skips": skips(genotypes[-1])}
    accuracy = epochs["accuracy"][-1]
    return SeedResult(run.seed, run.name, records[-1]["epoch"], ended, **found, accuracy=accuracy, epochs=measured)


def _kept(
    records: list[dict[str, Any]], settings: SearchSettings, rule: StoppedRow | None
) -> tuple[list[dict[str, Any]], str]:
    """The records of a search to the one whose genotype it keeps, or would, and why it stopped."""
    stopping, warmup = (rule and rule.stopping) or settings.stopping, settings.architect.warmup
    for end in range(1, len(records) + 1):  # at the first epoch that the rule stops
        if ended := verdict(records[:end], stopping, warmup):
            kept = kept_record(records[:end], stopping, warmup)
            return records[: records.index(kept) + 1], ended.reason
    return records, ""


def _accuracy(record: dict[str, Any]) -> float | None:
    """The supernet's own held-out accuracy, in percent."""
    if record.get("watched"):
        return float(max(record["watched"]))
    return 100 * record["valid_accuracy"] if "valid_accuracy" in record else None


def written(value: Any, indent: str = "\n") -> str:
    """JSON, in which what holds plain values alone stands on one line."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if not any(isinstance(part, dict | list) for part in parts):
        return json.dumps(value, allow_nan=False, ensure_ascii=False)
    texts = [written(part, indent + " ") for part in parts]
    if isinstance(value, list):
        return f"[{','.join(f'{indent} {text}' for text in texts)}{indent}]"
    pairs = zip(map(json.dumps, value), texts, strict=True)
    return f"{{{','.join(f'{indent} {key}: {text}' for key, text in pairs)}{indent}}}"
