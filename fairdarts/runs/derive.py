"""A genotype from the gates of a search, of any of its epochs, or from matrices of gates or α."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from fairdarts.checking import check
from fairdarts.config import Notice, UserError
from fairdarts.differentiable.alphas import gates_of, read_gates
from fairdarts.differentiable.bounded import Bounded, bounded
from fairdarts.differentiable.derive import METHODS, GateMatrices, as_matrices, check_kind, check_records, check_rule
from fairdarts.differentiable.derive import derive as genotype_of
from fairdarts.differentiable.settings import GATES, DeriveSettings, SearchSettings
from fairdarts.differentiable.stopping import kept_record
from fairdarts.differentiable.within import least_within
from fairdarts.genotype import Genotype
from fairdarts.networks.blueprint import as_searched
from fairdarts.networks.settings import AS_NAMED
from fairdarts.reading import read_yaml
from fairdarts.runs.bounded import Asked, counted_by, read_budget, told, too_little
from fairdarts.runs.result import Run
from fairdarts.runtime.run import open_run
from fairdarts.runtime.shape import Shape
from fairdarts.spaces.space import Space, load_space

Method = str
Epoch = int | Literal["last", "best"]


def derive(
    run: str | Path | Run,
    *,
    method: Method | None = None,
    threshold: float | None = None,
    max_skips: int | None = None,
    epoch: Epoch | None = None,
    name: str | None = None,
    budget: str | None = None,
    latency: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Genotype:
    """The genotype of a search, finished or not: of the epoch that its final genotype is of, or would be.

    `epoch` names another: 0 is before training, "best" has the lowest held-out loss, which is the mean over the epoch's
    steps. What is not given is as the run's settings say. With a `budget`, "madds <= 20e6", it is the genotype that
    keeps the greatest sum of gates within it; params and latency in milliseconds may be bounded, too. `latency` is a
    CSV file of what every choice takes, where the run keeps none and none shall be measured; `settings` are those of
    the network that is counted, such as `{"network.cells": 8}`. Warns with a Notice of what the derivation had to
    decide, what the budget took, and of cells without operations. Raises UserError where the run has no such epoch, is
    not one of a search, or no network keeps the budget.

    >>> fairdarts.derive("runs/mine", method="threshold", threshold=0.5)
    >>> fairdarts.derive("runs/mine", epoch="best")
    >>> fairdarts.derive("runs/mine", budget="madds <= 20e6")
    """
    asked = opened(run, method, threshold, max_skips, epoch, name)
    if budget is None:
        return _derived(asked.gates, asked.space, asked.rule, asked.name, asked.source)
    return _within(asked, read_budget(budget, latency, asked.network(settings)))


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
    run: str | Path | Run,
    method: Method | None,
    threshold: float | None,
    max_skips: int | None,
    epoch: Epoch | None,
    name: str | None,
) -> Opened:
    path = run.path if isinstance(run, Run) else Path(run)
    found = open_run(path)
    if found.verb != "search":
        advice = "genotypes are derived from one of `fairdarts search`"
        raise UserError(f"{path}: is a run of `fairdarts {found.verb}`: {advice}")
    settings = check(SearchSettings, read_yaml(path / "settings.yaml"), path / "settings.yaml")
    space = load_space(str(path / "space.yaml"))
    records = check_records(found.records(), space, str(found.metrics))
    record = _record_of(epoch, records, settings, str(found.metrics))
    rule = _rule(space, settings.derive, method, threshold, max_skips)
    source = f"search {settings.name}, seed {settings.seed}, epoch {record['epoch']}"
    if epoch == "best":
        source += f" (lowest held-out loss, {record['valid_loss']:.4f})"
    called = path.resolve().name + ("" if epoch is None else f"-epoch-{record['epoch']}")
    return Opened(as_matrices(record["gates"], space, source), space, rule, name or called, source, Run(path))


def derive_from(
    matrices: str | Path | Mapping[str, Any],
    space: str | Path | Space,
    *,
    relaxation: str | None = None,
    method: Method = "threshold",
    threshold: float | None = None,
    max_skips: int | None = None,
    name: str | None = None,
    budget: str | None = None,
    latency: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Genotype:
    """The genotype of matrices [choice points, candidates], in an .npz, .npy or .pt file or by the names of the space's
    parts: gates, or (`relaxation` softmax or sigmoid) α. Networks are counted for the images that the space was made
    for, where a `budget` bounds them.

    Warns and raises as `derive`; also where it cannot be told which matrices of a file are α.

    >>> fairdarts.derive_from({"normal": gates, "reduce": gates}, "s1", threshold=0.85)
    >>> fairdarts.derive_from("alphas.pt", "s1", relaxation="softmax", method="argmax")
    """
    if isinstance(space, str | Path):
        space = load_space(str(space))
    check_kind(space, f"derive: space {space.name}")
    if isinstance(matrices, Mapping):
        source, called = "matrices", "derived"
        gates = gates_of(matrices, space, relaxation, source)
    else:
        source, called = str(matrices), Path(matrices).stem
        gates = read_gates(Path(matrices), space, relaxation)
    rule = _rule(space, None, method, threshold, max_skips)
    source += f", {relaxation} of α" if relaxation not in (None, GATES) else ""
    asked = Opened(gates, space, rule, name or called, source)
    if budget is None:
        return _derived(gates, space, rule, asked.name, source)
    return _within(asked, read_budget(budget, latency, settings))


def _within(asked: Opened, budget: Asked) -> Genotype:
    """The genotype within a budget; Notices say what it took. Raises UserError where there is none."""
    (found,) = all_within(asked, [budget])
    if found is None:
        counted = counted_by(budget, asked.space, *_of_run(asked))
        raise too_little(budget.limit, least_within(asked.gates, asked.rule, counted), asked.rule, asked.gates)
    for line in told(found, budget.limit):
        warnings.warn(line, Notice, stacklevel=3)
    return found.genotype


def all_within(asked: Opened, budgets: Sequence[Asked]) -> list[Bounded | None]:
    """The best within each of the budgets, which are of one quantity. Raises UserError where the rule is not ours."""
    if METHODS[asked.rule.method]:
        raise UserError(f"derive: budget: goes with method argmax, threshold or edge, not '{asked.rule.method}'")
    limits = [one.limit for one in budgets]
    several = len(limits) > 1
    names = [f"{asked.name}-{limit.quantity}-{str(limit).split()[-1]}" if several else asked.name for limit in limits]
    abouts = [(name, f"{_source(asked)}, {limit}") for name, limit in zip(names, limits, strict=True)]
    counted = counted_by(budgets[0], asked.space, *_of_run(asked))
    from fairdarts.plot.edge import edge_names  # here, as matplotlib takes a second to load

    bounds = [limit.bound for limit in limits]
    return bounded(asked.gates, asked.rule, counted, bounds, abouts, list(edge_names(asked.space)))


def _of_run(asked: Opened) -> tuple[Shape | None, Path | None]:
    return (asked.run.shape, asked.run.path) if asked.run else (None, None)


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


def _rule(
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


def _source(asked: Opened) -> str:
    """Where the gates come from, and by which rule a genotype is made of them."""
    rule = asked.rule
    how = rule.method if rule.method == "argmax" or rule.threshold is None else f"{rule.method} {rule.threshold}"
    skips = "" if rule.max_skips is None else f", at most {rule.max_skips} skip connections a cell"
    return f"{asked.source}, {how}{skips}"


def _derived(matrices: GateMatrices, space: Space, rule: DeriveSettings, name: str, source: str) -> Genotype:
    """The genotype by a rule, which its source tells; Notices say what a reader of it would not expect."""
    source = _source(Opened(matrices, space, rule, name, source))
    genotype = genotype_of(matrices, space, rule.method, rule.threshold, name, source, rule.max_skips)
    strongest = {cell: f"the strongest gate is {matrices[cell].max():.3f}" for cell in genotype.empty_cells}
    for note in (*genotype.remarks, *(f"{cell}: no operation takes part; {gate}" for cell, gate in strongest.items())):
        warnings.warn(note, Notice, stacklevel=3)
    return genotype
