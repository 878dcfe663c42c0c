"""Images that a CSV file lists: which they are, of which class, and what is said of a line that is wrong."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from fairdarts.config import Notice, UserError
from fairdarts.data.examine import examine
from fairdarts.data.files import ImageFiles, numbered
from fairdarts.data.judging import images_of_test_set, other_images
from fairdarts.data.settings import Csv
from fairdarts.data.sources import Source, open_source
from fairdarts.data.split import fingerprint, halves


def told(root: Path, **more: Any) -> Csv:
    served = {"train_portion": 0.5, "cutout": 0, "batch_size": 2, "workers": 0, "image_size": 8}
    return Csv(kind="csv", root=str(root), **(served | more))


def opened(root: Path, **more: Any) -> Source:
    return open_source(told(root, **more))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of six images; those of number n are of the value 40 n, but for a black pixel."""
    (tmp_path / "photos").mkdir()
    for number in range(6):
        pixels = np.full((10, 12, 3), 40 * number, dtype=np.uint8)
        pixels[5, 5] = 0
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{number}.png")
    return tmp_path


def write(folder: Path, *labels: object, header: str = "", name: str = "list.csv") -> Path:
    lines = [f"photos/{number}.png,{label}\n" for number, label in enumerate(labels) if label is not None]
    (folder / name).write_text(header + "".join(lines))
    return folder / name


def refusal(path: Path, **more: Any) -> str:
    with pytest.raises(UserError) as error:
        opened(path, **more)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("header", ["", "path,label\n", "\ufeffimage,class\n", "\n\n"])
@pytest.mark.parametrize("memory", [False, True])
def test_a_line_is_an_image_and_its_class(photos: Path, header: str, memory: bool):
    path = write(photos, "dog", "cat", "cat", "dog", "cat", "dog", header=header)
    source = opened(path, in_memory=memory)
    assert (source.classes, source.image) == (("cat", "dog"), 8)
    assert [int(label) for _, label in source.dataset] == [1, 0, 0, 1, 0, 1]
    pictures = [np.asarray(image).reshape(-1, 3)[0].tolist() for image, _ in source.dataset] if not memory else []
    assert pictures == [[40 * number] * 3 for number in range(6)][: len(pictures)]
    assert isinstance(source.dataset, ImageFiles) != memory
    assert [len(part) for part in halves(told(path), source, 0)] == [3, 3]


def test_they_are_examined_as_those_of_class_folders(photos: Path):
    source = opened(write(photos, 0, 1, 0, 1, 0, 1), mean=(0.5,) * 3, std=(0.5,) * 3)
    (photos / "photos" / "3.png").write_text("no image")
    (photos / "photos" / "4.png").unlink()
    with pytest.raises(UserError, match=r"2 of 6 files are no whole images: .*3.png: cannot.*4.png: No such file"):
        examine(source.dataset.paths, None, "photos")


def test_mean_and_deviation_are_measured_or_told(photos: Path):
    path = write(photos, 0, 1, 0, 1, 0, 1)
    source = opened(path, image_size=10, flip=False)
    pixels = np.stack([np.asarray(image)[:, 1:11] for image, _ in source.dataset]) / 255
    np.testing.assert_allclose(source.mean, pixels.mean((0, 1, 2)), atol=1e-4)
    np.testing.assert_allclose(source.std, pixels.std((0, 1, 2)), atol=1e-4)
    assert source.flip is False
    assert opened(path, image_size=10, in_memory=True).mean == source.mean
    assert opened(path, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))[3:5] == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert refusal(path, mean=(0.1,)) == f"data.root: {path}: images of 3 channels, but data.mean is of 1: [0.1]"


def test_labels_that_are_numbers_are_sorted_as_numbers(photos: Path):
    source = opened(write(photos, 10, 9, "2.0", 10, 2, 9))
    assert source.classes == ("2", "9", "10")
    assert source.dataset.targets == [2, 1, 0, 2, 0, 1]


def test_where_classes_are_told_a_label_is_a_name_or_a_position(photos: Path):
    names = ("dog", "cat", "ant")
    for labels in (("dog", "cat", "cat", "dog", "cat", "dog"), (0, 1, 1, 0, 1, 0), ("0.0", 1, 1, 0, 1, 0)):
        source = opened(write(photos, *labels), classes=names)
        assert (source.classes, source.dataset.targets) == (names, [0, 1, 1, 0, 1, 0])
    source = opened(write(photos, 3, 7, 3, 7, 3, 7), classes=("7", "3"))  # names that are numbers are no positions
    assert source.dataset.targets == [1, 0, 1, 0, 1, 0]
    path = write(photos, 0, 3, 7, 3, 7, 3)
    assert refusal(path, classes=("7", "3")).startswith(f"{path}, line 1: label 0: is none of the 2 classes")


@pytest.mark.parametrize("memory", [False, True])
def test_a_test_set_is_a_file_that_is_named(photos: Path, memory: bool):
    path = write(photos, 1, 2, 3, 1, None, None)
    other = write(photos, None, None, None, None, 3, 2, name="test.csv")
    data = told(path, test_root=str(other), in_memory=memory)
    source = open_source(data)
    assert images_of_test_set(told(path), source) is None
    found = images_of_test_set(data, source)
    assert (found.name, found.indices, found.source.classes) == ("test", [0, 1], ("1", "2", "3"))
    assert [int(label) for _, label in found.source.dataset] == [2, 1]
    assert (found.source.mean, found.source.std) == (source.mean, source.std)
    found = other_images(data, source, ("0", "1", "2", "3"))
    assert [int(label) for _, label in found.source.dataset] == [3, 2]
    write(photos, None, None, None, None, 3, 4, name="test.csv")
    with pytest.raises(UserError, match=r"test.csv, line 2: label 4: is none of the 3 classes"):
        images_of_test_set(data, source)


def test_other_names_or_labels_have_another_fingerprint(photos: Path):
    before = fingerprint(opened(write(photos, "a", "b", "a", "b")))
    assert fingerprint(opened(write(photos, "a", "b", "a", "b", header="path,label\n"))) == before
    assert fingerprint(opened(write(photos, "a", "b", "b", "a"))) != before
    assert fingerprint(opened(write(photos, "a", "b", None, "b", "a"))) != before


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", ": lists no images; its lines should be PATH,LABEL"),
        ("path,label\n", ": lists no images; its lines should be PATH,LABEL"),
        ("photos/0.png;a\n", ", line 1: photos/0.png;a: should be PATH,LABEL"),
        ("photos/0.png,a\nphotos/1.png\n", ", line 2: photos/1.png: should be PATH,LABEL"),
        ("photos/0.png,a\nphotos/1.png,\n", ", line 2: photos/1.png,: should be PATH,LABEL"),
        ("photos/0.png,a\n\nphotos/0.png,b\n", ", line 3: photos/0.png: is listed before, in line 1"),
        ("photos/0.png,0\nphotos/1.png,1.5\n", ", line 2: label 1.5: should be a name or a whole number"),
        ("photos/0.png,0\nphotos/1.png,nan\n", ", line 2: label nan: should be a name or a whole number"),
        ("photos/0.png,a\nphotos/1.png,a\n", ": all images are of class a; should be of at least 2 classes"),
        ("photos/0.png,a\nphotos/1.png,\x1b[31m\n", ", line 2: path and label should have no control characters"),
        ('photos/0.png,"a\n', ", line 1: not valid CSV: unexpected end of data"),
    ],
)
def test_a_line_that_is_wrong_is_named(photos: Path, content: str, said: str):
    path = photos / "list.csv"
    path.write_text(content)
    assert refusal(path) == f"{path}{said}"


@pytest.mark.parametrize("label", ["-1", "2", "99"])
def test_positions_beyond_the_classes_told_are_refused(photos: Path, label: str):
    path = write(photos, 0, 1, label)
    should = "should be from 0 to 1, a position in the 2 classes told"
    assert refusal(path, classes=("a", "b")) == f"{path}, line 3: label {label}: {should}"


def test_missing_files_are_named(photos: Path):
    assert refusal(photos / "nowhere.csv") == f"{photos}/nowhere.csv: No such file or directory"
    (photos / "photos" / "2.png").unlink()
    assert refusal(write(photos, 0, 1, 0)) == f"{photos}/photos/2.png: No such file or directory"


WORDS = st.text(st.characters(codec="utf-8", categories=["L", "P", "Zs"]), min_size=1, max_size=9)
WORDS = WORDS.filter(lambda word: word == word.strip() and word.lower() not in ("nan", "inf", "infinity"))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(WORDS, WORDS), min_size=2, max_size=6, unique_by=(lambda row: row[0], lambda row: row[1])))
def test_any_names_are_read_as_they_were_written(tmp_path: Path, rows: list[tuple[str, str]]):
    path = tmp_path / "list.csv"
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows((f"{name}.png", label) for name, label in rows)
    dataset = opened(path, mean=(0.5,) * 3, std=(0.5,) * 3).dataset
    assert [path for path, _ in dataset.samples] == [str(tmp_path / f"{name}.png") for name, _ in rows]
    assert [dataset.classes[label] for label in dataset.targets] == [label for _, label in rows]


@given(st.lists(st.integers(-9, 99), min_size=1))
def test_numbers_keep_their_order(labels: list[int]):
    names, numbers = numbered([("x", str(label)) for label in labels], None)
    assert [int(names[number]) for number in numbers] == labels
    assert sorted(map(int, names)) == [*map(int, names)]


def test_images_that_are_relabelled_leave_the_first_as_they_were(photos: Path):
    dataset = opened(write(photos, 0, 1, 0)).dataset
    assert dataset.relabelled([5, 3]).targets == [5, 3, 5]
    assert torch.tensor(dataset.targets).tolist() == [0, 1, 0]


def test_images_that_show_nothing_are_refused_and_white_comes_first(photos: Path):
    path = write(photos, 0, 1, 0, 1, 0, 1)
    for number in range(6):
        Image.fromarray(np.full((8, 8), 9, dtype=np.uint8)).save(photos / "photos" / f"{number}.png")
    with pytest.warns(Notice, match="there is nothing to see"):
        assert refusal(path) == f"data.root: {path}: all values are the same, 9 of 255; should be images"
    for number in range(6):
        Image.fromarray(np.full((8, 8), 200 + number, dtype=np.uint16)).save(photos / "photos" / f"{number}.png")
    assert "data.white should be 255" in refusal(path)
