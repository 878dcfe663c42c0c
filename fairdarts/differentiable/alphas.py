"""Matrices of gates, or of α, from files that other code saved. Nothing in a file is executed."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from fairdarts.config import UserError, nearest
from fairdarts.differentiable.derive import GateMatrices, as_matrices, shapes_text
from fairdarts.differentiable.settings import GATES
from fairdarts.own import OWN
from fairdarts.reading import open_regular
from fairdarts.runtime.checkpoint import verified
from fairdarts.spaces.space import Space

if TYPE_CHECKING:
    from torch import Tensor

SHOWN = 4
"""tensors of a file that an error names"""


def _softmax(alpha: np.ndarray) -> np.ndarray:
    powers = np.exp(alpha - alpha.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def _sigmoid(alpha: np.ndarray) -> np.ndarray:
    power = np.exp(-np.abs(alpha))  # of no positive number, which could be too large
    return np.where(alpha >= 0, 1, power) / (1 + power)


def _sparsemax(alpha: np.ndarray) -> np.ndarray:
    alpha = alpha - alpha.max(-1, keepdims=True)
    falling = -np.sort(-alpha, -1)
    sums, places = falling.cumsum(-1, dtype=alpha.dtype), np.arange(1, alpha.shape[-1] + 1, dtype=alpha.dtype)
    support = (1 + places * falling > sums).sum(-1, keepdims=True)
    threshold = (np.take_along_axis(sums, support - 1, -1) - 1) / support.astype(alpha.dtype)
    return np.maximum(alpha - threshold, 0)


def _dirichlet(alpha: np.ndarray) -> np.ndarray:
    return _softmax(np.where(alpha > 0, np.log1p(np.maximum(alpha, 0)), alpha))


OF_ARRAYS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "softmax": _softmax,
    "sigmoid": _sigmoid,
    "sparsemax": _sparsemax,
    "dirichlet": _dirichlet,
}
"""the relaxations of fairdarts.relaxation, for arrays: without torch, which takes seconds to load"""


def read_gates(path: Path, space: Space, relaxation: str | None) -> GateMatrices:
    """The gates of an .npz file; or those that a relaxation makes of α in an .npz, .npy or .pt file.

    Raises UserError naming the file: where it is none, where it cannot be told which of its tensors are α, where no
    relaxation is named and there are no gates.
    """
    tensors = dict(_flat(_read(path)))
    if path.suffix == ".npz" and relaxation is None:
        return as_matrices(tensors, space, str(path))
    return _relaxed(tensors, space, relaxation, str(path))


def gates_of(matrices: Mapping[str, Any], space: Space, relaxation: str | None, place: str) -> GateMatrices:
    """The gates in matrices by the names of the space's parts, or those that a relaxation makes of α in them.

    Raises UserError naming the place, as `read_gates`.
    """
    if relaxation is None:
        return as_matrices({name: _plain(value) for name, value in matrices.items()}, space, place)
    tensors = {name: value if _is_tensor(value) else np.asarray(value) for name, value in matrices.items()}
    return _relaxed(tensors, space, relaxation, place)


def _relaxed(tensors: Mapping[str, Any], space: Space, relaxation: str | None, place: str) -> GateMatrices:
    """The gates that a relaxation makes of those of the tensors that are α."""
    alphas = _alphas(tensors, space, place)
    known = [*OF_ARRAYS, *OWN["relaxation"], GATES]
    if relaxation is None:
        right = f"should say what makes gates of these α: softmax, sigmoid, or {GATES} where they are gates"
        raise UserError(f"{place}: relaxation: is missing; {right}")
    if relaxation not in known:
        raise UserError(f"{place}: relaxation: '{relaxation}' is not known{nearest(relaxation, known)}")
    if relaxation == GATES:
        return as_matrices({part: _plain(alpha) for part, alpha in alphas.items()}, space, place)
    if all(bool((alpha >= 0).all() and (alpha <= 1).all()) for alpha in alphas.values()):
        what = "are from 0 to 1, as gates are and α hardly ever"
        raise UserError(f"{place}: relaxation {relaxation}: its numbers {what}; should be relaxation {GATES}")
    return as_matrices({part: _gates(alpha, relaxation) for part, alpha in alphas.items()}, space, place)


def _gates(alpha: Tensor | np.ndarray, relaxation: str) -> np.ndarray:
    """The gates of one part, in the precision of its α."""
    if isinstance(alpha, np.ndarray) and relaxation in OF_ARRAYS:
        return OF_ARRAYS[relaxation](alpha)
    import torch

    from fairdarts.relaxation import gate_matrices

    return gate_matrices({"": torch.as_tensor(alpha)}, relaxation)[""]


def _read(path: Path) -> Any:
    kinds = {".npz": "an .npz file of plain numbers", ".npy": "an .npy file of plain numbers"}
    try:
        file = open_regular(path)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    try:
        with file:
            content = verified(file)
            if path.suffix not in kinds:
                import torch

                with warnings.catch_warnings(action="ignore"):  # what torch has to say of a bad file is said below
                    return torch.load(content, map_location="cpu", weights_only=True)
            loaded = np.load(content, allow_pickle=False)
            if isinstance(loaded, np.ndarray) != (path.suffix == ".npy"):
                raise ValueError("the other kind of the two")
            return loaded if isinstance(loaded, np.ndarray) else {key: loaded[key] for key in loaded.files}
    except Exception:  # a damaged file shows as one of many: ValueError, BadZipFile, zlib.error, EOFError, …
        kind = kinds.get(path.suffix, "a file of tensors and plain values")
        raise UserError(f"{path}: not {kind}: truncated, damaged, or another kind of file") from None


def _flat(held: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The tensors in dicts and lists, by the way to them."""
    if isinstance(held, np.ndarray) or _is_tensor(held):
        yield name, held
    elif isinstance(held, Mapping | list | tuple):
        items = held.items() if isinstance(held, Mapping) else enumerate(held)
        for key, value in items:
            yield from _flat(value, f"{name}.{key}" if name else str(key))


def _alphas(tensors: Mapping[str, Any], space: Space, place: str) -> dict[str, Tensor | np.ndarray]:
    """Those of the tensors that are α: the only ones of their shapes, or by what they are called, or in the order of
    the parts, such as a pair of cells, normal before reduce."""
    shapes = {part: points.shape for part, points in space.parts.items()}
    numbers = {name: _floating(value) for name, value in tensors.items() if _is_numeric(value)}
    fits = {part: [name for name, value in numbers.items() if value.shape == shape] for part, shape in shapes.items()}
    named = {part: [name for name in names if _names(name, part)] for part, names in fits.items()}
    for candidates in (fits, named):
        if all(len(names) == 1 for names in candidates.values()) and len({*map(tuple, candidates.values())}) == len(
            shapes
        ):
            return {part: numbers[name] for part, (name,) in candidates.items()}
    inside = [*numbers.values()]
    if [*numbers] == [str(number) for number in range(len(shapes))]:  # what DARTS' arch_parameters() gives
        ordered = inside
    else:
        ordered = list(inside[0]) if len(inside) == 1 and inside[0].ndim == 3 else []
    if [tuple(value.shape) for value in ordered] == [*shapes.values()]:
        return dict(zip(shapes, ordered, strict=True))
    some = [f"{name or 'one array'} {list(value.shape)}" for name, value in [*tensors.items()][:SHOWN]]
    holds = ", ".join(some) + (" and so on" if len(tensors) > SHOWN else "")
    should = f"should be {shapes_text(space)} (choice points, candidates) for space {space.name}"
    raise UserError(f"{place}: which are α cannot be told from {holds or 'no tensors'}; {should}")


def _names(name: str, part: str) -> bool:
    """Whether a tensor's name tells of a part: reduction of `reduce`, layers_1 of `layers-1`, but layers_12 not."""
    word = part if "-" in part else part[:5]
    return re.search(rf"{word}(?!\d)", name.lower().replace("_", "-")) is not None


def _is_numeric(value: Tensor | np.ndarray) -> bool:
    return value.dtype.kind in "fiu" if isinstance(value, np.ndarray) else not value.is_complex()


def _plain(value: Any) -> Any:
    """What numpy can read of a tensor, which may be on another device or ask for gradients; anything else as it is."""
    return value.detach().double().cpu().numpy() if _is_tensor(value) and not value.is_complex() else value


def _floating(value: Tensor | np.ndarray) -> Tensor | np.ndarray:
    """The same numbers, of which a relaxation can be taken."""
    if isinstance(value, np.ndarray):
        return value if value.dtype.kind == "f" else value.astype(np.float64)
    return value if value.is_floating_point() else value.double()


def _is_tensor(value: Any) -> TypeGuard[Tensor]:
    """Whether it is one of torch, which is loaded where there is one."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)
