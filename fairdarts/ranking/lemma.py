"""How unfair uniform sampling of choices is: Lemma 2.1 and Equation 1 of FairNAS (ICCV 2021)."""

import math


def equal_counts(m: int, n: int) -> float:
    """f(m, n) of Lemma 2.1: the probability that n uniform draws from m choices hit every choice equally often.

    f(m, n) = n! / ((n/m)!^m · m^n), and 0 where m does not divide n. For m ≥ 1 and n ≥ 0; by logarithms, so that
    n of millions stays within reach, with a relative error of some 1e-16 · n log n.
    """
    if n % m:
        return 0.0
    return math.exp(math.lgamma(n + 1) - m * math.lgamma(n // m + 1) - n * math.log(m))


def equal_counts_asymptote(m: int, n: int) -> float:
    """What f(m, n) comes to for large n: √m · (m / 2πn)^((m−1)/2), for m ≥ 1 and n ≥ 1.

    Stirling's k! ≈ √(2πk) (k/e)^k for n! and (n/m)!^m leaves √(2πn) / (2πn/m)^(m/2). The paper's Equation 3 means
    this; its fraction 2πn/m lost its brackets in print.
    """
    return math.sqrt(m) * (m / (2 * math.pi * n)) ** ((m - 1) / 2)


def uniform_variance(m: int, n: int) -> float:
    """Equation 1: variance, in draws², of how often n uniform draws from m choices hit one of them.

    Strict fairness has none (Equation 4).
    """
    return n * (m - 1) / m**2
