"""The names of operations, against what is built by them."""

import pytest

from fairdarts.ops import cell, names, nasbench101, nasbench201
from fairdarts.ops.names import is_choice


def test_every_name_has_its_operation():
    assert [*cell.OPS] == [*names.CELL]
    assert [*nasbench201.OPS] == [*names.NASBENCH201]
    assert [*nasbench101.OPS] == [*names.NASBENCH101]


@pytest.mark.parametrize("name", ["E3K3", "E6K7", "E1K3", "E12K11", "skip_connect"])
def test_choices_are_known_by_their_names(name: str):
    assert is_choice(name)


@pytest.mark.parametrize(
    "name", ["E3K4", "E0K3", "E6K03", "E3K101", "E3", "K3", "e3k3", "E3K3 ", "xE3K3", "E3K3x", "none", "", "E3K"]
)
def test_other_names_are_not_choices(name: str):
    assert not is_choice(name)
