"""One seed, many streams."""

from hypothesis import given
from hypothesis import strategies as st

from fairdarts.runtime.seed import fold


def test_seeds_stay_what_they_are_from_version_to_version():
    assert fold(0, 0) == 7896617691693857887
    assert fold(1, 2, 3) == 6498626229777268288


def test_streams_and_seeds_differ():
    assert len({fold(seed, stream) for seed in range(40) for stream in range(40)}) == 1600


@given(st.integers(0, 2**63), st.integers(0, 2**31))
def test_a_seed_fits_a_torch_generator_and_is_repeated(seed: int, stream: int):
    assert 0 <= fold(seed, stream) < 2**63
    assert fold(seed, stream) == fold(seed, stream)
