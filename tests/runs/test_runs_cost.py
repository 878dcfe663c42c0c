"""A search with a cost, and genotypes within a budget: through the front door."""

import csv
import json
from pathlib import Path

import pytest
import yaml
from runs import Interrupts, assert_same_run

import fairdarts
from fairdarts.checking import check
from fairdarts.cli import main
from fairdarts.config import Notice, UserError
from fairdarts.cost.count import count
from fairdarts.genotype import CellGenotype
from fairdarts.networks.blueprint import build
from fairdarts.networks.settings import NetworkSettings

COST = {"cost.quantity": "madds", "cost.target": 2e6}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("kind", ["first_order", "second_order", "single_level"])
def test_a_stop_changes_nothing_of_a_search_with_a_cost(tiny_recipe: Path, kind: str):
    settings = COST | {"architect.kind": kind} | ({"data.train_portion": 1} if kind == "single_level" else {})
    whole = fairdarts.search(tiny_recipe, settings=settings, out="whole")
    with pytest.raises(KeyboardInterrupt):
        fairdarts.search(tiny_recipe, settings=settings, out="parts", callbacks=Interrupts())
    assert_same_run(whole.path, fairdarts.open_run("parts").resume().path)
    multipliers = [record["cost.multiplier"] for record in whole.records]
    assert multipliers[0] == 0
    assert len(set(multipliers)) == len(multipliers)


@pytest.mark.parametrize("form", ["weighted", "power", "hinge"])
def test_every_form_presses_on_the_gates(tiny_recipe: Path, form: str):
    def expected(target: float, weight: float) -> float:
        settings = {"cost.quantity": "params", "cost.target": target, "cost.form": form, "cost.weight": weight}
        run = fairdarts.search(tiny_recipe, settings=settings, epochs=2)
        assert "cost.multiplier" not in run.records[-1]
        return run.records[-1]["cost.expected"]

    plain = expected(1e7, 1e-6)
    assert expected(0.9 * plain, 5) < plain


def test_what_is_derived_is_counted_as_the_network_that_is_asked_for(tiny_recipe: Path):
    settings = COST | {"cost.network": {"cells": 3, "channels": 6}, "derive.method": "argmax", "derive.threshold": None}
    run = fairdarts.search(tiny_recipe, settings=settings, epochs=1, out="run")
    network = build(
        run.genotype, run.space, NetworkSettings(cells=3, channels=6), run.shape.classes, run.shape.channels
    )
    assert run.records[-1]["cost.derived"] == count(network, run.shape.channels, run.shape.image).madds
    assert (run.path / "figures").is_dir()
    assert "cost.svg" in [path.name for path in run.figures()]
    assert "Cost, with the target 2e+06" in run.report().read_text()


def test_a_run_keeps_the_latencies_that_it_began_with(tiny_recipe: Path):
    settings = {"cost.quantity": "latency", "cost.target": 100}
    run = fairdarts.search(tiny_recipe, settings=settings, epochs=1, out="run")
    table = run.path / "latency.csv"
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 1 + 2 * 5 * 3
    again = fairdarts.search(tiny_recipe, settings=settings | {"cost.latency": str(table)}, epochs=1, out="again")
    assert (again.path / "latency.csv").read_text() == table.read_text()
    assert again.records[-1]["cost.expected"] == run.records[-1]["cost.expected"]
    with pytest.warns(Notice, match=r"latency <= 100: kept as it is, with .* ms"):
        fairdarts.derive(run, budget="latency <= 100", method="argmax")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("madds --cost.target 10", "cost.target: 10: is below what any network costs"),
        ("madds", "cost.target"),
        ("flops --cost.target 1e6", "cost.quantity"),
        ("madds --cost.target 1e6 --cost.latency t.csv", "latency: t.csv: is of no use"),
        ("latency --cost.target 9 --cost.latency t.csv", "t.csv: "),
        ("madds --cost.target nan", "cost.target"),
        ("madds --cost.target 1e6 --cost.network.se_ratio 0.5", "network.se_ratio: 0.5"),
    ],
)
def test_what_cannot_be_asked_for_is_said_in_a_line(tiny_recipe: Path, capsys, words: str, problem: str):
    assert main(["search", str(tiny_recipe), "--out", "run", "--cost.quantity", *words.split()]) == 2
    *_, last = capsys.readouterr().err.splitlines()
    assert problem in last
    assert not Path("run").exists()


@pytest.fixture
def searched(tiny_recipe: Path) -> fairdarts.Run:
    settings = {"derive.method": "argmax", "derive.threshold": None}
    return fairdarts.search(tiny_recipe, settings=settings, epochs=1, out="searched")


def test_a_genotype_within_a_budget_says_what_it_gave_up(searched: fairdarts.Run, capsys):
    plain = fairdarts.derive(searched)
    cost = count(build(plain, searched.space, classes=searched.shape.classes), 3, searched.shape.image).madds
    capsys.readouterr()
    assert main(["derive", str(searched.path), "--budget", f"madds <= {cost - 1}", "--name", "small"]) == 0
    out, err = capsys.readouterr()
    small = check(CellGenotype, yaml.safe_load(out), "stdout")
    assert err.startswith(f"madds <= {cost - 1}: ")
    assert "in the place of" in err
    assert small != plain
    network = build(small, searched.space, classes=searched.shape.classes)
    assert count(network, 3, searched.shape.image).madds < cost
    assert small.source.endswith(f"argmax, madds <= {cost - 1}")
    assert fairdarts.derive(searched, budget=f"madds <= {cost}") == plain.model_copy(
        update={"source": f"{plain.source}, madds <= {cost}"}
    )


def test_several_budgets_make_a_front(searched: fairdarts.Run, capsys):
    budgets = ["madds <= 1", "madds <= 60e6", "madds <= 900e6"]
    words = [word for budget in budgets for word in ("--budget", budget)]
    assert main(["derive", str(searched.path), *words, "--out", "front"]) == 0
    out = capsys.readouterr().out
    assert "no network costs so little" in out
    front = fairdarts.derive_front(searched, budgets[1:], out="again", formats="svg")
    assert [path.name for path in front.files] == [
        "searched-madds-60e6.yaml",
        "searched-madds-900e6.yaml",
        "front.svg",
    ]
    assert all(str(path) in out.replace("front/", "again/") for path in front.files)
    first, last = front.found
    assert first is not None
    assert last is not None
    assert first.cost <= 60e6
    assert first.mass <= last.mass == last.mass_without
    assert check(CellGenotype, yaml.safe_load(front.files[0].read_text()), "file") == first.genotype
    assert yaml.safe_load(front.files[1].read_text())["name"] == "searched-madds-900e6"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"budget": "madds <= 1"}, r"budget 'madds <= 1': no network costs so little: the least is .* k madds"),
        ({"budget": "madds 5"}, "should be a quantity, <= or >=, and a number"),
        ({"budget": "madds >= 5"}, "should bound a cost from above"),
        ({"budget": "params <= 1e6", "latency": "t.csv"}, "latency t.csv: is of no use"),
        ({"budget": "params <= 1e6", "settings": {"network.cels": 3}}, "network.cels"),
    ],
)
def test_budgets_that_make_no_sense(searched: fairdarts.Run, options: dict, problem: str):
    with pytest.raises(UserError, match=problem):
        fairdarts.derive(searched, **options)


def test_budgets_of_several_quantities_make_no_front(searched: fairdarts.Run):
    with pytest.raises(UserError, match="budgets of madds, params: should be of one quantity"):
        fairdarts.derive_front(searched, ["madds <= 900e6", "params <= 1e9"], out="front")


@pytest.mark.parametrize(
    "words",
    [["--latency", "t.csv"], ["--network.cells", "3"], ["--budget", "madds <= 1", "--out", "f"], ["--out", "f"]],
)
def test_words_that_go_with_budgets(searched: fairdarts.Run, capsys, words: list[str]):
    assert main(["derive", str(searched.path), *words]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_records_say_the_cost(searched: fairdarts.Run, tiny_recipe: Path):
    run = fairdarts.search(tiny_recipe, settings=COST, epochs=1, out="run")
    record = json.loads((run.path / "metrics.jsonl").read_text().splitlines()[-1])
    assert record["cost"].keys() == {"quantity", "target", "expected", "derived", "multiplier"}
    assert "cost" not in json.loads((searched.path / "metrics.jsonl").read_text().splitlines()[-1])
