"""What is drawn of a genotype, of a run, or of several evolutions?"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fairdarts.config import Notice, UserError
from fairdarts.differentiable.derive import check_records
from fairdarts.genotype import Genotype
from fairdarts.networks.zoo import load_genotype, run_of
from fairdarts.plot.drawing import draw_genotype
from fairdarts.plot.fronts import draw_fronts
from fairdarts.plot.gates import draw_run
from fairdarts.plot.supernet import draw_training
from fairdarts.plot.training import draw_network_training
from fairdarts.plot.truth import draw_run_truth, told
from fairdarts.runs import result
from fairdarts.runs.evolved import draw_search, evolved, reopened_search
from fairdarts.runs.truth import skips_of
from fairdarts.runtime.checkpoint import folder_for
from fairdarts.runtime.run import RunDirectory, open_run
from fairdarts.runtime.shape import shape_of
from fairdarts.spaces.space import Space, check_genotype, load_space, sized

Drawn = str | Path | Genotype | result.Run
"""a genotype, its shipped name or its file; or a run, or its directory"""


def draw(genotypes: Drawn | Sequence[Drawn], out: str | Path | None = None) -> list[Path]:
    """Draws what `fairdarts draw` does, and gives the files: the cells or layers of a genotype, all figures of a run,
    or the fronts of several runs of `evolve`.

    They go into `out`, or figures/, or the run's own figures/. Raises UserError where there is nothing to draw; a
    Notice says where Graphviz' `dot` is missing.

    >>> fairdarts.draw("fairdarts-a")
    [Path('figures/fairdarts-a-normal.gv'), …]
    """
    several = [genotypes] if isinstance(genotypes, Drawn) else list(genotypes)
    every = [str(one.path) if isinstance(one, result.Run) else one for one in several]
    folder = Path(out or "figures")
    if len(every) > 1:
        return _fronts_of([open_run(Path(str(name))) for name in every], folder)
    only = every[0]
    if isinstance(only, Genotype):
        space = load_space(only.space)
        return _parts_of(check_genotype(only, space, only.name), space, folder)
    if Path(only).is_dir():
        run = open_run(Path(only))
        return figures_of(run, Path(out) if out else run.figures)
    genotype, space = load_genotype(str(only))
    made_by = run_of(str(only))
    return _parts_of(genotype, sized(space, shape_of(made_by) if made_by else None), folder)


def figures_of(run: RunDirectory, folder: Path) -> list[Path]:
    """Draws the gates of a run, and its final genotype once it is finished; or the training of a supernet or a network,
    or what an evolutionary search evaluated."""
    verb = run.verb
    if verb == "evolve":
        settings, archive = reopened_search(run)
        return draw_search(run.path.resolve().name, settings, archive, folder)
    if verb in ("supernet", "train", "segment"):
        if not run.records():
            raise UserError(f"{run.metrics}: no epoch is done yet, so there is nothing to draw")
        paths = (draw_training if verb == "supernet" else draw_network_training)(run.records(), folder)
        return paths + (_truth_of(run, run.records(), folder) if verb == "supernet" else [])
    space = load_space(str(run.path / "space.yaml"))
    records = list(check_records(run.records(), space, str(run.metrics)))
    with folder_for(folder):
        paths = draw_run(records, space, folder) + _truth_of(run, records, folder)
    if run.state == "finished":
        return paths + _parts_of(load_genotype(str(run.path))[0], sized(space, shape_of(run.path)), folder)
    unfinished = f"{run.path}: the search has not finished, so there is no final genotype to draw"
    warnings.warn(unfinished, Notice, stacklevel=2)
    return paths


def _truth_of(run: RunDirectory, records: list[dict[str, Any]], folder: Path) -> list[Path]:
    """Draws what a run's findings are worth in truth, where it was told one."""
    if not told(records):
        return []
    of = result.Run(run.path)
    return draw_run_truth(records, skips_of(records, of.settings, of.space), folder)


def _fronts_of(runs: Sequence[RunDirectory], folder: Path) -> list[Path]:
    """Draws the fronts of several evolutionary searches. Raises UserError where one is another kind of run."""
    searches = []
    for run in runs:
        if run.verb != "evolve":
            advice = "several runs can be drawn of `evolve` alone"
            raise UserError(f"{run.path}: is a run of `fairdarts {run.verb}`: {advice}")
        searches.append(evolved(run.path.resolve().name, reopened_search(run)[1]))
    return draw_fronts(searches, folder)


def _parts_of(genotype: Genotype, space: Space, folder: Path) -> list[Path]:
    """Draws both cells, all layers, or all edges; says so where graphviz's `dot` is missing."""
    paths, missing = draw_genotype(genotype, space, folder)
    if missing:
        warnings.warn(missing, Notice, stacklevel=3)
    return paths
