"""No network that we ship, and no reference that we hold it against, runs a strided 1×1 convolution.

Its weight gradient damages memory on the CPU where it has few input channels (uxlfoundation/oneDNN#6035).
"""

import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
import torch
from plain_supernet import PlainSupernet, plain
from shipped import as_parameters
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from fairdarts import resources
from fairdarts.config import UserError
from fairdarts.differentiable.settings import DenseSupernetSettings
from fairdarts.networks.blueprint import NetworkSettings
from fairdarts.networks.create import create_model
from fairdarts.networks.deeplab import DeepLabSettings, build_deeplab
from fairdarts.networks.models import model_names
from fairdarts.networks.zoo import load_genotype
from fairdarts.ops.cell import OPS
from fairdarts.ops.mbconv import choice
from fairdarts.relaxation import dense, initial_alphas, relax
from fairdarts.spaces.cell import CellSpace
from fairdarts.spaces.chain import ChainSpace, Layer
from fairdarts.spaces.gates import subnet
from fairdarts.spaces.space import Space, load_space
from fairdarts.supernet.settings import SupernetSettings, check_supernet
from fairdarts.supernet.supernet import make_supernet

SPACES = {name: load_space(name) for name in resources.names("search_spaces")}
SETTINGS = (
    SupernetSettings(),
    SupernetSettings(affine=False, track=False),
    SupernetSettings(operations="node", wsbn=True),
    SupernetSettings(ofa_kernel=True),
    SupernetSettings(dynamic_channels="interpolate"),
)


class Strided(TorchDispatchMode):
    """Whoever runs a 1×1 convolution of several channels with a stride fails."""

    def __init__(self):
        super().__init__()
        self.seen = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten.convolution.default:
            weight, stride, groups = args[1], args[3], args[8]
            self.seen += 1
            assert max(stride) == 1 or weight.shape[2:] != (1, 1) or groups == weight.shape[0], weight.shape
        return func(*args, **(kwargs or {}))


def check(run, *arguments) -> None:
    """Fails unless `run(*arguments)` runs convolutions, none of them 1×1 with a stride."""
    with Strided() as strided:
        run(*arguments)
    assert strided.seen


def test_the_walk_sees_a_strided_pointwise_convolution():
    for convolution in (nn.Conv2d(4, 8, 1, 2), nn.Conv2d(4, 8, 1, (1, 2))):
        with pytest.raises(AssertionError), Strided():
            convolution(torch.zeros(1, 4, 8, 8))
    check(nn.Conv2d(4, 8, 3, 2), torch.zeros(1, 4, 8, 8))


@pytest.mark.parametrize("name", [*OPS, "E3K3", "E3K1", "MBE6K5", "skip_connect to 6"])
def test_operations(name: str):
    operation = OPS[name](4, 2, True) if name in OPS else choice(name.removesuffix(" to 6"), 4, 6, 2, True)
    with Strided():
        operation(torch.zeros(2, 4, 9, 8))


@pytest.mark.parametrize("name", as_parameters(model_names()))
def test_models(name: str):
    with torch.device("meta"):
        check(create_model(name, features_only=True).eval(), torch.zeros(1, 3, 64, 64))


@pytest.mark.parametrize("stride", [8, 16])
@pytest.mark.parametrize("name", ["fairnas-a", "fairdarts-b"])
def test_encoders_of_segmentation(name: str, stride: int):
    settings = DeepLabSettings(output_stride=stride)
    with torch.device("meta"):
        network = build_deeplab(*load_genotype(name), NetworkSettings(), settings, 3)
        check(network.eval(), torch.zeros(1, 3, 64, 64))


def small(space: Space) -> dict[str, int]:
    """The size of a supernet of cells that has both kinds of them, and of one of stages; chains have one size alone."""
    if isinstance(space, ChainSpace):
        return {}
    return {"cells": 3 if isinstance(space, CellSpace) else 1, "channels": 4}


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: str(settings.model_dump(exclude_defaults=True)))
def test_supernets_under_paths(name: str, settings: SupernetSettings):
    space = SPACES[name]
    settings = settings.model_copy(update=small(space))
    try:
        check_supernet(settings, space)
    except UserError:
        return
    random = Random(0)
    with torch.device("meta"):
        supernet = make_supernet(space, 3, settings=settings)
        for _ in range(3):
            gates = space.gates(subnet(space.random_path(random.randrange)))
            check(supernet, torch.zeros(2, 3, 32, 32), gates)


@pytest.mark.parametrize("name", [name for name, own in SPACES.items() if own.parts])
@pytest.mark.parametrize("memory", ["none", "recompute"])
def test_supernets_under_dense_gates(name: str, memory: str):
    space = SPACES[name]
    supernet = make_supernet(space, 3, settings=DenseSupernetSettings(**small(space)), memory=memory)
    gates = dense(relax(initial_alphas(space, 1e-3, torch.Generator().manual_seed(0)), "sigmoid"), space)
    check(lambda x: supernet(x, gates).sum().backward(), torch.zeros(2, 3, 16, 16))
    check(supernet.eval(), torch.zeros(2, 3, 16, 16), gates)


def test_plain_references():
    cells, layer = SPACES["s1"], Layer(4, 6, 2)
    gates = relax(initial_alphas(cells, 1e-3, torch.Generator().manual_seed(0)), "sigmoid")
    check(PlainSupernet(cells, 3, 4, classes=3), torch.zeros(2, 3, 9, 9), gates)
    check(plain.Choices(("skip_connect", "E3K3"), layer), torch.zeros(2, 4, 9, 9), torch.ones(2))
    with torch.device("meta"):
        check(plain.PathNetwork(SPACES["nas-bench-macro"], 3).eval(), torch.zeros(2, 3, 32, 32), (0,) * 8)


NARROW = """
import torch
from fairdarts.networks.blueprint import NetworkSettings, build
from fairdarts.networks.zoo import load_genotype
from fairdarts.ops.mbconv import choice
from fairdarts.spaces.gates import subnet
from fairdarts.spaces.space import load_space
from fairdarts.supernet.settings import SupernetSettings
from fairdarts.supernet.supernet import make_supernet
from random import Random

torch.set_num_threads(1)
torch.manual_seed(0)
images = torch.randn(16, 3, 32, 32).contiguous(memory_format=torch.channels_last)
space, random = load_space("s1"), Random(0)
for channels in (2, 3, 4, 6):
    network = build(*load_genotype("fairdarts-a"), NetworkSettings(cells=3, channels=channels), 3, 3)
    supernet = make_supernet(space, 3, settings=SupernetSettings(cells=3, channels=channels))
    for model in (network, supernet):
        model.to(memory_format=torch.channels_last).train()
    for _ in range(3):
        network(images).sum().backward()
        supernet(images, space.gates(subnet(space.random_path(random.randrange)))).sum().backward()
    skip = choice("skip_connect", channels, 8, 2, True).to(memory_format=torch.channels_last)
    for size in range(16, 32):
        x = torch.randn(16, channels, size, size).contiguous(memory_format=torch.channels_last)
        skip(x).sum().backward()
print("whole")
"""


def test_narrow_networks_leave_the_heap_whole():
    """On the instructions where the fault shows at the fewest channels, with glibc looking at every block it gets."""
    debug = "libc_malloc_debug.so.0"  # where glibc is 2.34 or newer, it checks only with this
    there = any((folder / debug).is_file() for folder in map(Path, ("/lib/x86_64-linux-gnu", "/lib64", "/usr/lib")))
    environment = {**os.environ, "MALLOC_CHECK_": "3", "ONEDNN_MAX_CPU_ISA": "AVX2"}
    environment |= {"LD_PRELOAD": debug} if there else {}
    done = subprocess.run([sys.executable, "-c", NARROW], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout) == (0, "whole\n"), done.stderr[-2000:]
