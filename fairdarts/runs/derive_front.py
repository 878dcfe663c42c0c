"""The genotypes of a search within several budgets: files, and a figure of cost and gate mass."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fairdarts.config import UserError
from fairdarts.differentiable.bounded import Bounded
from fairdarts.genotype import Genotype, to_yaml
from fairdarts.plot.bounded import draw_bounded
from fairdarts.plot.settings import USUAL, checked_formats
from fairdarts.runs.bounded import all_within, read_budget
from fairdarts.runs.opened import Epoch, Method, opened
from fairdarts.runs.result import Run
from fairdarts.runtime.checkpoint import folder_for, write_atomically


class Front(NamedTuple):
    """What a search comes to within several budgets, and the files of it."""

    found: list[Bounded | None]
    """of every budget genotype, cost, mass of its gates, and what it gives up; None where no network keeps it"""
    files: list[Path]
    """the genotypes, then the figure"""


def derive_front(
    run: str | Path | Run,
    budgets: Sequence[str],
    out: str | Path,
    *,
    method: Method | None = None,
    threshold: float | None = None,
    max_skips: int | None = None,
    epoch: Epoch | None = None,
    latency: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    formats: Sequence[str] | str = USUAL,
) -> Front:
    """The genotypes of a search within several budgets of one quantity, written into the folder `out` with a figure of
    cost and gate mass. All else is as in `derive`.

    >>> front = fairdarts.derive_front("runs/mine", ["madds <= 10e6", "madds <= 20e6"], out="front")
    >>> [(found.cost, found.mass) for found in front.found if found]
    """
    asked = opened(run, method, threshold, max_skips, epoch, None)
    several = [read_budget(budget, latency, asked.network(settings)) for budget in budgets]
    quantities = {one.limit.quantity for one in several}
    if len(quantities) != 1:
        raise UserError(f"derive: budgets of {', '.join(sorted(quantities)) or 'nothing'}: should be of one quantity")
    formats = checked_formats(formats, "formats")
    if Path(out).exists() and any(Path(out).iterdir()):
        raise UserError(f"derive: {out}: is there already; name another --out")
    found = all_within(asked, several)
    with folder_for(Path(out)):
        files = [_written(Path(out), one.genotype) for one in found if one]
        points = [(one.limit.bound, best.cost, best.mass) for one, best in zip(several, found, strict=True) if best]
        files += draw_bounded(points, quantities.pop(), Path(out), _without(found), formats)
    return Front(found, files)


def _without(found: Sequence[Bounded | None]) -> tuple[float, float] | None:
    """Cost and gate mass of what is derived without a budget."""
    one = next((one for one in found if one and one.cost_without is not None), None)
    return (one.cost_without, one.mass_without) if one and one.cost_without is not None else None


def _written(folder: Path, genotype: Genotype) -> Path:
    path = folder / f"{genotype.name}.yaml"
    write_atomically(path, to_yaml(genotype).encode())
    return path
