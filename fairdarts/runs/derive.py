"""A genotype from the gates of a search, of any of its epochs, or from matrices of gates or α."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from fairdarts.checking import check
from fairdarts.config import Notice, UserError
from fairdarts.differentiable.alphas import gates_of, read_gates
from fairdarts.differentiable.derive import GateMatrices, as_matrices, check_kind, check_records, check_rule
from fairdarts.differentiable.derive import derive as genotype_of
from fairdarts.differentiable.settings import GATES, DeriveSettings, SearchSettings
from fairdarts.differentiable.stopping import kept_record
from fairdarts.genotype import Genotype
from fairdarts.reading import read_yaml
from fairdarts.runs.result import Run
from fairdarts.runtime.run import open_run
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
) -> Genotype:
    """The genotype of a search, finished or not: of the epoch that its final genotype is of, or would be.

    `epoch` names another: 0 is before training, "best" has the lowest held-out loss, which is the mean over the epoch's
    steps. What is not given is as the run's settings say. Warns with a Notice of what the derivation had to decide, and
    of cells without operations. Raises UserError where the run has no such epoch, or is not one of a search.

    >>> fairdarts.derive("runs/mine", method="threshold", threshold=0.5)
    >>> fairdarts.derive("runs/mine", epoch="best")
    """
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
    return _derived(as_matrices(record["gates"], space, source), space, rule, name or called, source)


def derive_from(
    matrices: str | Path | Mapping[str, Any],
    space: str | Path | Space,
    *,
    relaxation: str | None = None,
    method: Method = "threshold",
    threshold: float | None = None,
    max_skips: int | None = None,
    name: str | None = None,
) -> Genotype:
    """The genotype of matrices [choice points, candidates], in an .npz, .npy or .pt file or by the names of the space's
    parts: gates, or (`relaxation` softmax or sigmoid) α.

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
    return _derived(gates, space, rule, name or called, source)


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


def _derived(matrices: GateMatrices, space: Space, rule: DeriveSettings, name: str, source: str) -> Genotype:
    """The genotype by a rule, which its source tells; Notices say what a reader of it would not expect."""
    source += f", {rule.method}" + ("" if rule.method == "argmax" or rule.threshold is None else f" {rule.threshold}")
    source += "" if rule.max_skips is None else f", at most {rule.max_skips} skip connections a cell"
    genotype = genotype_of(matrices, space, rule.method, rule.threshold, name, source, rule.max_skips)
    strongest = {cell: f"the strongest gate is {matrices[cell].max():.3f}" for cell in genotype.empty_cells}
    for note in (*genotype.remarks, *(f"{cell}: no operation takes part; {gate}" for cell, gate in strongest.items())):
        warnings.warn(note, Notice, stacklevel=3)
    return genotype
