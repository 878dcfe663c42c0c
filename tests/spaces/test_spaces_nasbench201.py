"""NAS-Bench-201's space: its facts, its architecture strings, and which of its cells are one network."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairdarts.checking import check
from fairdarts.config import UserError
from fairdarts.genotype import CellGenotype, EdgeGenotype
from fairdarts.reading import read_yaml
from fairdarts.resources import find
from fairdarts.spaces.nasbench201 import Bench201Space, names_of_arch
from fairdarts.spaces.space import check_genotype, load_space

SPACE = load_space("nasbench201")
PATH = st.tuples(*(st.integers(0, 4) for _ in range(6)))
BEST = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
FORM = "|op~0|+|op~0|op~1|+|op~0|op~1|op~2|"
NONE, SKIP, CONV1, CONV3, POOL = range(5)


def test_facts_of_the_paper():
    assert SPACE.candidates == ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
    assert SPACE.edges == ((1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2))
    assert SPACE.choices == (SPACE.candidates,) * 6
    assert (list(SPACE.parts), SPACE.parts["edges"].shape) == (["edges"], (6, 5))
    assert (SPACE.cells, SPACE.widths) == (5, (16, 32, 64))
    assert (SPACE.networks.cifar.image, SPACE.networks.cifar.classes) == (32, 10)


def read(text: str) -> EdgeGenotype:
    return EdgeGenotype(name="read", space="nasbench201", source="a string", edges=names_of_arch(text))


def test_an_architecture_string_is_read_edge_by_edge():
    assert SPACE.path_of(read(BEST)) == (CONV3, CONV3, CONV3, SKIP, CONV3, CONV3)
    mixed = "|none~0|+|skip_connect~0|nor_conv_1x1~1|+|nor_conv_3x3~0|avg_pool_3x3~1|none~2|"
    assert SPACE.path_of(read(mixed)) == (NONE, SKIP, CONV1, CONV3, POOL, NONE)


@settings(derandomize=True, deadline=None)
@given(PATH)
def test_architecture_strings_round_trip(path: tuple[int, ...]):
    assert SPACE.path_of(read(SPACE.arch(path))) == path


def test_a_space_of_fewer_operations_has_its_own_indices():
    fewer = SPACE.model_copy(update={"candidates": ("nor_conv_3x3", "skip_connect")})
    assert fewer.path_of(read(BEST)) == (0, 0, 0, 1, 0, 0)
    with pytest.raises(UserError, match="'none' is not an operation of space nasbench201"):
        fewer.check(read(BEST.replace("skip_connect", "none")), "cell")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", f"'': not an architecture of NAS-Bench-201: should be {FORM}"),
        (BEST[1:], f"{BEST[1:]!r}: not an architecture of NAS-Bench-201: should be {FORM}"),
        (BEST + "\n", f"{BEST + chr(10)!r}: not an architecture"),
        (BEST.replace("~1", "~x"), "not an architecture"),
        (BEST.replace("~1", "~0"), f"its edges are others than those of NAS-Bench-201: should be {FORM}"),
        (BEST.replace("~2", "~9" * 3), "not an architecture"),
        (BEST.replace("~2", f"~{'9' * 9999}"), "its edges are others"),
        ("|nor_conv_3x3~0|", f"'|nor_conv_3x3~0|': its edges are others than those of NAS-Bench-201: should be {FORM}"),
        (f"{BEST}+|none~0|none~1|none~2|none~3|", "its edges are others"),
        (BEST.replace("nor_conv_3x3~2", "nor_conv_3x4~2"), "'nor_conv_3x4' is not an operation of space nasbench201"),
        (BEST.replace("nor_conv_3x3~2", "nor_conv_3x4~2"), "(did you mean 'nor_conv_3x3'?)"),
    ],
)
def test_other_strings_are_refused_in_one_line(text: str, message: str):
    with pytest.raises(UserError) as refused:
        SPACE.check(read(text), "cell")
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ((SKIP,) * 6, "0+0+0+0"),
        ((CONV1, NONE, NONE, SKIP, NONE, NONE), "#+#+0"),
        ((NONE, CONV1, POOL, NONE, CONV3, NONE), "#+#+#"),  # what reads a node that is nothing is nothing
        ((NONE, NONE, NONE, NONE, NONE, CONV1), "#+#+(#+#)@nor_conv_1x1"),  # but a sum of nothing is not
        ((SKIP, CONV3, CONV1, NONE, NONE, SKIP), "#+#+(0)@nor_conv_1x1+(0)@nor_conv_3x3"),
    ],
)
def test_the_canonical_form_of_a_cell(path: tuple[int, ...], form: str):
    assert SPACE.canonical(path) == form


def test_cells_of_one_network_have_one_form_and_others_another():
    one, same, other = (SKIP, CONV3, CONV1, NONE, NONE, SKIP), (SKIP, CONV1, CONV3, NONE, NONE, SKIP), (SKIP,) * 6
    assert SPACE.canonical(one) == SPACE.canonical(same) != SPACE.canonical(other)


def test_cells_are_one_network_exactly_where_they_are_to_the_benchmark(bench201: list[dict[str, str]]):
    paths = [SPACE.path_of(read(row["arch"])) for row in bench201]
    assert len(set(paths)) == 5**6
    assert [SPACE.arch(path) for path in paths] == [row["arch"] for row in bench201]
    forms = [SPACE.canonical(path) for path in paths]
    assert len(set(forms)) == 6466
    assert forms == [row["unique"] for row in bench201]  # the very strings, so the same classes


def genotype(*edges: str) -> EdgeGenotype:
    return EdgeGenotype(schema=1, name="n", space="nasbench201", source="", edges=edges)


def test_a_genotype_of_the_space_is_given_back():
    found = genotype("none", *["nor_conv_3x3"] * 5)
    assert check_genotype(found, SPACE, "my.yaml") is found


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        (["none"] * 5, "edges: 5, should be 6 for space nasbench201"),
        (
            ["none", "nor_conv_3x4", *["none"] * 4],
            "edges[1]: 'nor_conv_3x4' is not an operation of space nasbench201 (did you mean 'nor_conv_3x3'?)",
        ),
        (["none"] * 5 + ["sep_conv_3x3"], "edges[5]: 'sep_conv_3x3' is not an operation of space nasbench201"),
    ],
)
def test_what_the_space_does_not_allow_is_named(edges: list[str], message: str):
    with pytest.raises(UserError) as refused:
        check_genotype(genotype(*edges), SPACE, "my.yaml")
    assert str(refused.value).startswith(f"my.yaml: {message}")


def test_genotypes_of_another_kind_are_named():
    cells = CellGenotype(schema=1, name="n", space="nasbench201", source="", normal=(), reduce=())
    for found, space, message in [
        (cells, SPACE, "holds cells (normal, reduce), but space nasbench201 is a nasbench201 space"),
        (genotype("none"), load_space("s1"), "holds edges, but space s1 is a cell space"),
        (genotype("none"), load_space("s2"), "holds edges, but space s2 is a chain space"),
    ]:
        with pytest.raises(UserError) as refused:
            check_genotype(found, space, "my.yaml")
        assert str(refused.value) == f"my.yaml: {message}"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"candidates": ["nor_conv_3"]}, "candidates: 'nor_conv_3' is not an operation (did you mean 'nor_conv_3x3'?)"),
        ({"candidates": ["none", "none"]}, "candidates: an operation stands twice"),
        ({"candidates": ["none"]}, "candidates: none is the only operation"),
        ({"candidates": []}, "candidates: []: Tuple should have at least 1 item"),
        ({"cells": 0}, "cells: 0: should be greater than or equal to 1"),
        ({"chanels": 16}, "chanels: unknown key (did you mean 'channels'?)"),
        ({"networks": {}}, "networks.cifar: is missing"),
    ],
)
def test_bad_files_name_the_key(change: dict, message: str):
    content = read_yaml(find("search_spaces", "nasbench201")) | change
    with pytest.raises(UserError) as refused:
        check(Bench201Space, content, "my.yaml")
    assert str(refused.value).startswith(f"my.yaml: {message}")
