"""docs/extend.md: what it shows of one's own parts runs; all dicts on kinds of spaces, and which may lack a kind."""

import ast
import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest

import fairdarts
from fairdarts.cli import main
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


def blocks(language: str) -> list[str]:
    """What the page shows of one's own parts in a language."""
    part = PAGE.read_text(encoding="utf-8").split("## Parts of your own\n")[1].split("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", part, flags=re.DOTALL)


def is_search(block: str) -> bool:
    return "fairdarts.search(" in block


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgotten: object) -> None:
    """my_ops.py and my-space.yaml, in the current directory."""
    monkeypatch.chdir(tmp_path)
    Path("my_ops.py").write_text("\n\n".join(block for block in blocks("python") if not is_search(block)))
    (space,) = blocks("yaml")
    Path("my-space.yaml").write_text(space)


FAKE = "--epochs 1 --device cpu --data.kind fake --data.images 16 --data.image_size 16 --data.classes 3 "
FAKE += "--data.batch_size 4 --data.train_portion 0.5"
SMALL = {
    "search": shlex.split(FAKE),
    "supernet": shlex.split(f"{FAKE} --watch.paths 1"),
    "train": shlex.split(f"{FAKE} --loss.auxiliary 0 --network.cells 3 --network.channels 4"),
}


@pytest.mark.usefixtures("written")
def test_the_commands_with_parts_of_ones_own_run():
    commands = [shlex.split(line) for block in blocks("sh") for line in block.splitlines()]
    assert {words[1] for words in commands} == {"search", "draw", "zoo", "train", "export", "supernet"}
    for words in commands:
        assert main([*words[1:], *SMALL.get(words[1], [])]) == 0, words
    assert (Path("runs/mine/parts.json")).is_file()


@pytest.mark.usefixtures("written")
def test_every_part_of_ones_own_has_its_lines_in_python():
    names: dict = {}
    for block in blocks("python"):
        if not is_search(block):
            exec(compile(block, "extend.md", "exec"), names)
    shown = {name for name in dir(fairdarts) if name.startswith("register_")}
    assert shown == set(re.findall(r"fairdarts\.(register_\w+)\(", "".join(blocks("python"))))
    (search,) = filter(is_search, blocks("python"))
    exec(compile(search, "extend.md", "exec"), names)
