"""Images that are handed over from Python: every form becomes the same training set, or is refused in one line."""

import pickle
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset, TensorDataset

from fairdarts.checking import check
from fairdarts.config import Notice, Settings, UserError
from fairdarts.data import given as module
from fairdarts.data.given import given
from fairdarts.data.images import read_image
from fairdarts.data.judging import images_of_test_set, other_images
from fairdarts.data.serve import evaluation_batches, server
from fairdarts.data.settings import DataSettings, Given
from fairdarts.data.split import fingerprint, halves
from fairdarts.reading import dump_yaml, parse_yaml

CPU, LAST = torch.device("cpu"), torch.channels_last
IMAGES = np.random.default_rng(0).integers(0, 256, (20, 3, 12, 12), dtype=np.uint8)
LABELS = np.arange(20) % 4
SERVED = {"train_portion": 0.5, "cutout": 0, "batch_size": 4, "workers": 0}


class Whole(Settings):
    """Settings with a data section."""

    data: DataSettings
    """the images"""


class Pairs(Dataset):
    """Somebody's data set."""

    def __init__(self, images: Any, labels: Any):
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self.images[index], self.labels[index]


class ClassLabel(NamedTuple):
    """Stands in for the feature of Hugging Face's datasets."""

    names: list[str]


class Value(NamedTuple):
    """Likewise."""

    dtype: str


class Picture(NamedTuple):
    """Likewise, under the name that it has there."""

    decode: bool = True


Picture.__name__ = Picture.__qualname__ = "Image"


class Rows:
    """Stands in for a Hugging Face data set."""

    def __init__(self, images: Any, labels: Any, names: list[str]):
        self.images, self.labels, self.names = images, labels, names
        self.more: dict[str, Any] = {}

    @property
    def features(self) -> dict[str, Any]:
        return {"img": Picture(), "label": ClassLabel(self.names), "source": Value("string"), **self.more}

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"img": self.images[index], "label": int(self.labels[index]), "source": "web"}


def settings(**told: Any) -> Given:
    return Given(kind="given", **SERVED, **told)


def pictures(images: np.ndarray = IMAGES) -> list[Image.Image]:
    return [Image.fromarray(image.transpose(1, 2, 0)) for image in images]


def refusal(data: object, **told: Any) -> str:
    with pytest.raises(UserError) as error:
        given(data, settings(**told))
    assert "\n" not in str(error.value)
    return str(error.value)


LEVELS = IMAGES.astype(np.float32) / 255
FORMS: dict[str, tuple[object, dict[str, Any]]] = {
    "array": ((IMAGES, LABELS), {}),
    "channels last": ((IMAGES.transpose(0, 2, 3, 1), LABELS.tolist()), {}),
    "tensor": ((torch.from_numpy(IMAGES), torch.from_numpy(LABELS)), {}),
    "list": ([IMAGES, LABELS], {}),
    "floats": ((LEVELS, LABELS), {"range": (0, 1)}),
    "centred": ((2 * torch.from_numpy(LEVELS) - 1, LABELS[:, None]), {"range": (-1, 1)}),
    "halves": ((torch.from_numpy(LEVELS.astype(np.float16)), LABELS), {"range": (0, 1)}),
    "bytes": (Pairs(torch.from_numpy(IMAGES), LABELS), {}),
    "arrays": (Pairs(IMAGES.transpose(0, 2, 3, 1), LABELS), {}),
    "tensors": (TensorDataset(torch.from_numpy(LEVELS), torch.from_numpy(LABELS)), {"range": (0, 1)}),
    "pictures": (Pairs(pictures(), LABELS.tolist()), {}),
    "rows": (Rows(pictures(), LABELS, ["0", "1", "2", "3"]), {}),
    "items": (list(zip(pictures(), LABELS.tolist(), strict=True)), {}),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_same_training_set(form: str):
    data, told = FORMS[form]
    source, filled = given(data, settings(**told))
    images, labels = source.dataset.tensors
    assert (images.dtype, labels.dtype) == (torch.uint8, torch.int64)
    assert np.array_equal(images, IMAGES)
    assert labels.tolist() == LABELS.tolist()
    assert (source.image, source.classes, source.flip, source.test) == (12, ("0", "1", "2", "3"), True, None)
    np.testing.assert_allclose(source.mean, LEVELS.mean((0, 2, 3)), atol=1e-4)
    np.testing.assert_allclose(source.std, LEVELS.std((0, 2, 3)), atol=1e-4)
    assert source.listing == given((IMAGES, LABELS), settings())[0].listing
    told_of = (filled.number, filled.image_size, filled.mean, filled.std, filled.classes, filled.fingerprint)
    assert told_of == (20, 12, source.mean, source.std, source.classes, source.listing)
    assert {len(part) for part in halves(filled, source, 0)} == {10}


def test_the_settings_that_are_filled_in_are_those_of_a_file():
    _, filled = given((IMAGES, LABELS), settings())
    assert check(Whole, parse_yaml("settings.yaml", dump_yaml(Whole(data=filled))), "settings.yaml").data == filled


def test_what_is_told_is_not_measured():
    told = {"mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6), "classes": tuple("abcde"), "flip": False, "image_size": 6}
    source, filled = given((IMAGES, LABELS), settings(**told))
    assert (source.mean, source.std, source.classes, source.flip, source.image) == tuple(told.values())
    assert source.dataset.tensors[0].shape == (20, 3, 6, 6)
    assert all(getattr(filled, key) == value for key, value in told.items())
    assert "images of 3 channels, but data.mean is of 1: [0.5]" in refusal((IMAGES, LABELS), mean=(0.5,))


def test_names_of_classes_come_with_a_data_set():
    assert given(Rows(pictures(), LABELS, ["ant", "bee", "cat", "dog"]), settings())[0].classes[1] == "bee"
    dataset = Pairs(pictures(), LABELS)
    dataset.classes = ["ant", "bee", "cat", "dog", "eel"]
    assert given(dataset, settings())[0].classes == ("ant", "bee", "cat", "dog", "eel")
    assert given(dataset, settings(classes=tuple("abcd")))[0].classes == tuple("abcd")
    dataset.classes = ["ant", "ant", "cat", "dog"]  # cannot be told apart
    assert given(dataset, settings())[0].classes == ("0", "1", "2", "3")


@pytest.mark.parametrize("key", ["test", "validation"])
@pytest.mark.parametrize("form", [lambda *pair: pair, Pairs, lambda *pair: Rows(*pair, ["0", "1", "2", "3"])])
def test_a_test_set_is_treated_as_the_training_set(key: str, form: Any):
    data = {"train": (IMAGES, LABELS), key: form(255 - IMAGES[:6], LABELS[:6])}
    source, filled = given(data, settings())
    found = images_of_test_set(filled, source)
    assert (found.name, found.indices) == ("test", list(range(6)))
    assert found.source._replace(dataset=None, listing="") == source._replace(dataset=None, listing="", test=None)
    assert np.array_equal(found.source.dataset.tensors[0], 255 - IMAGES[:6])
    assert filled.fingerprint == f"{source.listing}+{source.test.listing}"
    assert len(list(evaluation_batches(found.source, filled, found.indices, CPU, LAST))) == 2


def test_a_test_set_has_the_classes_and_channels_of_the_training_set():
    whole = {"train": (IMAGES, LABELS), "test": (IMAGES, LABELS + 1)}
    assert refusal(whole) == 'data["test"]: labels: from 1 to 4; should be from 0 to 3, of 4 classes'
    gray = {"train": (IMAGES, LABELS), "test": (IMAGES[:, 0], LABELS)}
    assert refusal(gray).startswith('data["test"]: images: images of 1 channel, but data.mean is of 3')


def test_other_parts_of_a_dict_are_not_used_which_is_said():
    data = {"train": (IMAGES, LABELS), "test": (IMAGES, LABELS), "validation": (IMAGES, LABELS)}
    with pytest.warns(Notice, match=r"^data: validation: is not used"):
        given(data, settings())
    assert refusal({"images": IMAGES, "labels": LABELS}) == "data: a dict of images, labels; should have the key train"


def test_a_resume_asks_for_the_same_data():
    data = {"train": (IMAGES, LABELS), "test": (IMAGES[:4], LABELS[:4])}
    begun, filled = given(data, settings())
    again, same = given(data, filled)
    assert (same, fingerprint(again)) == (filled, fingerprint(begun))
    pixels, labels = IMAGES.copy(), LABELS.copy()
    pixels[3, 0, 0, 0] ^= 1
    labels[:2] = 1, 0
    alone = given((IMAGES, LABELS), settings())[1]
    for other, before, said in (
        ((IMAGES[:19], LABELS[:19]), alone, "data: 19 images, but the run began with 20; hand over the same again"),
        ((pixels, LABELS), alone, "data: other pixels or labels than the run began with"),
        ((IMAGES, labels), alone, "data: other pixels or labels than the run began with"),
        ((IMAGES, LABELS), filled, "data: has no test set, but the run began with one; hand it over as well"),
        (data, alone, "data: has a test set, but the run began without; leave it out"),
        (data | {"test": (pixels[:4], LABELS[:4])}, filled, "data: another test set than the run began with"),
    ):
        with pytest.raises(UserError) as error:
            given(other, before)
        assert str(error.value).startswith(said)


@pytest.mark.parametrize(
    "form", [lambda images: Pairs(images, LABELS), lambda images: Rows(images, LABELS, list("abcd"))]
)
def test_of_too_many_images_each_is_read_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch, form: Any):
    images = pictures(IMAGES[:, :, :, :10])
    images[1] = images[1].convert("L")  # becomes RGB as the others are
    kept, _ = given(form(images), settings())
    monkeypatch.setattr(module, "LARGEST_KEPT", 100)
    lazy, filled = given(form(images), settings())
    assert lazy._replace(dataset=None) == kept._replace(dataset=None)
    assert lazy.dataset.targets == LABELS.tolist()
    image, label = pickle.loads(pickle.dumps(lazy.dataset))[1]
    assert (image.dtype, image.shape, label) == (torch.uint8, (3, 12, 10), 1)
    assert [len(part) for part in halves(filled, lazy, 0)] == [10, 10]
    judged = [next(evaluation_batches(source, filled, [0, 1, 2], CPU, LAST))[0] for source in (lazy, kept)]
    torch.testing.assert_close(*judged)
    batch, labels = next(server(lazy, filled, CPU, LAST)(indices=list(range(20)), seed=1, start=0))
    assert (batch.shape, labels.shape) == ((4, 3, 10, 10), (4,))
    names = ("x", *lazy.classes)
    found = other_images(filled, lazy, names)
    assert (found.source.classes, found.source.dataset[1][1], lazy.dataset[1][1]) == (names, 2, 1)


def test_images_may_have_any_channels_but_for_auto_augment():
    images = np.random.default_rng(0).integers(0, 256, (4, 20, 20, 5), dtype=np.uint8)
    source, filled = given((images, LABELS[:4]), settings())
    assert (source.shape.channels, len(source.std)) == (5, 5)
    assert next(server(source, filled, CPU, LAST)(indices=[0, 1, 2, 3], seed=0, start=0))[0].shape == (4, 5, 20, 20)
    said = "data: images: data.auto_augment: cifar10: is for images of 1 or 3 channels, not of 5; should be none"
    assert refusal((images, LABELS[:4]), auto_augment="cifar10") == said


def test_images_of_several_sizes_need_one():
    images = [*pictures(), Image.new("RGB", (20, 30))]
    dataset = Pairs(images, [*LABELS.tolist(), 0])
    assert refusal(dataset) == (
        "data: images of 12×12 and 20×30 pixels: data.image_size should say the size to bring all to"
    )
    with pytest.warns(Notice, match=r"^data: images of 12×12 to 20×30 pixels: only the centre square is ever seen"):
        assert given(dataset, settings(image_size=8))[0].dataset.tensors[0].shape == (21, 3, 8, 8)


def test_pictures_are_turned_as_those_of_files_are(tmp_path: Path):
    """Photographs of telephones lie on their side, and say so."""
    exif = Image.Exif()
    exif[0x0112] = 6
    for number, pixels in enumerate(IMAGES):
        Image.fromarray(pixels.transpose(1, 2, 0)[:8]).save(tmp_path / f"{number:02}.png", exif=exif)
    paths = sorted(tmp_path.glob("*.png"))
    pictures = [Image.open(path) for path in paths]
    source = given(Pairs(pictures, LABELS.tolist()), settings(image_size="12x8"))[0]
    assert source.image == (12, 8)
    for own, path in zip(source.dataset.tensors[0], paths, strict=True):
        assert np.array_equal(own.permute(1, 2, 0), np.asarray(read_image(path)))


def test_deep_pictures_have_a_range_and_gray_ones_one_channel():
    deep = [Image.fromarray(image[0].astype(np.uint16) * 16) for image in IMAGES]
    said = (
        "data: images: uint16 from 0 to 4080: data.range should say what is black and what is white, such as [0, 4080]"
    )
    assert refusal(Pairs(deep, LABELS)) == said
    source, _ = given(Pairs(deep, LABELS), settings(range=(0, 4080)))
    assert np.array_equal(source.dataset.tensors[0], IMAGES[:, :1])
    gray = [Image.fromarray(image[0]) for image in IMAGES]
    assert given(Pairs(gray, LABELS), settings())[0].listing == source.listing


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (IMAGES, "data: ndarray; should be (images, labels), a torch or Hugging Face data set, or a dict of these"),
        (7, "data: int; should be (images, labels)"),
        (iter([]), "data: list_iterator; should be (images, labels)"),
        ("photos.npz", "data: str; should be (images, labels)"),
        ([], "data: is empty; should hold images"),
        ((LEVELS, LABELS), "data: images: float32 from 0 to 1: data.range should say"),
        (
            Pairs(LEVELS, LABELS),
            "data: images: float32 from 0 to 1: data.range should say what is black",
        ),
        ((IMAGES, LABELS[:7]), "data: labels: 7 labels of 20 images; should be one of each"),
        ((IMAGES, LABELS * 0), "data: labels: all are 0; should be of 2 classes or more"),
        ((IMAGES, LABELS / 2), "data: labels: 0.5: should be whole numbers, from 0 on"),
        ((IMAGES * 0, LABELS), "data: images: all values are the same, 0 of 255; should be images"),
        ((IMAGES[0], LABELS), "data: labels: 20 labels of 3 images"),
        (Pairs(IMAGES, np.eye(4)[LABELS]), "data: labels: of shape [20, 4]; should be [N]"),
        (Pairs(IMAGES[:, None], LABELS), "data: item 0: an image of shape [1, 3, 12, 12]; should be [C, H, W]"),
        (Pairs(["a", "b"], [0, 1]), "data: images: str: should be an array or a tensor of numbers"),
        ([1, 2, 3], "data: item 0: int; should be (image, label)"),
        (((IMAGES, LABELS), (IMAGES, LABELS)), "data: images: tuple: should be an array or a tensor of numbers"),
    ],
)
def test_what_is_no_set_of_images_is_refused_in_a_line(data: object, said: str):
    assert refusal(data).startswith(said)


def test_columns_that_do_not_say_which_are_meant():
    rows = Rows(pictures(), LABELS, ["a", "b", "c", "d"])
    rows.more["coarse"] = ClassLabel(["x", "y"])
    said = "data: has 2 ClassLabel columns (label, coarse); should have one: remove_columns leaves others out"
    assert refusal(rows) == said
    rows.more["img"] = Value("string")
    said = "data: has no Image columns (img, label, source, coarse); should have one: cast_column makes one"
    assert refusal(rows) == said


def test_images_that_change_are_refused():
    class Random(Pairs):
        def __getitem__(self, index: int) -> tuple[Any, Any]:
            return self.images[index].roll(int(torch.randint(1, 12, ())), 1), self.labels[index]

    torch.manual_seed(0)
    said = "data: item 0: is another image each time it is read; should have no random transform"
    assert refusal(Random(torch.from_numpy(IMAGES), LABELS)).startswith(said)


def test_images_that_show_next_to_nothing_are_told_of():
    """Floats from 0 to 1 that somebody made integers of."""
    with pytest.warns(Notice, match="there is nothing to see on all images: their values lie from 0 to 1 of 255"):
        given((LEVELS.round().astype(np.uint8), LABELS), settings())


def test_the_images_themselves_stay_as_they_are():
    images = IMAGES.copy()
    source, _ = given((images, LABELS), settings())
    with warnings.catch_warnings(action="error"):
        images.setflags(write=False)
        given((images, LABELS), settings())
    source.dataset.tensors[0][:] = 0
    assert np.array_equal(images, IMAGES)
