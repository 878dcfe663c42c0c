"""`fairdarts derive`: a genotype from a run's gates, or from matrices of gates or α in a file."""

import sys
from argparse import ArgumentTypeError
from collections.abc import Sequence
from pathlib import Path

from fairdarts.cli.words import Parser
from fairdarts.config import UserError, choices_of
from fairdarts.differentiable.settings import GATES, DeriveSettings, SearchSettings
from fairdarts.genotype import CellGenotype, to_darts_text, to_yaml

EPILOG = """methods for cells (S1):
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
whose names tell which is which, or in this order in a list (what DARTS' arch_parameters() gives) or in one array."""


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
    parser.add_argument(
        "--format", choices=("yaml", "darts"), default="yaml", help="darts: the line DARTS code prints, of cells"
    )
    args = parser.parse_args(argv)

    if (args.run is None) == (args.alphas is None):
        raise UserError("derive: give either a run directory or --alphas FILE")
    told = {"threshold": args.threshold, "max_skips": args.max_skips, "name": args.name}
    if args.run is not None and args.space:
        raise UserError("derive: --space goes with --alphas; a run knows its own space")
    if args.run is not None and args.relaxation:
        raise UserError("derive: --relaxation goes with --alphas; a run knows its own gates")
    if args.run is None and not args.space:
        raise UserError("derive: --alphas needs --space, such as --space s1")
    if args.run is None and args.epoch is not None:
        raise UserError("derive: --epoch goes with a run directory; matrices are of one moment")

    # here, as torch takes seconds to load, and words can be wrong before
    from fairdarts.runs.derive import derive, derive_from
    from fairdarts.spaces.cell import CellSpace
    from fairdarts.spaces.space import load_space

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


def _epoch(text: str) -> int | str:
    if text in ("last", "best"):
        return text
    if text.isdecimal() and len(text) < 10:
        return int(text)
    raise ArgumentTypeError(f"'{text}': should be a number, last or best")
