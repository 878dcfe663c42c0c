"""Images and labels of .npz files: which keys are read, and what is said of files that hold something else."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairdarts.config import UserError
from fairdarts.data.judging import images_of_test_set
from fairdarts.data.settings import Npz
from fairdarts.data.sources import Source, open_source
from fairdarts.data.split import fingerprint, halves

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)
LABELS = np.arange(12) % 3


def told(root: Path, **more: Any) -> Npz:
    return Npz(kind="npz", root=str(root), train_portion=0.5, cutout=0, batch_size=2, workers=0, **more)


def opened(root: Path, **more: Any) -> Source:
    return open_source(told(root, **more))


def write(folder: Path, **arrays: Any) -> Path:
    path = folder / "images.npz"
    np.savez(path, **arrays)
    return path


def refusal(path: Path, **more: Any) -> str:
    with pytest.raises(UserError) as error:
        opened(path, **more)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("keys", [("images", "labels"), ("train_images", "train_labels"), ("x_train", "y_train")])
def test_each_pair_of_keys_is_a_training_set(tmp_path: Path, keys: tuple[str, str], compressed: bool):
    path = tmp_path / "images.npz"
    (np.savez_compressed if compressed else np.savez)(path, **dict(zip(keys, (IMAGES, LABELS[:, None]), strict=True)))
    source = opened(path)
    images, labels = source.dataset.tensors
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert np.array_equal(images, IMAGES.transpose(0, 3, 1, 2))
    assert (labels.dtype, labels.tolist()) == (torch.int64, LABELS.tolist())
    assert (source.classes, source.image, source.test) == (("0", "1", "2"), 8, None)
    assert images_of_test_set(told(path), source) is None
    np.testing.assert_allclose(source.mean, IMAGES.mean((0, 1, 2)) / 255, atol=1e-4)
    np.testing.assert_allclose(source.std, IMAGES.std((0, 1, 2)) / 255, atol=1e-4)
    trained, held_out = halves(told(path), source, 0)
    assert sorted(labels[trained].tolist()) == sorted(labels[held_out].tolist())  # every class has its share


@pytest.mark.parametrize("keys", [("test_images", "test_labels"), ("x_test", "y_test")])
def test_a_test_set_has_the_statistics_of_the_training_set(tmp_path: Path, keys: tuple[str, str]):
    others = dict(zip(keys, (255 - IMAGES[:4], LABELS[:4]), strict=True))
    path = write(tmp_path, x_train=IMAGES, y_train=LABELS, **others)
    source = opened(path, classes=("ant", "bee", "cat"))
    found = images_of_test_set(told(path), source)
    assert (found.name, found.indices) == ("test", [0, 1, 2, 3])
    assert found.source.classes == ("ant", "bee", "cat")
    assert (found.source.mean, found.source.std) == (source.mean, source.std)
    assert np.array_equal(found.source.dataset.tensors[0], 255 - IMAGES[:4].transpose(0, 3, 1, 2))


def test_floats_need_their_range_and_a_size_may_be_told(tmp_path: Path):
    path = write(tmp_path, images=IMAGES / 255, labels=LABELS)
    said = f"{path}: images: float64 from 0 to 1: data.range should say what is black and what is white, such as [0, 1]"
    assert refusal(path) == said
    assert np.array_equal(opened(path, range=(0, 1)).dataset.tensors[0], IMAGES.transpose(0, 3, 1, 2))
    source = opened(path, range=(0, 1), image_size=4, flip=False, mean=(0, 0, 0), std=(1, 1, 1))
    assert source.dataset.tensors[0].shape == (12, 3, 4, 4)
    assert (source.flip, source.mean, source.std) == (False, (0, 0, 0), (1, 1, 1))


def test_other_contents_have_another_fingerprint(tmp_path: Path):
    before = fingerprint(opened(write(tmp_path, images=IMAGES, labels=LABELS)))
    assert fingerprint(opened(write(tmp_path, x_train=IMAGES, y_train=LABELS))) == before
    changed = IMAGES.copy()
    changed[5, 0, 0, 0] ^= 1
    found = {fingerprint(opened(write(tmp_path, images=changed, labels=LABELS)))}
    found.add(fingerprint(opened(write(tmp_path, images=IMAGES, labels=np.roll(LABELS, 1)))))
    assert len(found | {before}) == 3


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"images": IMAGES}, "images: has no labels beside it (did you mean 'images'?)"),
        ({"x_train": IMAGES, "y_trian": LABELS}, "x_train: has no y_train beside it (did you mean 'y_trian'?)"),
        ({"photos": IMAGES}, "should have the keys images and labels, or train_images and train_labels, or x_train"),
        ({"images": IMAGES, "labels": LABELS[:5]}, "labels: 5 labels of 12 images; should be one of each"),
        ({"images": IMAGES, "labels": LABELS * 0}, "labels: all are 0; should be of 2 classes or more"),
        (
            {"images": IMAGES[0, 0], "labels": LABELS},
            "images: of shape [8, 3]; should be [N, C, H, W]",
        ),
        ({"images": IMAGES, "labels": np.array([None] * 12)}, "holds pickled objects, which are never loaded"),
        (
            {"images": IMAGES.astype("S"), "labels": LABELS},
            "images: ndarray: should be an array or a tensor",
        ),
    ],
)
def test_what_is_no_set_of_images_is_told(tmp_path: Path, arrays: dict[str, Any], said: str):
    path = write(tmp_path, **arrays)
    assert refusal(path).startswith(f"{path}: {said}")


def test_nothing_pickled_is_loaded(tmp_path: Path):
    class Trap:
        def __reduce__(self) -> Any:
            return (tmp_path / "sprung").touch, ()

    path = write(tmp_path, images=np.array([Trap()], dtype=object), labels=LABELS)
    assert "never loaded" in refusal(path)
    path.write_bytes(pickle.dumps(Trap()))
    assert "pickled" in refusal(path) or "damaged" in refusal(path)
    assert not (tmp_path / "sprung").exists()


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path):
    assert refusal(tmp_path / "nowhere.npz") == f"{tmp_path}/nowhere.npz: No such file or directory"
    assert refusal(tmp_path) == f"{tmp_path}: Is a directory"
    np.save(tmp_path / "images.npy", IMAGES)
    assert (
        refusal(tmp_path / "images.npy")
        == f"{tmp_path}/images.npy: is an .npy file; should be an .npz file, with images and labels"
    )


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_file_is_read_or_named(tmp_path: Path, data: st.DataObject):
    path = write(tmp_path, images=IMAGES[:3], labels=LABELS[:3])
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    said = ""
    try:
        opened(path)
    except UserError as error:
        said = str(error)
    assert not said or said.startswith(str(path))
    assert "\n" not in said
