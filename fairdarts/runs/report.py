"""One self-contained HTML page of one or several runs, whatever made them."""

import shutil
import warnings
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from fairdarts.config import Notice, UserError
from fairdarts.plot.document import document
from fairdarts.plot.drawing import NO_DOT
from fairdarts.runs.gather import TOLD
from fairdarts.runs.result import Run
from fairdarts.runs.study.form import STUDY
from fairdarts.runs.study.trained import page_part, trained_rows
from fairdarts.runtime.checkpoint import write_atomically
from fairdarts.runtime.run import open_run


def report(runs: Run | str | Path | Sequence[Run | str | Path], out: str | Path | None = None) -> Path:
    """Writes an HTML page of runs, to be opened from disk, as `fairdarts report` does; gives the file.

    Each of `runs` is a run, its directory, or a folder of them or of a study. The page is `out`, or report.html in the
    first of them. A damaged run in a folder is left out, and a Notice says so. Raises UserError where there is nothing
    to tell of.

    >>> fairdarts.report("runs", "all.html")
    """
    several = [runs] if isinstance(runs, Run | str | Path) else list(runs)
    given = [run.path if isinstance(run, Run) else Path(run) for run in several]
    if not given:
        raise UserError("report: no run is named")
    page = Path(out or given[0] / "report.html")
    if len(given) == 1 and (given[0] / STUDY).is_file():
        study: Any = import_module("fairdarts.runs.study.results")
        if made := study.conclude(given[0], page).page:  # none of a study without a benchmark
            return Path(made)
    by_verb = _gathered(given)
    title = _titled(by_verb)
    if len(given) == 1 and sum(map(len, by_verb.values())) > 1:
        title = f"{given[0].resolve().name}: {title}"
    if not shutil.which("dot") and by_verb.keys() & {"search", "train", "segment"}:
        left_out = NO_DOT.replace("only .gv sources were written", "drawings are left out")
        warnings.warn(left_out, Notice, stacklevel=2)
    parts = page_part(trained_rows(_runs_of(given[0]))) if len(given) == 1 else []  # of a study's folder
    for verb, told in by_verb.items():  # a kind of run after another, as their numbers do not compare
        parts += [f'<h1 class="kind">{_counted(verb, told)}</h1>'] if len(by_verb) > 1 else []
        parts += TOLD[verb].parts(told)
    page.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(page, document(title, parts).encode())
    return page


def _gathered(given: Sequence[Path]) -> dict[str, list[Any]]:
    """Verb → what is told of its runs, in the order of a page."""
    paths = list(dict.fromkeys(path for folder in given for path in _runs_of(folder)))
    names = [path.resolve().name for path in paths]
    by_verb: dict[str, list[Any]] = {verb: [] for verb in TOLD}
    for path, name in zip(paths, names, strict=True):
        try:
            verb = open_run(path).verb
            if verb not in TOLD:
                raise UserError(f"{path}: is a folder of `fairdarts {verb}`, of which there is no report")
            by_verb[verb].append(TOLD[verb].gather(path, str(path) if names.count(name) > 1 else name))
        except UserError as error:
            if path in given:
                raise
            warnings.warn(f"left out: {error}", Notice, stacklevel=3)  # one damaged run hides no others
    if not any(by_verb.values()):
        raise UserError(f"{given[0]}: none of its runs can be read")
    return {verb: told for verb, told in by_verb.items() if told}


def _titled(by_verb: dict[str, list[Any]]) -> str:
    """The name of a single run, or how many there are of what."""
    names: list[str] = [run.name for runs in by_verb.values() for run in runs]
    return names[0] if len(names) == 1 else ", ".join(_counted(verb, runs) for verb, runs in by_verb.items())


def _counted(verb: str, runs: Sequence[Any]) -> str:
    """'3 supernets'."""
    return f"{len(runs)} {TOLD[verb].one if len(runs) == 1 else TOLD[verb].several}"


def _runs_of(path: Path) -> list[Path]:
    """A run directory itself, or those in a folder that have begun, by name."""
    if (path / "settings.yaml").is_file():
        return [path]
    inside = [inner.parent for inner in sorted(path.glob("*/settings.yaml")) if _has_begun(inner.parent)]
    if not inside:
        raise UserError(f"{path}: neither a run directory nor a folder of them")
    return inside


def _has_begun(path: Path) -> bool:
    """Whether a run has records, or damaged ones."""
    try:
        return bool(open_run(path).records())
    except UserError:
        return True
