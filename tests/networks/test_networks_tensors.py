"""Tensors in a .safetensors file: they come back as they were, or are refused."""

from pathlib import Path

import pytest
import safetensors.torch
import torch
from damage import flipped, outcome

from fairdarts.config import UserError
from fairdarts.networks.tensors import SHA256, read_tensors, write_tensors

TENSORS = {
    "weight": torch.arange(6.0).view(2, 3),
    "half": torch.ones(3).bfloat16(),
    "count": torch.tensor(7),
    "mask": torch.tensor([True, False]),
    "none": torch.empty(0, 4),
}
TEXTS = {"format": "pt", "fairdarts": '{"mean": [0.485]}', "about": '{"recipe": "ä"}'}


def same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(
        one[key].dtype == other[key].dtype and torch.equal(one[key], other[key]) for key in one
    )


def test_tensors_and_texts_come_back(tmp_path: Path):
    write_tensors(tmp_path / "it.safetensors", TENSORS, TEXTS)
    tensors, texts = read_tensors(tmp_path / "it.safetensors")
    assert same(tensors, TENSORS)
    assert texts == TEXTS


def test_a_flipped_bit_is_refused_or_changes_nothing(tmp_path: Path):
    path = tmp_path / "it.safetensors"
    write_tensors(path, TENSORS, TEXTS)
    refused = 0
    for content in flipped(path.read_bytes(), 400):
        path.write_bytes(content)
        found = outcome(lambda: read_tensors(path))
        if isinstance(found, str):
            assert found.startswith(f"{path}: ")
            refused += 1
            continue
        tensors, texts = found
        assert same(tensors, TENSORS)
        assert texts.items() >= TEXTS.items()  # it is the hash's own name that has changed
    assert 350 < refused < 400


@pytest.mark.parametrize("change", [{"about": "{}"}, {"mine": ""}])
def test_other_texts_are_damage_too(tmp_path: Path, change: dict[str, str]):
    path = tmp_path / "it.safetensors"
    write_tensors(path, TENSORS, TEXTS)
    with safetensors.safe_open(path, "pt") as file:
        told = file.metadata()[SHA256]
    path.write_bytes(safetensors.torch.save(TENSORS, {**TEXTS, **change, SHA256: told}))
    with pytest.raises(UserError, match=r"it\.safetensors: is damaged: weights or texts have changed since"):
        read_tensors(path)


def test_files_of_others_have_no_hash(tmp_path: Path):
    path = tmp_path / "it.safetensors"
    path.write_bytes(safetensors.torch.save(TENSORS))
    tensors, texts = read_tensors(path)
    assert same(tensors, TENSORS)
    assert texts == {}


def test_what_is_no_file_is_not_opened(tmp_path: Path, pipe: Path):
    with pytest.raises(UserError, match=r": not a regular file$"):
        read_tensors(pipe)
    with pytest.raises(UserError, match=r": Is a directory$"):
        read_tensors(tmp_path)
