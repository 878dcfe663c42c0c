"""A model as OpenVINO's intermediate representation: an .xml file, and a .bin file with the weights beside it."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from fairdarts.config import UserError
from fairdarts.runtime.checkpoint import sync_folder
from fairdarts.transfer import onnx


def check_installed() -> None:
    """Raises UserError with the install line where a package is missing."""
    onnx.check_installed()
    if find_spec("openvino") is None:
        raise UserError("openvino: needs openvino: pip install 'fairdarts[openvino]'")


def write_openvino(path: Path, floating: Path) -> None:
    """The two files, in float32, made of an ONNX file, whose metadata stand in the .xml file under rt_info/framework.

    Raises UserError where they cannot be written.
    """
    import openvino

    try:
        openvino.save_model(openvino.convert_model(floating), path, compress_to_fp16=False)
    except RuntimeError as error:
        raise UserError(f"{path}: cannot be written: {str(error).splitlines()[-1]}") from None
    sync_folder(path.parent)


def open_openvino(path: Path) -> Callable[[Tensor], Tensor]:
    """What runs them on the CPU, in float32 and on as many threads as torch."""
    import openvino

    settings = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "PERFORMANCE_HINT": "LATENCY"}
    settings["INFERENCE_PRECISION_HINT"] = "f32"  # or it takes bfloat16 where the CPU has it
    compiled = openvino.Core().compile_model(path, "CPU", settings)
    return lambda images: torch.from_numpy(compiled({"image": images.numpy()})["logits"].copy())
