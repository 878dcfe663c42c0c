"""On which images a trained network is judged."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import TensorDataset
from torchvision import datasets

from fairdarts.checking import check
from fairdarts.config import Settings, UserError
from fairdarts.data import judging, sources
from fairdarts.data.serve import evaluation_batches
from fairdarts.data.settings import DataSettings
from fairdarts.data.sources import open_source
from fairdarts.data.split import halves

CPU = torch.device("cpu")


class Whole(Settings):
    """Settings with a data section."""

    data: DataSettings
    """the images"""


def settings(kind: str, **changes: Any) -> DataSettings:
    content: dict[str, Any] = {"kind": kind, "batch_size": 4, "workers": 0}
    content |= {"held_out": 0} if kind == "imagenet" else {"train_portion": 1, "cutout": 0}
    return check(Whole, {"data": {**content, **changes}}, "r.yaml").data


def write(root: Path, *classes: str, images: int = 2, value: int = 0) -> None:
    """Class folders with images whose pixels are value + 10 · the class's first letter, from a on."""
    for name in classes:
        (root / name).mkdir(parents=True)
        for number in range(images):
            pixels = np.full((16, 16, 3), value + 10 * (ord(name[0]) - ord("a")), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")


def judged_by(data: DataSettings) -> judging.Images | None:
    return judging.images_of_test_set(data, open_source(data))


@pytest.mark.parametrize("memory", [False, True])
@pytest.mark.parametrize("part", ["test", "val"])
def test_class_folders_are_judged_by_root_test_or_root_val(tmp_path: Path, part: str, memory: bool):
    write(tmp_path / "train", "ant", "bee")
    write(tmp_path / part, "ant", "bee", images=3, value=100)
    data = settings("folder", root=str(tmp_path), image_size=16, in_memory=memory)
    found = judged_by(data)
    assert (found.name, found.indices) == ("test", list(range(6)))
    assert found.source.classes == ("ant", "bee")
    assert isinstance(found.source.dataset, TensorDataset) == memory
    ((images, labels), *rest) = evaluation_batches(found.source, data, found.indices, CPU, torch.channels_last)
    assert [len(part) for part, _ in rest] == [2]
    assert labels.tolist() == [0, 0, 0, 1]
    mean, std = (torch.tensor(values) for values in (found.source.mean, found.source.std))
    levels = images[:, :, 0, 0] * std + mean  # of the test set's own files
    torch.testing.assert_close(255 * levels[:, 0], torch.tensor([100.0, 100, 100, 110]), rtol=0, atol=1e-2)


def test_root_test_comes_before_root_val(tmp_path: Path):
    write(tmp_path / "train", "ant", "bee")
    write(tmp_path / "test", "ant", "bee", images=3)
    write(tmp_path / "val", "ant", "bee", images=1)
    assert len(judged_by(settings("folder", root=str(tmp_path))).indices) == 6


def test_of_imagenet_only_root_val_is_read(tmp_path: Path):
    write(tmp_path / "train", "ant", "bee")
    write(tmp_path / "test", "ant", "bee", images=3)
    data = settings("imagenet", root=str(tmp_path))
    (tmp_path / "val").mkdir()  # the training set lies in root/train only beside a root/val
    with pytest.raises(
        UserError, match=r"data.root: .*/val: class folders \(root/CLASS/IMAGE\): 0, should be at least 1"
    ):
        judged_by(data)
    write(tmp_path / "val", "ant", "bee", images=1)
    found = judged_by(data)
    assert [Path(path).parts[-3] for path, _ in found.source.dataset.samples] == ["val", "val"]


@pytest.mark.parametrize("memory", [False, True])
def test_a_test_set_that_lacks_a_class_has_the_training_set_s_numbers(tmp_path: Path, memory: bool):
    write(tmp_path / "train", "ant", "bee", "cat", "dog")
    write(tmp_path / "test", "bee", "dog")
    data = settings("folder", root=str(tmp_path), image_size=16, in_memory=memory)
    found = judged_by(data)
    assert found.source.classes == ("ant", "bee", "cat", "dog")
    assert [int(label) for _, label in found.source.dataset] == [1, 1, 3, 3]
    if not memory:
        assert found.source.dataset.targets == [1, 1, 3, 3]


@pytest.mark.parametrize(("name", "hint"), [("dgo", " (did you mean 'dog'?)"), ("zebra", " (known: ant, dog)")])
def test_a_folder_of_no_known_class_is_named(tmp_path: Path, name: str, hint: str):
    write(tmp_path / "train", "ant", "dog")
    write(tmp_path / "test", "ant", name)
    with pytest.raises(UserError) as error:
        judged_by(settings("folder", root=str(tmp_path)))
    assert str(error.value) == f"data.root: {tmp_path / 'test'}: {name}: is none of the 2 classes known{hint}"


@pytest.mark.parametrize("memory", [False, True])
@pytest.mark.parametrize("part", ["test", ""])
def test_other_images_are_a_test_set_numbered_as_the_network_s_classes(tmp_path: Path, part: str, memory: bool):
    write(tmp_path / part, "ant", "dog", images=3)
    if part:
        write(tmp_path / "train", "ant", "dog")
    data = settings("folder", root=str(tmp_path), image_size=16, in_memory=memory, train_portion=0.8)
    found = judging.other_images(data, open_source(data), ("ant", "bee", "cat", "dog"))
    assert (found.name, found.indices) == ("other", list(range(6)))
    assert [int(label) for _, label in found.source.dataset] == [0, 0, 0, 3, 3, 3]
    assert found.source.classes == ("ant", "bee", "cat", "dog")
    with pytest.raises(UserError, match="dog: is none of the 2 classes known"):
        judging.other_images(data, open_source(data), ("ant", "bee"))


def test_without_a_test_set_there_is_none(tmp_path: Path):
    write(tmp_path, "ant", "bee")
    for data in (
        settings("folder", root=str(tmp_path)),
        settings("imagenet", root=str(tmp_path)),
        settings("fake", images=8),
    ):
        source = open_source(data)
        assert judging.images_of_test_set(data, source) is None
        assert judging.held_out_images(data, source, 0) is None


@pytest.mark.parametrize("name", ["test", "val"])
def test_a_class_called_so_is_no_test_set(tmp_path: Path, name: str):
    write(tmp_path, "ant", name)
    assert open_source(settings("folder", root=str(tmp_path))).classes == ("ant", name)
    assert judged_by(settings("folder", root=str(tmp_path))) is None


@pytest.mark.parametrize("kind", ["cifar10", "cifar100"])
def test_cifar_is_judged_by_its_test_set(monkeypatch: pytest.MonkeyPatch, kind: str):
    class Small:
        """Stands in for torchvision's: 6 training images, and 4 to test with."""

        classes = ("ant", "bee")

        def __init__(self, root: str, train: bool):
            assert root == "images"
            count = 6 if train else 4
            self.data = np.full((count, 32, 32, 3), count, dtype=np.uint8)
            self.targets = [number % 2 for number in range(count)]

    monkeypatch.setattr(datasets, sources.CIFAR[kind][0], Small)
    data = settings(kind, root="images")
    source = open_source(data)
    found = judging.images_of_test_set(data, source)
    assert (found.name, found.indices) == ("test", [0, 1, 2, 3])
    assert found.source._replace(dataset=None) == source._replace(dataset=None)
    assert bool((source.dataset.tensors[0] == 6).all())
    assert bool((found.source.dataset.tensors[0] == 4).all())
    assert found.source.dataset.tensors[1].tolist() == [0, 1, 0, 1]


def test_cifar_s_two_sets_are_what_torchvision_calls_so():
    assert {kind: getattr(datasets, own) for kind, (own, _) in sources.CIFAR.items()} == {
        "cifar10": datasets.CIFAR10,
        "cifar100": datasets.CIFAR100,
    }


@pytest.mark.parametrize(
    "changes",
    [{"kind": "fake", "images": 12, "train_portion": 0.75}, {"kind": "imagenet", "held_out": 1}],
    ids=["portion", "count"],
)
def test_held_out_images_are_those_that_training_leaves_out(tmp_path: Path, changes: dict[str, Any]):
    write(tmp_path, "ant", "bee", "cat", images=3)
    data = settings(**changes, **({"root": str(tmp_path)} if changes["kind"] == "imagenet" else {}))
    source = open_source(data)
    for seed in (0, 1):
        trained, left = halves(data, source, seed)
        found = judging.held_out_images(data, source, seed)
        assert (found.name, found.indices) == ("held-out", left)
        assert found.source is source
        assert sorted(trained + found.indices) == list(range(len(source.dataset)))


def test_of_nothing_held_out_all_images_train(tmp_path: Path):
    write(tmp_path, "ant", "bee", images=3)
    data = settings("imagenet", root=str(tmp_path))
    assert halves(data, open_source(data), 0) == (list(range(6)), [])
