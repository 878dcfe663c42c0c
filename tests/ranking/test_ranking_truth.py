"""True accuracies of what a run finds: held against the benchmark's own lines, also of isomorphic cells."""

import json
from itertools import product
from pathlib import Path

import pytest

from fairdarts.config import UserError
from fairdarts.genotype import SKIP, ChainGenotype, EdgeGenotype
from fairdarts.ranking.benchmarks import BENCH201
from fairdarts.ranking.truth import read_truth
from fairdarts.spaces.space import load_space

SHARED = Path(__file__).parents[3] / "shared" / "data"
EDGES = ("nor_conv_3x3", "none", "skip_connect", "nor_conv_1x1", "none", "avg_pool_3x3")


def cell(*edges: str) -> EdgeGenotype:
    return EdgeGenotype(name="a", space="nasbench201", source="test", schema=1, edges=edges)


def layers(*chosen: tuple[str, ...]) -> ChainGenotype:
    return ChainGenotype(name="a", space="nas-bench-macro", source="test", schema=1, layers=chosen)


def written(*edges: str) -> str:
    one, two, three = edges[:1], edges[1:3], edges[3:]
    return "+".join(f"|{'|'.join(f'{op}~{source}' for source, op in enumerate(node))}|" for node in (one, two, three))


CONV, POOL = "nor_conv_3x3", "avg_pool_3x3"
TWINS = [
    (SKIP, *into_2, *into_3, CONV) for into_2 in ((CONV, POOL), (POOL, CONV)) for into_3 in ((POOL, SKIP), (SKIP, POOL))
]
"""one network four times: behind a skip, nodes 0 and 1 are the same"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Four cells, of which two are one network."""
    rows = {written(*EDGES): (90.5, 85.0), written(*TWINS[0]): (80.0, 79.0), written(*TWINS[1]): (82.0, 83.0)}
    rows[written(*["none"] * 6)] = (10.0, 10.0)
    lines = ["arch,cifar10_valid200,cifar10_test200,note"]
    lines += [f'"{arch}",{valid},{test},x' for arch, (test, valid) in rows.items()]
    path = tmp_path / "bench.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_accuracies_and_regret_are_those_of_the_cells_own_line(table: Path):
    truth = read_truth(table, load_space("nasbench201", "test"))
    assert truth.columns == ("cifar10_test200", "cifar10_valid200")
    assert truth.about(cell(*EDGES)) == {
        "truth": {"cifar10_test200": 90.5, "cifar10_valid200": 85.0},
        "regret": {"cifar10_test200": 0.0, "cifar10_valid200": 0.0},
    }
    found = truth.about(cell(*TWINS[0]))
    assert found["truth"] == {"cifar10_test200": 80.0, "cifar10_valid200": 79.0}
    assert found["regret"] == {"cifar10_test200": 10.5, "cifar10_valid200": 6.0}


def test_of_an_isomorphic_cell_that_the_file_lacks_it_is_the_mean_of_those_that_it_has(table: Path):
    space = load_space("nasbench201", "test")
    truth = read_truth(table, space)
    assert len({space.canonical(space.path_of(cell(*twin))) for twin in TWINS}) == 1
    for twin in TWINS[2:]:
        assert truth.about(cell(*twin))["truth"] == {"cifar10_test200": 81.0, "cifar10_valid200": 81.0}
    unknown = truth.about(cell(*["nor_conv_3x3"] * 6))
    assert unknown == {key: dict.fromkeys(truth.columns) for key in ("truth", "regret")}


def test_columns_may_be_named(table: Path):
    truth = read_truth(table, load_space("nasbench201", "test"), ("cifar10_valid200",))
    assert truth.columns == ("cifar10_valid200",)
    with pytest.raises(UserError, match="has no column 'cifar10'"):
        read_truth(table, load_space("nasbench201", "test"), ("cifar10",))


def test_a_removed_layer_is_a_skip_and_two_choices_are_no_path(tmp_path: Path):
    space = load_space("nas-bench-macro", "test")
    path = tmp_path / "macro.json"
    path.write_text(json.dumps({"00000000": {"mean_acc": 60.0}, "01000000": {"mean_acc": 80.0}}))
    truth = read_truth(path, space)
    skip, block = ("skip_connect",), ("MBE3K3",)
    assert truth.about(layers(skip, block, *[skip] * 6))["regret"] == {"mean_acc": 0.0}
    assert truth.about(layers(*[skip] * 7, ()))["truth"] == {"mean_acc": 60.0}
    assert truth.about(layers(skip, (*block, *skip), *[skip] * 6))["truth"] == {"mean_acc": None}


def test_the_whole_table_by_hand(bench201: list[dict[str, str]]):
    space = load_space("nasbench201", "test")
    truth = read_truth(SHARED / "nasbench201.csv", space)
    assert truth.columns == BENCH201
    assert {column: max(float(row[column]) for row in bench201) for column in BENCH201} == truth.best
    for row in bench201[::500]:
        names = [edge.split("~")[0] for node in row["arch"].split("+") for edge in node.strip("|").split("|")]
        found = truth.about(cell(*names))["truth"]
        assert found == {column: float(row[column]) for column in BENCH201}
    assert len(truth.benchmarks[0].truth) == len(list(product(range(5), repeat=6)))


def test_a_space_with_fewer_operations_has_the_truth_of_the_whole_benchmark(table: Path):
    space = load_space("nasbench201-noskip", "test")
    truth = read_truth(table, space)
    nothing = tuple(names.index("none") for names in space.choices)
    assert truth.about_path(nothing)["truth"]["cifar10_test200"] == 10.0
    assert truth.about(space.genotype_of(nothing, "a", "test"))["regret"]["cifar10_test200"] == 80.5
