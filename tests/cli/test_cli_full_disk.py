"""Whatever writes a file on a full disk: it says in one line which file, and leaves nothing half-written behind."""

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from fairdarts.cli.zoo import main as zoo
from fairdarts.config import UserError
from fairdarts.data.masks import write_mask
from fairdarts.networks.blueprint import NetworkSettings
from fairdarts.networks.published import random_model
from fairdarts.networks.zoo import load_genotype
from fairdarts.plot import style
from fairdarts.plot.drawing import draw_genotype
from fairdarts.plot.overlay import draw_overlay, overlay_info
from fairdarts.runs.tensorboard import tensorboard
from fairdarts.runtime.run import RunDirectory
from fairdarts.transfer.formats import FORMATS, export
from fairdarts.transfer.settings import SUFFIXES

ROOM = 50
"""bytes that a file may have"""


@contextmanager
def full_disk() -> Iterator[None]:
    """Within it, a file takes its first bytes and no more. Python ignores the signal that the system sends as well."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def draw_mask(folder: Path) -> None:
    write_mask(folder / "mask.png", np.zeros((4, 4), np.uint8))


def lay_over(folder: Path) -> None:
    image, mask = np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.uint8)
    draw_overlay(overlay_info([image], None, [mask], ["background", "cat"], None), folder)


def log(folder: Path) -> None:
    with tensorboard(RunDirectory(folder), None) as writer:
        writer.add_scalar("a", 1.0, 1)
        writer.flush()


def written_as(kind: str) -> Callable[[Path], object]:
    def write(folder: Path) -> None:
        pytest.importorskip("openvino" if kind == "openvino" else "onnxruntime")
        model = random_model("fairdarts-a", NetworkSettings(cells=1, channels=2), image=8)
        export(model, folder / "model", [kind])

    return write


@pytest.mark.usefixtures("rendered")
@pytest.mark.parametrize(
    ("write", "file"),
    [
        (lambda folder: style.save(Figure(), folder, "figure"), "figure.svg"),
        (lambda folder: draw_genotype(*load_genotype("fairdarts-a"), folder), "fairdarts-a-normal.gv"),
        (lambda folder: zoo(["sample", "--out", str(folder)]), "random-s1-seed0-0.yaml"),
        (draw_mask, "mask.png"),
        (lay_over, "overlay.png"),
        (log, "tensorboard"),
        *((written_as(kind), f"model{SUFFIXES[kind]}") for kind in FORMATS),
    ],
    ids=lambda own: own if isinstance(own, str) else "",
)
def test_a_file_that_does_not_fit_is_named_and_not_left_behind(
    write: Callable[[Path], object], file: str, tmp_path: Path
):
    with full_disk(), pytest.raises(UserError) as error:
        write(tmp_path)
    place, _, problem = str(error.value).partition(": ")
    assert (Path(place).name, problem) == (file, "cannot be written: File too large")
    assert [own for own in tmp_path.rglob("*") if own.is_file() and "tfevents" not in own.name] == []
