"""Files of weights that others wrote: what they may hold, where their tensors are, and what stands before the names."""

import re
from argparse import Namespace
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from fairdarts.config import UserError
from fairdarts.runtime import checkpoint
from fairdarts.runtime.checkpoint import BadState

Weights = Literal["auto", "ema", "raw"]
"""which weights of a file are taken: averaged ones where there are any, averaged ones, or those of training"""

HELD = {
    "raw": ("state_dict", "model_state_dict", "model_state", "model", "net"),
    "ema": ("state_dict_ema", "model_ema", "ema"),
}
"""under which keys people keep tensors by name"""

COUNTED = ("total_ops", "total_params")
"""what thop leaves in a model whose multiply-adds it counted"""

_SCALAR = np.float64().__reduce__()[0]
NUMPY: list[Any] = [
    *((_SCALAR, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),  # its name before numpy 2, and since
    np.dtype,
    *(type(np.dtype(letter)) for letter in "fdil"),
]
"""what a number of numpy is made of, such as a best accuracy that was saved beside the weights"""

Allowed = Iterable[Any]
"""what torch.serialization.safe_globals takes: classes that are made although they are no plain values"""


def read_file(path: Path, allowed: Allowed = ()) -> dict[str, Any]:
    """What a file holds, options of a command line (as timm saves them) and numbers of numpy included.

    Nothing in it is executed. Raises BadState saying why it is not read.
    """
    with torch.serialization.safe_globals([Namespace, *NUMPY, *allowed]):
        try:
            return checkpoint.load(path)
        except BadState as error:
            if why := _refusal(path, str(error.__context__)):
                raise BadState(f"{path}: {why}") from None
            raise


def _refusal(path: Path, reason: str) -> str | None:
    """Why torch does not read a file that is whole; None where it is not whole, or why is unknown."""
    if "TorchScript archive" in reason:
        return "is a TorchScript archive; should be a state_dict(), saved with torch.save"
    name = re.search(r"GLOBAL (\S+) was not an allowed global", reason)
    if not name:
        return None
    content = path.read_bytes()  # in which a module names the parts that every module has
    if b"_parameters" in content and b"_modules" in content:
        return f"holds a whole pickled module ({name[1]}); save its state_dict() instead"
    return f"holds {name[1]} beside tensors and plain values; save the state_dict() alone"


def tensors_in(path: Path, weights: Weights = "auto", allowed: Allowed = ()) -> tuple[dict[str, Tensor], str]:
    """The tensors of a file by name, and which they are: ema or raw.

    They are bare, or under one of the keys of HELD. What DataParallel, torch.compile and averages put before the names
    is taken away, and what thop and averages count. Raises UserError where there are none, or none of these weights.
    """
    content = read_file(path, allowed)
    tensors = {kind: _first(content, keys) for kind, keys in HELD.items()}
    tensors["raw"] = tensors["raw"] or _named(content)
    kinds = [kind for kind in ("ema", "raw") if tensors[kind]]
    if not kinds:
        keys = ", ".join((*HELD["raw"], *HELD["ema"]))
        only = f", only {first_names(content)}" if content else ""
        raise UserError(f"{path}: holds no tensors by name{only}; should be a state dict, bare or under {keys}")
    kind = kinds[0] if weights == "auto" else weights
    if kind not in kinds:
        raise UserError(f"{path}: weights: it has no {weights} weights, only {kinds[0]} ones")
    return tensors[kind], kind


def first_names(names: Iterable[object]) -> str:
    """The first three, for people."""
    shown = [str(name) for name in islice(names, 4)]
    return ", ".join(shown[:3]) + (" and so on" if len(shown) > 3 else "")


def _first(content: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Tensor]:
    """The tensors under the first key that has any."""
    return next((named for key in keys if (named := _named(content.get(key)))), {})


def _named(held: Any) -> dict[str, Tensor]:
    items = held.items() if isinstance(held, Mapping) else ()
    named = {_unwrapped(str(key)): value for key, value in items if isinstance(value, Tensor)}
    return {key: value for key, value in named.items() if not key.endswith(COUNTED) and key != "n_averaged"}


def _unwrapped(name: str) -> str:
    """Without `module.` at its beginning, however often, and `_orig_mod.` anywhere: single blocks are compiled, too."""
    parts = [part for part in name.split(".") if part != "_orig_mod"]
    while len(parts) > 1 and parts[0] == "module":
        del parts[0]
    return ".".join(parts)
