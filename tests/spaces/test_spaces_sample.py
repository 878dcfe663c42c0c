"""Random genotypes: allowed, decided by their seed, and spread as they should be."""

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairdarts.spaces.sample import random_cell, random_genotype
from fairdarts.spaces.space import check_genotype, load_space


@given(st.integers(0, 10**6), st.sampled_from(["s1", "s1-noskip", "darts"]), st.integers(0, 8) | st.none())
def test_any_is_allowed_and_of_its_seed(seed: int, name: str, skips: int | None):
    space = load_space(name)
    skips = None if name == "s1-noskip" else skips
    genotype = random_genotype(space, Random(seed), skips, "random", "tests")
    assert check_genotype(genotype, space, "here") is genotype
    assert genotype == random_genotype(space, Random(seed), skips, "random", "tests")
    for cell in (genotype.normal, genotype.reduce):
        assert [node for _, node, _ in cell] == [2, 2, 3, 3, 4, 4, 5, 5]
        assert len({(node, source) for _, node, source in cell}) == 8
        assert "none" not in {op for op, *_ in cell}
    if skips is not None:
        assert [op for op, *_ in genotype.normal].count("skip_connect") == skips


@pytest.mark.parametrize("skips", [None, 2])
def test_operations_and_inputs_are_drawn_alike(skips: int | None):
    space, random = load_space("s1"), Random(0)
    cells = [random_cell(space, random, skips) for _ in range(3000)]
    operations = Counter(op for cell in cells for op, *_ in cell)
    skip_share = 1 / 7 if skips is None else 2 / 8
    for name in space.candidates:
        share = skip_share if name == "skip_connect" else (1 - skip_share) / 6
        assert operations[name] / 24000 == pytest.approx(share, abs=0.01)
    sources = Counter(source for cell in cells for _, node, source in cell if node == 5)
    assert all(sources[source] / 6000 == pytest.approx(1 / 5, abs=0.02) for source in range(5))
    places = Counter(number for cell in cells for number, (op, *_) in enumerate(cell) if op == "skip_connect")
    assert all(places[number] / 3000 == pytest.approx(skip_share, abs=0.03) for number in range(8))
