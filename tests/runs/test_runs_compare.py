"""`fairdarts.compare`: strategies on a table, as the verb compares them, without a word."""

import json
from pathlib import Path

import pytest
from second_stage import make_supernet_runs

from fairdarts.cli import main
from fairdarts.config import UserError
from fairdarts.reading import read_yaml
from fairdarts.runs.compare import compare

SETTINGS = {"space": "tiny.yaml", "population": 6, "generations": 2}
WORDS = [word for key, value in SETTINGS.items() for word in (f"--{key}", str(value))]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_supernet_runs(Path())


def test_a_comparison_holds_what_the_verb_says_and_prints_nothing(capfd, monkeypatch):
    compared = compare("tiny.csv", [read_yaml(Path("nsga2.yaml")), "random.yaml"], seeds=2, settings=SETTINGS)
    assert capfd.readouterr() == ("", "")
    assert compared.path == Path("runs/evolve-tiny")
    assert {name: len(trials) for name, trials in compared.trials.items()} == {"nsga2": 2, "random": 2}
    assert json.loads((compared.path / "comparison.json").read_text()) == compared.summary
    assert not list(compared.path.glob("*.svg"))
    monkeypatch.setattr("fairdarts.runs.compare.draw_regret", lambda *_, **__: [])
    words = ["--config", "nsga2.yaml,random.yaml", "--seeds", "2", "--json", "--out", "said"]
    assert main(["evolve", "--benchmark", "tiny.csv", *WORDS, *words]) == 0
    assert json.loads(capfd.readouterr().out) == compared.summary


def test_regrets_are_drawn_where_one_says():
    compared = compare("tiny.csv", "random.yaml", seeds=1, settings=SETTINGS)
    assert {path.name for path in compared.figures("drawn")} == {"regret.svg", "regret.png"}
    assert Path("drawn/regret.svg").is_file()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"seeds": 0}, "0: should be at least 1"),
        ({"recipes": ["nsga2.yaml", "nsga2.yaml"]}, "two recipes have the name nsga2"),
        ({"recipes": []}, "names no recipe"),
        ({"recipes": [{"name": "mine"}]}, "recipe: "),
        ({"settings": SETTINGS | {"seed": 3}}, "seed: is of no use in a comparison"),
        ({"benchmark": "no.csv"}, "no.csv: No such file"),
    ],
)
def test_what_cannot_be_compared(asked: dict, message: str):
    with pytest.raises(UserError, match=message):
        compare(**{"benchmark": "tiny.csv", "recipes": ["random.yaml"], "settings": SETTINGS, **asked})
    assert not Path("runs").exists()
