"""Which networks does a budget allow? What `derive` needs to know of costs, and what it says of what was given up."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from fairdarts.config import UserError
from fairdarts.cost.latency import measure_latency, read_latency
from fairdarts.cost.parts import stated_shape
from fairdarts.cost.table import count_tables
from fairdarts.differentiable.bounded import Bounded, Counted
from fairdarts.differentiable.derive import GateMatrices
from fairdarts.differentiable.settings import DeriveSettings
from fairdarts.evolution.objectives import ACCURACY, Limit, amount, read_limit
from fairdarts.networks.settings import AS_NAMED, NetworkOptions, NetworkSettings
from fairdarts.runs.evolved import LATENCY
from fairdarts.runs.recipe import laid_over
from fairdarts.runtime.device import pick
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
        limit = read_limit(text)
    except ValueError as error:
        raise UserError(f"derive: budget: {error}") from None
    if limit.quantity == ACCURACY or limit.sign != "<=":
        raise UserError(f"derive: budget '{text}': should bound a cost from above, such as 'madds <= 20e6'")
    if latency and limit.quantity != "latency":
        raise UserError(f"derive: latency {latency}: is of no use, as the budget is of {limit.quantity}")
    network = laid_over(NetworkOptions, {}, "settings", settings or {}).network
    return Asked(limit, Path(latency) if latency else None, network)


def counted_by(asked: Asked, space: Space, shape: Shape | None, run: Path | None = None) -> Counted:
    """How networks are counted: latency by the file that is named, or the one that the run keeps, or measured here."""
    quantity, images = asked.limit.quantity, shape or stated_shape(space)
    if quantity != "latency":
        table = count_tables(space, images, asked.network)[quantity]
    elif asked.latency:
        table = read_latency(asked.latency, space)
    elif run and (run / LATENCY).is_file():
        table = read_latency(run / LATENCY, space)
    else:
        table = measure_latency(space, pick("auto"), shape=images, network=asked.network)
    return Counted(quantity, space, images, asked.network, table)


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
