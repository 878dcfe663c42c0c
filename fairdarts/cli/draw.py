"""`fairdarts draw`: the cells or layers of a genotype, all figures of a run, or several searches in one figure."""

from collections.abc import Sequence
from pathlib import Path

from fairdarts.cli.words import Parser
from fairdarts.plot.settings import FORMATS, USUAL, checked_formats


def main(argv: Sequence[str]) -> int:
    parser = Parser("draw", "Draw a genotype, all figures of a run, or several searches in one figure.")
    parser.add_argument(
        "genotypes",
        nargs="+",
        metavar="genotype",
        help="a shipped name, a YAML file, a text file with a printed Genotype(...), or a run directory; "
        "several runs of `fairdarts evolve`; up to four of `fairdarts search` with --edge; "
        "or zero-one, the form of the zero-one losses",
    )
    parser.add_argument("--out", type=Path, help="folder of the figures (default: figures, or the run's own)")
    parser.add_argument(
        "--edge", help="lay the gates of runs over one another on this edge or layer: normal:5,4, edges:3,1, layers:7"
    )
    kinds, usual = ", ".join(FORMATS), ",".join(USUAL)
    parser.add_argument("--format", action="append", help=f"some of {kinds}, by commas (default: {usual})")
    args = parser.parse_args(argv)
    named = [name.strip() for word in args.format or USUAL for name in word.split(",")]
    formats = checked_formats(named, "draw: --format")
    from fairdarts.runs.draw import draw  # here, as words can be wrong before

    for path in draw(args.genotypes, args.out, edge=args.edge, formats=formats):
        print(path)
    return 0
