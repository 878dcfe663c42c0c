"""Genotypes by name or file, and the networks of the literature that they make."""

from pathlib import Path
from typing import Literal

from torch import nn

from fairdarts import resources
from fairdarts.config import UserError
from fairdarts.genotype import Genotype, read
from fairdarts.networks.cell import NETWORKS
from fairdarts.networks.chain import chain_network
from fairdarts.networks.nasbench201 import Bench201Network
from fairdarts.spaces.chain import ChainSpace
from fairdarts.spaces.nasbench201 import Bench201Space
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


def sizes(space: Space) -> tuple[str, ...]:
    """The networks whose size a space states; the first is that of the images it was made for."""
    return tuple(name for name, size in space.networks if size is not None)


def build(
    genotype: Genotype, space: Space, network: Literal["cifar", "imagenet"] | None = None, auxiliary: bool = False
) -> nn.Module:
    """The stand-alone network of a genotype in the size its space states for CIFAR or ImageNet; None: the first it has.

    Only networks of cells can have an auxiliary head. Raises UserError where the space states no such network.
    """
    network = network or sizes(space)[0]
    if network not in sizes(space):
        raise UserError(f"{genotype.name}: space {space.name} has no {network} network, only {', '.join(sizes(space))}")
    size = getattr(space.networks, network)
    if isinstance(space, ChainSpace):
        return chain_network(genotype, space, size.classes)
    if isinstance(space, Bench201Space):
        return Bench201Network(genotype, space, size.classes)
    return NETWORKS[network](genotype, space, size.cells, size.channels, size.classes, auxiliary=auxiliary)
