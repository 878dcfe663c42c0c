"""`fairdarts draw`: the cells or layers of a genotype, all figures of a run, or the fronts of several searches."""

from collections.abc import Sequence
from pathlib import Path

from fairdarts.cli.evolve_show import draw_search, evolved, reopened_search
from fairdarts.cli.words import Parser, say
from fairdarts.config import UserError
from fairdarts.genotype import Genotype
from fairdarts.networks.zoo import load_genotype, run_of
from fairdarts.plot.drawing import draw_genotype
from fairdarts.plot.fronts import draw_fronts
from fairdarts.plot.gates import draw_run
from fairdarts.plot.supernet import draw_training
from fairdarts.plot.training import draw_network_training
from fairdarts.runtime.checkpoint import folder_for
from fairdarts.runtime.run import Run, open_run
from fairdarts.runtime.shape import shape_of
from fairdarts.search.derive import check_records
from fairdarts.spaces.space import Space, load_space, sized


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

    name = args.genotypes[0]
    if len(args.genotypes) > 1:
        paths = fronts_of([open_run(Path(name)) for name in args.genotypes], args.out or Path("figures"))
    elif Path(name).is_dir():
        run = open_run(Path(name))
        paths = figures_of(run, args.out or run.figures)
    else:
        genotype, space = load_genotype(name)
        run = run_of(name)
        paths = parts_of(genotype, sized(space, run and shape_of(run)), args.out or Path("figures"))
    for path in paths:
        print(path)
    return 0


def figures_of(run: Run, folder: Path) -> list[Path]:
    """Draw the gates of a run, and its final genotype once it is finished; or the training of a supernet or a network,
    or what an evolutionary search evaluated."""
    verb = run.verb
    if verb == "evolve":
        settings, archive = reopened_search(run)
        return draw_search(run.path.resolve().name, settings, archive, folder)
    if verb in ("supernet", "train", "segment"):
        if not run.records():
            raise UserError(f"{run.metrics}: no epoch is done yet, so there is nothing to draw")
        return (draw_training if verb == "supernet" else draw_network_training)(run.records(), folder)
    space = load_space(str(run.path / "space.yaml"))
    records = check_records(run.records(), space, str(run.metrics))
    with folder_for(folder):
        paths = draw_run(records, space, folder)
    if run.state == "finished":
        return paths + parts_of(load_genotype(str(run.path))[0], sized(space, shape_of(run.path)), folder)
    say(f"{run.path}: the search has not finished, so there is no final genotype to draw")
    return paths


def fronts_of(runs: Sequence[Run], folder: Path) -> list[Path]:
    """Draw the fronts of several evolutionary searches. Raises UserError where one is another kind of run."""
    searches = []
    for run in runs:
        if run.verb != "evolve":
            advice = "several runs can be drawn of `evolve` alone"
            raise UserError(f"{run.path}: is a run of `fairdarts {run.verb}`: {advice}")
        searches.append(evolved(run.path.resolve().name, reopened_search(run)[1]))
    return draw_fronts(searches, folder)


def parts_of(genotype: Genotype, space: Space, folder: Path) -> list[Path]:
    """Draw both cells, all layers, or all edges; says so where graphviz's `dot` is missing."""
    paths, missing = draw_genotype(genotype, space, folder)
    if missing:
        say(missing)
    return paths
