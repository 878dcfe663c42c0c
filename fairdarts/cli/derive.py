"""`fairdarts derive`: a genotype from a run's gates, or from matrices of gates or α in a file."""

import sys
from collections.abc import Sequence
from pathlib import Path

from fairdarts.cli.words import Parser, say
from fairdarts.config import UserError, check, read_yaml
from fairdarts.genotype import Genotype, to_darts_text, to_yaml
from fairdarts.relaxation import RELAXATIONS
from fairdarts.runtime.run import open_run
from fairdarts.search.alphas import GATES, read_gates
from fairdarts.search.derive import METHODS, GateMatrices, as_matrices, check_kind, check_records, check_rule, derive
from fairdarts.search.settings import DeriveSettings, SearchSettings
from fairdarts.search.stopping import kept_record
from fairdarts.spaces.cell import CellSpace
from fairdarts.spaces.space import FORMS, Space, load_space

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
    parser = Parser("derive", "Derive a genotype and print it as YAML.", EPILOG)
    parser.add_argument("run", nargs="?", type=Path, help="a run directory; its last whole epoch is used")
    parser.add_argument("--alphas", type=Path, metavar="FILE", help="matrices of gates, or of α, instead of a run")
    parser.add_argument(
        "--relaxation", choices=[*sorted(RELAXATIONS), GATES], help="what makes gates of α (default for .npz: none)"
    )
    parser.add_argument("--space", help="search space of the matrices, such as s1")
    parser.add_argument("--method", choices=METHODS, help="default: as the run's settings say; threshold for matrices")
    parser.add_argument("--threshold", type=float, help="gate that an operation must reach")
    parser.add_argument("--max-skips", type=int, help="most skip connections of a cell; the weakest give way")
    parser.add_argument("--name", help="name of the genotype")
    parser.add_argument(
        "--format", choices=("yaml", "darts"), default="yaml", help="darts: the line DARTS code prints, of cells"
    )
    args = parser.parse_args(argv)

    if (args.run is None) == (args.alphas is None):
        raise UserError("derive: give either a run directory or --alphas FILE")
    if args.run is not None:
        if args.space:
            raise UserError("derive: --space goes with --alphas; a run knows its own space")
        if args.relaxation:
            raise UserError("derive: --relaxation goes with --alphas; a run knows its own gates")
        gates, space, rule, source, name = from_run(args.run)
        matrices = as_matrices(gates, space, source)
    else:
        if not args.space:
            raise UserError("derive: --alphas needs --space, such as --space s1")
        space = load_space(args.space)
        check_kind(space, f"derive: --space {args.space}")
        rule, source, name = None, str(args.alphas), args.alphas.stem
        matrices = read_gates(args.alphas, space, args.relaxation)
    method = args.method or (rule.method if rule else "threshold")
    threshold = args.threshold if args.threshold is not None else rule.threshold if rule else None
    if args.threshold is not None and method == "argmax":
        raise UserError("derive: --threshold goes with --method threshold or edge; argmax has none")
    max_skips = args.max_skips if args.max_skips is not None else rule.max_skips if rule else None
    rule = check(DeriveSettings, {"method": method, "threshold": threshold, "max_skips": max_skips}, "command line")
    check_rule(rule, space, "command line: ")
    if args.format == "darts" and not isinstance(space, CellSpace):
        holds = FORMS[space.kind].holds
        raise UserError(f"derive: --format darts is for cells; {space.name} has {holds}, which are printed as yaml")
    origin = source + (f", {args.relaxation} of α" if args.relaxation not in (None, GATES) else "")
    origin += f", {method}" + ("" if method == "argmax" or threshold is None else f" {threshold}")
    origin += "" if max_skips is None else f", at most {max_skips} skip connections a cell"
    genotype = derive(matrices, space, method, threshold, args.name or name, origin, max_skips)
    for note in notes_on(genotype, matrices):
        say(note)
    sys.stdout.write(to_yaml(genotype) if args.format == "yaml" else to_darts_text(genotype, space.nodes) + "\n")
    return 0


def notes_on(genotype: Genotype, matrices: GateMatrices) -> list[str]:
    """What a reader would not expect: cells without operations, or layers that none of the gates decided."""
    strongest = {cell: f"the strongest gate is {matrices[cell].max():.3f}" for cell in genotype.empty_cells}
    return [*genotype.remarks, *(f"{cell}: no operation takes part; {gate}" for cell, gate in strongest.items())]


def from_run(path: Path) -> tuple[dict, Space, DeriveSettings, str, str]:
    """Gates of the record that a run keeps, space, derivation settings, source and name of it."""
    run = open_run(path)
    if run.verb != "search":
        advice = "genotypes are derived from one of `fairdarts search`"
        raise UserError(f"{path}: is a run of `fairdarts {run.verb}`: {advice}")
    settings = check(SearchSettings, read_yaml(path / "settings.yaml"), path / "settings.yaml")
    space = load_space(str(path / "space.yaml"))
    records = check_records(run.records(), space, str(run.metrics))
    kept = kept_record(list(records), settings.stopping)
    source = f"search {settings.name}, seed {settings.seed}, epoch {kept['epoch']}"
    return kept["gates"], space, settings.derive, source, path.resolve().name
