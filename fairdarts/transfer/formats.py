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

from fairdarts.config import UserError
from fairdarts.networks.published import TrainedModel, load, save_model
from fairdarts.runtime.checkpoint import write_atomically
from fairdarts.transfer import openvino
from fairdarts.transfer.int8 import Pictures, Quantized, Runs, judge_int8, tell_loss, write_int8
from fairdarts.transfer.onnx import check_installed, image_shape, open_onnx, write_onnx
from fairdarts.transfer.settings import BESIDE, INT8, SUFFIXES

TOLERANCE = 1e-3
"""largest difference of logits, as a share of the largest logit. Other kernels sum in another order: networks of 20
cells with random weights differ by 3e-5 of it; a padding or a layer gone wrong differs by tenths."""

WARM_UP, ROUNDS = 5, 50


class Making(NamedTuple):
    """How files are made."""

    opset: int | None = None
    """of ONNX files; that which torch takes where it is None"""
    dynamic: bool = False
    """whether files take images of any height and width"""
    pictures: Pictures | None = None
    """what an int8 file is made with"""
    floating: Path = Path()
    """the ONNX file that others are made of"""


AS_THEY_ARE = Making()


class Format(NamedTuple):
    """A kind of file that holds a whole model."""

    write: Callable[[Path, TrainedModel, Making], None]
    """writes one"""
    open: Callable[[Path], Runs]
    """what runs one"""
    check: Callable[[], None] = lambda: None
    """raises UserError where a package that it needs is missing"""
    of_onnx: bool = False
    """whether it is made of the ONNX file"""


class Made(NamedTuple):
    """A file that was made."""

    format: str
    """its kind"""
    path: Path
    """where it lies"""
    size: int
    """bytes, those of a second file beside it too"""
    difference: float
    """largest absolute difference of its logits to the model's own"""
    largest: float
    """the largest absolute logit"""
    quantized: Quantized | None = None
    """of an int8 file, what it is worth"""


def write_torchscript(path: Path, model: TrainedModel, _: Making) -> None:
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


def write_torch_export(path: Path, model: TrainedModel, _: Making) -> None:
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


def write_quantized(path: Path, _: TrainedModel, making: Making) -> None:
    """An int8 ONNX file."""
    assert making.pictures is not None, "export asks for them"
    write_int8(path, making.floating, making.pictures)


def write_float(path: Path, model: TrainedModel, making: Making) -> None:
    """An ONNX file in float32."""
    write_onnx(path, model, making.opset, making.dynamic)


FORMATS = {
    "onnx": Format(write_float, open_onnx, check_installed),
    INT8: Format(write_quantized, open_onnx, check_installed, of_onnx=True),
    "openvino": Format(
        lambda path, _, making: openvino.write_openvino(path, making.floating),
        openvino.open_openvino,
        openvino.check_installed,
        of_onnx=True,
    ),
    "safetensors": Format(lambda path, model, _: save_model(path, model), load),
    "torchscript": Format(write_torchscript, open_torchscript),
    "torch-export": Format(write_torch_export, open_torch_export),
}
"""format → what writes and opens its files"""


def export(model: TrainedModel, stem: Path, formats: Sequence[str], making: Making = AS_THEY_ARE) -> list[Made]:
    """Files of a model, called as `stem` with a format's suffix, in a folder that is there.

    Raises UserError, and leaves no file behind, where one of them is there already, gives other logits than the model
    (see TOLERANCE; of int8 the loss is measured and told), or needs a package that is missing.
    """
    paths = {name: stem.with_name(stem.name + SUFFIXES[name]) for name in formats}
    for name, path in paths.items():
        FORMATS[name].check()
        for file in files_of(name, path):
            if file.exists():
                raise UserError(f"{file}: already exists; name another --out")
    if making.dynamic:
        check_any_size(model)
    made = {}
    with tempfile.TemporaryDirectory(dir=stem.parent, prefix=".export-") as folder:
        parts = {name: Path(folder) / path.name for name, path in paths.items()}
        making = making._replace(floating=parts.get("onnx", Path(folder) / "float.onnx"))
        for name in sorted(formats, key=lambda name: FORMATS[name].of_onnx):
            if FORMATS[name].of_onnx and not making.floating.exists():
                _write("onnx", making.floating, paths[name], model, making)
            _write(name, parts[name], paths[name], model, making)
            made[name] = _checked(name, parts[name], paths[name], model, making)
        for name, part in parts.items():
            for file, kept in zip(files_of(name, part), files_of(name, paths[name]), strict=True):
                os.replace(file, kept)
    return [made[name] for name in formats]


def files_of(name: str, path: Path) -> list[Path]:
    """The files of a format: the one at `path`, behind that which lies beside it, if any."""
    return [*([path.with_suffix(BESIDE[name])] if name in BESIDE else []), path]


def _write(name: str, part: Path, path: Path, model: TrainedModel, making: Making) -> None:
    """A file at `part` that is to be called `path`."""
    try:
        FORMATS[name].write(part, model, making)
    except UserError as error:  # of a file that nobody has named
        raise UserError(str(error).replace(str(part), str(path))) from None


def _checked(name: str, part: Path, path: Path, model: TrainedModel, making: Making) -> Made:
    """What was made, once it is read again. Raises UserError where it gives other logits than the model."""
    run, quantized = FORMATS[name].open(part), None
    shapes = [image_shape(model), *([other_shape(model)] if making.dynamic else [])]
    difference, largest = max((compare(run, model, shape) for shape in shapes), key=_share)
    if not difference <= TOLERANCE * largest and (name != INT8 or math.isnan(difference)):
        by = f"differ from the model's by {difference:.2g}, where the largest is {largest:.2g}"
        what = "are not finite, or too few" if math.isnan(difference) else by
        raise UserError(f"{path}: not written: its logits {what}")
    if name == INT8 and making.pictures:
        quantized = judge_int8(open_onnx(making.floating), run, making.pictures)
        tell_loss(path, part, making.floating, quantized, making.pictures, model.blueprint.network)
    size = sum(file.stat().st_size for file in files_of(name, part))
    return Made(name, path, size, difference, largest, quantized)


def _share(found: tuple[float, float]) -> float:
    """How large a difference is beside the largest logit."""
    difference, largest = found
    return math.inf if math.isnan(difference) else difference / largest if largest else difference


def other_shape(model: TrainedModel) -> tuple[int, int, int]:
    """A second size of images, larger, odd and not square: what holds for it holds for any."""
    channels, height, width = image_shape(model)
    return channels, (height + height // 4) | 1, (width + width // 2) | 1


def check_any_size(model: TrainedModel) -> None:
    """Raises UserError where the network itself takes images of one size alone."""
    _, height, width = image_shape(model)
    channels, *larger = other_shape(model)
    try:
        with torch.no_grad():
            model.network(torch.zeros(1, channels, *larger))
    except RuntimeError as error:
        alone = f"the network takes no images but those of {height}×{width} pixels"
        raise UserError(f"dynamic: {alone}: {str(error).splitlines()[0]}") from None


@torch.no_grad()
def compare(run: Runs, model: TrainedModel, shape: Sequence[int] | None = None) -> tuple[float, float]:
    """(largest absolute difference of logits, largest absolute logit) on random images of a shape, the model's where
    none is said, one alone and three together.

    The difference is NaN where a logit is not finite.
    """
    images = torch.randn(4, *(shape or image_shape(model)), generator=torch.Generator().manual_seed(0))
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
