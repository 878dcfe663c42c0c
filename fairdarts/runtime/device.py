"""Where a search runs."""

import torch

from fairdarts.config import UserError


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
