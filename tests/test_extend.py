"""docs/extend.md names the dicts on kinds of spaces, all of them, and which may lack a kind."""

import ast
import re
from importlib import import_module
from pathlib import Path

import fairdarts
from fairdarts.spaces.space import KINDS

PAGE = Path(__file__).parents[1] / "docs" / "extend.md"
ROW = re.compile(r"^\| `(fairdarts[\w.]+)\.([A-Z_]+)` \| [^|]+ \| ([^|]+) \|$", re.MULTILINE)


def listed() -> dict[tuple[str, str], str]:
    """(module, name) of every dict → what the page says of a kind without an entry."""
    return {(module, name): without for module, name, without in ROW.findall(PAGE.read_text(encoding="utf-8"))}


def dicts_on_kinds() -> set[tuple[str, str]]:
    """The constants of the package whose keys are kinds of spaces."""
    root, found = Path(fairdarts.__file__).parent, set()
    for path in root.rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            value = getattr(node, "value", None)
            if isinstance(value, ast.Dict) and isinstance(names[0], ast.Name):
                keys = {key.value for key in value.keys if isinstance(key, ast.Constant)}
                if len(keys) > 1 and keys <= set(KINDS):
                    module = ".".join(path.relative_to(root.parent).with_suffix("").parts)
                    found.add((module, names[0].id))
    return found


def test_the_page_lists_every_dict_on_kinds():
    named = set(listed())
    assert dicts_on_kinds() <= named
    assert all(set(getattr(import_module(module), name)) <= set(KINDS) for module, name in named)


def test_what_may_lack_a_kind_says_what_follows():
    for (module, name), without in listed().items():
        whole = set(getattr(import_module(module), name)) == set(KINDS)
        assert whole == (without == "–"), f"{module}.{name}: {without}"


def test_the_example_of_the_architecture_page_runs():
    page = (PAGE.parent / "architecture.md").read_text(encoding="utf-8")
    example = next(
        block for block in re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL) if "make_supernet" in block
    )
    names: dict = {}
    exec(compile(example, "architecture.md", "exec"), names)
    assert names["logits"].shape == (8, 10)
