"""`fairdarts recipes`: what is listed, and how."""

import json

import pytest

from fairdarts import resources
from fairdarts.cli import main
from fairdarts.runtime.verb import SECTIONS


def test_all_recipes_are_listed_with_verb_and_a_line(capsys: pytest.CaptureFixture[str]):
    assert main(["recipes"]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split() == ["verb", "recipe", "what", "it", "is"]
    listed = [tuple(line.strip() for line in line.split(maxsplit=2)) for line in lines]
    assert sorted(listed) == sorted(resources.recipes())
    assert {name for _, name, _ in listed} == set(resources.names("recipes"))


@pytest.mark.parametrize("verb", SECTIONS)
def test_those_of_a_verb_are_listed_as_json(capsys: pytest.CaptureFixture[str], verb: str):
    assert main(["recipes", verb, "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed == [recipe._asdict() for recipe in resources.recipes(verb)]
    assert listed
    assert {recipe["verb"] for recipe in listed} == {verb}


def test_a_verb_without_recipes_is_refused(capsys: pytest.CaptureFixture[str]):
    assert main(["recipes", "serch"]) == 2
    assert capsys.readouterr().err == "fairdarts: recipes: 'serch' is no verb with recipes (did you mean 'search'?)\n"
