"""Tables of costs, held against the counts of whole networks and of published files."""

from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from one_shot import CHAIN, IRREGULAR, every_path

from fairdarts.cost.cost import Cost
from fairdarts.cost.count import count
from fairdarts.cost.table import Table, count_tables
from fairdarts.networks.blueprint import build
from fairdarts.runtime.shape import ImageSize, Shape, Size
from fairdarts.spaces.gates import SinglePath
from fairdarts.spaces.nasbench201 import Bench201Space, names_of_arch
from fairdarts.spaces.space import Space, load_space

NAMES = ("fairnas-a", "fairnas-b", "nas-bench-macro", "nasbench201", "s2", "s2-small")
NUMBERS = st.floats(min_value=0, max_value=1e300)
TABLES = st.builds(
    Table, NUMBERS, st.lists(st.lists(NUMBERS, min_size=1, max_size=4).map(tuple), max_size=6).map(tuple)
)


def image_of(space: Space) -> int:
    return space.networks.cifar.image if isinstance(space, Bench201Space) else space.network.image


def at_image(space: Space, image: int) -> Space:
    """The space with networks for images of another size."""
    sizes = {name: size and size.model_copy(update={"image": image}) for name, size in space.networks}
    return space.model_copy(update={"networks": space.networks.model_copy(update=sizes)})


def whole(path: SinglePath, space: Space) -> Cost:
    """The count of a path's network as a whole."""
    with torch.device("meta"):
        network = build(space.genotype_of(path, "n", ""), space)
    return count(network, image=image_of(space))


def assert_counted(paths: list[SinglePath], space: Space) -> None:
    tables = count_tables(space)
    madds, params = (tables[name].costs(np.array(paths)) for name in ("madds", "params"))
    assert madds.dtype == params.dtype == np.int64
    counts = [whole(path, space) for path in paths]
    assert [*zip(params.tolist(), madds.tolist(), strict=True)] == [(cost.params, cost.madds) for cost in counts]


@pytest.mark.parametrize("name", NAMES)
def test_a_path_costs_what_its_network_does(name: str):
    space, random = load_space(name), Random(0)
    assert_counted([space.random_path(random.randrange) for _ in range(6)], space)


@pytest.mark.parametrize("image", [44, ImageSize(37, 64)])
@pytest.mark.parametrize("name", NAMES)
def test_images_and_classes_of_a_run(name: str, image: Size):
    space, shape = load_space(name), Shape(image, 1, 7)
    path = space.random_path(Random(2).randrange)
    with torch.device("meta"):
        network = build(space.genotype_of(path, "n", ""), space, classes=7, in_channels=1)
    cost, tables = count(network, 1, image), count_tables(space, shape)
    assert (cost.madds, cost.params) == (tables["madds"].cost(path), tables["params"].cost(path))


@pytest.mark.parametrize("name", NAMES)
def test_images_of_an_odd_size(name: str):
    space, random = at_image(load_space(name), 37), Random(1)
    assert_counted([space.random_path(random.randrange) for _ in range(2)], space)


@pytest.mark.parametrize("space", [CHAIN, IRREGULAR], ids=["chain", "irregular"])
def test_every_path_of_a_small_chain(space: Space):
    assert_counted(every_path(space), space)


def test_every_operation_on_every_edge_of_nas_bench_201():
    space = load_space("nasbench201")
    number = len(space.candidates)
    assert_counted([tuple((start + edge) % number for edge in range(6)) for start in range(number)], space)


def test_the_least_of_fairnas_a_is_the_network_of_its_smallest_blocks():
    space = load_space("fairnas-a")
    tables = count_tables(space)
    smallest = whole((0,) * 16, space)
    assert (tables["params"].least, tables["madds"].least) == (smallest.params, smallest.madds)


def test_all_networks_of_nas_bench_macro(macro: dict[str, dict]):
    tables, paths = count_tables(load_space("nas-bench-macro")), np.array([[*map(int, key)] for key in macro])
    assert len(paths) == 6561
    for name, column in (("params", "params"), ("madds", "flops")):
        assert tables[name].costs(paths).tolist() == [entry[column] for entry in macro.values()]


def test_all_networks_of_nas_bench_201(bench201: list[dict[str, str]]):
    space = load_space("nasbench201")
    names = [names_of_arch(row["arch"]) for row in bench201]
    paths = np.array([[*map(space.candidates.index, own)] for own in names])
    assert len(paths) == 15625
    found = count_tables(space)["params"].costs(paths)
    assert found.tolist() == [int(row["params_cifar10"]) for row in bench201]


@pytest.mark.parametrize("space", [CHAIN, IRREGULAR], ids=["chain", "irregular"])
def test_no_path_is_cheaper_than_the_least_nor_dearer_than_the_greatest(space: Space):
    for table in count_tables(space).values():
        costs = table.costs(np.array(every_path(space)))
        assert (costs.min(), costs.max()) == (table.least, table.greatest)
        assert isinstance(table.least, int)


@settings(derandomize=True, deadline=None)
@given(TABLES, st.randoms(use_true_random=False))
def test_rounding_leaves_every_path_within_least_and_greatest(table: Table, random: Random):
    paths = [tuple(random.randrange(len(own)) for own in table.choices) for _ in range(8)]
    costs = table.costs(np.array(paths).reshape(len(paths), len(table.choices)))
    assert [table.cost(path) for path in paths] == costs.tolist()
    assert all(table.least <= cost <= table.greatest for cost in costs)


def test_a_table_by_hand():
    table = Table(10, ((1, 2), (30, 0, 20)))
    assert table.cost((1, 2)) == 32
    assert (table.least, table.greatest) == (11, 42)
    assert table.costs(np.array([[0, 0], [1, 1]])).tolist() == [41, 12]
    assert Table(1, ((0.5,),)).cost((0,)) == 1.5
    assert table.costs(np.empty((0, 2), int)).tolist() == []


@pytest.mark.parametrize("path", [(0,), (0, 0, 0)])
def test_a_path_of_another_length_is_no_path(path: SinglePath):
    with pytest.raises(ValueError, match="argument"):
        Table(0, ((1,), (2,))).cost(path)
