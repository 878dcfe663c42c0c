"""docs/methods.md and benchmarks/family.py: recipes, rows, settings and commands that the page names are there, and its
tables say what the results say."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from fairdarts import resources
from fairdarts.checking import check
from fairdarts.cli import main
from fairdarts.config import UserError
from fairdarts.differentiable.settings import SearchSettings
from fairdarts.ranking.compared import summary
from fairdarts.reading import read_yaml
from fairdarts.runs.study.form import RecipeStudy

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
STUDIES = ("family-nasbench201", "family-nasbench201-small")
with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(ROOT / "benchmarks"))
    import family


@pytest.fixture
def composed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The page's recipe, where its reader has it."""
    monkeypatch.chdir(tmp_path)
    [text] = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
    (tmp_path / "composed.yaml").write_text(text, encoding="utf-8")
    return tmp_path / "composed.yaml"


def study(name: str) -> RecipeStudy:
    return check(RecipeStudy, read_yaml(resources.find("studies", name)), name)


def test_every_method_has_a_recipe_of_both_spaces_a_row_and_a_section() -> None:
    small, whole = map(study, reversed(STUDIES))
    assert [run.name for run in small.runs] == [run.name for run in whole.runs]
    assert small.published == whole.published
    assert len(small.seeds) >= 4
    shipped = set(resources.names("recipes"))
    for run in small.runs:
        assert re.search(rf"`{run.name}`", PAGE), run.name
    for name in {
        own for own in re.findall(r"`([\w-]+)`", PAGE) if own.endswith(("-cifar10", "-nasbench201", "-small"))
    }:
        assert name in shipped | {"family-nasbench201", "family-nasbench201-small"}, name


def test_commands_of_the_page_are_recipes(composed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, flags=re.DOTALL)
    searches = [line for block in blocks for line in block.splitlines() if line.startswith("fairdarts search ")]
    assert len(searches) > 5
    for line in searches:
        assert main([*shlex.split(line)[1:], "--print-config"]) == 0, line
        assert "verb: search" in capsys.readouterr().out


REFUSED: dict[str, dict[str, Any]] = {
    "sampling.kind dirichlet": {"sampling": {"kind": "dirichlet"}},
    "weights train on paths": {"sampling": {"kind": "binary"}, "architect.kind": "second_order"},
    "draws where weights train alone": {"sampling": {"kind": "uniform"}, "architect.kind": "single_level"},
    "by which nothing is drawn": {
        "sampling": {"kind": "uniform"},
        "perturbation": {"kind": "random", "radius": [0.1, 0.1]},
    },
    "is for gates of relaxation softmax": {"relaxation": "sigmoid", "architect.optimizer": "exponentiated"},
    "dirichlet_kl is for": {"penalties": [{"form": "dirichlet_kl", "weight": 1, "schedule": "constant"}]},
    "l1 is always the same": {"penalties": [{"form": "l1", "weight": 1, "schedule": "constant"}]},
    "freezing: needs": {
        "freezing": {"threshold": 0.4, "steps": 20},
        "sampling": None,
        "architect.kind": "second_order",
    },
    "judges networks whose edges have no shares": {"choose": {"networks": 5}},
    "a search of stages goes through all": {"stages": [{}, {}], "stopping": {"kind": "skips", "limit": 2}},
}


@pytest.mark.parametrize("why", REFUSED)
def test_what_the_page_says_is_refused_is_refused(composed: Path, why: str) -> None:
    content: dict[str, Any] = read_yaml(composed)
    for key, value in REFUSED[why].items():
        *section, last = key.split(".")
        (content[section[0]] if section else content)[last] = value
    if "optimizer" in str(REFUSED[why]):
        content["architect"] |= {"betas": None, "weight_decay": None}
    with pytest.raises(UserError, match=re.escape(why)):
        check(SearchSettings, content, composed)


COLUMNS = ("cifar10_test200", "cifar100_test200", "imagenet16_test200")


def row_of(name: str, ends: list[float]) -> dict[str, Any]:
    truth = {column: summary(ends)._asdict() for column in COLUMNS}
    found = {
        "truth": truth,
        "regret": truth,
        "skips": summary([2, 4])._asdict(),
        "accuracy": summary([50, 52])._asdict(),
    }
    seeds = [
        {"seed": seed, "truth": dict.fromkeys(COLUMNS, end), "epochs": {"epoch": [0, 1], "truth": [10, end]}}
        for seed, end in enumerate(ends)
    ]
    return {"name": name, "of": "", "summary": found, "seeds": seeds}


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    numbers = {
        key: dict.fromkeys(COLUMNS, value) for key, value in (("mean", 80.0), ("deviation", 5.0), ("best", 94.0))
    }
    content = {
        "table": {"file": "bench.csv", "columns": COLUMNS, "architectures": 2, **numbers},
        "rows": [row_of("darts", [60.0, 70.0]), row_of("gdas", [90.0, 92.0]), row_of("enas", [50.0, 60.0])],
        "published": [{"name": "GDAS", "numbers": {COLUMNS[0]: [93.61, 0.09]}}],
    }
    (tmp_path / "family-nasbench201-small.json").write_text(json.dumps(content))
    monkeypatch.setattr(family, "RESULTS", tmp_path)
    return tmp_path


def steps_of(results: Path, end: str, **about: Any) -> None:
    content = {
        "threads": 1, "batch": 16, "image": 32, "dense_kept_mib": {"weights": 10.0, "alphas": 12.4},
        "steps": {
            "dense": {"ratio_quartiles": [1.0, 1.0, 1.0], "kept_most": 1.0, "candidates": 1.0},
            "gdas": {"ratio_quartiles": [2.5, 3.0, 3.5], "kept_most": 0.246, "candidates": 0.2},
        },
        **about,
    }  # fmt: skip
    (results / f"family-step-{end}-cpu-1-thread.json").write_text(json.dumps(content))


def test_tables_without_results_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(family, "RESULTS", tmp_path)
    assert {table() for table in family.TABLES.values()} == {family.MISSING}


def test_all_data_sets_have_their_interval(results: Path) -> None:
    [line] = [line for line in family.found().splitlines() if line.startswith("| `gdas`")]
    assert line.count("91.00 ± 1.41 [90.00, 92.00]") == 3
    assert "| GDAS, published | 93.61 ± 0.09 |" in family.found()


def test_gains_stand_beside_costs(results: Path) -> None:
    gain = "+26.00 ± 5.66 [+22.00, +30.00] | 51.0 ± 1.4"
    assert f"| `gdas` | 91.00 ± 1.41 | 0.00 ± 0.00 | {gain} | – | – |" in family.on_the_way()
    steps_of(results, "nb201", space="nasbench201", cells=5, channels=16)
    table = family.on_the_way()
    assert f"| {gain} | 3.00 [2.50, 3.50] | 0.25 |" in table
    assert "|  | 51.0 ± 1.4 | 1 | 1.00 |" in table
    assert "| −10.00 ± 0.00 [−10.00, −10.00] | 51.0 ± 1.4 | – | – |" in table


def test_spaces_stand_side_by_side(results: Path) -> None:
    steps_of(results, "s1", space="s1", cells=8, channels=16)
    steps_of(results, "s2", space="s2", image=64)
    table = family.steps()
    assert table.startswith("|  | S1: steps a second | S1: kept | S1: candidates | S2: steps a second |")
    assert "| `gdas` | 3.00 [2.50, 3.50] | 0.25 | 0.20 | 3.00 [2.50, 3.50] | 0.25 | 0.20 |" in table
    assert "S1: 8 cells of 16 channels, batches of 16 images of 32×32 pixels, 1 thread, DARTS keeps 12 MiB" in table
