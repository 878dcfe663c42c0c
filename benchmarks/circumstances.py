"""Under which circumstances was a result measured?"""

import platform
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path

import torch


def circumstances(device: str) -> dict[str, str]:
    """Date, command, device (`cpu` or `cuda`) and versions, to head a result."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "command": shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]]),
        "device": torch.cuda.get_device_name() if device == "cuda" else f"CPU, {platform.machine()}",
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
