"""What all tests share: one thread, and a search so small that it takes a second."""

import csv
import json
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import nn
from torch.utils.data import TensorDataset

from fairdarts.config import Notice
from fairdarts.data import sources
from fairdarts.differentiable.derive import METHODS
from fairdarts.differentiable.losses import ZERO_ONE
from fairdarts.differentiable.penalties import PENALTIES
from fairdarts.native import build
from fairdarts.noise import SCHEDULES
from fairdarts.oneshot.samplers import SAMPLERS
from fairdarts.ops import cell, mbconv, nasbench201
from fairdarts.own import OWN, PLUGINS
from fairdarts.plot import style, tensorboard
from fairdarts.relaxation import RELAXATIONS
from fairdarts.runtime.device import LAYOUTS
from fairdarts.spaces.space import SPACES

os.environ["FAIRDARTS_NATIVE"] = "never"  # what is recorded is torch's, and most tests are of what calls the kernels
torch.set_num_threads(1)  # two threads on a busy machine can be ten times slower than one

if not torch.accelerator.is_available():
    # What is not there notes the stack at each seed; as images of FakeData seed, that is a tenth of a small search.
    for absent in (torch.cuda, torch.xpu, torch.mtia):
        absent.manual_seed_all = lambda _: None
os.fsync = lambda _: None  # no test cuts the power: those of what survives that have a disk of their own

SHARED = Path(__file__).parents[2] / "shared" / "data"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest test begins first, else one process would still be at it when the other has no more to do."""
    items.sort(key=lambda item: item.name != "test_every_command_runs")


@pytest.fixture(scope="session")
def bench201() -> list[dict[str, str]]:
    """The rows of NAS-Bench-201 (arch, unique, params_cifar10, …), which are not the project's to ship."""
    path = SHARED / "nasbench201.csv"
    if not path.is_file():
        pytest.skip(f"needs the benchmark's table {path}")
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="session")
def macro() -> dict[str, dict]:
    """NAS-Bench-Macro: path as eight digits → mean_acc, params, flops, …; not the project's to ship."""
    path = SHARED / "nas-bench-macro_cifar10.json"
    if not path.is_file():
        pytest.skip(f"needs the benchmark's file {path}")
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def native() -> Iterator[None]:
    """The library's own kernels for the CPU, which other tests do without."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("FAIRDARTS_NATIVE")
        build.library.cache_clear()
        with warnings.catch_warnings(action="ignore", category=Notice):
            if build.library() is None:
                pytest.skip("needs a C++ compiler")
        yield
    build.library.cache_clear()


@pytest.fixture
def forgotten() -> Iterator[Callable[[], None]]:
    """Forgets the parts of a user's own that a test registers: when it is called, and in the end."""
    known = [*OWN.values(), PLUGINS, cell.OPS, nasbench201.OPS, mbconv.OWN_CHOICES, mbconv.ACTIVATIONS, SPACES]
    known += [RELAXATIONS, ZERO_ONE, PENALTIES, SAMPLERS, METHODS, SCHEDULES]
    before = [dict(parts) for parts in known]

    def forget() -> None:
        for parts, library in zip(known, before, strict=True):
            parts.clear()
            parts.update(library)

    yield forget
    forget()


@pytest.fixture
def few_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """scikit-learn's digits are the first 400 of 1,797, for what is shown on them and would take its time."""
    all_of_them = sources.digits()
    some = all_of_them._replace(dataset=TensorDataset(*all_of_them.dataset[:400]))
    monkeypatch.setattr(sources, "digits", lambda: some)


@pytest.fixture(autouse=True)
def plain_events(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorBoard's heatmap of an epoch is blank, but in tests of figures: to draw it takes longer than the epoch."""
    if request.path.parent.name != "plot":
        monkeypatch.setattr(tensorboard, "pixels", lambda figure: np.zeros((2, 2, 3), dtype=np.uint8))


@pytest.fixture(autouse=True)
def unrendered(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are made, but their files hold an empty one: to render one takes up to a second.

    Not in tests of figures, and where a test uses the fixture `rendered`.
    """
    if request.path.parent.name != "plot" and "rendered" not in request.fixturenames:
        monkeypatch.setattr(style, "rendered", lambda *_: b"<svg/>")


@pytest.fixture
def rendered() -> None:
    """Files of figures hold them."""


@pytest.fixture
def layouts() -> Iterator[set[str]]:
    """The layouts of all the colour images that modules are given from here on."""
    seen: set[str] = set()

    def note(_: nn.Module, given: tuple[Any, ...]) -> None:
        x = given[0] if given else None
        if isinstance(x, torch.Tensor) and not x.is_meta and x.ndim == 4 and x.shape[1] == 3:
            seen.update(name for name, layout in LAYOUTS.items() if x.is_contiguous(memory_format=layout))

    hook = nn.modules.module.register_module_forward_pre_hook(note)
    yield seen
    hook.remove()


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Path]:
    """A named pipe. Who opens it all the same reads nothing, rather than waiting for ever."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = Thread(target=lambda: open(path, "wb").close(), daemon=True)
    writer.start()
    yield path
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writer.join()
    os.close(reader)


@pytest.fixture
def tiny_recipe(tmp_path: Path) -> Path:
    """A recipe file of a complete FairDARTS search: 3 epochs of 4 steps on fake images, a space of 2 nodes."""
    space = {
        "schema": 1,
        "name": "tiny",
        "kind": "cell",
        "source": "tests",
        "inputs": 2,
        "nodes": 2,
        "candidates": ["max_pool_3x3", "skip_connect", "dil_conv_3x3"],
        "reductions": ["1/2"],
        "stem_multiplier": 1,
        "supernet": {"cells": 2, "channels": 2},
        "networks": {name: {"cells": 2, "channels": 2, "image": 64, "classes": 3} for name in ("cifar", "imagenet")},
    }
    (tmp_path / "tiny-space.yaml").write_text(yaml.safe_dump(space))
    recipe = {
        "verb": "search",
        "name": "tiny",
        "source": "tests",
        "space": str(tmp_path / "tiny-space.yaml"),
        "epochs": 3,
        "device": "cpu",
        "data": {
            "kind": "fake",
            "images": 32,
            "image_size": 8,
            "classes": 3,
            "batch_size": 4,
            "train_portion": 0.5,
            "cutout": 2,
            "workers": 0,
        },
        "relaxation": "sigmoid",
        "weights": {"lr": 0.1, "lr_min": 0.001, "momentum": 0.9, "weight_decay": 3e-4, "clip": 5},
        "architect": {"kind": "first_order", "lr": 0.3, "betas": [0.9, 0.999], "weight_decay": 1e-3, "initial_std": 0},
        "zero_one": {"form": "squared", "weight": 10},
        "derive": {"method": "threshold", "threshold": 0.6},
    }
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    return path
