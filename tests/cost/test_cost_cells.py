"""Costs of cells, part by part: they add up to what the whole network is counted to have."""

from random import Random

import pytest
import torch
from one_shot import CELLS

from fairdarts.config import UserError
from fairdarts.cost.cells import Live, cell_parts, whole
from fairdarts.cost.cost import Cost
from fairdarts.cost.count import count
from fairdarts.cost.derived import cost_of, kept_by
from fairdarts.cost.part import Part
from fairdarts.cost.table import COUNTED, count_part, count_tables
from fairdarts.genotype import CellGenotype, live
from fairdarts.networks.blueprint import build
from fairdarts.networks.settings import NetworkSettings
from fairdarts.runtime.shape import ImageSize, Shape
from fairdarts.spaces.space import load_space

S1 = load_space("s1").model_copy(update={"nodes": 3})
SMALL = NetworkSettings(cells=5, channels=4)
IMAGENET = NetworkSettings(size="imagenet", cells=4, channels=4)


def counted(genotype: CellGenotype, network: NetworkSettings, shape: Shape) -> Cost:
    with torch.device("meta"):
        return count(build(genotype, S1, network, shape.classes, shape.channels), shape.channels, shape.image)


IMAGES = [
    (SMALL, Shape(13, 1, 3)),
    (IMAGENET, Shape(75, 3, 7)),
    (SMALL, Shape(ImageSize(13, 8), 3, 3)),
    (IMAGENET, Shape(ImageSize(40, 75), 3, 7)),
]


@pytest.mark.parametrize(("network", "shape"), IMAGES)
def test_the_costs_of_operations_and_of_the_rest_add_up_to_the_networks(network: NetworkSettings, shape: Shape):
    tables, random = count_tables(S1, shape, network), Random(0)
    for _ in range(3):
        genotype = S1.genotype_of(S1.random_path(random.randrange), "n", "s")
        whole_network = counted(genotype, network, shape)
        for key in COUNTED:
            added = sum(tables[key].choices[point][choice] for point, choice in kept_by(genotype, S1))
            assert tables[key].fixed + added == getattr(whole_network, key)
            assert cost_of(genotype, S1, shape, key, network) == getattr(whole_network, key)


@pytest.mark.parametrize("network", [SMALL, IMAGENET])
def test_the_rest_depends_on_the_nodes_that_are_fed_and_the_inputs_that_are_read(network: NetworkSettings):
    shape, skip = Shape(40, 3, 5), "skip_connect"
    sep = "sep_conv_3x3"
    genotype = CellGenotype(
        schema=1,
        name="n",
        space="s1",
        source="s",
        normal=((sep, 2, 1), (skip, 3, 2)),  # input 0 is not read, node 4 is not fed
        reduce=((sep, 2, 0), (sep, 2, 1), (skip, 3, 0), (sep, 4, 3)),
    )
    cases = {"normal": Live(2, (1,)), "reduce": Live(3)}
    parts = cell_parts(S1, shape, network, cases)
    for key in COUNTED:
        costs: dict[Part, int] = {part: count_part(part)[key] for part in parts.distinct}
        every = [
            *parts.fixed,
            *(part for point, choice in kept_by(genotype, S1) for part in parts.choices[point][choice]),
        ]
        assert sum(map(costs.__getitem__, every)) == getattr(counted(genotype, network, shape), key)
    assert len(live(genotype.normal)[1]) == cases["normal"].nodes


def test_where_all_is_fed_nothing_need_be_said():
    assert cell_parts(S1, Shape(16, 3, 4)) == cell_parts(S1, Shape(16, 3, 4), live=whole(S1))


def test_none_costs_nothing_and_has_no_network_alone():
    tables = count_tables(CELLS, Shape(8, 3, 4), NetworkSettings(cells=3, channels=2))
    assert {row[0] for row in tables["madds"].choices} == {0}
    empty = CellGenotype(schema=1, name="n", space="darts", source="s", normal=(), reduce=())
    assert cost_of(empty, CELLS, Shape(8, 3, 4), "params") is None


def test_chains_are_counted_as_they_are_stated():
    with pytest.raises(
        UserError, match=r"^network.se_ratio: 0.25: costs are counted for the plain networks of space s2"
    ):
        count_tables(load_space("s2"), None, NetworkSettings(se_ratio=0.25))
