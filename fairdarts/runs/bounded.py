"""Which networks does a budget allow? What `derive` needs to know of costs, and what it says of what was given up."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fairdarts.config import Notice, UserError
from fairdarts.cost.counted import Counted
from fairdarts.cost.latency import LATENCY
from fairdarts.differentiable.bounded import Bounded, bounded
from fairdarts.differentiable.derive import METHODS, GateMatrices
from fairdarts.differentiable.settings import DeriveSettings
from fairdarts.differentiable.within import least_within
from fairdarts.evolution.objectives import Limit, amount, read_bound
from fairdarts.genotype import Genotype
from fairdarts.networks.settings import AS_NAMED, NetworkOptions, NetworkSettings
from fairdarts.plot.joined import edge_names
from fairdarts.runs.cost import table_of
from fairdarts.runs.opened import Opened, source_of
from fairdarts.runs.recipe import laid_over
from fairdarts.runtime.shape import Shape
from fairdarts.spaces.space import Space, stated_shape

TOLD = 12
"""changes that are told one by one"""


class Asked(NamedTuple):
    """A budget, and how costs are known."""

    limit: Limit
    latency: Path | None = None
    """CSV of a latency per choice"""
    network: NetworkSettings = AS_NAMED
    """the network that is counted"""


def read_budget(text: str, latency: str | Path | None = None, settings: Mapping[str, Any] | None = None) -> Asked:
    """`madds <= 20e6`; `settings` are those of the network that is counted. Raises UserError saying what would be
    right."""
    try:
        limit = read_bound(text)
    except ValueError as error:
        raise UserError(f"derive: budget: {error}") from None
    if latency and limit.quantity != "latency":
        raise UserError(f"derive: latency {latency}: is of no use, as the budget is of {limit.quantity}")
    network = laid_over(NetworkOptions, {}, "settings", settings or {}).network
    return Asked(limit, Path(latency) if latency else None, network)


def within(asked: Opened, budget: Asked) -> Genotype:
    """The genotype within a budget; Notices say what it took. Raises UserError where there is none."""
    (found,) = all_within(asked, [budget])
    if found is None:
        counted = counted_by(budget, asked.space, *_of_run(asked))
        raise too_little(budget.limit, least_within(asked.gates, asked.rule, counted), asked.rule, asked.gates)
    for line in told(found, budget.limit):
        warnings.warn(line, Notice, stacklevel=4)
    return found.genotype


def all_within(asked: Opened, budgets: Sequence[Asked]) -> list[Bounded | None]:
    """The best within each of the budgets, which are of one quantity. Raises UserError where the rule is not ours."""
    if METHODS[asked.rule.method]:
        raise UserError(f"derive: budget: goes with method argmax, threshold or edge, not '{asked.rule.method}'")
    limits = [one.limit for one in budgets]
    several = len(limits) > 1
    names = [f"{asked.name}-{limit.quantity}-{str(limit).split()[-1]}" if several else asked.name for limit in limits]
    abouts = [(name, f"{source_of(asked)}, {limit}") for name, limit in zip(names, limits, strict=True)]
    counted = counted_by(budgets[0], asked.space, *_of_run(asked))
    bounds = [limit.bound for limit in limits]
    return bounded(asked.gates, asked.rule, counted, bounds, abouts, list(edge_names(asked.space)))


def _of_run(asked: Opened) -> tuple[Shape | None, Path | None]:
    return (asked.run.shape, asked.run.path) if asked.run else (None, None)


def counted_by(asked: Asked, space: Space, shape: Shape | None, run: Path | None = None) -> Counted:
    """How networks are counted: latency by the file that is named, or the one that the run keeps, or measured here."""
    images = shape or stated_shape(space)
    kept = run / LATENCY if run and (run / LATENCY).is_file() else None
    quantity, latency = asked.limit.quantity, asked.latency or kept
    table = table_of(quantity, space, images, asked.network, latency, note=_notice)
    return Counted(quantity, space, images, asked.network, table)


def _notice(text: str) -> None:
    warnings.warn(text, Notice, stacklevel=4)


def told(found: Bounded, limit: Limit) -> Iterator[str]:
    """What a budget took, in lines."""
    if not found.changed:
        yield f"{limit}: kept as it is, with {amount(found.cost, limit.quantity)}"
        return
    before = found.cost_without
    without = "no network" if before is None else amount(before, limit.quantity)
    masses = f"the gates that are kept add up to {found.mass:.3f} instead of {found.mass_without:.3f}"
    yield f"{limit}: {amount(found.cost, limit.quantity)} instead of {without} without the budget; {masses}"
    yield from found.changed[:TOLD]
    if len(found.changed) > TOLD:
        yield f"… and {len(found.changed) - TOLD} more"


def too_little(limit: Limit, least: float | None, rule: DeriveSettings, gates: GateMatrices) -> UserError:
    """The error of a budget that nothing keeps, or of gates that make no network, whatever the budget."""
    if least is not None:
        what = f"no network costs so little: the least is {amount(least, limit.quantity)}"
        return UserError(f"derive: budget '{limit}': {what}")
    strongest = ", ".join(f"{part} {matrix.max():.3f}" for part, matrix in gates.items())
    few = f"too few gates reach {rule.threshold}, whatever the budget (the strongest are {strongest})"
    return UserError(f"derive: {few}; derive by argmax, or by a lower threshold")
