"""Genotypes, shipped, found or random: what do their networks cost?"""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from fairdarts import resources
from fairdarts.config import UserError
from fairdarts.cost.cost import Cost, Rule, check_rule
from fairdarts.cost.shipped import shipped_costs
from fairdarts.genotype import SKIP, Genotype, to_yaml
from fairdarts.networks.models import Model, Named, find, models, name_of
from fairdarts.networks.settings import AS_NAMED, NetworkSettings
from fairdarts.networks.sizes import as_searched, sizes
from fairdarts.networks.zoo import load_genotype, run_of, searched_stem
from fairdarts.runs.callbacks import Callbacks, Watches
from fairdarts.runtime.checkpoint import write_atomically
from fairdarts.runtime.shape import shape_of
from fairdarts.spaces.cell import CellSpace
from fairdarts.spaces.sample import EDGES_PER_NODE, random_genotype
from fairdarts.spaces.space import Space, load_space, sized

TRIES = 200  # draws for one genotype, before a floor on multiply-adds is called out of reach


def zoo(
    genotypes: Named | Sequence[Named] = (),
    network: str | None = None,
    callbacks: Sequence[Watches] | Watches = (),
    count: Rule = "convolutions",
) -> list[dict[str, Any]]:
    """What genotypes and their networks are: name, space, source, params, madds, … of each, as `fairdarts zoo` lists.

    `genotypes` are models, files or run directories; by default all that are shipped. `network` is the size that is
    counted, cifar or imagenet; by default that of the paper, or for a run's images. `count` is the rule by which
    multiply-adds are counted: those of convolutions and linear layers, or `fairdarts`, as the authors of FairDARTS
    count (docs/cost.md). Raises UserError.

    >>> pandas.DataFrame(fairdarts.zoo())
    """
    check_rule(count, "count")
    rows = []
    every: list[Any] = list(genotypes) if isinstance(genotypes, list | tuple) else [genotypes]
    every = every or list(resources.names("genotypes"))
    for named in Callbacks(callbacks).track(every, len(every), "counting"):
        name = name_of(named)
        model = find(named) if name in models() or name != named else of_file(name)
        run = run_of(name) if isinstance(named, str | os.PathLike) and name not in models() else None
        shape = shape_of(run) if run and not network else None
        if genotypes or network in (None, *sizes(model.space)):
            size, channels = network or model.size, shape.channels if shape else 3
            cost = known_cost(named, size, count) if isinstance(named, str) else None
            row = entry(model.genotype, sized(model.space, shape), size, model.network, channels, cost, count)
            rows.append(row | ({"name": name} if name in models() else {}))
    return rows


def of_file(name: str) -> Model:
    """The model of a genotype's file, or of a run."""
    genotype, space = load_genotype(name)
    return Model(genotype, space, as_searched(searched_stem(name), space))


class Sampled(NamedTuple):
    """A genotype drawn at random."""

    genotype: Genotype
    facts: dict[str, Any]
    """what `zoo` says of it"""


def sample_genotypes(
    space: str = "s1",
    count: int = 1,
    seed: int = 0,
    skips: int | None = None,
    madds: float = 0,
    network: str = "cifar",
    out: str | Path | None = None,
) -> list[Sampled]:
    """Draws genotypes of cells at random, as `fairdarts zoo sample` does, each with what it costs.

    `skips` is the number of skip connections in the normal cell (None: any), `madds` the fewest multiply-adds of the
    `network`, in millions, counted as the authors of FairDARTS count, whose floor it is (Table 3). Each is written as
    a YAML file into the folder `out`, where one is named. Raises UserError where they cannot be drawn, or a file is
    there already.

    >>> [sampled.genotype for sampled in fairdarts.sample_genotypes(count=5, skips=2, madds=500)]
    """
    drawn_in, random = check_prior(space, count, skips, madds), Random(seed)
    prior = "" if skips is None else f", {skips} skip connections in the normal cell"
    prior += f", {madds:g} M multiply-adds or more" if madds else ""
    names = [f"random-{drawn_in.name}-seed{seed}-{number}" for number in range(count)]
    for name in names if out is not None else ():
        if (path := _file(out, name)).exists():
            raise UserError(f"{path}: already exists; name another --out or --seed")
    every = []
    for name in names:
        for _ in range(TRIES):
            genotype = random_genotype(drawn_in, random, skips, name, f"fairdarts zoo sample, seed {seed}{prior}")
            facts = entry(genotype, drawn_in, network, rule="fairdarts")
            if facts["madds"] >= madds * 1e6:
                break
        else:
            raise UserError(f"zoo sample: --madds {madds:g}: none of {TRIES} genotypes has so many multiply-adds")
        if out is not None:
            Path(out).mkdir(parents=True, exist_ok=True)
            write_atomically(_file(out, name), to_yaml(genotype).encode())
        every.append(Sampled(genotype, facts))
    return every


def check_prior(space: str, count: int, skips: int | None, madds: float) -> CellSpace:
    """The space that genotypes are to be drawn in, as `sample_genotypes` has it. Raises UserError where none can be."""
    drawn_in = load_space(space)
    if not isinstance(drawn_in, CellSpace):
        raise UserError(f"zoo sample: --space {space}: is a {drawn_in.kind} space; only cells are drawn at random")
    most = drawn_in.nodes * EDGES_PER_NODE
    for option, value, low, high in (("count", count, 1, 1_000_000), ("skips", skips, 0, most)):
        if value is not None and not low <= value <= high:
            raise UserError(f"zoo sample: --{option} {value}: should be {low} or more, at most {high}")
    if not 0 <= madds < math.inf:
        raise UserError(f"zoo sample: --madds {madds:g}: should be a number of millions from 0")
    if skips is not None and not {SKIP} < set(drawn_in.candidates) - {"none"}:
        problem = f"space {drawn_in.name} has no skip connections, or nothing else"
        raise UserError(f"zoo sample: --skips {skips}: {problem}")
    return drawn_in


def _file(out: str | Path | None, name: str) -> Path:
    return Path(out or "") / f"{name}.yaml"


def entry(
    genotype: Genotype,
    space: Space,
    network: str,
    settings: NetworkSettings = AS_NAMED,
    channels: int = 3,
    cost: Cost | None = None,
    rule: Rule = "convolutions",
) -> dict[str, Any]:
    """A genotype's name, space, source, network, and its Cost by a rule, counted where it is not known; networks of
    cells have an auxiliary head."""
    if cost is None:
        from fairdarts.cost.derived import network_cost  # here, as torch takes seconds to load

        cost = network_cost(genotype, space, settings.model_copy(update={"size": network}), channels, rule)
    return {
        "name": genotype.name,
        "space": genotype.space,
        "source": genotype.source,
        "network": network,
        "image": getattr(space.networks, network).image,
        **cost._asdict(),
        "count": rule,
    }


def known_cost(name: str, network: str, rule: Rule) -> Cost | None:
    """The cost of a shipped model in a size, which may be its own or has a model of its own; None of all others."""
    own = [name] if name in models() and models()[name].size == network else [f"{name}-{network}"]
    return next((shipped_costs(rule)[model] for model in own if model in shipped_costs(rule)), None)
