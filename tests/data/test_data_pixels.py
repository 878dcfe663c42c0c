"""Images and labels of any kind of numbers: what becomes of them, and what is said where they are wrong."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fairdarts.config import UserError
from fairdarts.data.pixels import array_of, as_uint8, channels_first, gather, numbers_of, tell

BYTES = arrays.arrays(np.uint8, st.tuples(st.integers(1, 4), st.just(2), st.just(2)))
LIMITS = st.tuples(st.floats(-1e3, 1e3), st.floats(0.01, 1e3)).map(lambda pair: (pair[0], pair[0] + pair[1]))


def refusal(function, *args: object, **told: object) -> str:
    with pytest.raises(UserError) as error:
        function(*args, **told)
    assert "\n" not in str(error.value)
    return str(error.value)


@given(BYTES, LIMITS)
def test_floats_become_the_bytes_that_they_were_made_of(images: np.ndarray, limits: tuple[float, float]):
    black, white = limits
    assert np.array_equal(as_uint8(black + images / 255 * (white - black), limits, "x"), images)


@given(arrays.arrays(np.float32, 20, elements=st.floats(0, 1, width=32)))
def test_rounding_is_at_most_half_a_step_away(images: np.ndarray):
    found = as_uint8(images, (0, 1), "x")
    assert np.abs(found / 255 - images.astype(float)).max() <= 0.5 / 255 + 1e-12


def test_bytes_stay_as_they_are_unless_a_range_stretches_them():
    images = np.array([0, 8, 16], dtype=np.uint8)
    assert as_uint8(images, None, "x") is images
    assert as_uint8(images, (0, 16), "x").tolist() == [0, 128, 255]
    assert as_uint8(np.array([0, 2048, 4095], dtype=np.uint16), (0, 4095), "x").tolist() == [0, 128, 255]
    assert as_uint8(np.array([False, True]), (0, 1), "x").tolist() == [0, 255]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (np.float32([0.25, 1]), "float32 from 0.25 to 1: {}, such as [0, 1]"),
        (np.float64([-0.5, 1]), "float64 from -0.5 to 1: {}, such as [-1, 1]"),
        (np.float64([0, 200]), "float64 from 0 to 200: {}, such as [0, 255]"),
        (np.float64([-2.118, 2.64]), "float64 from -2.118 to 2.64: {}, such as [-2.118, 2.64]"),
        (np.array([0, 4000], dtype=np.uint16), "uint16 from 0 to 4000: {}, such as [0, 4000]"),
        (np.array([0, 255]), "int64 from 0 to 255: {}, such as [0, 255]"),
    ],
)
def test_without_a_range_the_values_are_told(values: np.ndarray, told: str):
    should = "data.range should say what is black and what is white"
    assert refusal(as_uint8, values, None, "x_train") == f"x_train: {told.format(should)}"


def test_values_outside_of_the_range_are_refused_unless_rounding_brings_them_back():
    assert as_uint8(np.array([-0.001, 1.0001]), (0, 1), "x").tolist() == [0, 255]
    said = refusal(as_uint8, np.array([0.0, 1.01]), (0, 1), "x")
    assert said == "x: values from 0 to 1.01: should be from 0, black, to 1, white, as data.range says"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("limits", [None, (0, 1)])
def test_values_that_are_none_are_counted(value: float, limits: tuple[float, float] | None):
    said = refusal(as_uint8, np.array([[0, value], [value, 1]]), limits, "x")
    assert said == "x: 2 of 4 values are NaN or infinite; should be none"


@given(st.integers(1, 3), st.sampled_from([1, 3]), st.integers(4, 40), st.integers(4, 40))
def test_channels_are_found_first_or_last(number: int, channels: int, height: int, width: int):
    images = np.arange(number * channels * height * width).reshape(number, channels, height, width)
    assert np.array_equal(channels_first(images, "x"), images)
    assert np.array_equal(channels_first(images.transpose(0, 2, 3, 1), "x"), images)
    assert np.array_equal(channels_first(images[:, 0], "x"), images[:, :1])


@given(st.integers(1, 16), st.integers(17, 40), st.integers(17, 40))
def test_any_number_of_channels_is_found_in_images_of_more_pixels(channels: int, height: int, width: int):
    images = np.zeros((1, channels, height, width))
    assert channels_first(images, "x").shape == images.shape
    assert channels_first(images.transpose(0, 2, 3, 1), "x").shape == images.shape


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        ((5,), "should be [N, C, H, W], [N, H, W, C], or [N, H, W] of gray images"),
        ((5, 1, 3, 8, 8), "should be [N, C, H, W], [N, H, W, C], or [N, H, W] of gray images"),
        ((5, 40, 40, 40), "should be one image or more, of 4 pixels a side or more and of 1 to 16 channels"),
        ((5, 3, 3, 3), "should be one image or more"),
        ((0, 3, 8, 8), "should be one image or more"),
        ((5, 0, 2, 8), "should be one image or more"),
        (
            (5, 4, 8, 8),
            "whose channels may come first or last; should be of 1 or 3 channels, or of more than 16 pixels",
        ),
    ],
)
def test_a_shape_that_is_none_of_images_is_told(shape: tuple[int, ...], told: str):
    said = refusal(channels_first, np.zeros(shape), "x")
    assert said.startswith(f"x: of shape [{', '.join(map(str, shape))}]")
    assert told in said


@pytest.mark.parametrize("labels", [[0, 2, 1, 2], np.array([[0], [2], [1], [2]]), torch.tensor([0.0, 2.0, 1.0, 2.0])])
def test_labels_are_numbers_in_any_form(labels: object):
    numbers, names = numbers_of(labels, 4, None, "y")
    assert (numbers.dtype, numbers.tolist(), names) == (torch.int64, [0, 2, 1, 2], ("0", "1", "2"))
    assert numbers_of(labels, 4, ("ant", "bee", "cat", "dog"), "y")[1] == ("ant", "bee", "cat", "dog")


def test_labels_may_be_words():
    numbers, names = numbers_of(["dog", "ant", "dog"], 3, None, "y")
    assert (numbers.tolist(), names) == ([1, 0, 1], ("ant", "dog"))
    assert numbers_of(["dog", "ant"], 2, ("dog", "cat", "ant"), "y")[0].tolist() == [0, 2]
    assert "dgo: is none of the 2 classes (did you mean 'dog'?)" in refusal(
        numbers_of, ["ant", "dgo"], 2, ("ant", "dog"), "y"
    )


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_labels_are_taken_only_where_all_numbers_have_an_image(labels: list[int]):
    there = set(labels)
    if len(there) > 1 and there == set(range(max(labels) + 1)):
        numbers, names = numbers_of(labels, len(labels), None, "y")
        assert (numbers.tolist(), len(names)) == (labels, len(there))
    else:
        said = refusal(numbers_of, labels, len(labels), None, "y")
        assert ("should be of 2 classes" in said) if len(there) == 1 else ("should leave out none" in said)
    assert numbers_of(labels, len(labels), tuple("abcdef"), "y", least=1)[0].tolist() == labels


@pytest.mark.parametrize(
    ("labels", "told", "said"),
    [
        ([0, 1, 1.5], None, "y: 1.5: should be whole numbers, from 0 on"),
        ([0, 1, float("nan")], None, "y: nan: should be whole numbers, from 0 on"),
        ([0, 1, -1], None, "y: from -1 to 1; should be from 0 on"),
        ([0, 1, 2], ("a", "b"), "y: from 0 to 2; should be from 0 to 1, of 2 classes"),
        ([1, 2, 3], None, "y: from 1 to 3, but none is 0; should leave out none, or data.classes should name all 4"),
        ([0, 1, 10**9], None, "y: from 0 to 1000000000, but none is 2; should leave out none, or data.classes should"),
        ([0, 1, 2**40], None, "y: from 0 to 1.099511628e+12; should be from 0 on"),
        ([1, 1, 1], None, "y: all are 1; should be of 2 classes or more"),
        ([1, 1, 1], ("a", "b"), "y: all are b; should be of 2 classes or more"),
        ([0, 1], None, "y: 2 labels of 3 images; should be one of each"),
        (np.eye(3), None, "y: of shape [3, 3]; should be [N], the number of every image's class (of one-hot labels"),
        ([0, None, 1], None, "y: list: should be an array or a tensor of numbers"),
        ([[0], [1, 2], [1]], None, "y: list: should be an array or a tensor of numbers"),
    ],
)
def test_labels_that_are_none_of_classes_are_told(labels: object, told: tuple[str, ...] | None, said: str):
    assert refusal(numbers_of, labels, 3, told, "y").startswith(said)


def test_tensors_of_any_kind_are_read():
    values = torch.tensor([0.5, 1.0], dtype=torch.bfloat16, requires_grad=True)
    assert array_of(values, "x").tolist() == [0.5, 1.0]
    assert refusal(array_of, {"a": 1}, "x") == "x: dict: should be an array or a tensor of numbers"


@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 6), st.sampled_from([1, 3]), st.just(4), st.just(4))))
def test_what_is_measured_does_not_depend_on_the_parts(images: np.ndarray):
    images[0, 0, 0, :2] = 0, 255
    whole = gather([images], len(images), None, "x", 1e9)
    single = gather((image[None] for image in images), len(images), None, "x", 1e9)
    assert np.array_equal(whole.images, images)
    assert torch.equal(whole.images, single.images)
    assert (whole.mean, whole.std, whole.hash) == (single.mean, single.std, single.hash)
    values = images.transpose(1, 0, 2, 3).reshape(images.shape[1], -1) / 255
    np.testing.assert_allclose(whole.mean, values.mean(1), atol=6e-5)
    np.testing.assert_allclose([std % 1 for std in whole.std], values.std(1), atol=6e-5)


def test_gray_images_among_rgb_become_rgb():
    gray, colour = np.full((1, 1, 4, 4), 7, np.uint8), np.full((1, 3, 4, 4), 9, np.uint8)
    for parts in ([gray, colour], [colour, gray]):
        found = gather(parts, 2, None, "x", 1e9)
        assert found.images.shape == (2, 3, 4, 4)
        assert found.images[:, :, 0, 0].tolist() == [[int(part[0, 0, 0, 0])] * 3 for part in parts]
        assert found.mean == (round(8 / 255, 4),) * 3


def test_images_are_brought_to_a_size_or_have_one():
    wide = np.zeros((1, 1, 8, 12), np.uint8)
    wide[..., 2:10] = np.arange(8)
    found = gather([wide], 1, None, "x", 1e9)
    assert np.array_equal(found.images, wide[..., 2:10])
    small = np.full((1, 1, 4, 6), 100, np.uint8)
    assert gather([wide, small], 2, 4, "x", 1e9).images.shape == (2, 1, 4, 4)
    said = refusal(gather, [wide, small], 2, None, "x", 1e9)
    assert said == "x: images of 12×8 and 6×4 pixels: data.image_size should say the size to bring all to"


def test_other_channels_are_refused():
    images = np.arange(64, dtype=np.uint8).reshape(1, 4, 4, 4)
    assert refusal(gather, [images, images[:, :3]], 2, None, "x", 1e9).startswith("x: images of 4 and 3 channels")


def test_one_value_everywhere_is_refused():
    found = gather([np.full((1, 1, 4, 4), 3, np.uint8)], 1, None, "x", 1e9)
    assert (found.mean, found.std) == ((round(3 / 255, 4),), (1,))  # of a channel that others stand beside
    assert refusal(tell, found, "x") == "x: all values are the same, 3 of 255; should be images"


def test_what_is_too_much_is_not_kept():
    images = np.arange(64, dtype=np.uint8).reshape(2, 2, 4, 4)
    assert gather([images], 2, None, "x", 64).images is not None
    assert gather([images], 2, None, "x", 63).images is None
