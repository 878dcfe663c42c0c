"""Tensors and texts in a .safetensors file, which says of what it was made: so damage shows."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from fairdarts.config import UserError
from fairdarts.reading import check_regular
from fairdarts.runtime.checkpoint import write_atomically

SHA256 = "fairdarts.sha256"
"""the text that holds the hash of all else"""


def write_tensors(path: Path, tensors: dict[str, Tensor], texts: dict[str, str]) -> None:
    """Writes a file, atomically, of tensors on the CPU and of texts, which are its metadata."""
    texts = texts | {SHA256: _hash(tensors, texts)}
    write_atomically(path, safetensors.torch.save(tensors, texts))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors, which lie in the file itself, and texts of a file; others than ours have no hash to be checked by.

    Raises UserError where it is missing or damaged.
    """
    try:
        check_regular(path)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    try:
        with safetensors.safe_open(path, "pt") as file:
            texts = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dict)
    except (safetensors.SafetensorError, OSError, ValueError):
        raise UserError(f"{path}: not a whole .safetensors file: truncated, damaged, or another kind of file") from None
    stated = texts.pop(SHA256, None)
    if stated not in (None, _hash(tensors, texts)):
        raise UserError(f"{path}: is damaged: weights or texts have changed since it was written")
    return tensors, texts


def _hash(tensors: Mapping[str, Tensor], texts: Mapping[str, str]) -> str:
    sha256 = hashlib.sha256(json.dumps(sorted(texts.items())).encode())
    for name, tensor in sorted(tensors.items()):
        sha256.update(json.dumps([name, str(tensor.dtype), [*tensor.shape]]).encode())
        sha256.update(tensor.contiguous().view(-1).view(torch.uint8).numpy().data)
    return sha256.hexdigest()
