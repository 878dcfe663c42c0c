"""What is drawn of a run, or of several runs together?"""

import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fairdarts.config import Notice, UserError, nearest
from fairdarts.differentiable.derive import check_records
from fairdarts.networks.zoo import load_genotype
from fairdarts.plot.edge import LINES, draw_edge
from fairdarts.plot.fronts import draw_fronts
from fairdarts.plot.gates import draw_run
from fairdarts.plot.joined import edge_names, joined_parts
from fairdarts.plot.points import choice_points
from fairdarts.plot.settings import USUAL
from fairdarts.plot.supernet import draw_training
from fairdarts.plot.training import draw_network_training
from fairdarts.plot.truth import draw_run_truth, told
from fairdarts.runs import result
from fairdarts.runs.draw import draw_parts
from fairdarts.runs.evolved import draw_search, evolved, reopened_search
from fairdarts.runs.truth import skips_of
from fairdarts.runtime.checkpoint import folder_for
from fairdarts.runtime.run import RunDirectory
from fairdarts.runtime.shape import shape_of
from fairdarts.spaces.space import Space, load_space, sized


def figures_of(run: RunDirectory, folder: Path, formats: Sequence[str] = USUAL) -> list[Path]:
    """Draws the gates of a run, and its final genotype once it is finished; or the training of a supernet or a network,
    or what an evolutionary search evaluated."""
    verb = run.verb
    if verb == "evolve":
        settings, archive = reopened_search(run)
        return draw_search(run, settings, archive, folder, formats)
    if verb in ("supernet", "train", "segment"):
        if not run.records():
            raise UserError(f"{run.metrics}: no epoch is done yet, so there is nothing to draw")
        paths = (draw_training if verb == "supernet" else draw_network_training)(run.records(), folder, formats)
        return paths + (_truth_of(run, run.records(), folder, formats) if verb == "supernet" else [])
    space, records = _searched(run)
    with folder_for(folder):
        paths = draw_run(records, space, folder, formats) + _truth_of(run, records, folder, formats)
    if run.state == "finished":
        found, _ = load_genotype(str(run.path))
        return paths + draw_parts(found, sized(space, shape_of(run.path)), folder, formats)
    unfinished = f"{run.path}: the search has not finished, so there is no final genotype to draw"
    warnings.warn(unfinished, Notice, stacklevel=2)
    return paths


def _searched(run: RunDirectory) -> tuple[Space, list[dict[str, Any]]]:
    """Space and records of a search."""
    space = load_space(str(run.path / "space.yaml"))
    return space, list(check_records(run.records(), space, str(run.metrics)))


def draw_edge_of(runs: Sequence[RunDirectory], edge: str, folder: Path, formats: Sequence[str]) -> list[Path]:
    """Draws one choice point of several searches. Raises UserError where one is another kind of run or in another
    space, where the space has no such point, or where there are more runs than can be told apart."""
    if len(runs) > len(LINES):
        raise UserError(f"draw: {len(runs)} runs over one edge cannot be told apart; should be at most {len(LINES)}")
    for run in runs:
        if run.verb != "search":
            raise UserError(
                f"{run.path}: is a run of `fairdarts {run.verb}`: only those of `search` have gates to draw"
            )
    searched = [_searched(run) for run in runs]
    space = searched[0][0]
    for run, (other, _) in zip(runs, searched, strict=True):
        if (other.parts, choice_points(other)) != (space.parts, choice_points(space)):
            both = f"is in space {other.name}, and {runs[0].path} in {space.name}"
            raise UserError(f"{run.path}: {both}: runs over one edge should be in the same space")
    point, known = re.sub(r"[\s()]", "", edge), edge_names(space)
    if ":" not in point and len(joined_parts(space)) == 1:
        point = f"{next(iter(joined_parts(space)))}:{point}"
    if point not in known:
        first, last = next(iter(known)), next(reversed(known))
        should = f"should be one of {first} to {last}{nearest(point, known)}"
        raise UserError(f"draw: edge {edge}: is no {choice_points(space).axis} of space {space.name}; {should}")
    names = [run.path.resolve().name for run in runs]
    if len(set(names)) < len(names):
        names = [str(run.path) for run in runs]
    records = {name: records for name, (_, records) in zip(names, searched, strict=True)}
    return draw_edge(records, space, point, folder, formats)


def _truth_of(run: RunDirectory, records: list[dict[str, Any]], folder: Path, formats: Sequence[str]) -> list[Path]:
    """Draws what a run's findings are worth in truth, where it was told one."""
    if not told(records):
        return []
    of = result.Run(run.path)
    return draw_run_truth(records, skips_of(records, of.settings, of.space), folder, formats)


def draw_fronts_of(runs: Sequence[RunDirectory], folder: Path, formats: Sequence[str]) -> list[Path]:
    """Draws the fronts of several evolutionary searches. Raises UserError where one is another kind of run."""
    searches = []
    for run in runs:
        if run.verb != "evolve":
            advice = "several runs can be drawn of `evolve` alone"
            if run.verb == "search":
                advice += ", or of `search` over one edge that is named (--edge normal:5,4)"
            raise UserError(f"{run.path}: is a run of `fairdarts {run.verb}`: {advice}")
        searches.append(evolved(run.path.resolve().name, reopened_search(run)[1]))
    return draw_fronts(searches, folder, formats=formats)
