"""Which networks does a budget allow? What `derive` needs to know of costs, and what it says of what was given up."""

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from fairdarts.config import Notice, UserError
from fairdarts.cost.counted import Counted
from fairdarts.cost.parts import stated_shape
from fairdarts.differentiable.bounded import Bounded
from fairdarts.differentiable.derive import GateMatrices
from fairdarts.differentiable.settings import DeriveSettings
from fairdarts.evolution.objectives import Limit, amount, read_bound
from fairdarts.networks.settings import AS_NAMED, NetworkOptions, NetworkSettings
from fairdarts.runs.cost import table_of
from fairdarts.runs.evolved import LATENCY
from fairdarts.runs.recipe import laid_over
from fairdarts.runtime.shape import Shape
from fairdarts.spaces.space import Space

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
