"""`fairdarts draw`: the cells or layers of a genotype, all figures of a run, or the fronts of several searches."""

from collections.abc import Sequence
from pathlib import Path

from fairdarts.cli.words import Parser


def main(argv: Sequence[str]) -> int:
    parser = Parser("draw", "Draw a genotype, all figures of a run, or the fronts of several evolutionary searches.")
    parser.add_argument(
        "genotypes",
        nargs="+",
        metavar="genotype",
        help="a shipped name, a YAML file, a text file with a printed Genotype(...), or a run directory; "
        "or several runs of `fairdarts evolve`",
    )
    parser.add_argument("--out", type=Path, help="folder of the figures (default: figures, or the run's own)")
    args = parser.parse_args(argv)
    from fairdarts.runs.figures import draw  # here, as torch takes seconds to load, and words can be wrong before

    for path in draw(args.genotypes, args.out):
        print(path)
    return 0
