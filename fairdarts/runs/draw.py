"""What does `draw` draw? A genotype as it is; of runs their figures."""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path

from fairdarts.config import Notice
from fairdarts.genotype import Genotype
from fairdarts.networks.zoo import load_genotype, run_of
from fairdarts.plot.drawing import draw_genotype
from fairdarts.plot.settings import USUAL, checked_formats
from fairdarts.runtime.run import open_run
from fairdarts.runtime.shape import shape_of
from fairdarts.spaces.space import Space, check_genotype, load_space, sized

Drawn = str | os.PathLike | Genotype
"""a genotype, its shipped name or its file; a run, or its directory; or `zero-one`"""
ZERO_ONE = "zero-one"
"""what the losses of this name are drawn by, unless a file is called so"""


def draw(
    genotypes: Drawn | Sequence[Drawn],
    out: str | Path | None = None,
    *,
    edge: str | None = None,
    formats: Sequence[str] | str = USUAL,
) -> list[Path]:
    """Draws what `fairdarts draw` does, and gives the files: the cells or layers of a genotype, all figures of a run,
    the fronts of several runs of `evolve`, or the zero-one losses ("zero-one").

    Where an `edge` is named ("normal:5,4", "edges:3,1", "layers:7"), the gates of up to four searches in one space are
    laid over one another there. Files go into `out`, or figures/, or the run's own figures/, as some of svg, png and
    pdf. Raises UserError where there is nothing to draw; a Notice says where Graphviz' `dot` is missing.

    >>> fairdarts.draw("fairdarts-a")
    [Path('figures/fairdarts-a-normal.gv'), …]
    >>> fairdarts.draw(["runs/darts", "runs/fairdarts"], edge="normal:5,4", formats="pdf")
    """
    several = [genotypes] if isinstance(genotypes, Drawn) else list(genotypes)
    every = [one if isinstance(one, Genotype) else os.fspath(one) for one in several]
    formats = checked_formats(formats, "formats")
    folder = Path(out or "figures")
    only = every[0]
    if len(every) == 1 and edge is None and (isinstance(only, Genotype) or not Path(only).is_dir()):
        return _of_one(only, folder, formats)

    from fairdarts.runs import figures  # here, as a genotype is drawn without matplotlib and torch

    if edge is not None:
        return figures.draw_edge_of([open_run(Path(str(name))) for name in dict.fromkeys(every)], edge, folder, formats)
    if len(every) > 1:
        return figures.draw_fronts_of([open_run(Path(str(name))) for name in every], folder, formats)
    run = open_run(Path(str(only)))
    return figures.figures_of(run, Path(out) if out else run.figures, formats)


def _of_one(only: str | Genotype, folder: Path, formats: Sequence[str]) -> list[Path]:
    """Draws a genotype, or the zero-one losses."""
    if isinstance(only, Genotype):
        space = load_space(only.space)
        return draw_parts(check_genotype(only, space, only.name), space, folder, formats)
    if only == ZERO_ONE and not Path(only).exists():
        from fairdarts.plot.zero_one import draw_zero_one

        return draw_zero_one(folder, formats)
    genotype, space = load_genotype(only)
    made_by = run_of(only)
    return draw_parts(genotype, sized(space, shape_of(made_by) if made_by else None), folder, formats)


def draw_parts(genotype: Genotype, space: Space, folder: Path, formats: Sequence[str]) -> list[Path]:
    """Draws both cells, all layers, or all edges; says so where graphviz's `dot` is missing."""
    paths, missing = draw_genotype(genotype, space, folder, formats)
    if missing:
        warnings.warn(missing, Notice, stacklevel=3)
    return paths
