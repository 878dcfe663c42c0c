"""benchmarks/official.py: the library's step is held against what stands in a clone, which is left as it is.

The clone is written here, of the plain form, under the names that the authors' repository has.
"""

import math
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from torch import nn

from fairdarts.config import UserError
from fairdarts.spaces.space import load_space

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
CLONE = {
    "auto_augment": "",
    "utils": "import auto_augment",
    "genotypes": f"PRIMITIVES = {load_space('s1').candidates}",
    "operations": "",
    "model_search": """
import torch
from plain import Network as Plain
from fairdarts.spaces.space import load_space

class Network(Plain):
    def __init__(self, C, num_classes, layers, criterion):
        super().__init__(load_space("s1"), layers, C, num_classes)
        self.criterion = criterion
        self.alphas = [torch.zeros(14, 7).cuda().requires_grad_() for _ in range(2)]

    def arch_parameters(self):
        return self.alphas

    def forward(self, x):
        return super().forward(x, dict(zip(("normal", "reduce"), (alpha.sigmoid() for alpha in self.alphas))))
""",
    "architect": """
import torch

class Architect:
    def __init__(self, model, args):
        self.model = model
        betas, decay = (args.arch_lr_gamma, 0.999), args.arch_weight_decay
        self.optimizer = torch.optim.Adam(model.arch_parameters(), args.arch_learning_rate, betas, weight_decay=decay)

    def step(self, images, labels):
        self.optimizer.zero_grad()
        gates = torch.cat([alpha.sigmoid() for alpha in self.model.arch_parameters()])
        self.model.criterion(self.model(images), labels, gates)[0].backward()
        self.optimizer.step()
""",
    "separate_loss": """
import torch
import torch.nn.functional as F

class ConvSeparateLoss(torch.nn.Module):
    def __init__(self, weight):
        super().__init__()
        self.weight = weight

    def forward(self, logits, labels, gates):
        loss, push = F.cross_entropy(logits, labels), -((gates - torch.tensor(0.5).cuda()) ** 2).mean()
        return loss + self.weight * push, loss.item(), push.item()
""",
}


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    import official

    return official


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    (tmp_path / "clone" / "fairdarts").mkdir(parents=True)
    for name, text in CLONE.items():
        (tmp_path / "clone" / "fairdarts" / f"{name}.py").write_text(text)
    return tmp_path / "clone"


def sizes(**changed: int) -> SimpleNamespace:
    return SimpleNamespace(**{"cells": 3, "channels": 2, "batch": 2, "image": 16, "compared": 2} | changed)


def test_the_steps_of_a_clone_are_compared_and_taken(program: ModuleType, clone: Path):
    path, modules = list(sys.path), set(sys.modules)
    with program.without_cuda():
        checkout = program.load(clone)
        assert 0 < program.difference(checkout, sizes()) < 1e-10
        generator = torch.Generator().manual_seed(0)
        one = [program.batch(2, 16, torch.float32, program.CPU, generator) for _ in range(2)]
        for name in ("official channels_last", "recompute"):
            program.take_of(name, checkout, sizes())(*one)
        official, none, checkpoint = (
            program.kept_by(name, checkout, sizes()) for name in ("official", "none", "checkpoint")
        )
    assert official > none > checkpoint
    assert sys.path == path
    assert not set(sys.modules) - modules & set(program.MODULES)
    assert {path.suffix for path in clone.rglob("*")} == {"", ".py"}  # no compiled file, no folder of them
    assert not list(clone.rglob("__pycache__"))


def test_another_step_does_not_agree(program: ModuleType, clone: Path):
    loss = clone / "fairdarts" / "separate_loss.py"
    loss.write_text(loss.read_text().replace("loss + self.weight * push", "loss + self.weight * push / 2"))
    with program.without_cuda():
        assert program.difference(program.load(clone), sizes()) > 1e-6


def test_a_step_that_gives_nan_does_not_agree(program: ModuleType, clone: Path):
    model = clone / "fairdarts" / "model_search.py"
    spoilt = "\n    def train(self, mode=True):\n        [*self.parameters()][-1].data.fill_(float('nan'))\n"
    model.write_text(model.read_text() + spoilt)
    with program.without_cuda():
        assert math.isnan(program.difference(program.load(clone), sizes(compared=0)))


def test_cuda_is_as_before_afterwards(program: ModuleType):
    kept = torch.Tensor.cuda, nn.Module.cuda
    with program.without_cuda():
        x, module = torch.zeros(1), nn.ReLU()
        assert x.cuda(non_blocking=True) is x
        assert module.cuda() is module
    assert kept == (torch.Tensor.cuda, nn.Module.cuda)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (
            "architect",
            None,
            "should be a clone of https://github.com/xiaomi-automl/FairDARTS: it has no fairdarts/arch",
        ),
        ("genotypes", "PRIMITIVES = ['none']", "PRIMITIVES: none: should be max_pool_3x3, avg_pool_3x3"),
        ("utils", "import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'; should run as"),
        ("utils", "assert False, 'no\\nway'", "AssertionError: no; should run as"),
        ("genotypes", "PRIMITIVES = 7", "TypeError: 'int' object is not iterable"),
        ("architect", "", "AttributeError: module 'architect' has no attribute 'Architect'"),
    ],
)
def test_what_is_no_clone_is_refused_in_a_line(
    program: ModuleType,
    clone: Path,
    name: str,
    text: str | None,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    file = clone / "fairdarts" / f"{name}.py"
    file.unlink() if text is None else file.write_text(text)
    monkeypatch.setattr("sys.argv", ["official.py", str(clone)])
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    assert program.main() == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("official.py: ")
    assert said in err


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("layers, C, num_classes)", "layers, C, 11)", r"classifier.weight \[11, 32\]: should be as the library's"),
        ("self.criterion = criterion", "self.more = torch.nn.BatchNorm2d(1)", "tensors: should have"),
    ],
)
def test_another_network_is_refused(program: ModuleType, clone: Path, old: str, new: str, said: str):
    model = clone / "fairdarts" / "model_search.py"
    model.write_text(model.read_text().replace(old, new))
    with program.without_cuda(), pytest.raises(UserError, match=said):
        program.both(program.load(clone), sizes(), "none", torch.float32)
