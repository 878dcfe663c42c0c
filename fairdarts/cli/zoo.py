"""`fairdarts zoo`: the shipped genotypes, and what their networks cost."""

import json
import sys
from collections.abc import Sequence

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from fairdarts import resources
from fairdarts.cli.words import Parser
from fairdarts.cost.count import count
from fairdarts.networks.cell import NETWORKS
from fairdarts.networks.zoo import build, load_genotype

EPILOG = "Counts are those of the paper's networks: parameters without and with the auxiliary head, multiply-adds of\n"
EPILOG += (
    "convolutions and linear layers for one image. `cifar` is 20 cells of 36 channels on 32×32, `imagenet` 14 of 48\n"
)
EPILOG += "on 224×224."


def main(argv: Sequence[str]) -> int:
    parser = Parser("zoo", "List the shipped genotypes with their costs.", EPILOG)
    parser.add_argument("--json", action="store_true", help="a list of objects instead of a table")
    parser.add_argument("--network", choices=sorted(NETWORKS), default="cifar", help="which network to count")
    args = parser.parse_args(argv)

    names, errors = resources.names("genotypes"), Console(stderr=True)
    shown = track(names, "counting", console=errors, transient=True) if errors.is_terminal else names
    rows = [row(name, args.network) for name in shown]
    if args.json:
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        return 0
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("name", "space", "source"):
        table.add_column(title, no_wrap=title != "source")
    for title in ("parameters", "with auxiliary", "multiply-adds"):
        table.add_column(title, justify="right", no_wrap=True)
    for entry in rows:
        numbers = (entry["params"], entry["params_with_auxiliary"], entry["madds"])
        table.add_row(entry["name"], entry["space"], entry["source"], *(f"{number / 1e6:.2f} M" for number in numbers))
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    return 0


def row(name: str, network: str) -> dict[str, object]:
    """One genotype's entry: name, space, source, network, and its Cost."""
    genotype, space = load_genotype(name)
    with torch.device("meta"):
        built = build(genotype, space, network, auxiliary=True)
    cost = count(built, image=getattr(space.networks, network).image)
    return {
        "name": genotype.name,
        "space": genotype.space,
        "source": genotype.source,
        "network": network,
        **cost._asdict(),
    }
