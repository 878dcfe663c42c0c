"""Genotypes by name, file or run."""

import os

from fairdarts.genotype import Genotype
from fairdarts.networks import zoo


def load_genotype(name: str | os.PathLike[str]) -> Genotype:
    """A genotype by its shipped name, from a YAML file, from a text in which other code printed it, or of a run.

    Of a text `FILE:NAME` chooses the genotype that is assigned to a name, else the last is taken. Nothing is executed.
    Raises UserError naming the file and the place in it.

    >>> fairdarts.load_genotype("fairdarts-a").normal
    """
    return zoo.load_genotype(os.fspath(name))[0]
