"""Settings: what is read, what is refused, and what the one line of a refusal says."""

import os
from pathlib import Path
from typing import get_args

import pytest
import yaml
from forms import FORMS
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from fairdarts import resources
from fairdarts.checking import check
from fairdarts.config import LARGEST, LARGEST_FLOAT, UserError, describe, nearest, plain
from fairdarts.data.settings import DataSettings
from fairdarts.differentiable.settings import (
    ArchitectSettings,
    ComputeSettings,
    CostSettings,
    DenseSupernetSettings,
    DeriveSettings,
    SearchSettings,
    WeightSettings,
)
from fairdarts.networks.settings import NetworkSettings
from fairdarts.noise import DropoutSettings, NoiseSettings
from fairdarts.reading import LARGEST_YAML, dump_yaml, read_text, read_yaml
from fairdarts.runs.study.form import RecipeStudy

RECIPES = resources.names("recipes")
PROPERTY = settings(derandomize=True, deadline=None)
PLAIN_TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"]))


@pytest.fixture
def recipe() -> dict:
    return read_yaml(resources.find("recipes", "fairdarts-s1-cifar10"))


def refusal(content: dict, **overrides: str) -> str:
    """What the user reads; overrides are written section__key."""
    with pytest.raises(UserError) as error:
        check(SearchSettings, content, "r.yaml", {key.replace("__", "."): value for key, value in overrides.items()})
    assert "\n" not in str(error.value)
    return str(error.value)


def accepted(content: dict, **overrides: str) -> SearchSettings:
    return check(SearchSettings, content, "r.yaml", {key.replace("__", "."): text for key, text in overrides.items()})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"a: 1\nb: c: d\n", ", line 2: not valid YAML: mapping values"),
        (b"a: 1\nb: {c: 1}\na: 2\n", ", line 3: not valid YAML: key 'a' stands twice"),
        (b"a:\n  b: 1\n  b: 1\n", ", line 3: not valid YAML: key 'b' stands twice"),
        (b"- 1\n- 2\n", ": should hold keys and values, not list"),
        (b"", ": should hold keys and values, not NoneType"),
        (b"\xff\xfe\x00\x80", ": not a text file"),
        (b"a: !!python/object/apply:os.getcwd []", ", line 1: not valid YAML: tags (!a) are not read"),
        (b"a: !!binary aGk=\n", ", line 1: not valid YAML: tags (!a) are not read"),
        (
            b"a: 1\nb: &b 1\n",
            ", line 2: not valid YAML: anchors and aliases (&a, *a) are not read; should be the value",
        ),
        (b"a: &a {b: *a}\n", ", line 1: not valid YAML: anchors and aliases (&a, *a) are not read"),
        (b"a: 1\n\nb: [*c]\n", ", line 3: not valid YAML: anchors and aliases (&a, *a) are not read"),
        (b"? !!merge x\n: {a: 1}\n", ", line 1: not valid YAML: tags (!a) are not read"),
        pytest.param(b"a: " + b"[" * 2000, ": not valid YAML: nested too deep", id="deep"),
        pytest.param(b"#" * (LARGEST_YAML + 1), ": is too large for YAML: should have at most 1,048,576", id="large"),
    ],
)
def test_read_yaml_names_file_and_line(tmp_path, text, message):
    path = tmp_path / "x.yaml"
    path.write_bytes(text)
    with pytest.raises(UserError) as error:
        read_yaml(path)
    assert str(error.value).startswith(f"{path}{message}")


def test_read_yaml_of_no_file(tmp_path):
    with pytest.raises(UserError, match=r"x\.yaml: No such file"):
        read_yaml(tmp_path / "x.yaml")
    with pytest.raises(UserError, match="Is a directory"):
        read_yaml(tmp_path)


def test_maps_within_shared_maps_are_refused_before_they_are_made(tmp_path):
    """26 lines that are a map of 67 million entries."""
    lines = ["a0: &a0 {x: 1}", *(f"a{n}: &a{n} {{x: *a{n - 1}, y: *a{n - 1}}}" for n in range(1, 27))]
    (tmp_path / "x.yaml").write_text("\n".join(lines))
    with pytest.raises(UserError, match=r"x\.yaml, line 1: not valid YAML: anchors and aliases"):
        read_yaml(tmp_path / "x.yaml")


def test_what_only_yaml_takes_for_something_else_is_text(tmp_path):
    written = {"a": "2024-01-31", "b": "1:30", "c": "on", "<<": "=", "d": "1:2.5"}
    (tmp_path / "x.yaml").write_text("".join(f"{key}: {value}\n" for key, value in written.items()))
    assert read_yaml(tmp_path / "x.yaml") == written
    (tmp_path / "x.yaml").write_text("<<: {a: 1}\nb: 2\n")
    assert read_yaml(tmp_path / "x.yaml") == {"<<": {"a": 1}, "b": 2}


def test_a_text_is_read_from_a_file_or_an_open_pipe(tmp_path, pipe):
    with pytest.raises(UserError, match=r"pipe: not a regular file$"):
        read_text(pipe)
    with pytest.raises(UserError, match=r"^/dev/zero: not a regular file$"):
        read_text(Path("/dev/zero"))
    reader, writer = os.pipe()
    os.write(writer, b"a: 1\r\nb: 2\n")
    os.close(writer)
    assert read_yaml(Path(f"/dev/fd/{reader}")) == {"a": 1, "b": 2}
    os.close(reader)


@given(
    st.text()
    | st.lists(st.sampled_from(["a", ": ", "\n", "  ", "- ", "[", "]", "{", "}", "? ", "!!map "])).map("".join)
)
@example("a: 1\x00")
@example("a: 2020-13-45")
@example("a: !!int x")
@example("a: !!timestamp x")
@example("a: !!bool x")
@example("? [a, b]\n: 1")
@example("!!map x")
@example("a: " + "[" * 2000)
@PROPERTY
def test_read_yaml_gives_a_mapping_or_one_line(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    path.write_text(text, encoding="utf-8")
    try:
        outcome = read_yaml(path)
    except UserError as error:
        outcome = str(error)
    assert isinstance(outcome, dict) or (outcome.startswith(str(path)) and "\n" not in outcome)


def test_unknown_keys_name_the_nearest(recipe):
    assert refusal({**recipe, "epoch": 3}) == "r.yaml: epoch: unknown key (did you mean 'epochs'?)"
    weights = {**recipe["weights"], "momentun": 0.9}
    assert refusal({**recipe, "weights": weights}) == "r.yaml: weights.momentun: unknown key (did you mean 'momentum'?)"
    data = {**recipe["data"], "batchsize": 3}
    assert refusal({**recipe, "data": data}) == "r.yaml: data.batchsize: unknown key (did you mean 'batch_size'?)"
    far = refusal({**recipe, "data": {**recipe["data"], "zzz": 3}})
    assert far.startswith("r.yaml: data.zzz: unknown key (known: batch_size, ")
    assert "images" not in far  # a key of another kind


def test_a_misspelt_key_is_named_rather_than_the_one_it_leaves_missing(recipe):
    recipe["weights"]["lrr"] = recipe["weights"].pop("lr")
    assert refusal(recipe) == "r.yaml: weights.lrr: unknown key (did you mean 'lr'?)"


def test_the_command_line_is_blamed_for_what_it_says(recipe):
    assert refusal(recipe, weights__lrr="1") == "command line: --weights.lrr: unknown key (did you mean 'lr'?)"
    assert refusal(recipe, weights__lr="-1") == "command line: --weights.lr: '-1': should be greater than 0"
    assert refusal(recipe, epochs="many").startswith("command line: --epochs: 'many': should be a valid integer")
    assert refusal(recipe, weights__lr="nan") == "command line: --weights.lr: 'nan': should be a finite number"
    assert refusal(recipe, deviations="[1").startswith("command line: --deviations: [1: not valid YAML")
    assert refusal(recipe, deviations="[&a 1, *a]").endswith(
        "not valid YAML: anchors and aliases (&a, *a) are not read; should be the value itself"
    )
    deep = refusal(recipe, deviations="[" * 9000)
    assert deep == f"command line: --deviations: {'[' * 60}…: not valid YAML"
    assert accepted(recipe, deviations="[2024-01-31]").deviations == ("2024-01-31",)
    assert refusal(recipe, name__x="1") == "command line: --name.x: 'name' has no keys of its own"
    assert refusal(recipe, derive__method="argmx").startswith("command line: --derive.method: 'argmx': should be")


@pytest.mark.parametrize(
    ("key", "text"),
    [("weights", "{lr: -1}"), ("architect.betas", "[0.9]"), ("deviations", "[[]]"), ("data", "{kind: x}")],
)
def test_the_command_line_is_blamed_for_what_is_inside_its_value(recipe, key, text):
    assert refusal(recipe, **{key: text}).startswith(f"command line: --{key}")


def test_lists_and_nulls_on_the_command_line(recipe):
    assert accepted(recipe, architect__betas="[0.5, 0.9]").architect.betas == (0.5, 0.9)
    assert accepted({**recipe, "supernet": {"cells": 3}}, supernet__cells="null").supernet.cells is None
    assert accepted(recipe, supernet__cells="3").supernet.cells == 3


@pytest.mark.parametrize("text", ["[x]", "{a: 1}", "null"])
def test_a_kind_that_is_no_word_is_refused(recipe, text):
    assert refusal(recipe, data__kind=text).startswith("command line: --data.kind: ")


@pytest.mark.parametrize("text", ["2024", "on", "1.50", "a: b", "2020-13-45", "~/[data]"])
def test_settings_that_are_text_take_any_text(recipe, text):
    assert accepted(recipe, data__root=text).data.root == text


def test_all_that_is_wrong_is_said_in_one_answer(recipe):
    with pytest.raises(UserError) as error:
        check(SearchSettings, {**recipe, "epochs": 0, "sapce": 1, "name": None}, "r.yaml", {"seed": "x"})
    told = str(error.value).split("; ")
    assert told[0] == "r.yaml: sapce: unknown key (did you mean 'space'?)"
    assert told[1].startswith("name: None: should be")
    assert told[2].startswith("command line: --seed: 'x': should be")
    assert told[3].startswith("epochs: 0: should be")
    many = {"epochs": "a", "seed": "b", "threads": "c", "save_minutes": "d", "data.workers": "e", "weights.lr": "f"}
    with pytest.raises(UserError) as error:
        check(SearchSettings, recipe, "r.yaml", many)
    told = str(error.value)
    assert told.count(": should be") == 5
    assert told.count("command line: ") == 1
    assert told.endswith("; and 1 more")


def test_values_out_of_range_and_missing_keys(recipe):
    assert refusal({**recipe, "epochs": 0}) == "r.yaml: epochs: 0: should be greater than or equal to 1"
    data = {**recipe["data"], "train_portion": 1.5}
    assert refusal({**recipe, "data": data}).startswith("r.yaml: data.train_portion: 1.5: should be less than")
    del data["train_portion"]
    assert refusal({**recipe, "data": data}) == "r.yaml: data.train_portion: is missing"
    assert refusal({key: value for key, value in recipe.items() if key != "space"}) == "r.yaml: space: is missing"
    assert refusal({**recipe, "derive": {"method": "edge"}}).startswith("r.yaml: derive: method edge needs a threshold")


@pytest.mark.parametrize("place", ["epochs", "weights.lr", "data.batch_size", "architect.betas.1", "seed"])
def test_true_is_no_number(recipe, place):
    *sections, last = place.removesuffix(".1").split(".")
    inner = recipe
    for section in sections:
        inner = inner[section]
    inner[last] = [0.5, True] if last == "betas" else True
    assert refusal(recipe) == f"r.yaml: {place}: True: should be a number"


def test_true_is_a_word_where_words_are_meant(recipe):
    study = {"name": "s", "source": "me", "seeds": [0], "runs": [{"name": "r", "config": "c", "changes": {"x": True}}]}
    assert check(RecipeStudy, study, "s.yaml").runs[0].changes == {"x": True}
    study["seeds"] = [True]
    with pytest.raises(UserError, match=r"^s\.yaml: seeds\.0: True: should be a number$"):
        check(RecipeStudy, study, "s.yaml")


def test_a_number_that_no_machine_holds_is_refused_by_name(recipe):
    assert accepted(recipe, epochs=str(LARGEST)).epochs == LARGEST
    assert (
        refusal(recipe, epochs=str(LARGEST + 1)) == "command line: --epochs: 2147483648: should be within ±2147483647"
    )
    assert refusal({**recipe, "seed": 10**12}) == "r.yaml: seed: 1000000000000: should be within ±2147483647"
    for digits in (400, 4000, 6000):
        message = refusal(recipe, epochs="9" * digits)
        assert message.startswith("command line: --epochs: ")
        assert len(message) < 300  # the number's middle is left out
    assert refusal({**recipe, "epochs": 16**6000}) == "r.yaml: epochs: this int: should be within ±2147483647"
    assert refusal({**recipe, "epochs": 1e20}).startswith("r.yaml: epochs: 1e+20: ")


def test_text_without_control_characters(recipe):
    for text in ("a\0b", "a\x1b[31m", "a\ud800", "a\x9f"):
        assert refusal({**recipe, "name": text}) == f"r.yaml: name: {text!r}: should hold no control characters"
    assert accepted({**recipe, "source": "two\n\tlines α"}).source == "two\n\tlines α"


@given(st.text())
@PROPERTY
def test_what_is_plain_stays_so_and_can_be_written(text):
    assert plain(plain(text)) == plain(text)
    assert plain(text).encode("utf-8").decode("utf-8") == plain(text)  # no lone surrogate is left
    assert {own for own in plain(text) if not own.isprintable()} <= {own for own in text if not own.isprintable()}


def test_dates_and_loops_in_a_list_on_the_command_line(recipe):
    assert accepted(recipe, deviations="[2020-13-45, 2020-01-01]").deviations == ("2020-13-45", "2020-01-01")
    assert refusal(recipe, deviations="[&a [*a]]").startswith("command line: --deviations")


def test_unknown_and_missing_kinds(recipe):
    wrong = {**recipe["data"], "kind": "cifr10"}
    assert refusal({**recipe, "data": wrong}) == "r.yaml: data.kind: 'cifr10' is not known (did you mean 'cifar10'?)"
    known = "(known: digits, cifar10, cifar100, folder, imagenet, fake, npz, csv, given)"
    assert refusal(recipe, data__kind="qqq") == f"command line: --data.kind: 'qqq' is not known {known}"
    del wrong["kind"]
    assert refusal({**recipe, "data": wrong}) == "r.yaml: data.kind: is missing"
    assert refusal({**recipe, "data": 3}) == "r.yaml: data: 3: should hold keys and values"


def test_switching_the_kind_drops_what_only_the_old_kind_knows(recipe):
    content = {**recipe, "data": {**recipe["data"], "root": "somewhere"}}
    data = accepted(content, data__kind="digits").data
    assert (data.kind, data.batch_size) == ("digits", 128)
    assert not hasattr(data, "root")
    assert content["data"]["root"] == "somewhere"  # the caller's content is left alone
    assert accepted(content, data__kind="folder", data__image_size="16").data.root == "somewhere"


def test_switching_the_kind_still_refuses_what_the_new_kind_lacks(recipe):
    assert refusal(recipe, data__kind="digits", data__root="x").startswith("command line: --data.root: unknown key")
    assert refusal(recipe, data__images="8").startswith("command line: --data.images: unknown key")


def test_naming_a_kind_does_not_hide_misspelt_keys(recipe):
    data = {**recipe["data"], "cutuot": 16}
    for kind in ("digits", "cifar10"):
        assert refusal({**recipe, "data": data}, data__kind=kind).startswith("r.yaml: data.cutuot: unknown key")
    architect = {**recipe["architect"], "weigth_decay": 0.1}
    message = refusal({**recipe, "architect": architect}, architect__kind="single_level")
    assert message.startswith("r.yaml: architect.weigth_decay: unknown key")


def test_settings_from_python_are_values_and_no_yaml(recipe):
    given = {"weights.lr": 0.5, "architect.betas": (0.5, 0.9), "noise": None, "name": "[1", "seed": 3}
    checked = check(SearchSettings, recipe, "r.yaml", given, asked="settings: ")
    assert (checked.weights.lr, checked.architect.betas, checked.name) == (0.5, (0.5, 0.9), "[1")
    wrong = {"weights.lr": -1, "epochs": True, "weights.momentum": "null", "derive.method": "edge", "name.x": 1}
    with pytest.raises(UserError) as error:
        check(SearchSettings, recipe, "r.yaml", wrong | {"derive.threshold": None}, asked="settings: ")
    assert str(error.value) == (
        "settings: name.x: 'name' has no keys of its own; epochs: True: should be a number; "
        "weights.lr: -1: should be greater than 0; "
        "weights.momentum: 'null': should be a valid number, unable to parse string as a number; "
        "derive.threshold: method edge needs a threshold, such as 0.85"
    )
    with pytest.raises(UserError, match=r"^settings: weights\.nesterov and weights\.momentum: nesterov true needs"):
        check(SearchSettings, recipe, "r.yaml", {"weights.nesterov": True, "weights.momentum": 0}, asked="settings: ")


def test_problems_found_before_are_told_with_those_of_settings(recipe):
    with pytest.raises(UserError, match=r"^command line: --x: why; --epochs: '0': should be"):
        check(SearchSettings, recipe, "r.yaml", {"epochs": "0"}, problems=["command line: --x: why"])
    with pytest.raises(UserError, match=r"^command line: --x: why$"):
        check(SearchSettings, recipe, "r.yaml", problems=["command line: --x: why"])


def test_of_many_known_words_the_nearest_are_told():
    known = [f"model-{number}" for number in range(20)]
    assert nearest("model-199", known) == " (did you mean 'model-19'?)"
    assert nearest("wxyzzy17", known) == " (nearest of 20: model-17, model-7, model-1)"
    assert nearest("", known).startswith(" (known: model-0, model-1, ")  # what there is, where nothing is asked for
    assert nearest("xyz", known[:3]) == " (known: model-0, model-1, model-2)"


def test_settings_are_frozen(recipe):
    checked = accepted(recipe)
    with pytest.raises(ValidationError, match="frozen"):
        checked.epochs = 3
    with pytest.raises(ValidationError, match="frozen"):
        checked.data.batch_size = 3


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_survives_being_written(tmp_path, name):
    path = resources.find("recipes", name)
    form = FORMS[read_yaml(path)["verb"]]
    checked = check(form, read_yaml(path), path)
    (tmp_path / "settings.yaml").write_text(dump_yaml(checked), encoding="utf-8")
    again = check(form, read_yaml(tmp_path / "settings.yaml"), "settings.yaml")
    assert again == checked
    assert dump_yaml(again) == dump_yaml(checked)  # as text too, 0 or 0.0, which is what a resumed run compares


@PROPERTY
@given(
    name=PLAIN_TEXT, lr=st.floats(min_value=0, exclude_min=True, max_value=LARGEST_FLOAT), seed=st.integers(0, LARGEST)
)
def test_any_value_survives_being_written(name, lr, seed):
    content = read_yaml(resources.find("recipes", "fairdarts-s1-digits"))
    weights = {**content["weights"], "lr": lr}
    checked = check(SearchSettings, {**content, "name": name, "seed": seed, "weights": weights}, "r.yaml")
    assert check(SearchSettings, yaml.safe_load(dump_yaml(checked)), "settings.yaml") == checked


def test_describe_names_every_setting(recipe):
    lines = describe(SearchSettings).splitlines()
    listed = {line.split()[0]: line for line in lines}
    sections = {key: list(value) for key, value in recipe.items() if isinstance(value, dict)}
    sections["supernet"] = DenseSupernetSettings.model_fields
    sections["weights"] = WeightSettings.model_fields
    sections["compute"] = ComputeSettings.model_fields
    sections["noise"] = NoiseSettings.model_fields
    sections["dropout"] = DropoutSettings.model_fields
    sections["stopping"] = ["kind", "limit", "window", "ratio"]
    sections["sampling"] = ["kind", "hard", "temperature", "cooling"]
    sections["perturbation"] = ["kind", "radius", "steps"]
    for name in ("auxiliary", "freezing", "choose"):
        form = next(part for part in get_args(SearchSettings.model_fields[name].annotation) if part is not type(None))
        sections[name] = form.model_fields
    sections["architect"] = ArchitectSettings.model_fields
    sections["derive"] = DeriveSettings.model_fields
    network = [f"network.{key}" for key in NetworkSettings.model_fields]
    sections["cost"] = [*(CostSettings.model_fields.keys() - {"network"}), *network]
    sections["data"] = [key for kind in get_args(get_args(DataSettings)[0]) for key in kind.model_fields]
    keys = {f"{section}.{key}" for section, inner in sections.items() for key in inner}
    keys |= SearchSettings.model_fields.keys() - sections.keys() - {"verb", "plugins"}  # which are what they are
    assert listed.keys() == {f"--{key}" for key in keys}
    assert any(line.endswith("folder of the data set [cifar10, cifar100, folder, imagenet]") for line in lines)
    assert listed["--device"].endswith("where to run (auto | cpu | cuda)")
    assert listed["--stopping.kind"].endswith("before its last epoch (never | skips | eigenvalue)")
    assert all(len(line.split()) > 1 for line in lines)
