"""benchmarks/tables.py: pages tell the committed results; benchmarks/README.md names all programs and results."""

import json
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    import tables

    return tables


def test_pages_tell_the_committed_results(program: ModuleType):
    shown = []
    for name in program.PAGES:
        text = (ROOT / name).read_text(encoding="utf-8")
        assert program.renewed(text) == text, f"{name}: python benchmarks/tables.py writes it anew"
        shown += [mark[1] for mark in program.MARK.findall(text)]
        assert text.count("<!-- table:") == len(program.MARK.findall(text))
    assert sorted(shown) == sorted(program.TABLES)


def test_another_number_is_another_page(program: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    result = json.loads((program.RESULTS / "judging-cpu-1-thread.json").read_text())
    result["spaces"] = {"fairnas-a": {"paths": 9, "paths_per_second": 3, "branches": 0.5, "ratio_quartiles": [1, 2, 8]}}
    (tmp_path / "judging-cpu-1-thread.json").write_text(json.dumps(result))
    monkeypatch.setattr(program, "RESULTS", tmp_path)
    text = program.renewed("before\n<!-- table: judging -->\nold\n<!-- end -->\nbehind\n")
    assert "| `fairnas-a` | 9 | 0.50 | 2.00 [1.00, 8.00] | 3 |\n" in text
    assert text.startswith("before\n<!-- table: judging -->\n\n|")
    assert text.endswith(".\n\n<!-- end -->\nbehind\n")
    assert "old" not in text
    assert program.renewed(text) == text


def test_numbers_read_as_pages_write_them(program: ModuleType):
    assert program.power(2.84e-14) == "3·10⁻¹⁴"
    assert (program.share(0.373), program.share(0.003)) == ("0.37", "0.003")
    assert program.power(0.0) == "0·10⁰"
    assert program.ratio({"ratio_quartiles": [3.534, 3.588, 3.779]}, "ratio_quartiles") == "3.59 [3.53, 3.78]"
    assert program.ratio({"ratio_quartiles": [1.0, 1.0, 1.0]}, "ratio_quartiles") == "1"
    assert program.ratio({}, "ratio_quartiles") == "–"


def test_every_program_and_every_result_is_named():
    text = (BENCHMARKS / "README.md").read_text(encoding="utf-8")
    for path in [*BENCHMARKS.glob("*.py"), *(BENCHMARKS / "results").iterdir()]:
        assert f"`{path.name}`" in text, path.name


def test_commands_of_the_page_write_the_results_that_they_name():
    text = (BENCHMARKS / "README.md").read_text(encoding="utf-8")
    commands = [line.split() for line in text.splitlines() if line.startswith("python benchmarks/")]
    assert len(commands) > 10
    for words in commands:
        assert (ROOT / words[1]).is_file(), words[1]
        if "--out" in words:
            assert (ROOT / words[words.index("--out") + 1]).is_file(), words
