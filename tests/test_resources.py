"""Every file that is shipped can be read, and names that are not shipped are answered with the nearest."""

from importlib.resources import files

import pytest
from forms import FORMS

from fairdarts import resources
from fairdarts.checking import check
from fairdarts.config import UserError
from fairdarts.differentiable.settings import SearchSettings
from fairdarts.genotype import CellGenotype, live
from fairdarts.networks.zoo import load_genotype
from fairdarts.own import HINT
from fairdarts.reading import dump_yaml, read_yaml
from fairdarts.runs.recipe import names_of
from fairdarts.runtime.verb import SECTIONS, verb_of
from fairdarts.spaces.space import load_space


@pytest.mark.parametrize("name", resources.names("recipes"))
def test_recipes(name):
    path = resources.find("recipes", name)
    content = read_yaml(path)
    verb = content.pop("verb")
    assert verb_of(content, path) == verb  # as a recipe of version 0.1 says it
    assert [own for own, form in FORMS.items() if name in names_of(form)] == [verb]
    settings = check(FORMS[verb], content, path)
    assert (settings.name, settings.verb) == (name, verb)
    assert resources.Recipe(verb, name, content["about"]) in resources.recipes(verb)
    assert 10 < len(content["about"]) <= 90
    assert content["about"] not in [other.about for other in resources.recipes() if other.name != name]
    assert "about" not in dump_yaml(settings).split("source:")[0]  # a run may have changed what it says
    if getattr(settings, "space", None):  # an evolutionary search has that of its supernet, a training its genotype's
        assert load_space(settings.space).name == settings.space


@pytest.mark.parametrize("name", resources.names("search_spaces"))
def test_search_spaces(name):
    space = load_space(name)
    assert space.name == name


@pytest.mark.parametrize("name", resources.names("genotypes"))
def test_genotypes(name):
    genotype, space = load_genotype(name)
    assert (genotype.name, genotype.space) == (name, space.name)
    if isinstance(genotype, CellGenotype):
        assert live(genotype.normal)[1]
        assert live(genotype.reduce)[1]


def test_every_verb_has_recipes():
    assert FORMS.keys() == SECTIONS.keys()
    assert all(names_of(form) for form in FORMS.values())


def test_what_is_shipped():
    assert {"fairdarts-s1-cifar10", "darts-s1-cifar10", "fairdarts-s1-digits"} <= set(resources.names("recipes"))
    assert {"s1", "s1-noskip", "darts"} <= set(resources.names("search_spaces"))
    assert {"darts-v2", *(f"fairdarts-{letter}" for letter in "abcdefg")} <= set(resources.names("genotypes"))


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        (
            "recipes",
            "fairdarts-s1-cifar1",
            "neither a file nor a shipped recipe (did you mean 'fairdarts-s1-cifar10'?)",
        ),
        ("search_spaces", "s4", "neither a file nor a shipped search space (did you mean 's2'?)" + HINT),
        ("genotypes", "fairdart-a", "neither a file nor a shipped genotype (did you mean 'fairdarts-a'?)"),
    ],
)
def test_unknown_names(kind, name, message):
    with pytest.raises(UserError) as error:
        resources.find(kind, name)
    assert str(error.value) == f"{name}: {message}"


def test_a_name_far_from_all_lists_three_of_many():
    with pytest.raises(UserError, match=r"nearest of 19: [\w-]+, [\w-]+, [\w-]+\);"):
        resources.find("search_spaces", "qqqqqqqq")


def test_a_name_too_long_for_a_file():
    with pytest.raises(UserError, match="neither a file"):
        resources.find("recipes", "a" * 5000)


def test_a_shipped_name_wins_over_a_file_beside_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s1").write_text("own")
    assert resources.find("search_spaces", "s1") == resources.folder("search_spaces") / "s1.yaml"
    assert resources.find("search_spaces", "./s1").read_text() == "own"
    (tmp_path / "mine.yaml").write_text("own")
    assert resources.find("search_spaces", "mine.yaml").read_text() == "own"
    with pytest.raises(UserError, match="neither a file"):
        resources.find("search_spaces", str(tmp_path))


def test_the_digits_recipe_says_what_it_is():
    path = resources.find("recipes", "fairdarts-s1-digits")
    settings = check(SearchSettings, read_yaml(path), path)
    said, supernet, lr = " ".join(settings.deviations), settings.supernet, settings.architect.lr
    assert f"{supernet.cells} cells of {supernet.channels} channels and {settings.epochs} epochs of 14 steps" in said
    assert int(1797 * settings.data.train_portion) // settings.data.batch_size == 14
    assert f"α makes {14 * settings.epochs} steps" in said
    assert f"learning rate is {lr} instead of 3e-3, and that of the weights {settings.weights.lr}" in said


def test_the_package_says_that_it_is_typed():
    assert files("fairdarts").joinpath("py.typed").is_file()
