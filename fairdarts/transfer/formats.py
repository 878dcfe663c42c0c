"""A model as files that other programs run, each of which is read again and compared before it is handed out."""

import io
import math
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from fairdarts.config import UserError
from fairdarts.networks.published import TrainedModel, load, save_model
from fairdarts.runtime.checkpoint import write_atomically
from fairdarts.transfer.onnx import check_installed, image_shape, open_onnx, write_onnx
from fairdarts.transfer.settings import SUFFIXES

Runs = Callable[[Tensor], Tensor]
"""images [B, C, H, W] → logits [B, classes]"""

TOLERANCE = 1e-3
"""largest difference of logits, as a share of the largest logit. Other kernels sum in another order: networks of 20
cells with random weights differ by 3e-5 of it; a padding or a layer gone wrong differs by tenths."""

WARM_UP, ROUNDS = 5, 50


class Format(NamedTuple):
    """A kind of file that holds a whole model."""

    write: Callable[[Path, TrainedModel], None]
    """writes one"""
    open: Callable[[Path], Runs]
    """what runs one"""
    check: Callable[[], None] = lambda: None
    """raises UserError where a package that it needs is missing"""


class Made(NamedTuple):
    """A file that was made."""

    format: str
    """its kind"""
    path: Path
    """where it lies"""
    size: int
    """bytes"""
    difference: float
    """largest absolute difference of its logits to the model's own"""
    largest: float
    """the largest absolute logit"""


def write_torchscript(path: Path, model: TrainedModel) -> None:
    """A traced TorchScript file; `fairdarts` among its extra files is the blueprint."""
    with warnings.catch_warnings(action="ignore"), torch.no_grad():
        traced = torch.jit.trace(model.network, torch.zeros(2, *image_shape(model)), check_trace=False)
        buffer = io.BytesIO()  # torch itself ends the process where it writes to a full disk
        torch.jit.save(traced, buffer, _extra_files={"fairdarts": model.blueprint.model_dump_json(by_alias=True)})
    write_atomically(path, buffer.getvalue())


def open_torchscript(path: Path) -> Runs:
    """What runs it."""
    with warnings.catch_warnings(action="ignore"):
        return torch.jit.load(path)


def write_torch_export(path: Path, model: TrainedModel) -> None:
    """A file of torch.export, for any batch; `fairdarts` among its extra files is the blueprint."""
    images, shapes = torch.zeros(2, *image_shape(model)), ({0: torch.export.Dim("batch")},)
    with warnings.catch_warnings(action="ignore"), torch.no_grad():
        program = torch.export.export(model.network, (images,), dynamic_shapes=shapes)
        extra = {"fairdarts": model.blueprint.model_dump_json(by_alias=True)}
        buffer = io.BytesIO()  # as above
        torch.export.save(program, buffer, extra_files=extra)
    write_atomically(path, buffer.getvalue())


def open_torch_export(path: Path) -> Runs:
    """What runs it."""
    with warnings.catch_warnings(action="ignore"):
        return torch.export.load(path).module()


FORMATS = {
    "onnx": Format(write_onnx, open_onnx, check_installed),
    "safetensors": Format(save_model, load),
    "torchscript": Format(write_torchscript, open_torchscript),
    "torch-export": Format(write_torch_export, open_torch_export),
}
"""format → what writes and opens its files"""


def export(model: TrainedModel, stem: Path, formats: Sequence[str]) -> list[Made]:
    """Files of a model, called as `stem` with a format's suffix, in a folder that is there.

    Raises UserError, and leaves no file behind, where one of them is there already, gives other logits than the model
    (see TOLERANCE), or needs a package that is missing.
    """
    paths = {name: stem.with_name(stem.name + SUFFIXES[name]) for name in formats}
    for name, path in paths.items():
        FORMATS[name].check()
        if path.exists():
            raise UserError(f"{path}: already exists; name another --out")
    made = []
    with tempfile.TemporaryDirectory(dir=stem.parent, prefix=".export-") as folder:
        parts = {name: Path(folder) / path.name for name, path in paths.items()}
        for name, part in parts.items():
            try:
                FORMATS[name].write(part, model)
            except UserError as error:  # of a file that nobody has named
                raise UserError(str(error).replace(str(part), str(paths[name]))) from None
            difference, largest = compare(FORMATS[name].open(part), model)
            if not difference <= TOLERANCE * largest:
                by = f"differ from the model's by {difference:.2g}, where the largest is {largest:.2g}"
                what = "are not finite, or too few" if math.isnan(difference) else by
                raise UserError(f"{paths[name]}: not written: its logits {what}")
            made.append(Made(name, paths[name], part.stat().st_size, difference, largest))
        for name, part in parts.items():
            os.replace(part, paths[name])
    return made


@torch.no_grad()
def compare(run: Runs, model: TrainedModel) -> tuple[float, float]:
    """(largest absolute difference of logits, largest absolute logit) on random images, one alone and three together.

    The difference is NaN where a logit is not finite.
    """
    images = torch.randn(4, *image_shape(model), generator=torch.Generator().manual_seed(0))
    batches = images.split([1, 3])
    logits = torch.cat([model.network(batch) for batch in batches])
    others = torch.cat([run(batch) for batch in batches])
    largest = float(logits.abs().max())
    if logits.shape != others.shape or not (logits.isfinite().all() and others.isfinite().all()):
        return float("nan"), largest
    return float((logits - others).abs().max()), largest


@torch.no_grad()
def latencies(runs: Mapping[str, Runs], shape: Sequence[int]) -> dict[str, tuple[float, float]]:
    """Of everything that runs, median and 90th percentile of the milliseconds for an image, on the CPU.

    They take turns, ROUNDS times, so that whatever else the machine does falls on all of them alike.
    """
    image = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0))
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(WARM_UP + ROUNDS):
        for name, run in runs.items():
            begun = time.perf_counter()
            run(image)
            times[name].append(1000 * (time.perf_counter() - begun))
    kept = {name: values[WARM_UP:] for name, values in times.items()}
    return {name: (statistics.median(values), statistics.quantiles(values, n=10)[-1]) for name, values in kept.items()}
