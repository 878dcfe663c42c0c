"""Halves: every image in one of them, of every class so many held out, decided by seed and names alone."""

from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from fairdarts.config import UserError
from fairdarts.data.settings import Fake, ImageNet
from fairdarts.data.sources import IMAGENET_STATISTICS, Source, open_source
from fairdarts.data.split import halves, held_out_names, split

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
