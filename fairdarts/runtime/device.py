"""Where a search runs."""

import torch

from fairdarts.config import UserError

LAYOUTS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}
"""name of a setting → memory format of images and weights"""


def use_threads(threads: int | None) -> None:
    """Run on that many CPU threads, or leave torch's default."""
    if threads:
        torch.set_num_threads(threads)


def pick(name: str) -> torch.device:
    """The device of a setting: `auto` takes CUDA where it is, `cpu` and `cuda` insist. UserError without CUDA."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("device: no CUDA device on this machine; use --device cpu or auto")
    return torch.device(name)


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The context of a forward pass in a precision: `auto` is bfloat16 on CUDA and float32 elsewhere."""
    lower = precision == "bfloat16" or (precision == "auto" and device.type == "cuda")
    return torch.autocast(device.type, torch.bfloat16, enabled=lower)
