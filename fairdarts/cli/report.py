"""`fairdarts report`: one self-contained HTML page of one or several runs."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch

from fairdarts.cli.recipe import verb_of
from fairdarts.cli.study_results import STUDY, conclude
from fairdarts.cli.words import Parser, cost_text, say
from fairdarts.config import UserError, check, read_text, read_yaml
from fairdarts.cost.count import count
from fairdarts.networks.blueprint import build, sizes
from fairdarts.networks.zoo import load_genotype
from fairdarts.plot.drawing import NO_DOT, graphs_of
from fairdarts.plot.report import Found, page
from fairdarts.runtime.checkpoint import write_atomically
from fairdarts.runtime.run import open_run
from fairdarts.runtime.shape import Shape, shape_of
from fairdarts.search.derive import check_records
from fairdarts.search.settings import SearchSettings
from fairdarts.search.stopping import kept_record, verdict
from fairdarts.spaces.space import load_space


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
        conclude(args.runs[0], args.out)
        return 0

    paths = list(dict.fromkeys(path for given in args.runs for path in runs_of(given)))
    names = [path.resolve().name for path in paths]
    found = []
    for path, name in zip(paths, names, strict=True):
        try:
            found.append(gathered(path, str(path) if names.count(name) > 1 else name))
        except UserError as error:
            if path in args.runs:
                raise
            say(f"left out: {error}")  # one damaged run in a folder hides no others
    if not found:
        raise UserError(f"{args.runs[0]}: none of its runs can be read")
    out = args.out or args.runs[0] / "report.html"
    title = found[0].name if len(found) == 1 else f"{len(found)} searches"
    if len(args.runs) == 1 and len(found) > 1:
        title = f"{args.runs[0].resolve().name}: {title}"
    if not shutil.which("dot"):
        say(NO_DOT.replace("only .gv sources were written", "drawings are left out"))
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, page(found, title).encode())
    print(out)
    return 0


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


def gathered(path: Path, name: str) -> Found:
    """All that a report says of a run."""
    run = open_run(path)
    content = read_yaml(path / "settings.yaml")
    if (verb := verb_of(content)) != "search":
        raise UserError(f"{path}: is a run of `fairdarts {verb}`, and no gradient search; see `fairdarts draw`")
    settings = check(SearchSettings, content, path / "settings.yaml")
    space = load_space(str(path / "space.yaml"))
    records = list(check_records(run.records(), space, str(run.metrics)))
    ended = verdict(records, settings.stopping)
    done = (path / "genotypes" / "final.yaml").is_file()
    genotype, cost, drawings = None, "no genotype yet", {}
    if done:
        genotype, _ = load_genotype(str(path))
        size = getattr(space.networks, sizes(space)[0])
        shape = shape_of(path) or Shape(size.image, 3, size.classes)  # a run of version 0.1 does not say
        try:
            with torch.device("meta"):
                network = build(genotype, space, classes=shape.classes, in_channels=shape.channels)
            cost = cost_text(count(network, shape.channels, shape.image), shape.image)
        except UserError as error:
            cost = f"no network: {error}"
        if shutil.which("dot"):
            drawings = {part: graph.pipe("svg").decode() for part, graph in graphs_of(genotype, space).items()}
    unfinished = "" if done else f"the search is at epoch {records[-1]['epoch']} of {settings.epochs}"
    by_eq_7 = settings.relaxation == "sigmoid" and settings.zero_one.form == "squared"
    by_eq_7 = by_eq_7 and settings.architect.kind != "single_level"
    return Found(
        name=name,
        method=re.sub(r"-seed\d+$", "", name),
        recipe=settings.name,
        weight=settings.zero_one.weight if by_eq_7 else None,
        settings=read_text(path / "settings.yaml"),
        space=space,
        records=records[: records.index(kept_record(records, settings.stopping)) + 1],
        ended=f"stopped: {ended.reason}" if ended else unfinished,
        genotype=genotype,
        cost=cost,
        drawings=drawings,
    )
