"""How often uniform sampling is fair: against enumeration, and in the limit."""

from collections import Counter
from fractions import Fraction
from itertools import product

import pytest

from fairdarts.ranking.lemma import equal_counts, equal_counts_asymptote, uniform_variance

SMALL = [(1, 3), (2, 2), (2, 8), (2, 3), (3, 3), (3, 6), (3, 7), (4, 4), (5, 5)]


def counts(m: int, n: int) -> list[tuple[int, ...]]:
    """How often each of m choices is drawn, for every one of the m^n equally likely sequences."""
    return [tuple(Counter(draws)[choice] for choice in range(m)) for draws in product(range(m), repeat=n)]


@pytest.mark.parametrize(("m", "n"), SMALL)
def test_the_lemma_against_enumeration(m: int, n: int):
    found = counts(m, n)
    exact = Fraction(sum(len(set(draws)) == 1 for draws in found), len(found))
    assert equal_counts(m, n) == pytest.approx(float(exact), rel=1e-12)


@pytest.mark.parametrize(("m", "n"), SMALL)
def test_the_variance_against_enumeration(m: int, n: int):
    first = [draws[0] for draws in counts(m, n)]
    mean = Fraction(sum(first), len(first))
    exact = sum((number - mean) ** 2 for number in first) / len(first)
    assert uniform_variance(m, n) == pytest.approx(float(exact))


def test_figure_3_of_fairnas():
    """f(2, n) decreases below 0.2 when n ≥ 20 (it is below from 16 on)."""
    assert all(equal_counts(2, n) < 0.2 for n in range(20, 200))
    assert equal_counts(2, 20) == pytest.approx(184756 / 2**20)
    assert equal_counts(2, 16) < 0.2 < equal_counts(2, 14)


def test_it_never_happens_where_m_does_not_divide_n():
    assert equal_counts(6, 10) == 0


@pytest.mark.parametrize("m", [2, 3, 6])
def test_the_asymptote(m: int):
    off = [abs(equal_counts_asymptote(m, n) / equal_counts(m, n) - 1) for n in (6, 60, 600, 6000, 6_000_000)]
    assert off == sorted(off, reverse=True)
    assert off[-1] < 1e-5
    assert equal_counts_asymptote(m, 6_000_000) < 1e-3
