"""`fairdarts zoo`: genotypes, shipped, found or random, and what their networks cost."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fairdarts.cli.words import Parser, to_json
from fairdarts.cost.cost import RULES
from fairdarts.networks.settings import SIZES
from fairdarts.runs.progress import ProgressBar
from fairdarts.runtime.shape import size_text

EPILOG = """Counts are those of the paper's networks: parameters without and with the auxiliary head, multiply-adds of
convolutions and linear layers for one image; with --count fairdarts of average poolings, too, as the authors of
FairDARTS (arXiv:1911.12126) count in their Tables 1 and 2. `cifar` is 20 cells of 36 channels on 32×32, `imagenet`
14 of 48 on 224×224. The genotype of a run is counted for the run's images."""
SAMPLE_EPILOG = """FairDARTS (arXiv:1911.12126), section 6.3, finds random genotypes with two skip connections in the
normal cell and 500 M multiply-adds or more as good as those that DARTS finds: --skips 2 --madds 500. Multiply-adds
are counted as there, average poolings among them (zoo --count fairdarts)."""


def main(argv: Sequence[str]) -> int:
    if argv and argv[0] == "sample":
        return sample(argv[1:])
    parser = Parser("zoo", "List genotypes with their costs; `zoo sample` draws random ones.", EPILOG)
    parser.add_argument(
        "genotypes", nargs="*", help="models, files or run directories (default: the shipped genotypes)"
    )
    parser.add_argument("--json", action="store_true", help="a list of objects instead of a table")
    parser.add_argument("--network", choices=SIZES, help="which one to count (default: its space's first)")
    parser.add_argument("--count", choices=RULES, default=RULES[0], help=f"whose multiply-adds (default: {RULES[0]})")
    args = parser.parse_args(argv)
    from fairdarts.runs.zoo import zoo  # here, as torch takes seconds to load, and words can be wrong before

    show(zoo(args.genotypes, args.network, ProgressBar(), args.count), args.json)
    return 0


def sample(argv: Sequence[str]) -> int:
    """`fairdarts zoo sample`: genotypes drawn at random, a YAML file each."""
    parser = Parser("zoo sample", "Draw genotypes at random and write a YAML file of each.", SAMPLE_EPILOG)
    parser.add_argument("--space", default="s1", help="search space (default: s1)")
    parser.add_argument("--count", type=int, default=1, help="how many genotypes (default: 1)")
    parser.add_argument("--seed", type=int, default=0, help="decides them (default: 0)")
    parser.add_argument("--skips", type=int, help="skip connections of the normal cell (default: any number)")
    parser.add_argument("--madds", type=float, default=0, help="fewest multiply-adds of the network, in millions")
    parser.add_argument("--network", choices=SIZES, default="cifar", help="which network to count")
    parser.add_argument("--out", type=Path, default=Path("sampled"), help="folder of the files (default: sampled)")
    parser.add_argument("--json", action="store_true", help="a list of objects instead of a table")
    args = vars(parser.parse_args(argv))
    from fairdarts.runs.zoo import sample_genotypes

    as_json = args.pop("json")
    show([sampled.facts for sampled in sample_genotypes(**args)], as_json)
    return 0


def show(rows: list[dict[str, Any]], as_json: bool) -> None:
    """The entries on stdout, as JSON or as a table."""
    if as_json:
        sys.stdout.write(to_json(rows))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("name", "space", "source"):
        table.add_column(title, no_wrap=title != "source")
    for title in ("parameters", "with auxiliary", "multiply-adds", "for images"):
        table.add_column(title, justify="right", no_wrap=True)
    for entry in rows:
        numbers = (entry["params"], entry["params_with_auxiliary"], entry["madds"])
        millions = (f"{number / 1e6:.2f} M" for number in numbers)
        size = size_text(entry["image"])
        table.add_row(entry["name"], entry["space"], entry["source"], *millions, size)
    Console(width=None if sys.stdout.isatty() else 200).print(table)
