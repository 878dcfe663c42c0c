"""Under which circumstances was a result measured?"""

import os
import platform
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path

import torch

FLAGS = ("avx2", "fma", "avx512f", "avx512_bf16", "avx512_vnni", "avx_vnni", "amx_tile", "amx_bf16", "asimd", "sve")
"""instructions that the kernels of torch, oneDNN and the library choose by, as Linux names them"""


def circumstances(device: str) -> dict[str, object]:
    """Date, command, device (`cpu` or `cuda`), processor and versions, to head a result."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "command": shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]]),
        "device": torch.cuda.get_device_name() if device == "cuda" else f"CPU, {platform.machine()}",
        **processor(),
        "torch": torch.__version__,
        **{name: sys.modules[name].__version__ for name in ("torchvision", "numpy") if name in sys.modules},
        "python": platform.python_version(),
    }


def processor(table: Path = Path("/proc/cpuinfo")) -> dict[str, object]:
    """The processor's model, the vector instructions that torch uses, those of FLAGS that it has, its physical cores
    and all its hardware threads; where a system has no such table, what Python knows."""
    blocks = table.read_text(encoding="utf-8").split("\n\n") if table.exists() else []
    cores = [dict(map(str.strip, line.split(":", 1)) for line in text.splitlines() if ":" in line) for text in blocks]
    cores = [core for core in cores if "processor" in core]
    first = cores[0] if cores else {}
    model = first.get("model name") or platform.processor() or platform.machine()
    if "cpu family" in first and "model" in first:  # virtual machines often tell no more than the maker
        model += f" (family {first['cpu family']}, model {first['model']})"
    known = (first.get("flags") or first.get("Features") or "").split()
    places = {(core["physical id"], core["core id"]) for core in cores if {"physical id", "core id"} <= core.keys()}
    return {
        "processor": model,
        "vectors": torch.backends.cpu.get_cpu_capability(),
        "flags": " ".join(flag for flag in FLAGS if flag in known),
        **({"cores": len(places)} if places else {}),
        "hardware_threads": os.cpu_count(),
    }
