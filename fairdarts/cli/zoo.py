"""`fairdarts zoo`: genotypes, shipped, found or random, and what their networks cost."""

import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random

import torch
from rich.console import Console
from rich.table import Table

from fairdarts import resources
from fairdarts.cli.words import Parser, to_json, tracked
from fairdarts.config import UserError
from fairdarts.cost.count import count
from fairdarts.genotype import SKIP, Genotype, to_yaml
from fairdarts.networks.blueprint import AS_NAMED, NetworkSettings, build, sizes
from fairdarts.networks.cell import SIZES
from fairdarts.networks.models import Model, models
from fairdarts.networks.zoo import load_genotype, run_of
from fairdarts.runtime.checkpoint import write_atomically
from fairdarts.runtime.shape import shape_of
from fairdarts.spaces.cell import CellSpace
from fairdarts.spaces.sample import EDGES_PER_NODE, random_genotype
from fairdarts.spaces.space import Space, load_space, sized

EPILOG = """Counts are those of the paper's networks: parameters without and with the auxiliary head, multiply-adds of
convolutions and linear layers for one image. `cifar` is 20 cells of 36 channels on 32×32, `imagenet` 14 of 48
on 224×224. The genotype of a run is counted for the run's images."""


def main(argv: Sequence[str]) -> int:
    if argv and argv[0] == "sample":
        return sample(argv[1:])
    parser = Parser("zoo", "List genotypes with their costs; `zoo sample` draws random ones.", EPILOG)
    parser.add_argument(
        "genotypes", nargs="*", help="models, files or run directories (default: the shipped genotypes)"
    )
    parser.add_argument("--json", action="store_true", help="a list of objects instead of a table")
    parser.add_argument("--network", choices=SIZES, help="which one to count (default: its space's first)")
    args = parser.parse_args(argv)

    rows = []
    for name in tracked(args.genotypes or resources.names("genotypes"), what="counting"):
        model = models().get(name) or Model(*load_genotype(name), AS_NAMED)
        run = run_of(name) if name not in models() else None
        shape = shape_of(run) if run and not args.network else None
        if args.genotypes or args.network in (None, *sizes(model.space)):
            size = args.network or model.size
            row = entry(model.genotype, sized(model.space, shape), size, model.network, shape.channels if shape else 3)
            rows.append(row | ({"name": name} if name in models() else {}))
    show(rows, args.json)
    return 0


SAMPLE_EPILOG = """FairDARTS (arXiv:1911.12126), section 6.3, finds random genotypes with two skip connections in the
normal cell and 500 M multiply-adds or more as good as those that DARTS finds: --skips 2 --madds 500."""
TRIES = 200  # draws for one genotype, before a floor on multiply-adds is called out of reach


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
    args = parser.parse_args(argv)

    space, random = load_space(args.space), Random(args.seed)
    if not isinstance(space, CellSpace):
        raise UserError(f"zoo sample: --space {args.space}: is a {space.kind} space; only cells are drawn at random")
    most = space.nodes * EDGES_PER_NODE
    for option, value, low, high in (("count", args.count, 1, 1_000_000), ("skips", args.skips, 0, most)):
        if value is not None and not low <= value <= high:
            raise UserError(f"zoo sample: --{option} {value}: should be {low} or more, at most {high}")
    if not args.madds >= 0:
        raise UserError(f"zoo sample: --madds {args.madds:g}: should be 0 or more")
    if args.skips is not None and not {SKIP} < set(space.candidates) - {"none"}:
        problem = f"space {space.name} has no skip connections, or nothing else"
        raise UserError(f"zoo sample: --skips {args.skips}: {problem}")
    paths = [args.out / f"random-{space.name}-seed{args.seed}-{number}.yaml" for number in range(args.count)]
    for path in paths:
        if path.exists():
            raise UserError(f"{path}: already exists; name another --out or --seed")
    rows = []
    for path in paths:
        for _ in range(TRIES):
            prior = "" if args.skips is None else f", {args.skips} skip connections in the normal cell"
            prior += f", {args.madds:g} M multiply-adds or more" if args.madds else ""
            source = f"fairdarts zoo sample, seed {args.seed}{prior}"
            genotype = random_genotype(space, random, args.skips, path.stem, source)
            found = entry(genotype, space, args.network)
            if found["madds"] >= args.madds * 1e6:
                break
        else:
            raise UserError(f"zoo sample: --madds {args.madds:g}: none of {TRIES} genotypes has so many multiply-adds")
        args.out.mkdir(parents=True, exist_ok=True)
        write_atomically(path, to_yaml(genotype).encode())
        rows.append(found)
    show(rows, args.json)
    return 0


def show(rows: list[dict[str, object]], as_json: bool) -> None:
    """The entries on stdout, as JSON or as a table."""
    if as_json:
        sys.stdout.write(to_json(rows))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("name", "space", "source"):
        table.add_column(title, no_wrap=title != "source")
    for title in ("parameters", "with auxiliary", "multiply-adds", "for images"):
        table.add_column(title, justify="right", no_wrap=True)
    for entry in rows:
        numbers = (entry["params"], entry["params_with_auxiliary"], entry["madds"])
        millions = (f"{number / 1e6:.2f} M" for number in numbers)
        size = f"{entry['image']}×{entry['image']}"
        table.add_row(entry["name"], entry["space"], entry["source"], *millions, size)
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def entry(
    genotype: Genotype, space: Space, network: str, settings: NetworkSettings = AS_NAMED, channels: int = 3
) -> dict[str, object]:
    """A genotype's name, space, source, network, and its Cost; networks of cells have an auxiliary head."""
    with torch.device("meta"):
        built = build(genotype, space, settings.model_copy(update={"size": network}), None, channels, auxiliary=True)
    image = getattr(space.networks, network).image
    cost = count(built, channels, image)
    return {
        "name": genotype.name,
        "space": genotype.space,
        "source": genotype.source,
        "network": network,
        "image": image,
        **cost._asdict(),
    }
