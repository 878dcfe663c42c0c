"""What is a genotype derived from? The gates of a run's epoch, or of matrices, and a rule."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from fairdarts.checking import check
from fairdarts.config import UserError
from fairdarts.differentiable.composed import COMPETING
from fairdarts.differentiable.derive import GateMatrices, as_matrices, check_records, check_rule
from fairdarts.differentiable.settings import DeriveSettings, SearchSettings
from fairdarts.differentiable.stopping import kept_record
from fairdarts.networks.settings import AS_NAMED
from fairdarts.networks.sizes import as_searched
from fairdarts.reading import read_yaml
from fairdarts.runs.result import Run
from fairdarts.runtime.run import open_run
from fairdarts.spaces.space import Space, load_space

Method = str
Epoch = int | Literal["last", "best"]


class Opened(NamedTuple):
    """What is derived from."""

    gates: GateMatrices
    space: Space
    rule: DeriveSettings
    name: str
    source: str
    """where the gates come from"""
    run: Run | None = None

    def network(self, settings: Mapping[str, Any] | None) -> dict[str, Any]:
        """Settings of the network that is counted: those that a run's own cost is of, and its stem, with others laid
        over them."""
        if self.run is None:
            return dict(settings or {})
        cost = self.run.settings.cost
        network = as_searched(self.run.settings.supernet.stem, self.space, cost.network if cost else AS_NAMED)
        own = network.model_dump(exclude_defaults=True)
        return {**{f"network.{key}": value for key, value in own.items()}, **(settings or {})}


def opened(
    run: str | os.PathLike[str],
    method: Method | None,
    threshold: float | None,
    max_skips: int | None,
    epoch: Epoch | None,
    name: str | None,
) -> Opened:
    path = Path(run)
    found = open_run(path)
    if found.verb != "search":
        advice = "genotypes are derived from one of `fairdarts search`"
        raise UserError(f"{path}: is a run of `fairdarts {found.verb}`: {advice}")
    settings = check(SearchSettings, read_yaml(path / "settings.yaml"), path / "settings.yaml")
    space = load_space(str(path / "space.yaml"))
    records = check_records(found.records(), space, str(found.metrics))
    record = _record_of(epoch, records, settings, str(found.metrics))
    rule = rule_of(space, settings.derive, method, threshold, max_skips)
    if settings.edges and rule.threshold is not None:
        raise UserError(f"derive: threshold {rule.threshold}: in this search {COMPETING}")
    source = f"search {settings.name}, seed {settings.seed}, epoch {record['epoch']}"
    if epoch == "best":
        source += f" (lowest held-out loss, {record['valid_loss']:.4f})"
    called = path.resolve().name + ("" if epoch is None else f"-epoch-{record['epoch']}")
    return Opened(as_matrices(record["gates"], space, source), space, rule, name or called, source, Run(path))


def _record_of(
    epoch: Epoch | None, records: Sequence[dict[str, Any]], settings: SearchSettings, place: str
) -> dict[str, Any]:
    """The record of an epoch. Raises UserError naming the place, and the epochs that there are."""
    if epoch is None:
        return kept_record(list(records), settings.stopping, settings.architect.warmup)
    if epoch == "last":
        return records[-1]
    if epoch == "best":
        judged = [record for record in records if isinstance(record.get("valid_loss"), float)]
        if not judged:
            single = settings.architect.kind == "single_level"
            why = "a single-level search measures none" if single else "α has not been trained yet"
            raise UserError(f"{place}: epoch best: no epoch has a held-out loss: {why}; name an epoch by its number")
        return min(judged, key=lambda record: record["valid_loss"])
    known = {record["epoch"]: record for record in records}
    if epoch not in known:
        are = f"{min(known)} to {max(known)}" if len(known) > 1 else f"{max(known)} alone"
        raise UserError(f"{place}: epoch {epoch}: there is none; should be {are}, last or best")
    return known[epoch]


def rule_of(
    space: Space,
    own: DeriveSettings | None,
    method: Method | None,
    threshold: float | None,
    max_skips: int | None,
) -> DeriveSettings:
    """The rule that is asked for; of a run, its `own` where nothing else is."""
    told = {"method": method, "threshold": threshold, "max_skips": max_skips}
    content = (own.model_dump() if own else {}) | {key: value for key, value in told.items() if value is not None}
    if threshold is not None and content["method"] == "argmax":
        raise UserError(f"derive: threshold {threshold}: goes with method threshold or edge; argmax has none")
    rule = check(DeriveSettings, content, "derive")
    check_rule(rule, space, "derive: ")
    return rule


def source_of(asked: Opened) -> str:
    """Where the gates come from, and by which rule a genotype is made of them."""
    rule = asked.rule
    how = rule.method if rule.method == "argmax" or rule.threshold is None else f"{rule.method} {rule.threshold}"
    skips = "" if rule.max_skips is None else f", at most {rule.max_skips} skip connections a cell"
    return f"{asked.source}, {how}{skips}"
