"""Options that one would type: which setting they mean, and what is said of those that mean none."""

from typing import Any

import pytest
from forms import FORMS
from hypothesis import given, settings
from hypothesis import strategies as st

from fairdarts import resources
from fairdarts.checking import check
from fairdarts.config import UserError
from fairdarts.differentiable.settings import SearchSettings
from fairdarts.evolution.settings import EvolveSettings
from fairdarts.options import CALLED, check_words, described, leaves, resolve
from fairdarts.reading import read_yaml
from fairdarts.runs.recipe import settings_of

DIGITS = resources.find("recipes", "fairdarts-s1-digits")


def meant(line: str, verb: str = "search") -> dict[str, str]:
    return resolve(FORMS[verb], line.split())


def refusal(line: str, options: tuple[str, ...] = ()) -> str:
    with pytest.raises(UserError) as error:
        check_words(SearchSettings, read_yaml(DIGITS), "r.yaml", line.split(), options)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("verb", FORMS)
def test_every_setting_means_itself_with_hyphens_too(verb: str):
    for key in leaves(FORMS[verb]):
        assert resolve(FORMS[verb], [f"--{key}", "x"]) == {key: "x"}
        assert resolve(FORMS[verb], [f"--{key.replace('_', '-')}=x"]) == {key: "x"}


@pytest.mark.parametrize("verb", FORMS)
def test_the_last_part_of_a_setting_is_enough_where_no_other_has_it(verb: str):
    ends = [key.rpartition(".")[2] for key in leaves(FORMS[verb])]
    for key, end in zip(leaves(FORMS[verb]), ends, strict=True):
        if ends.count(end) == 1 and key.count(".") < 2:
            assert resolve(FORMS[verb], [f"--{end.replace('_', '-')}", "x"]) == {key: "x"}


@pytest.mark.parametrize(
    ("verb", "line", "expected"),
    [
        ("search", "--batch-size 8", {"data.batch_size": "8"}),
        ("search", "--batch_size=8", {"data.batch_size": "8"}),
        ("search", "--lr 0.1", {"weights.lr": "0.1"}),
        ("train", "--lr 0.1", {"optimizer.lr": "0.1"}),
        ("search", "--arch-lr 0.1", {"architect.lr": "0.1"}),
        ("search", "--zero-one-weight 4", {"zero_one.weight": "4"}),
        ("evolve", "--controller.lr 0.1", {"evolve.controller.lr": "0.1"}),
        ("search", "--data-dir d", {"data.root": "d"}),
        ("evolve", "--data-dir d", {"root": "d"}),
        ("search", "--workers 2 --num-workers 3", {"data.workers": "3"}),
        ("search", "--device cpu", {"device": "cpu"}),
        ("search", "--layers 3", {"supernet.cells": "3"}),
        ("train", "--layers 3", {"network.cells": "3"}),
        ("train", "--wd 0", {"optimizer.weight_decay": "0"}),
        ("search", "--data photos", {"data.root": "photos"}),
        ("search", "--data cifar10", {"data.kind": "cifar10"}),
        ("search", "--dataset cifar10", {"data.kind": "cifar10"}),
        ("search", "--data {kind:x}", {"data": "{kind:x}"}),
        ("search", "--noise null", {"noise": "null"}),
        ("train", "--optimizer rmsprop", {"optimizer.kind": "rmsprop"}),
        ("search", "--architect second_order", {"architect.kind": "second_order"}),
        ("search", "--curvature", {"curvature": "true"}),
        ("search", "--curvature --epochs 3", {"curvature": "true", "epochs": "3"}),
        ("search", "--curvature false", {"curvature": "false"}),
        ("search", "--epochs -1", {"epochs": "-1"}),
        ("transfer", "--config.model.neck {a:1}", {"config.model.neck": "{a:1}"}),
    ],
)
def test_what_one_would_type_is_understood(verb: str, line: str, expected: dict[str, str]):
    assert meant(line, verb) == expected


@pytest.mark.parametrize("name", CALLED)
def test_every_word_of_other_programs_means_a_setting_of_some_verb(name: str):
    keys = {key for form in FORMS.values() for key in leaves(form)}
    assert set(CALLED[name]) <= keys
    assert name not in keys or name == "root"  # which evolve has


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--lrr 1", "--lrr: is neither an option nor a setting (did you mean '--weights.lr' or '--architect.lr'?)"),
        ("--batchsize 1", "--batchsize: is neither an option nor a setting (did you mean '--data.batch_size'?)"),
        ("--weigths.lr 1", "--weigths.lr: is neither an option nor a setting (did you mean '--weights.lr'?)"),
        ("--learnin-rate 1", "--learnin-rate: is neither an option nor a setting (did you mean '--weights.lr'?)"),
        (
            "--operations 1",
            "--operations: is neither an option nor a setting "
            "(did you mean '--supernet.operations', '--noise.operations' or '--dropout.operations'?)",
        ),
        ("--confg x", "--confg: is neither an option nor a setting (did you mean '--config'?)"),
        ("--qqqqq x", "--qqqqq: is neither an option nor a setting; --help lists them"),
        ("--seed", "--seed needs a value"),
        ("--weights", "--weights needs a value"),
        ("--seed --epochs 3", "--seed needs a value"),
        ("stray", "'stray' is neither an option nor a setting (--key value)"),
        ("-s 1", "'-s' is neither an option nor a setting (--key value); '1' is neither an option …"),
        ("--", "'--' is neither an option nor a setting (--key value)"),
        ("--name.x 1", "--name.x: 'name' has no keys of its own"),
    ],
)
def test_what_means_nothing_is_answered_with_the_nearest(line: str, said: str):
    start, _, _ = f"command line: {said}".partition(" …")
    assert refusal(line, ("--config", "--resume")).startswith(start)


def test_all_that_is_wrong_with_words_and_values_is_one_answer():
    said = refusal("--lrr 1 --epochs x --data.train_portion 2 --foo 3")
    assert said.startswith("command line: --lrr: is neither ")
    assert said.count("command line: ") == 1
    assert [part.split(":")[0] for part in said.removeprefix("command line: ").split("; ")] == [
        *("--lrr", "--foo", "--help lists them", "--epochs", "--data.train_portion"),
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--derive.method edge --derive.threshold null", "--derive.threshold: method edge needs a threshold"),
        (
            "--train-portion 1 --lr 1",
            "--train-portion (data.train_portion): data.train_portion 1.0 leaves no images to train α on",
        ),
        (
            "--nesterov --weights.momentum 0",
            "--nesterov (weights.nesterov) and --weights.momentum: nesterov true needs",
        ),
        ("--lr abc", "--lr (weights.lr): 'abc': should be a valid number"),
        ("--lr [1", "--lr (weights.lr): [1: not valid YAML"),
        ("--batch-size 0 --data.batch-size 0", "--data.batch_size: '0': should be greater than"),
        (
            "--data-dir photos",
            "--data-dir (data.root): unknown key where data.kind is digits; known where it is cifar10, ",
        ),
        ("--data cifar10 --workers 3", "--data (data.kind): needs --data.root as well"),
        ("--data.kind imagenet --data.image_size 8 --lr 3", "--data.kind: needs --data.root as well"),
        ("--noise.on gate --noise.std 1", "--noise.on and --noise.std: needs --noise.distribution, --noise.schedule, "),
        ("--stopping.limit 3", "--stopping.limit: needs --stopping.kind as well"),
    ],
)
def test_the_option_is_blamed_that_was_given(line: str, said: str):
    assert refusal(line).startswith(f"command line: {said}")


def test_what_is_wrong_with_a_recipe_alone_is_not_put_on_an_option():
    content = read_yaml(DIGITS)
    content["derive"] = {"method": "edge"}
    with pytest.raises(UserError, match=r"^r\.yaml: derive: method edge needs a threshold"):
        check_words(SearchSettings, content, "r.yaml", ["--derive.max_skips", "2", "--lr", "1"])
    content = read_yaml(DIGITS)
    del content["space"]
    with pytest.raises(UserError, match=r"^r\.yaml: space: is missing$"):
        check_words(SearchSettings, content, "r.yaml", ["--lr", "1"])


def test_help_after_a_recipe_has_the_present_value_of_every_setting_of_its_kinds():
    text = described(check_words(SearchSettings, read_yaml(DIGITS), "r.yaml", ["--lr", "0.5"]))
    lines = {line.split()[0]: line for line in text.splitlines()}
    assert lines["--weights.lr"].endswith("learning rate of the first epoch [0.5]")
    assert lines["--architect.betas"].endswith("[[0.9, 0.999]]")
    assert lines["--curvature"].endswith("[false]")
    assert lines["--data.kind"].endswith(
        "(digits | cifar10 | cifar100 | folder | imagenet | fake | npz | csv | given) [digits]"
    )
    assert lines["--noise"].endswith("[null]")
    assert lines["--noise.std"].endswith("standard deviation at full strength")  # which there is none of
    assert "--data.root" not in lines
    assert len(lines) == len(text.splitlines())
    sections = {key[2:] for key in lines} - leaves(SearchSettings).keys()
    null = {"cost", "noise", "dropout", "sampling", "auxiliary", "perturbation", "freezing", "choose"}
    assert sections == null


@pytest.mark.parametrize("name", resources.names("recipes"))
def test_every_recipe_can_be_described(name: str):
    path = resources.find("recipes", name)
    content = read_yaml(path)
    text = described(check(FORMS[content["verb"]], content, path))
    assert {line.split()[0][2:] for line in text.splitlines()} >= content.keys() & {"seed", "name", "epochs"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"batch_size": 16}, "batch_size: is no setting (did you mean 'data.batch_size'?)"),
        ({"lr": 0.1}, "lr: is no setting (did you mean 'weights.lr'?)"),
        ({"qqqqq": 1}, "qqqqq: is no setting"),
        ({"weigths.lr": 0.1}, "weigths.lr: is no setting (did you mean 'weights.lr'?)"),
        ({"weights": {"lrr": 1}}, "weights.lrr: unknown key (did you mean 'lr'?)"),
        (
            {"weights": {"lr": -1}, "lr": 1},
            "lr: is no setting (did you mean 'weights.lr'?); weights.lr: -1: should be ",
        ),
        ({"data": 3}, "data: 3: should hold keys and values"),
        ({3: 1}, "3: should be a dotted key, such as 'data.batch_size'"),
        ({"weights": {None: 1}}, "weights.None: should be a dotted key, such as 'data.batch_size'"),
        ({"plugins": ["my.py"]}, "plugins: stands in recipes; should be fairdarts.load_plugin(FILE), or --plugin FILE"),
        ([("lr", 1)], "[('lr', 1)]: should be a mapping, such as {'data.batch_size': 64}"),
    ],
)
def test_settings_of_python_are_answered_as_words_are(settings: Any, said: str):
    with pytest.raises(UserError) as error:
        settings_of(SearchSettings, "fairdarts-s1-digits", settings)
    assert str(error.value).startswith(f"settings: {said}")
    assert "\n" not in str(error.value)


def test_a_mapping_of_a_section_is_laid_over_it_key_by_key():
    flat, _ = settings_of(SearchSettings, "fairdarts-s1-digits", {"weights.lr": 0.5, "weights.momentum": 0})
    nested, _ = settings_of(SearchSettings, "fairdarts-s1-digits", {"weights": {"lr": 0.5, "momentum": 0}})
    assert flat == nested
    kind, _ = settings_of(SearchSettings, "fairdarts-s1-digits", {"data": {**dict(flat.data), "kind": "digits"}})
    assert kind.data == flat.data
    controller, _ = settings_of(EvolveSettings, "moremnas", {"evolve": {"controller": {"lr": 0.5}}})
    assert controller.evolve.controller.lr == 0.5


@pytest.mark.parametrize(
    ("verb", "line", "said"),
    [
        ("evolve", "--epochs 3", "--epochs: is neither an option nor a setting (did you mean '--generations' or "),
        ("evolve", "--lr 3", "--lr: is neither an option nor a setting (did you mean '--evolve.controller.lr'?)"),
        ("evolve", "--learning-rate 3", "--learning-rate: is neither an option nor a setting (did you mean '--evolve."),
        ("search", "--gpu 0", "--gpu: is neither an option nor a setting (did you mean '--device'?)"),
        ("train", "--gpu 0", "--gpu: is neither an option nor a setting (did you mean '--device'?)"),
    ],
)
def test_what_would_mean_something_else_is_not_understood(verb: str, line: str, said: str):
    with pytest.raises(UserError) as error:
        meant(line, verb)
    assert str(error.value).startswith(f"command line: {said}")


WORDS = st.sampled_from(
    ["--lr", "--data", "--seed=1", "--noise.on", "{", "x", "-1", "--", "--=3", "--a.b", "", "--name.x"]
)


@settings(derandomize=True, deadline=None)
@given(st.lists(WORDS | st.text(max_size=6), max_size=6))
def test_any_words_give_settings_or_one_answer(words: list[str]):
    try:
        outcome = check_words(SearchSettings, read_yaml(DIGITS), "r.yaml", words)
    except UserError as error:
        outcome = str(error)
    assert isinstance(outcome, SearchSettings) or outcome.startswith(("command line: ", "r.yaml: "))
