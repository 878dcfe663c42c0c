#!/usr/bin/env python3
"""What moves the gates of a search: what a candidate does for the held-out loss, or the competition of softmax?

    python benchmarks/inside.py --images cifar-2000 --out benchmarks/results/inside.json --figure inside.png
    python benchmarks/inside.py --out benchmarks/results/inside.json --figure inside.png   # drawn again from the result

Two searches of the study collapse-nasbench201-small: DARTS, which collapses, and FairDARTS. `Inside`
watches any first-order search; it changes no number of it. Section 3.2 of FairDARTS (arXiv:1911.12126) explains the
collapse by an unfair advantage of skip connections in an exclusive competition. Both are terms of the gradient that α
gets. Let z be the gates of an edge, L the cross-entropy of the step's held-out batch, and w the weight of the zero-one
loss L₀₋₁. Of every step, and every candidate k of every edge:

    gain_k        = −∂L/∂z_k                       how fast L falls as the gate alone is raised
    own_k         = ∂z_k/∂α_k · gain_k             = z_k (1 − z_k) gain_k, under softmax and sigmoid alike
    competition_k = Σ_{j≠k} ∂z_j/∂α_k · gain_j     = −z_k Σ_{j≠k} z_j gain_j under softmax, 0 under sigmoid
    zero_one_k    = −w · ∂L₀₋₁/∂α_k

The whole is the direction that α_k descends in: own_k + competition_k + zero_one_k = −∂(L + w L₀₋₁)/∂α_k. An advantage
is a gain above those of the others. The competition is what α_k hears of the others: they are worth less or more as z_k
takes from them. (−∂L/∂α_k = z_k gain_k − z_k Σ_j z_j gain_j is the same sum; there z_k² gain_k stands in both terms.)

Adam, with its momentum and weight decay, makes a step Δα of it, so a gate's move is split by whose α moved:

    moved_own_k         = z_k where α_k alone has taken its step, less z_k before       ≈ z_k (1 − z_k) Δα_k
    moved_competition_k = z_k after the step, less z_k where α_k alone has taken it     ≈ −z_k Σ_{j≠k} z_j Δα_j

These two are summed over the steps of an epoch: together they are what `gate`, z at the end of the epoch, has gained
since the last one. Of the others the mean over the steps is kept and, of gain, own and competition, the standard
deviation (`_std`). Each is a matrix [points, candidates] of a part of the space, here of the 6 `edges`. `cell` is what
the gates at the end of the epoch derive.
"""

import argparse
import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import yaml
from circumstances import circumstances
from inside_figure import inside_figure, inside_info, inside_table
from torch import Tensor
from torch.func import jacrev, vmap

import fairdarts
from fairdarts import resources
from fairdarts.config import UserError
from fairdarts.differentiable.losses import zero_one
from fairdarts.genotype import SKIP, read
from fairdarts.plot.style import rendered
from fairdarts.relaxation import RELAXATIONS, Matrices, dense

STUDY, ROWS = "collapse-nasbench201-small", ("darts", "fairdarts")
"""the study, and its rows that are looked into"""

SPREAD = ("gain", "own", "competition")
SUMMED = ("moved_own", "moved_competition")


def pushes(alpha: Tensor, gain: Tensor, relaxation: Any) -> tuple[Tensor, Tensor]:
    """own and competition, from α and gain [points, candidates]."""
    slopes = vmap(jacrev(relaxation))(alpha)  # [points, gates, α]
    own = slopes.diagonal(dim1=1, dim2=2) * gain
    return own, torch.einsum("pjk,pj->pk", slopes, gain) - own


def moves(before: Tensor, after: Tensor, relaxation: Any) -> tuple[Tensor, Tensor]:
    """moved_own and moved_competition, from α before and after a step [points, candidates]."""
    one_moved = relaxation(before[:, None] + torch.diag_embed(after - before))  # [points, whose α moves, candidates]
    alone = one_moved.diagonal(dim1=1, dim2=2)
    return alone - relaxation(before), relaxation(after) - alone


class Inside(fairdarts.Callback):
    """Watches what moves the gates of a first-order search: `epochs` holds what the module's docstring says.

    The gradient of the gates is that of the search's own backward pass, so watching costs next to nothing.
    """

    def __init__(self) -> None:
        self.epochs: list[dict[str, Any]] = []
        """of every epoch: its number and accuracies; of every part of the space, name of a quantity → matrix"""
        self.seen: list[dict[str, dict[str, Tensor]]] = []
        """the same of every step of the epoch under way, in float64"""
        self._taken: dict[Tensor, tuple[Tensor, Tensor]] = {}  # α → what it was, and the gradient of its gates

    def begin(self, run: fairdarts.Run) -> None:
        """Raises UserError where a step of α is more than one backward pass through undisturbed gates."""
        settings = run.settings
        if settings.architect.kind != "first_order" or settings.compute.accumulate > 1:
            raise UserError("inside: architect.kind should be first_order, and compute.accumulate 1")
        if settings.noise or settings.dropout:
            raise UserError("inside: noise and dropout should be left out")
        if settings.edges:
            raise UserError("inside: edges should be left out, as α's gates are then not all that a step learns")
        self._settings, self._space = settings, run.space
        self._relaxation = RELAXATIONS[settings.relaxation]
        RELAXATIONS[settings.relaxation] = self._watched

    def end(self, run: fairdarts.Run) -> None:
        RELAXATIONS[self._settings.relaxation] = self._relaxation

    def _watched(self, alpha: Tensor) -> Tensor:
        """The gates of α, which say what gradient they get."""
        gates = self._relaxation(alpha)
        if gates.requires_grad:
            before = alpha.detach().to(torch.float64, copy=True)  # which a step overwrites

            def take(gradient: Tensor) -> None:
                self._taken[alpha] = before, gradient.double()

            gates.register_hook(take)
        return gates

    def step(self, epoch: int, step: int, steps: int, *seen: Any) -> None:
        _, alphas = seen
        if self._taken:  # while the weights warm up, no α moves
            self.seen.append(self._looked(alphas))
            self._taken.clear()

    def _looked(self, alphas: Matrices) -> dict[str, dict[str, Tensor]]:
        """What a step has shown; `alphas` are those after it."""
        before = {part: self._taken[alpha][0].requires_grad_() for part, alpha in alphas.items()}
        gates = {part: self._relaxation(alpha) for part, alpha in before.items()}
        push = -self._settings.zero_one.weight * zero_one(dense(gates, self._space), self._settings.zero_one.form)
        of_gates = torch.autograd.grad(push, list(gates.values()), retain_graph=True)
        of_alphas = torch.autograd.grad(push, list(before.values()))
        looked = {}
        for part, on_gates, on_alphas in zip(alphas, of_gates, of_alphas, strict=True):
            alpha = before[part].detach()
            gain = -self._taken[alphas[part]][1] - on_gates
            own, competition = pushes(alpha, gain, self._relaxation)
            moved = dict(zip(SUMMED, moves(alpha, alphas[part].detach().double(), self._relaxation), strict=True))
            looked[part] = {"gain": gain, "own": own, "competition": competition, "zero_one": on_alphas, **moved}
        return looked

    def epoch(self, record: dict[str, Any]) -> None:
        if self.seen:
            told = {name: record[name] for name in ("epoch", "train_accuracy", "valid_accuracy", "valid_loss")}
            for part in self._space.parts:
                seen = of_epoch([step[part] for step in self.seen])
                told[part] = {"gate": shortened(record["gates"][part], digits=6), **seen}
            self.epochs.append(told)
            self.seen.clear()


def of_epoch(steps: list[dict[str, Tensor]]) -> dict[str, list[list[float]]]:
    """The matrices of an epoch from those of its steps."""
    found = {}
    for name in steps[0]:
        several = torch.stack([step[name] for step in steps]).cpu().numpy()
        found[name] = several.sum(0) if name in SUMMED else several.mean(0)
        if name in SPREAD:
            found[f"{name}_std"] = several.std(0)
    return {name: shortened(matrix) for name, matrix in found.items()}


def shortened(matrix: Any, digits: int = 4) -> list[list[float]]:
    """A matrix of numbers of so many digits."""
    return [[float(f"{value:.{digits}g}") for value in row] for row in matrix]


def measure(recipe: str, settings: dict[str, Any]) -> dict[str, Any]:
    """A search that is watched: its settings, candidates and epochs."""
    watch = Inside()

    def say(record: dict[str, Any]) -> None:
        print(f"{recipe}, epoch {record['epoch']}: {record['seconds']:.1f} s", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory() as folder:
        run = fairdarts.search(recipe, settings=settings, out=Path(folder) / recipe, callbacks=[watch, say])
        for epoch in watch.epochs:
            cell = read(run.path / "genotypes" / f"epoch-{epoch['epoch']:03d}.yaml").edges
            epoch |= {"cell": cell, "skips": cell.count(SKIP)}
        return {"relaxation": run.settings.relaxation, "candidates": run.space.candidates, "epochs": watch.epochs}


def as_text(result: dict[str, Any]) -> str:
    """JSON, a row of a matrix in a line."""
    return re.sub(r"\[\s+([^][{}]+?)\s+\]", lambda row: f"[{' '.join(row[1].split())}]", json.dumps(result, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", help="class folders of images; none: the result is read, not measured")
    parser.add_argument("--seed", type=int, default=0, help="seed of both searches")
    parser.add_argument("--out", type=Path, required=True, help="JSON file of the result")
    parser.add_argument("--figure", type=Path, help="PNG or SVG file")
    args = parser.parse_args()
    if args.images:
        study = yaml.safe_load(resources.find("studies", STUDY).read_text(encoding="utf-8"))
        result: dict[str, Any] = {**circumstances("cpu"), "study": STUDY, "seed": args.seed, "runs": {}}
        for row in (row for row in study["runs"] if row["name"] in ROWS):
            settings = study["shared"] | row["changes"] | {"seed": args.seed, "data.root": args.images}
            result["runs"][row["config"]] = measure(row["config"], settings)
            args.out.write_text(as_text(result) + "\n")
    info = inside_info(json.loads(args.out.read_text()))
    print(inside_table(info), end="")
    if args.figure:
        args.figure.write_bytes(rendered(inside_figure(info), args.figure.suffix[1:]))


if __name__ == "__main__":
    main()
