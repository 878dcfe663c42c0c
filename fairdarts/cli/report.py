"""`fairdarts report`: one self-contained HTML page of one or several runs, whatever made them."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fairdarts.cli.gather import TOLD
from fairdarts.cli.study_show import show
from fairdarts.cli.words import Parser, say
from fairdarts.config import UserError
from fairdarts.plot.document import document
from fairdarts.plot.drawing import NO_DOT
from fairdarts.runs.study.results import STUDY, conclude
from fairdarts.runtime.checkpoint import write_atomically
from fairdarts.runtime.run import open_run


def main(argv: Sequence[str]) -> int:
    parser = Parser(
        "report", "Write one HTML page of runs, to be opened from disk: their figures, drawings and numbers."
    )
    parser.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN", help="a run directory, or a folder of them or of a study"
    )
    parser.add_argument("--out", type=Path, help="the page (default: report.html in the first RUN)")
    args = parser.parse_args(argv)
    if len(args.runs) == 1 and (args.runs[0] / STUDY).is_file():
        show(conclude(args.runs[0], args.out))
        return 0

    paths = list(dict.fromkeys(path for given in args.runs for path in runs_of(given)))
    names = [path.resolve().name for path in paths]
    by_verb: dict[str, list[Any]] = {verb: [] for verb in TOLD}
    for path, name in zip(paths, names, strict=True):
        try:
            verb = open_run(path).verb
            if verb not in TOLD:
                raise UserError(f"{path}: is a folder of `fairdarts {verb}`, of which there is no report")
            by_verb[verb].append(TOLD[verb].gather(path, str(path) if names.count(name) > 1 else name))
        except UserError as error:
            if path in args.runs:
                raise
            say(f"left out: {error}")  # one damaged run in a folder hides no others
    by_verb = {verb: runs for verb, runs in by_verb.items() if runs}
    if not by_verb:
        raise UserError(f"{args.runs[0]}: none of its runs can be read")
    out = args.out or args.runs[0] / "report.html"
    title = titled(by_verb)
    if len(args.runs) == 1 and sum(map(len, by_verb.values())) > 1:
        title = f"{args.runs[0].resolve().name}: {title}"
    if not shutil.which("dot") and by_verb.keys() & {"search", "train", "segment"}:
        say(NO_DOT.replace("only .gv sources were written", "drawings are left out"))
    parts: list[str] = []
    for verb, runs in by_verb.items():  # a kind of run after another, as their numbers do not compare
        parts += [f'<h1 class="kind">{counted(verb, runs)}</h1>'] if len(by_verb) > 1 else []
        parts += TOLD[verb].parts(runs)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, document(title, parts).encode())
    print(out)
    return 0


def titled(by_verb: dict[str, list[Any]]) -> str:
    """The name of a single run, or how many there are of what."""
    names = [run.name for runs in by_verb.values() for run in runs]
    return names[0] if len(names) == 1 else ", ".join(counted(verb, runs) for verb, runs in by_verb.items())


def counted(verb: str, runs: Sequence[Any]) -> str:
    """'3 supernets'."""
    return f"{len(runs)} {TOLD[verb].one if len(runs) == 1 else TOLD[verb].several}"


def runs_of(path: Path) -> list[Path]:
    """A run directory itself, or those in a folder that have begun, by name."""
    if (path / "settings.yaml").is_file():
        return [path]
    inside = [inner.parent for inner in sorted(path.glob("*/settings.yaml")) if has_begun(inner.parent)]
    if not inside:
        raise UserError(f"{path}: neither a run directory nor a folder of them")
    return inside


def has_begun(path: Path) -> bool:
    """Whether a run has records, or damaged ones."""
    try:
        return bool(open_run(path).records())
    except UserError:
        return True
