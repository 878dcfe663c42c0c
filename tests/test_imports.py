"""Imports point one way, and nothing heavy is loaded by those who do not need it."""

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import fairdarts
from fairdarts import resources
from fairdarts.cli import VERBS

PACKAGE = Path(fairdarts.__file__).parent
RANKS = (
    {"config", "hook"},
    {"reading"},
    {"checking"},
    {"own"},
    {"resources", "genotype", "options", "noise"},
    {"native"},
    {"runtime"},
    {"ops"},
    {"spaces"},
    {"relaxation", "networks", "data"},
    {"cost"},
    {"disturbance"},
    {"supernet"},
    {"oneshot"},
    {"differentiable", "training"},
    {"ranking", "evolution", "segmentation", "plugins"},
    {"plot", "transfer"},
    {"runs"},
    {"cli"},
    {"__main__"},
)
"""Every part of the package imports parts of earlier ranks only, and itself."""

MODULES = sorted(path.relative_to(PACKAGE.parent).with_suffix("") for path in PACKAGE.rglob("*.py"))


def part(module: str) -> str:
    """The part of the package that a dotted module name belongs to: '' for the package itself."""
    return [*module.split("."), ""][1]


def rank(name: str) -> int:
    return next(number for number, names in enumerate(RANKS) if name in names)


def imported(module: Path, only_what_runs: bool = False) -> set[str]:
    """The parts of fairdarts that a module imports anywhere in it, or but where only type checkers look."""
    found = set()
    tree = ast.parse((PACKAGE.parent / module).with_suffix(".py").read_text(encoding="utf-8"))
    if only_what_runs:
        tree.body = [
            node for node in tree.body if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
        ]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {part(alias.name) for alias in node.names if alias.name.split(".")[0] == "fairdarts"}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where they point"
            if node.module == "fairdarts":
                found |= {alias.name for alias in node.names}
            elif node.module.split(".")[0] == "fairdarts":
                found.add(part(node.module))
    return found - {"__version__", ""}


def own_part(module: Path) -> str:
    return part(".".join(module.parts)) if module.name != "__init__" or len(module.parts) > 2 else ""


def test_the_page_on_the_architecture_has_the_same_ranks():
    page = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    lines = page.split("## What may import what")[1].split("## ")[0].split("\n")
    assert [set(line.strip().split(", ")) for line in lines if line.startswith("    ")] == [*RANKS[:-1]]


def test_every_module_has_a_rank():
    assert {own_part(module) for module in MODULES} - {""} == set().union(*RANKS)


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_imports_point_one_way(module: Path):
    own = own_part(module)
    if not own:
        assert imported(module, only_what_runs=True) <= {"hook"}  # `import fairdarts` is free
        return
    for name in imported(module) - {own}:
        assert rank(name) < rank(own), f"{own} imports {name}"


@pytest.mark.parametrize("leaf", ["plot", "transfer"])
def test_leaves_are_of_use_to_runs_and_the_command_line_alone(leaf: str):
    assert {own_part(module) for module in MODULES if leaf in imported(module)} - {"runs"} == {leaf, "cli"}


def test_the_walk_sees_imports_of_every_form():
    assert imported(Path("fairdarts/runs/zoo")) >= {"resources", "runs", "cost", "networks"}
    assert imported(Path("fairdarts/__main__")) == {"cli"}


def test_nothing_heavy_is_loaded_by_those_who_do_not_need_it():
    program = """
import json, sys
heavy = ("matplotlib", "scipy", "sklearn", "tensorboard", "torch", "pymoo", "mmdet", "timm", "yaml")
import fairdarts
first = [name for name in heavy if name in sys.modules]
import fairdarts.differentiable.loop
print(json.dumps([first, [name for name in heavy if name in sys.modules]]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    package, search = json.loads(done.stdout)
    assert package == []
    assert "torch" in search  # else the list would tell nothing
    assert not {"matplotlib", "tensorboard"} & set(search)


def test_settings_are_read_before_torch_is_loaded():
    modules = [".".join(module.parts) for module in MODULES if module.name == "settings"]
    assert "fairdarts.differentiable.settings" in modules
    program = f"""
import importlib, json, sys
for module in {modules}:
    importlib.import_module(module)
print(json.dumps([name for name in ("torch", "numpy", "torchvision", "PIL", "scipy") if name in sys.modules]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


RIGHT = (
    *([verb, "--help"] for verb in VERBS),
    ["zoo", "sample", "--help"],
    ["search", "fairdarts-s1-digits", "--help"],
    ["segment", "--judge", "x", "--help"],
    ["segment", "--predict", "x", "--help"],
    *(
        [recipe.verb, *(["run", "--config"] if recipe.verb == "evolve" else []), recipe.name, "--print-config"]
        for recipe in resources.recipes()
        if recipe.verb in ("search", "supernet", "evolve")  # of others the genotype says which is which
    ),
    ["help"],
    ["complete", "search", ""],
    ["complete", "search", "x", "--data.k"],
    ["complete", "tr"],
)
"""words that say something and run nothing"""
WRONG = (
    ["search", "fairdarts-s1-digits", "--epochs", "x"],
    ["search", "--resume", "no-run"],
    ["search", "--resume", "run", "--seed", "7"],
    ["supernet", "fairnas-macro-small", "--nonsense", "1"],
    ["train", "fairdarts-a", "--epochs", "x"],
    ["train", "runs/mine", "--nonsense", "1"],
    ["train", "fairdarts-a", "--config", "train-chain-cifar10", "--data.batch_size", "none"],
    ["segment", "fairnas-a", "--epochs", "0"],
    ["segment", "--judge", "no-run"],
    ["evolve", "no-run", "--evolve.kind", "x"],
    ["evolve", "--benchmark", "table.csv", "--generations", "x"],
    ["evolve", "--benchmark", "table.csv", "--seeds", "0"],
    ["bench", "fairdarts-s1-digits", "--steps", "1"],
    ["bench", "fairdarts-s1-digits", "--epochs", "x"],
    ["evaluate", "run", "--data.batch_size", "x"],
    ["evaluate", "x.pt", "--config", "train-chain-cifar10", "--threads", "0"],
    ["export", "fairdarts-a", "--format", "x"],
    ["export", "fairdarts-a", "--network.cells", "x"],
    ["study", "collapse-small", "--epochs", "x"],
    ["study", "collapse-small", "--only", "s1"],
    ["study", "supernet-small", "--benchmarks", ".", "--weights.lr", "x"],
    ["derive"],
    ["transfer", "mmdet", "fairnas-a", "--network.cells", "x", "--nonsense"],
)
"""words that are refused"""


def test_what_is_said_without_a_run_waits_for_nothing_heavy(tmp_path: Path):
    digits = (PACKAGE / "recipes" / "fairdarts-s1-digits.yaml").read_text(encoding="utf-8")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "settings.yaml").write_text(digits, encoding="utf-8")
    heavy = ["torch", "torchvision", "matplotlib", "scipy", "pymoo", "tensorboard", "sklearn", "numpy", "rich.progress"]
    program = f"""
import contextlib, io, json, sys
from fairdarts.cli import main
found = []
for words in {[*RIGHT, *WRONG]}:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            status = main(words)
        except SystemExit as asked:
            status = asked.code
    loaded = [name for name in {heavy} if name in sys.modules]
    found.append([words, status or 0, loaded])
    if loaded:
        break  # what comes behind is not to blame
print(json.dumps(found))
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    expected = [[words, 0, []] for words in RIGHT] + [[words, 2, []] for words in WRONG]
    assert json.loads(done.stdout) == expected


LIGHT = (
    ["zoo"],
    ["zoo", "--network", "imagenet", "--json"],
    ["zoo", "fairnas-a-se", "darts-v2"],
    ["draw", "fairdarts-a", "--out", "figures"],
    ["draw", "fairnas-a", "--out", "figures", "--format", "svg"],
    ["derive", "--alphas", "gates.npz", "--space", "s1", "--threshold", "0.5"],
    ["derive", "--alphas", "alphas.npz", "--space", "s1", "--relaxation", "softmax", "--method", "argmax"],
    ["train", "fairdarts-a", "--print-config"],
    ["train", "mine.yaml", "--print-config"],
    ["segment", "fairnas-a", "--print-config"],
)
"""words for which numpy suffices"""
WITH_TORCH = (
    ["zoo", "mine.yaml"],
    ["zoo", "sample", "--out", "drawn"],
    ["derive", "--alphas", "gates.npz", "--space", "s1", "--threshold", "0.5", "--budget", "madds <= 500e6"],
    ["derive", "--alphas", "alphas.pt", "--space", "s1", "--relaxation", "sigmoid", "--method", "argmax"],
    ["transfer", "mmdet", "fairnas-a"],
)
"""words for which torch suffices, without its compiler"""


def test_what_needs_numbers_alone_waits_for_no_torch_and_what_needs_torch_for_nothing_else(tmp_path: Path):
    matrices = {"normal": np.random.default_rng(0).random((14, 7)), "reduce": np.random.default_rng(1).random((14, 7))}
    np.savez(tmp_path / "gates.npz", **matrices)
    alphas = {part: 4 * matrix - 2 for part, matrix in matrices.items()}
    np.savez(tmp_path / "alphas.npz", **alphas)
    torch.save({part: torch.tensor(alpha) for part, alpha in alphas.items()}, tmp_path / "alphas.pt")
    shutil.copy(PACKAGE.parent / "genotypes" / "fairdarts-a.yaml", tmp_path / "mine.yaml")
    heavy = ["torchvision", "torch._dynamo", "sympy", "matplotlib", "scipy", "pymoo", "tensorboard", "sklearn", "PIL"]
    program = f"""
import contextlib, io, json, os, sys
from fairdarts.cli import main
def run(words, heavy):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        status = main(words)
    return [words, status, [name for name in heavy if name in sys.modules]]
found = [run(words, ["torch", *{heavy}]) for words in {[*LIGHT]}]
import torch
for words in {[*WITH_TORCH]}:
    read, write = os.pipe()
    if not os.fork():  # each from the same start
        os.write(write, json.dumps(run(words, {heavy})).encode())
        os._exit(0)
    os.wait()
    found.append(json.loads(os.read(read, 9999)))
print(json.dumps(found))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert json.loads(done.stdout) == [[words, 0, []] for words in (*LIGHT, *WITH_TORCH)]
