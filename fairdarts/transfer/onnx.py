"""A model as an ONNX file, for onnxruntime, TensorRT, browsers and phones."""

import json
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from fairdarts.config import UserError
from fairdarts.data.geometry import Preparation
from fairdarts.networks.blueprint import Blueprint
from fairdarts.networks.published import TrainedModel
from fairdarts.runtime.checkpoint import write_atomically
from fairdarts.runtime.shape import sides

NEEDS = ("onnx", "onnxruntime", "onnxscript")


def check_installed() -> None:
    """Raises UserError with the install line where a package is missing."""
    if missing := [name for name in NEEDS if find_spec(name) is None]:
        raise UserError(f"onnx: needs {', '.join(missing)}: pip install 'fairdarts[export]'")


def write_onnx(path: Path, model: TrainedModel, opset: int | None = None, dynamic: bool = False) -> None:
    """One ONNX file: `image` [batch, C, H, W], normalized → `logits` [batch, classes], for any batch, and where it is
    `dynamic` for any height and width.

    Its metadata hold classes, mean, std, about and transform, which says what is done to images before, as JSON; and
    under `fairdarts` the blueprint of the network. Raises UserError where torch cannot write it with this opset.
    """
    import onnx

    images = torch.zeros(2, *image_shape(model))  # a batch of one would be taken for a constant
    names = ("batch", None, "height", "width") if dynamic else ("batch",)
    sizes = {place: torch.export.Dim(name) for place, name in enumerate(names) if name}
    with warnings.catch_warnings(action="ignore"), torch.no_grad():
        program = torch.onnx.export(
            model.network,
            (images,),
            input_names=["image"],
            output_names=["logits"],
            opset_version=opset,
            dynamic_shapes=(sizes,),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    blueprint = model.blueprint
    assert program is not None, "dynamo makes one"
    proto = program.model_proto
    # Where it cannot do as it is asked, torch goes on with another opset, or with sizes as they are.
    written = next(used.version for used in proto.opset_import if used.domain == "")
    if opset not in (None, written):
        raise UserError(f"opset: {opset}: this network cannot be written with it, but with {written}")
    dims = proto.graph.input[0].type.tensor_type.shape.dim
    if fixed := [name for place, name in enumerate(names) if name and not dims[place].dim_param]:
        raise UserError(f"dynamic: this network cannot be written for any {fixed[0]} of its images: it depends on it")
    facts = {"classes": blueprint.classes, "mean": blueprint.mean, "std": blueprint.std, "about": model.about}
    facts["transform"] = preparation_of(blueprint).plain()
    texts = {key: json.dumps(value, ensure_ascii=False) for key, value in facts.items()}
    onnx.helper.set_model_props(proto, {"fairdarts": blueprint.model_dump_json(by_alias=True), **texts})
    for node in proto.graph.node:  # they tell where on this machine the code lies that they stem from
        del node.metadata_props[:]
    onnx.checker.check_model(proto, full_check=True)
    write_atomically(path, proto.SerializeToString())


def open_onnx(path: Path) -> Callable[[Tensor], Tensor]:
    """What runs an ONNX file with onnxruntime, on the CPU and as many threads as torch."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors
    # Threads that wait for the next image by spinning would take the time of whatever runs by turns with them.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(session.run(["logits"], {"image": images.numpy()})[0])


def preparation_of(blueprint: Blueprint) -> Preparation:
    """What is done to images before the network of a blueprint judges them."""
    image, mean, std = blueprint.image, blueprint.mean, blueprint.std
    return Preparation(len(mean), image, blueprint.resize or image, mean, std)


def image_shape(model: TrainedModel) -> tuple[int, int, int]:
    """Channels, height and width of a model's images."""
    return len(model.blueprint.mean), *sides(model.blueprint.image)
