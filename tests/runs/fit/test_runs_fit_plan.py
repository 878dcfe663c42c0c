"""What suits the images, the budget and the time."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairdarts.config import UserError
from fairdarts.cost.table import Table, count_tables
from fairdarts.evolution.objectives import read_limit
from fairdarts.runs.fit import plan
from fairdarts.runs.fit.look import Sides
from fairdarts.runtime.shape import Shape, sides
from fairdarts.spaces.chain import ChainSpace
from fairdarts.spaces.space import load_space

PHOTOS = load_space("photos")


@pytest.mark.parametrize(
    ("seen", "budget", "size"),
    [
        (Sides(28, 1, True), "madds <= 1e6", 28),
        (Sides(8, 1, True), "madds <= 1e9", 8),
        (Sides(3, 1, True), "madds <= 1e9", 4),
        (Sides(64, 1, True), "madds <= 20e6", 64),
        (Sides(3000, 1, True), "madds <= 300e6", 224),
        (Sides(3000, 1, True), "madds <= 20e6", 96),
        (Sides(3000, 4 / 3, True), "madds <= 20e6", (96, 128)),
        (Sides(3000, 3 / 4, True), "madds <= 20e6", (128, 96)),
        (Sides(3000, 4 / 3, False), "madds <= 20e6", 96),
        (Sides(3000, 1.1, True), "params <= 1e6", 96),
        (Sides(3000, 1, True), "madds <= 1e12", 320),
    ],
)
def test_small_images_stay_as_they_are_and_others_follow_the_budget(seen: Sides, budget: str, size: object):
    assert plan.image_size(seen, read_limit(budget))[0] == size


def madds(shape: Shape):
    return lambda space: count_tables(space, shape)["madds"]


@pytest.mark.parametrize(("image", "bound"), [(28, 4e6), ((96, 64), 5e6)])
def test_the_budget_lies_in_the_middle_of_the_space(image: object, bound: float):
    shape = Shape(image, 3, 7)
    space = plan.space_for(PHOTOS, shape, madds(shape), read_limit(f"madds <= {bound}"))
    table = count_tables(space, shape)["madds"]
    assert table.least < bound < table.greatest
    assert (table.least + table.greatest) / 2 <= bound
    assert (table.least + table.greatest) / 2 > 0.3 * bound
    assert space.network.classes == 7
    halved = (space.stem.stride == 2) + sum(stage.stride == 2 for stage in space.stages)
    assert min(sides(image)) / 2**halved >= plan.FEWEST


def test_a_budget_that_no_network_keeps_is_refused_with_what_is_needed():
    shape = Shape(64, 3, 10)
    with pytest.raises(UserError, match=r"budget 'madds <= 1000': the least network for these images costs .* k madds"):
        plan.space_for(PHOTOS, shape, madds(shape), read_limit("madds <= 1000"))


def test_a_budget_beyond_all_networks_takes_the_widest():
    shape = Shape(16, 3, 10)
    space = plan.space_for(PHOTOS, shape, madds(shape), read_limit("madds <= 1e15"))
    assert space.head == PHOTOS.head * plan.WIDTHS[1]


def test_the_widths_that_are_looked_for_rise_with_their_costs():
    shape = Shape(32, 3, 10)

    def cost(space: ChainSpace) -> Table:
        return count_tables(space, shape)["params"]

    spaces = [plan.space_for(PHOTOS, shape, cost, read_limit(f"params <= {bound}")) for bound in (5e4, 1e6)]
    assert [space.head for space in spaces] == sorted({space.head for space in spaces})


@settings(max_examples=200, deadline=None)
@given(st.integers(12, 200_000), st.floats(1, 1e5), st.floats(0.001, 5))
def test_searches_are_as_long_as_the_time_allows_within_limits(images: int, seconds: float, step: float):
    found = plan.search_epochs(images, seconds, step)
    steps = found.epochs * (found.images // 2 // found.batch)
    assert 2 * found.batch <= found.images <= images
    assert plan.SEARCH_EPOCHS[0] <= found.epochs <= plan.SEARCH_EPOCHS[1]
    assert steps >= 1
    least = plan.SEARCH_STEPS[0] + found.images / found.batch + plan.SEARCH_EPOCHS[0]
    assert steps * step <= max(seconds, least * step) * 1.01


@settings(max_examples=200, deadline=None)
@given(st.integers(6, 200_000), st.floats(1, 1e5), st.floats(1e-5, 1))
def test_trainings_are_as_long_as_the_time_allows_within_limits(images: int, seconds: float, an_image: float):
    found = plan.train_epochs(images, seconds, an_image)
    fewest, most = plan.TRAIN_EPOCHS
    assert found.batch <= images
    assert fewest <= found.epochs <= most
    assert found.epochs == fewest or found.epochs * images * an_image <= seconds
    assert math.log2(found.batch) % 1 == 0
