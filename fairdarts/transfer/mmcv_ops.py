"""A stand-in for mmcv's compiled operations, for the CPU: non-maximum suppression, and no other.

mmdet cannot be imported without the module `mmcv._ext`, which mmcv compiles. Importing this one puts a module in its
place, before mmcv.ops is imported: in a config, first among `custom_imports`. It stands aside where mmcv has its own.

`python -m fairdarts.transfer.mmcv_ops SCRIPT …` runs a script with it, such as mmdet's tools/test.py, which imports
mmcv.ops before it reads a config.
"""

import runpy
import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import NoReturn

import torch
from torch import Tensor
from torchvision import ops

from fairdarts.config import UserError

NAME = "mmcv._ext"


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Which boxes are kept, the best first: mmcv's `nms`. Boxes [N, 4], scores [N] → numbers of boxes [≤ N].

    A box is left out whose overlap with a better one, intersection over union, is above the threshold; it is
    x2 − x1 + `offset` wide. The threshold is one of float32, as mmcv has it. Raises UserError where the boxes are not
    on the CPU.
    """
    if boxes.device.type != "cpu":
        raise UserError(f"{NAME}.nms: boxes are on {boxes.device}: {_refusal('nms')}")
    threshold = float(torch.tensor(iou_threshold, dtype=torch.float32))
    return ops.nms(boxes + boxes.new_tensor([0, 0, offset, offset]), scores, threshold)


def _refusal(name: str) -> str:
    return f"this stand-in has only nms, on the CPU; {name} needs mmcv's own operations, compiled (docs/transfer.md)"


class StandIn(ModuleType):
    """The module: it has every operation, since mmcv.ops asks for them all, and refuses all but one when called."""

    nms = staticmethod(nms)

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)

        def refuse(*_: object, **__: object) -> NoReturn:
            raise UserError(f"{NAME}.{name}: {_refusal(name)}")

        return refuse


def install() -> bool:
    """Puts the stand-in in its place, and tells so; False where there is a module already. Raises UserError where
    mmcv is missing."""
    if find_spec("mmcv") is None:
        raise UserError("mmcv: is missing: pip install 'fairdarts[mmdet]'")
    if find_spec(NAME) is not None:
        return False
    module = StandIn(NAME, "mmcv's compiled operations, of which there is nms alone.")
    module.__spec__ = ModuleSpec(NAME, __spec__.loader, origin=__file__)  # else find_spec, which others ask, fails
    sys.modules[NAME] = module
    return True


install()
if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python -m fairdarts.transfer.mmcv_ops SCRIPT …")
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
