"""A genotype from the gates of a search, of any of its epochs, or from matrices of gates or α."""

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fairdarts.config import Notice
from fairdarts.differentiable.alphas import gates_of, read_gates
from fairdarts.differentiable.derive import GateMatrices, check_kind
from fairdarts.differentiable.derive import derive as genotype_of
from fairdarts.differentiable.settings import GATES, DeriveSettings
from fairdarts.genotype import Genotype
from fairdarts.runs.opened import Epoch, Method, Opened, opened, rule_of, source_of
from fairdarts.spaces.space import Space, load_space


def derive(
    run: str | os.PathLike[str],
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
    return _within(asked, budget, latency, asked.network(settings))


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
    rule = rule_of(space, None, method, threshold, max_skips)
    source += f", {relaxation} of α" if relaxation not in (None, GATES) else ""
    asked = Opened(gates, space, rule, name or called, source)
    if budget is None:
        return _derived(gates, space, rule, asked.name, source)
    return _within(asked, budget, latency, settings)


def _derived(matrices: GateMatrices, space: Space, rule: DeriveSettings, name: str, source: str) -> Genotype:
    """The genotype by a rule, which its source tells; Notices say what a reader of it would not expect."""
    source = source_of(Opened(matrices, space, rule, name, source))
    genotype = genotype_of(matrices, space, rule.method, rule.threshold, name, source, rule.max_skips)
    strongest = {cell: f"the strongest gate is {matrices[cell].max():.3f}" for cell in genotype.empty_cells}
    for note in (*genotype.remarks, *(f"{cell}: no operation takes part; {gate}" for cell, gate in strongest.items())):
        warnings.warn(note, Notice, stacklevel=3)
    return genotype


def _within(asked: Opened, budget: str, latency: str | Path | None, settings: Mapping[str, Any] | None) -> Genotype:
    """The genotype within a budget."""
    from fairdarts.runs.bounded import read_budget, within  # here, as networks are counted with torch

    return within(asked, read_budget(budget, latency, settings))
