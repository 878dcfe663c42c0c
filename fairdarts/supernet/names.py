"""The names of a supernet's tensors in checkpoints of version 0.1, where supernets of gates had names of their own."""

import re
from collections.abc import Mapping

from torch import Tensor

RENAMED = (
    (re.compile(r"^cells\.(\d+)\.preprocess([01])\."), r"stages.\1.preprocess.\2."),
    (re.compile(r"^cells\.(\d+)\.mixed\.(\d+)\.candidates\."), r"stages.\1.candidates.\2."),
    (re.compile(r"^layers\.(\d+)\."), r"stages.\1."),
    (re.compile(r"^(head|classifier)\."), r"tail.\1."),
)


def current_names(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a supernet under the names that they have today."""
    renamed = {}
    for name, tensor in weights.items():
        for pattern, today in RENAMED:
            name = pattern.sub(today, name)
        renamed[name] = tensor
    return renamed
