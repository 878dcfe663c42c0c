"""An exported ONNX file at work: what it needs of images, and what runs it. It loads no torch."""

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fairdarts.config import UserError
from fairdarts.data.geometry import Preparation, preparation_from
from fairdarts.runtime.shape import sides

KEYS = ("classes", "transform")
"""what predicting needs of an ONNX file's metadata"""


class Predictor(NamedTuple):
    """A network that can be used, whatever runs it."""

    classes: tuple[str, ...]
    """in the order of the logits"""
    preparation: Preparation
    """what is done to images before"""
    run: Callable[[np.ndarray], np.ndarray]
    """prepared images float32 [B, C, H, W] → logits [B, classes]"""


def open_predictor(path: Path, threads: int | None = None) -> Predictor:
    """What an ONNX file holds, run by onnxruntime on the CPU. Raises UserError where onnxruntime is missing or cannot
    read the file, or where it lacks what `fairdarts export` writes into its metadata."""
    if find_spec("onnxruntime") is None:
        raise UserError(f"{path}: needs onnxruntime: pip install 'fairdarts[export]'")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 4  # what goes wrong is an exception
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its own classes have Exception alone in common
        problem = str(error).splitlines()[0].partition(" : ")[2].partition(": ")[0] or type(error).__name__
        raise UserError(f"{path}: is no ONNX file that onnxruntime runs ({problem})") from None
    facts = session.get_modelmeta().custom_metadata_map
    if missing := [key for key in KEYS if key not in facts]:
        lacks = f"its metadata lack {' and '.join(missing)}"
        raise UserError(f"{path}: {lacks}, which `fairdarts export` writes: export the model with this version")
    classes, preparation = (_read(path, key, facts[key]) for key in KEYS)
    (image, *_), (logits, *_) = session.get_inputs(), session.get_outputs()
    prepared = [preparation.channels, *sides(preparation.image)]
    if any(isinstance(ours, int) and ours != theirs for ours, theirs in zip(image.shape[1:], prepared, strict=False)):
        raise UserError(f"{path}: transform: makes images {prepared}, but its input is of shape {image.shape}")
    if logits.shape[1:] != [len(classes)]:
        raise UserError(f"{path}: classes: are {len(classes)}, but its output is of shape {logits.shape}")
    return Predictor(classes, preparation, lambda images: session.run([logits.name], {image.name: images})[0])


def _read(path: Path, key: str, text: str) -> Any:
    try:
        content = json.loads(text)
        if key == "transform":
            return preparation_from(content)
        if not isinstance(content, list) or len(content) < 2 or not all(isinstance(name, str) for name in content):
            raise ValueError("should be names, 2 or more")
        return tuple(content)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise UserError(f"{path}: {key}: is damaged in its metadata: {str(error).splitlines()[0]}") from None
