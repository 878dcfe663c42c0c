"""What one may call from Python: all of it is there, documented, and not hidden by a package of the same name."""

import ast
import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import fairdarts

PAGE = (Path(__file__).parents[1] / "docs" / "python.md").read_text(encoding="utf-8")


def test_type_checkers_see_what_runs():
    tree = ast.parse(Path(fairdarts.__file__).read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {alias.name: node.module for node in block.body for alias in node.names}
    assert seen == fairdarts._LAZY
    assert fairdarts.__all__ == sorted(seen)
    assert set(fairdarts.__all__) <= set(dir(fairdarts))


@pytest.mark.parametrize("name", fairdarts.__all__)
def test_each_is_documented(name: str):
    found = getattr(fairdarts, name)
    text = inspect.getdoc(found)
    assert text
    if inspect.isfunction(found):
        assert ">>>" in text, "an example is missing"
    assert f"{name}" in PAGE, f"docs/python.md does not name {name}"


@pytest.mark.parametrize("name", fairdarts.__all__)
def test_none_is_the_name_of_a_package(name: str):
    module = import_module(fairdarts._LAZY[name])
    assert getattr(fairdarts, name) is getattr(module, name)
    assert not (Path(fairdarts.__file__).parent / name).exists()


def test_what_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'fairdarts' has no attribute 'serach'"):
        _ = fairdarts.serach


def test_a_search_in_three_lines(tmp_path: Path):
    program = """
import fairdarts
small = {"supernet.cells": 3, "supernet.channels": 2, "derive.method": "argmax", "derive.threshold": None}
run = fairdarts.search("fairdarts-s1-digits", epochs=1, settings=small)
print(type(fairdarts.create_model(run.genotype, num_classes=10)).__name__)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert (done.stdout, done.stderr) == ("CellNetwork\n", "")
