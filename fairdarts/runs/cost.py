"""The costs that a search is told: counted, or a table of latencies, which its run keeps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from fairdarts.config import UserError
from fairdarts.cost.counted import Counted
from fairdarts.cost.latency import LATENCY, latency_csv, measure_latency, read_latency
from fairdarts.cost.table import Table, count_tables
from fairdarts.differentiable.price import greatest_expected, least_expected
from fairdarts.differentiable.settings import CostSettings, SearchSettings
from fairdarts.evolution.objectives import amount
from fairdarts.networks.settings import AS_NAMED, NetworkSettings
from fairdarts.networks.sizes import as_searched
from fairdarts.runs.callbacks import Callback
from fairdarts.runtime import distributed
from fairdarts.runtime.device import pick
from fairdarts.runtime.run import RunDirectory
from fairdarts.runtime.shape import Shape
from fairdarts.spaces.space import Space

if TYPE_CHECKING:
    from fairdarts.data.sources import Source


def file_of_costs(settings: SearchSettings, space: Space, source: Source, watch: Callback) -> dict[str, str]:
    """The file, by its name, that a new run keeps of its costs: the latencies, where it asks for them.

    Raises UserError where the target is below what any network costs.
    """
    if (asked := _asked(settings, space)) is None:
        return {}
    table = _table(asked, settings.device, space, source.shape, watch)
    least = least_expected(table, settings.derive, space)
    if asked.target < least:
        cheapest = f"the cheapest gates of space {space.name} are expected to cost {amount(least, asked.quantity)}"
        raise UserError(f"cost.target: {asked.target:g}: is below what any network costs: {cheapest}")
    most = greatest_expected(table, settings.derive, space)
    if asked.target > most and settings.relaxation == "softmax":
        dearest = f"what any network costs, {amount(most, asked.quantity)}"
        watch.note(f"cost.target: {amount(asked.target, asked.quantity)} is above {dearest}")
    return {LATENCY: latency_csv(table, space)} if asked.quantity == "latency" else {}


def costs_of(
    settings: SearchSettings, space: Space, shape: Shape, watch: Callback, run: RunDirectory | None = None
) -> Counted | None:
    """What the networks of a search cost, in all processes; None where it does not ask. A run keeps its latencies."""
    if (asked := _asked(settings, space)) is None:
        return None
    if run and asked.quantity == "latency":
        asked = asked.model_copy(update={"latency": str(run.path / LATENCY)})
    found = distributed.shared(distributed.first(_table, asked, settings.device, space, shape, watch))
    return Counted(asked.quantity, space, shape, asked.network, Table(*found))


def _asked(settings: SearchSettings, space: Space) -> CostSettings | None:
    """The cost that is asked for, of the network whose stem the supernet has where nothing is said."""
    if (cost := settings.cost) is None:
        return None
    return cost.model_copy(update={"network": as_searched(settings.supernet.stem, space, cost.network)})


def _table(asked: CostSettings, device: str, space: Space, shape: Shape, watch: Callback) -> Table:
    """The costs of all candidates, as a search asks for them."""
    latency = Path(asked.latency) if asked.latency else None
    return table_of(asked.quantity, space, shape, asked.network, latency, device, watch.note)


def table_of(
    quantity: str,
    space: Space,
    shape: Shape,
    network: NetworkSettings = AS_NAMED,
    latency: Path | None = None,
    device: str = "auto",
    note: Callable[[str], None] = lambda _: None,
) -> Table:
    """The costs of all candidates: counted; of latency read from the user's file, or measured, which is noted."""
    if quantity != "latency":
        return count_tables(space, shape, network)[quantity]
    if latency:
        return read_latency(latency, space)
    note(f"measuring latency per choice on {pick(device)}")
    return measure_latency(space, pick(device), shape=shape, network=network)
