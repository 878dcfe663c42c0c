"""Halves: every image in one of them, of every class so many held out, decided by seed and names alone."""

import math
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from fairdarts.config import Notice, UserError
from fairdarts.data.settings import Digits, Fake, Folder, ImageNet
from fairdarts.data.sources import IMAGENET_STATISTICS, Source, open_source
from fairdarts.data.split import halves, held_out_names, split, stratified, tell_split

SEEDS = st.integers(0, 2**62)


class Listed(NamedTuple):
    """What an ImageFolder knows of its files."""

    root: str
    samples: list[tuple[str, int]]


def source_of(sizes: dict[str, int], root: str = "/images") -> Source:
    names = tuple(sorted(sizes))
    files = [(f"{root}/{name}/{i:04d}.JPEG", label) for label, name in enumerate(names) for i in range(sizes[name])]
    return Source(Listed(root, files), names, 32, *IMAGENET_STATISTICS)


def imagenet(held_out: int, root: Path | str = "/images") -> ImageNet:
    return ImageNet(
        kind="imagenet",
        root=str(root),
        batch_size=2,
        workers=0,
        held_out=held_out,
        crop_scale=(0.5, 1.0),
        color_jitter=(0.0, 0.0, 0.0, 0.0),
    )


def names_held_out(source: Source, held_out: int, seed: int) -> list[str]:
    return held_out_names(source, halves(imagenet(held_out), source, seed)[1])


@st.composite
def class_folders(draw: st.DrawFn) -> tuple[dict[str, int], int]:
    """Images of every class, and how many of each are held out."""
    names = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1).filter(lambda n: n.strip("."))
    sizes = draw(st.dictionaries(names, st.integers(2, 12), min_size=1, max_size=6))
    return sizes, draw(st.integers(1, min(sizes.values()) - 1))


@given(class_folders(), SEEDS)
def test_so_many_of_every_class_are_held_out_and_the_rest_trains(folders: tuple[dict[str, int], int], seed: int):
    sizes, held_out = folders
    source = source_of(sizes)
    train, valid = halves(imagenet(held_out), source, seed)
    assert sorted(train + valid) == list(range(sum(sizes.values())))
    labels = [source.dataset.samples[index][1] for index in valid]
    assert [labels.count(label) for label in range(len(sizes))] == [held_out] * len(sizes)
    assert halves(imagenet(held_out), source_of(sizes), seed) == (train, valid)


@given(SEEDS, SEEDS)
def test_another_seed_holds_out_others_in_every_class(one: int, other: int):
    assume(one != other)
    source = source_of({"cat": 60, "dog": 60})
    first, second = (set(names_held_out(source, 30, seed)) for seed in (one, other))
    for name in source.classes:
        own, others = ({path for path in names if path.startswith(name)} for names in (first, second))
        assert own != others


@given(class_folders(), SEEDS, st.randoms(use_true_random=False))
def test_a_class_is_split_by_its_own_names_alone(folders: tuple[dict[str, int], int], seed: int, random):
    sizes, held_out = folders
    everything = names_held_out(source_of(sizes), held_out, seed)
    for name, size in sizes.items():
        alone = names_held_out(source_of({name: size}, "/elsewhere"), held_out, seed)
        assert alone == [path for path in everything if path.startswith(f"{name}/")]
    mixed = source_of(sizes)
    random.shuffle(mixed.dataset.samples)
    assert names_held_out(mixed, held_out, seed) == everything


def test_a_split_is_what_it_was_when_other_searches_began():
    source = source_of({"n01440764": 9, "n01443537": 9})
    assert names_held_out(source, 2, 7) == [
        "n01440764/0001.JPEG",
        "n01440764/0002.JPEG",
        "n01443537/0002.JPEG",
        "n01443537/0008.JPEG",
    ]


def test_classes_of_equal_file_names_are_split_differently():
    held_out = names_held_out(source_of({"cat": 60, "dog": 60}), 30, 0)
    cats, dogs = ({Path(path).name for path in held_out if path.startswith(name)} for name in ("cat", "dog"))
    assert cats != dogs


def test_a_class_of_too_few_images_is_named():
    sizes = {"cat": 6, "dog": 5}
    with pytest.raises(UserError) as error:
        halves(imagenet(5), source_of(sizes), 0)
    why = "5 images, should be at least 6 (data.held_out 5, and one to train with)"
    assert str(error.value) == f"data.root: /images/dog: {why}"
    assert len(halves(imagenet(4), source_of(sizes), 0)[1]) == 8


@pytest.mark.parametrize("inner", ["", "train"])
def test_names_are_those_below_the_folder_of_the_classes(tmp_path: Path, inner: str):
    for name in ("cat", "dog"):
        (tmp_path / inner / name / "images").mkdir(parents=True)
        for number in range(4):
            Image.new("RGB", (6, 5)).save(tmp_path / inner / name / "images" / f"{name}_{number}.JPEG")
    settings = imagenet(3, tmp_path)
    source = open_source(settings)
    train, valid = halves(settings, source, 1)
    names = held_out_names(source, valid)
    assert names == sorted(names)
    assert len(names) == 6
    assert all((tmp_path / inner / name).is_file() for name in names)
    assert {Path(name).parts[:2] for name in names} == {("cat", "images"), ("dog", "images")}
    assert not set(names) & set(held_out_names(source, train))


@given(st.integers(4, 200), st.floats(0, 1, exclude_min=True), SEEDS)
def test_other_sets_are_split_by_portion_the_same_for_all_seeds(size: int, portion: float, seed: int):
    settings = Fake(kind="fake", images=size, train_portion=portion, cutout=0, batch_size=2, workers=0)
    assert halves(settings, open_source(settings), seed) == split(size, portion)


@given(st.integers(0, 200), st.floats(0, 1))
def test_a_split_is_disjoint_and_complete(size: int, portion: float):
    first, second = split(size, portion)
    assert sorted(first + second) == list(range(size))
    assert len(first) == int(size * portion)


def test_a_split_is_shuffled_and_the_same_for_all_seeds():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = split(100, 0.5)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert split(100, 0.5) == first
    assert sorted(first[0]) != list(range(50))


LABELS = st.lists(st.integers(0, 5), min_size=1, max_size=120)
PORTIONS = st.floats(0, 1, exclude_min=True)


@given(LABELS, PORTIONS)
def test_a_stratified_split_has_of_every_class_its_share(labels: list[int], portion: float):
    first, second = stratified(labels, portion)
    assert sorted(first + second) == list(range(len(labels)))
    assert stratified(labels, portion) == (first, second)
    for label in set(labels):
        size, trained = labels.count(label), sum(labels[index] == label for index in first)
        share = size * portion
        assert trained >= 1
        if portion == 1 or size == 1:
            assert trained == size
        else:
            assert min(max(1, math.floor(share)), size - 1) <= trained <= max(1, min(math.ceil(share), size - 1))


@given(st.integers(2, 8), st.integers(4, 40), st.floats(0.3, 0.7))
def test_of_all_classes_together_the_portion_trains(classes: int, images: int, portion: float):
    first, _ = stratified([number % classes for number in range(classes * images)], portion)
    assert len(first) == int(classes * images * portion)


def test_a_stratified_split_is_shuffled():
    """BatchNorm would see batches of one class, where images are judged in the order of their classes."""
    for part in stratified([0] * 50 + [1] * 50, 0.5):
        labels = [index // 50 for index in part]
        assert 0 < sum(labels[:10]) < 10
        assert part != sorted(part)


@pytest.fixture
def rare(tmp_path: Path) -> Path:
    """Class folders of 8 cats, 2 dogs and one emu."""
    for name, count in (("cat", 8), ("dog", 2), ("emu", 1)):
        (tmp_path / name).mkdir()
        for number in range(count):
            Image.new("RGB", (6, 6)).save(tmp_path / name / f"{number}.png")
    return tmp_path


def folder(root: Path, **changes: Any) -> Folder:
    served = {"batch_size": 2, "workers": 0, "cutout": 0, "train_portion": 0.5, "image_size": 6}
    return Folder(kind="folder", root=str(root), **{**served, **changes})


@pytest.mark.parametrize("memory", [False, True])
@pytest.mark.filterwarnings("ignore::fairdarts.config.Notice")
def test_class_folders_are_split_class_by_class_unless_told_otherwise(rare: Path, memory: bool):
    settings = folder(rare, in_memory=memory)
    source = open_source(settings)
    labels = [0] * 8 + [1] * 2 + [2]
    trained, held_out = halves(settings, source, 0)
    assert sorted(labels[index] for index in trained) == [0, 0, 0, 0, 1, 2]
    assert sorted(labels[index] for index in held_out) == [0, 0, 0, 0, 1]
    old = folder(rare, in_memory=memory, split="shuffled")
    assert halves(old, source, 0) == split(11, 0.5)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ["0.5 (stratified): no image is held out of emu"]),
        (
            {"split": "shuffled", "train_portion": 0.1},
            ["0.1 (shuffled): no image trains of cat, dog", "0.1 (shuffled): no image is held out of emu"],
        ),
        ({"train_portion": 1}, []),
    ],
)
def test_classes_that_a_half_lacks_are_said(rare: Path, changes: dict[str, Any], said: list[str]):
    settings = folder(rare, **changes)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tell_split(settings, open_source(settings))
    assert [str(own.message) for own in caught] == [f"data.train_portion: {own}" for own in said]


def test_of_many_classes_the_first_are_named(tmp_path: Path):
    for name in "abcdef":
        (tmp_path / name).mkdir()
        Image.new("RGB", (6, 6)).save(tmp_path / name / "0.png")
    settings = folder(tmp_path)
    with pytest.warns(Notice, match=r"no image is held out of a, b, c, … \(6 classes\)$"):
        tell_split(settings, open_source(settings))


def test_other_sets_are_split_as_before_unless_told_otherwise():
    for kind in (Digits, Fake):
        told = {"kind": kind.__name__.lower(), "batch_size": 2, "workers": 0, "cutout": 0, "train_portion": 0.5}
        source = open_source(kind(**told))
        size = len(source.dataset)
        assert halves(kind(**told), source, 0) == split(size, 0.5)
        labels = [int(label) for _, label in source.dataset]
        assert halves(kind(**told, split="stratified"), source, 0) == stratified(labels, 0.5)
