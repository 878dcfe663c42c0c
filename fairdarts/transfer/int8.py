"""An ONNX file whose numbers are int8, by the static quantization of onnxruntime; and what it loses.

Every value between two layers gets a range, that which it has for some training images (calibration); weights get one a
channel (https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html).
"""

import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from logging import ERROR, getLogger
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from fairdarts.config import Notice, UserError
from fairdarts.networks.settings import NetworkSettings
from fairdarts.runtime.checkpoint import write_atomically
from fairdarts.training.score import Batch
from fairdarts.transfer.settings import CALIBRATION

Runs = Callable[[Tensor], Tensor]
"""images [B, C, H, W] → logits [B, classes]"""

LOSS, ALIKE = 0.01, 0.98
"""a Notice says it where top-1 falls by more than LOSS, or a smaller share of the images than ALIKE keeps its class"""
LOOKED_AT = 8
"""images by which the layer is found that loses most: all values of the network are kept for them"""


class Pictures(NamedTuple):
    """The images that an int8 file is made with."""

    calibrating: Callable[[], Iterable[Batch]]
    """training images [B, C, H, W], normalized, that tell the ranges"""
    calibration: int
    """how many they are"""
    judging: Callable[[], Iterable[Batch]]
    """other images, with labels [B], that tell what is lost"""
    on: str
    """which these are: test, held-out or other"""


class Quantized(NamedTuple):
    """What an int8 file is worth beside the file that it was made of. Shares are from 0 to 1."""

    images: int
    """that judged it"""
    on: str
    """which they are: test, held-out or other"""
    before: float
    """top-1 of the float32 file"""
    after: float
    """top-1 of the int8 file"""
    alike: float
    """share of the images to which both give the same class"""
    calibration: int
    """training images that told the ranges"""


class _Reader:
    """Batches as onnxruntime asks for them."""

    def __init__(self, batches: Iterable[Batch]):
        self._inputs = ({"image": images.numpy()} for images, _ in batches)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._inputs, None)


def write_int8(path: Path, floating: Path, pictures: Pictures) -> None:
    """The int8 form of an ONNX file, with the same metadata.

    Weights take 7 of the 8 bits: the sum of two products of all 8 does not fit what CPUs add them up in that lack VNNI,
    so that there the file would be worth less than was measured here. BatchNorm needs no folding before: torch's
    exporter has done it. Raises UserError where it cannot be written.
    """
    import onnx
    from google.protobuf.message import DecodeError
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    reader = _Reader(pictures.calibrating())
    with _silent(), tempfile.TemporaryDirectory(dir=path.parent, prefix=".int8-") as folder:
        quantized = Path(folder) / path.name
        quantize_static(
            floating,
            quantized,
            reader,
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        try:
            proto = onnx.load(quantized)
        except DecodeError:  # onnxruntime does not say that a disk is full
            raise UserError(f"{path}: cannot be written: what onnxruntime wrote is not whole") from None
    facts = {entry.key: entry.value for entry in onnx.load(floating).metadata_props}
    del proto.metadata_props[:]
    onnx.helper.set_model_props(proto, facts)
    onnx.checker.check_model(proto)
    write_atomically(path, proto.SerializeToString())


def judge_int8(before: Runs, after: Runs, pictures: Pictures) -> Quantized:
    """What the int8 file is worth."""
    counts = torch.zeros(4, dtype=torch.int64)
    for images, labels in pictures.judging():
        one, other = before(images).argmax(1), after(images).argmax(1)
        found = (torch.ones_like(labels), one == labels, other == labels, one == other)
        counts += torch.stack([each.sum() for each in found])
    total, *others = counts.tolist()
    before_right, after_right, alike = (count / total for count in others)
    return Quantized(total, pictures.on, before_right, after_right, alike, pictures.calibration)


def tell_loss(
    path: Path, part: Path, floating: Path, quantized: Quantized, pictures: Pictures, network: NetworkSettings
) -> None:
    """A Notice of an int8 file, to be called `path`, that is worth clearly less, with what loses most."""
    if quantized.before - quantized.after <= LOSS and quantized.alike >= ALIKE:
        return
    layer, decibels = worst_layer(part, floating, pictures)
    what = f"top-1 {quantized.after:.2%}, before {quantized.before:.2%}, the same class for {quantized.alike:.2%}"
    where = f"the outputs of {layer} lose most (signal to noise: {decibels:.0f} dB)"
    swish = network.se_ratio or "swish" in (network.activation, network.outer_activation)
    mend = ["swish and squeeze-and-excitation are known to lose by int8, ReLU does better"] if swish else []
    if quantized.calibration < CALIBRATION:
        mend.append(f"more than {quantized.calibration} images to calibrate with may help (calibration)")
    told = f"{path}: int8 gives other answers: {what} of {quantized.images:,} {quantized.on} images"
    told = "; ".join([told, where, *mend])
    warnings.warn(told, Notice, stacklevel=2)


def worst_layer(quantized: Path, floating: Path, pictures: Pictures) -> tuple[str, float]:
    """The layer with weights whose outputs differ most from those in float32: its name, and how far its signal lies
    above the difference, in decibels."""
    import onnx
    from onnxruntime.quantization import qdq_loss_debug as debug

    images, _ = next(iter(pictures.calibrating()))
    some = [{"image": images[:LOOKED_AT].numpy()}]
    with _silent(), tempfile.TemporaryDirectory() as folder:
        values = []
        for number, path in enumerate((quantized, floating)):
            watched = Path(folder) / f"{number}.onnx"
            debug.modify_model_output_intermediate_tensors(path, watched)
            values.append(debug.collect_activations(watched, some))
    errors = debug.compute_activation_error(debug.create_activation_matching(*values))
    graph = onnx.load(floating).graph
    weights = {tensor.name for tensor in graph.initializer}
    layers = {node.output[0]: node.input[1] for node in graph.node if len(node.input) > 1 and node.input[1] in weights}
    found = {layer: float(errors[value]["xmodel_err"]) for value, layer in layers.items() if value in errors}
    layer = min(found, key=found.__getitem__)
    return layer.removesuffix(".weight"), found[layer]


@contextmanager
def _silent() -> Iterator[None]:
    """Without advice of onnxruntime's, which logs it to the root."""
    logger, before = getLogger(), getLogger().level
    logger.setLevel(ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
