"""`fairdarts derive`: a genotype from a run's gates, or from matrices of gates or α in a file."""

import sys
from argparse import ArgumentTypeError
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairdarts.cli.words import Parser, empty_table, print_table
from fairdarts.config import UserError, choices_of, describe
from fairdarts.differentiable.settings import GATES, DeriveSettings, SearchSettings
from fairdarts.evolution.objectives import amount, read_limit
from fairdarts.genotype import CellGenotype, to_darts_text, to_yaml
from fairdarts.networks.settings import NetworkOptions
from fairdarts.options import words_of
from fairdarts.runs.recipe import laid_over

if TYPE_CHECKING:
    from fairdarts.runs.derive_front import Front

EPILOG = f"""methods for cells (S1):
  argmax      DARTS: a node's two strongest edges, each with its strongest operation
  threshold   FairDARTS: of these, the operations whose gate reaches the threshold
  edge        on every edge, up to two operations whose gates reach the threshold
methods for a chain of layers (S2):
  argmax      DARTS: the strongest choice of every layer
  threshold   FairDARTS: up to two choices a layer whose gates reach the threshold; without any, a layer is removed
              if it keeps the shape, else it keeps its strongest choice
methods for the edges of NAS-Bench-201:
  argmax      DARTS: the strongest operation of every edge, which none never is
  threshold   of these, the operations whose gate reaches the threshold; elsewhere none

An .npz file holds gates (softmax or sigmoid of α) from 0 to 1: normal and reduce, or edges, [edges, candidates], or
layers, [layers, candidates]: in S1 that is [14, 7], in S2 [19, 7]. Layers that differ in their choices are layers-1,
layers-2, … With --relaxation it holds α themselves, and may be an .npy or a .pt file as well: matrices of these shapes
whose names tell which is which, or in this order in a list (what DARTS' arch_parameters() gives) or in one array.

With --budget it is the genotype that keeps the greatest sum of gates within it, by the same method; stderr says what it
gave up. settings of the network that is counted, where it is not as the run or its space says:
{describe(NetworkOptions)}"""


def main(argv: Sequence[str]) -> int:
    methods = choices_of(DeriveSettings.model_fields["method"])
    relaxations = choices_of(SearchSettings.model_fields["relaxation"])
    parser = Parser("derive", "Derive a genotype and print it as YAML.", EPILOG)
    parser.add_argument(
        "run", nargs="?", type=Path, help="a run directory; its last whole epoch is used, if no other is named"
    )
    parser.add_argument(
        "--epoch", type=_epoch, help="number of an epoch of the run, last, or best: that of the lowest held-out loss"
    )
    parser.add_argument("--alphas", type=Path, metavar="FILE", help="matrices of gates, or of α, instead of a run")
    parser.add_argument(
        "--relaxation", choices=[*sorted(relaxations), GATES], help="what makes gates of α (default for .npz: none)"
    )
    parser.add_argument("--space", help="search space of the matrices, such as s1")
    parser.add_argument("--method", choices=methods, help="default: as the run's settings say; threshold for matrices")
    parser.add_argument("--threshold", type=float, help="gate that an operation must reach")
    parser.add_argument("--max-skips", type=int, help="most skip connections of a cell; the weakest give way")
    parser.add_argument("--name", help="name of the genotype")
    bounds = "'madds <= 20e6', or params, or latency in ms; several: a front"
    parser.add_argument("--budget", action="append", metavar="LIMIT", help=bounds)
    parser.add_argument("--latency", type=Path, metavar="CSV", help="what every choice takes (default: measured here)")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="of several budgets: genotypes and a figure")
    parser.add_argument(
        "--format", choices=("yaml", "darts"), default="yaml", help="darts: the line DARTS code prints, of cells"
    )
    args, rest = parser.parse_known_args(argv)
    settings = words_of(NetworkOptions, rest, parser.options)
    laid_over(NetworkOptions, {}, "settings", settings)

    if (args.run is None) == (args.alphas is None):
        raise UserError("derive: give either a run directory or --alphas FILE")
    told: dict[str, Any] = {"threshold": args.threshold, "max_skips": args.max_skips, "name": args.name}
    if args.run is not None and args.space:
        raise UserError("derive: --space goes with --alphas; a run knows its own space")
    if args.run is not None and args.relaxation:
        raise UserError("derive: --relaxation goes with --alphas; a run knows its own gates")
    if args.run is None and not args.space:
        raise UserError("derive: --alphas needs --space, such as --space s1")
    if args.run is None and args.epoch is not None:
        raise UserError("derive: --epoch goes with a run directory; matrices are of one moment")

    if args.budget is None and (args.latency or settings or settings.problems):
        raise UserError("derive: --latency and --network.… go with --budget; nothing is counted without one")
    if (args.out is not None) != (len(args.budget or ()) > 1):
        raise UserError("derive: --out FOLDER goes with several --budget, whose genotypes lie there")
    if args.out is not None and (args.run is None or args.name or args.format != "yaml"):
        raise UserError("derive: several --budget go with a run directory, and without --name and --format")

    # here, as torch takes seconds to load, and words can be wrong before
    from fairdarts.runs.derive import derive, derive_from
    from fairdarts.spaces.cell import CellSpace
    from fairdarts.spaces.space import load_space

    counted = {"latency": args.latency, "settings": settings}
    if args.out is not None:
        del told["name"]
        told |= {"method": args.method, "epoch": args.epoch}
        from fairdarts.runs.derive_front import derive_front  # here, as it loads matplotlib

        show(args.budget, derive_front(args.run, args.budget, args.out, **told, **counted))
        return 0
    told |= counted | {"budget": args.budget and args.budget[0]}
    if args.run is not None:
        genotype = derive(args.run, method=args.method, epoch=args.epoch, **told)
    else:
        method = args.method or "threshold"
        genotype = derive_from(args.alphas, args.space, relaxation=args.relaxation, method=method, **told)
    if args.format == "yaml":
        sys.stdout.write(to_yaml(genotype))
        return 0
    space = load_space(args.space or str(args.run / "space.yaml"))
    if not isinstance(space, CellSpace) or not isinstance(genotype, CellGenotype):
        raise UserError(
            f"derive: --format darts is for cells; {space.name} has {genotype.holds}, which are printed as yaml"
        )
    sys.stdout.write(to_darts_text(genotype, space.nodes) + "\n")
    return 0


def show(budgets: Sequence[str], front: "Front") -> None:
    """What every budget allows, on stdout."""
    table = empty_table("budget", "cost", "sum of gates", "without budget", "genotype")
    for budget, found in zip(budgets, front.found, strict=True):
        limit = read_limit(budget)
        if found is None:
            table.add_row(str(limit), "–", "–", "–", "none: no network costs so little")
            continue
        masses = f"{found.mass:.3f}", f"{found.mass_without:.3f}"
        table.add_row(str(limit), amount(found.cost, limit.quantity), *masses, found.genotype.name)
    print_table(table)
    for path in front.files:
        print(path)


def _epoch(text: str) -> int | str:
    if text in ("last", "best"):
        return text
    if text.isdecimal() and len(text) < 10:
        return int(text)
    raise ArgumentTypeError(f"'{text}': should be a number, last or best")
