"""Genotypes by name, file or run."""

from pathlib import Path

from fairdarts import resources
from fairdarts.config import UserError
from fairdarts.genotype import Genotype, from_content, read
from fairdarts.networks.printed import prints, read_printed
from fairdarts.own import check_parts
from fairdarts.reading import parse_yaml, read_text, read_yaml
from fairdarts.runtime.verb import read_verb
from fairdarts.spaces.space import Space, check_genotype, load_space

YAML = (".yaml", ".yml")


def load_genotype(name: str) -> tuple[Genotype, Space]:
    """A genotype and its space, from a shipped name, a YAML file, a text file in which other code printed it, or a run.

    Of a text `FILE:NAME` chooses the genotype that is assigned to a name, else the last is taken. Of a run directory
    the final genotype is read, and the run's own copy of the space. Raises UserError naming the file and the place in
    it.
    """
    run = Path(name)
    if run.is_dir():
        path = run / "genotypes" / "final.yaml"
        if not path.is_file():
            if (run / "settings.yaml").is_file() and read_verb(run / "settings.yaml") == "supernet":
                raise UserError(f"{name}: a supernet has no genotype; `fairdarts evolve {name}` finds some with it")
            raise UserError(f"{name}: no genotypes/final.yaml: not a run directory, or its search has not finished")
        check_parts(run)
        space = load_space(str(run / "space.yaml"), f"{path}: space")
        return check_genotype(read(path), space, str(path)), space
    file, chosen = file_and_name(name)
    path = resources.find("genotypes", file)
    if path.suffix not in YAML:
        text = read_text(path)
        if chosen or path.suffix in (".txt", ".py") or prints(text):
            return read_printed(text, path, chosen)
        genotype = from_content(parse_yaml(path, text), path)  # a pipe can be read once
    elif chosen:
        raise UserError(f"{name}: a YAML file holds one genotype; should be {file}")
    else:
        genotype = read(path)
    space = _space_of(genotype, path)
    return check_genotype(genotype, space, str(path)), space


def _space_of(genotype: Genotype, path: Path) -> Space:
    """The space that a genotype's file names: that of the run it lies in, which may be shipped nowhere, or another."""
    file = path.parent.parent / "space.yaml"
    if path.parent.name == "genotypes" and file.is_file():
        check_parts(file.parent)
    if path.parent.name == "genotypes" and file.is_file() and (space := load_space(str(file))).name == genotype.space:
        return space
    return load_space(genotype.space, f"{path}: space")


def run_of(name: str) -> Path | None:
    """The run directory that a genotype's name is, or that its file lies in; None where there is none."""
    path = Path(name)
    run = path if path.is_dir() else path.parent.parent if path.parent.name == "genotypes" else None
    return run if run and (run / "settings.yaml").is_file() else None


def searched_stem(name: str) -> str | None:
    """The stem, cifar or imagenet, of the supernet by which the run of a genotype found it; None where nothing says
    so."""
    run = run_of(name)
    supernet = read_yaml(run / "settings.yaml").get("supernet") if run else None
    if isinstance(supernet, str):  # an evolution names the run of one
        return searched_stem(supernet)
    return supernet.get("stem") if isinstance(supernet, dict) else None


def file_and_name(word: str) -> tuple[str, str | None]:
    """What stands before the colon of `FILE:NAME` and behind it; the whole, and None, where there is no such file."""
    file, colon, chosen = word.rpartition(":")
    if colon and chosen and not Path(word).exists() and Path(file).is_file():
        return file, chosen
    return word, None
