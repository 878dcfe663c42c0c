"""Genotypes by name, file or run."""

from pathlib import Path

from fairdarts import resources
from fairdarts.config import UserError
from fairdarts.genotype import Genotype, read
from fairdarts.spaces.space import Space, check_genotype, load_space


def load_genotype(name: str) -> tuple[Genotype, Space]:
    """A genotype and its space, from a shipped name, a YAML file, a printed Genotype(...) in a text file, or a run.

    Of a run directory the final genotype is read, and the run's own copy of the space.
    Raises UserError naming the file and the place in it.
    """
    run = Path(name)
    if run.is_dir():
        path = run / "genotypes" / "final.yaml"
        if not path.is_file():
            raise UserError(f"{name}: no genotypes/final.yaml: not a run directory, or its search has not finished")
    else:
        path = resources.find("genotypes", name)
    genotype = read(path)
    space = load_space(str(run / "space.yaml") if run.is_dir() else genotype.space, f"{path}: space")
    return check_genotype(genotype, space, str(path)), space
