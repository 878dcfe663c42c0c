"""The recipes of `fairdarts train`: that they are whole, and that their numbers are the papers'."""

from typing import Any

import pytest
import yaml

from fairdarts import resources
from fairdarts.checking import check
from fairdarts.config import UserError, describe
from fairdarts.oneshot.settings import TrainingSettings
from fairdarts.reading import dump_yaml, read_yaml
from fairdarts.runs.recipe import names_of
from fairdarts.training.settings import TrainSettings

NAMES = names_of(TrainSettings)
TINY = {
    "name": "tiny",
    "source": "tests",
    "epochs": 5,
    "data": {"kind": "digits", "batch_size": 8, "train_portion": 1, "cutout": 0, "workers": 0},
    "optimizer": {"kind": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 0},
    "schedule": {"kind": "cosine"},
}


def recipe(name: str) -> TrainSettings:
    path = resources.find("recipes", name)
    return check(TrainSettings, read_yaml(path), path)


def numbers(name: str, *keys: str) -> list[Any]:
    """The values of dotted keys in a recipe."""
    found = []
    for key in keys:
        value: Any = recipe(name)
        for part in key.split("."):
            value = getattr(value, part)
        found.append(value)
    return found


def told(**changes: Any) -> TrainSettings:
    """The tiny settings with dotted keys laid over them, as a file holds them."""
    return check(TrainSettings, TINY, "r.yaml", {key.replace("__", "."): str(value) for key, value in changes.items()})


def refusal(**changes: Any) -> str:
    with pytest.raises(UserError) as error:
        told(**changes)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_there_is_a_recipe_for_every_published_training():
    cells, chains = (
        ["train-darts-cifar10", "train-darts-imagenet"],
        ["train-mnasnet-imagenet", "train-ranking-imagenet"],
    )
    assert {*cells, *chains, "train-mnasnet-se-imagenet", "transfer-cifar10", "transfer-cifar100"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_is_checked_named_as_its_file_and_names_its_source(name: str):
    settings = recipe(name)
    assert settings.name == name
    assert settings.source
    assert check(TrainSettings, yaml.safe_load(dump_yaml(settings)), "settings.yaml") == settings


def test_darts_on_cifar10_is_the_paper_s():
    keys = ("epochs", "data.batch_size", "optimizer.lr", "optimizer.momentum", "optimizer.weight_decay")
    assert numbers("train-darts-cifar10", *keys) == [600, 96, 0.025, 0.9, 3e-4]
    keys = ("optimizer.clip", "loss.auxiliary", "drop_path", "data.cutout", "data.train_portion", "data.auto_augment")
    assert numbers("train-darts-cifar10", *keys) == [5, 0.4, 0.2, 16, 1, "none"]
    keys = ("schedule.kind", "schedule.lr_min", "schedule.warmup_epochs", "loss.label_smoothing", "ema")
    assert numbers("train-darts-cifar10", *keys) == ["cosine", 0, 0, 0, None]


def test_darts_on_imagenet_is_the_paper_s_for_a_large_batch():
    keys = ("epochs", "data.batch_size", "optimizer.lr", "optimizer.weight_decay", "optimizer.clip")
    assert numbers("train-darts-imagenet", *keys) == [250, 1024, 0.5, 3e-5, 5]
    keys = ("loss.label_smoothing", "loss.auxiliary", "schedule.kind", "schedule.warmup_epochs", "drop_path")
    assert numbers("train-darts-imagenet", *keys) == [0.1, 0.4, "linear", 5, 0]
    keys = ("data.image_size", "data.held_out", "data.color_jitter")
    assert numbers("train-darts-imagenet", *keys) == [224, 0, (0.4, 0.4, 0.4, 0.2)]


def test_the_command_line_of_its_deviations_gives_darts_own_batch_and_decay():
    path = resources.find("recipes", "train-darts-imagenet")
    (note,) = [note for note in recipe("train-darts-imagenet").deviations if "--schedule.kind" in note]
    words = note[note.index("--") :].rstrip(".").split()
    overrides = {key.removeprefix("--"): value for key, value in zip(words[::2], words[1::2], strict=True)}
    settings = check(TrainSettings, read_yaml(path), path, overrides)
    assert (settings.data.batch_size, settings.optimizer.lr) == (128, 0.1)
    schedule = settings.schedule
    assert (schedule.kind, schedule.factor, schedule.every, schedule.warmup_epochs) == ("exponential", 0.97, 1, 0)


MNASNET = ("train-mnasnet-imagenet", "train-mnasnet-se-imagenet")


@pytest.mark.parametrize("name", MNASNET)
def test_mnasnet_s_training_is_rmsprop_with_a_staircase_and_averaged_weights(name: str):
    keys = ("optimizer.kind", "optimizer.lr", "optimizer.momentum", "optimizer.alpha", "optimizer.weight_decay")
    assert numbers(name, *keys) == ["rmsprop", 0.256, 0.9, 0.9, 1e-5]
    keys = ("schedule.kind", "schedule.factor", "schedule.every", "schedule.warmup_epochs", "data.batch_size")
    assert numbers(name, *keys) == ["exponential", 0.97, 2.4, 5, 4096]
    keys = ("ema", "network.dropout", "batch_norm_momentum", "epochs", "loss.label_smoothing")
    assert numbers(name, *keys) == [0.9999, 0.2, 0.01, 350, 0.1]
    assert recipe(name).optimizer.eps == pytest.approx(0.001**0.5, abs=5e-5)
    assert recipe(name).optimizer.decay_all is False


def test_squeeze_and_excitation_swish_and_auto_augment_are_all_that_sets_them_apart():
    plain, improved = (recipe(name).model_dump() for name in MNASNET)
    assert (improved["network"]["se_ratio"], improved["network"]["activation"]) == (1.0, "swish")
    assert improved["data"]["auto_augment"] == "imagenet"
    changed = {"network": ("se_ratio", "activation", "outer_activation"), "data": ("auto_augment",)}
    for section, keys in changed.items():
        for key in keys:
            assert plain[section].pop(key) != improved[section].pop(key)
    head = {"name", "source", "deviations"}
    assert {key: plain[key] for key in plain.keys() - head} == {key: improved[key] for key in improved.keys() - head}


def test_models_are_ranked_by_a_training_with_their_supernet_s_numbers():
    settings = recipe("train-ranking-imagenet")
    path = resources.find("recipes", "fairnas-a-imagenet")
    supernet = check(TrainingSettings, read_yaml(path), path)
    assert settings.optimizer.kind == "sgd"
    for key in ("lr", "momentum", "weight_decay"):
        assert getattr(settings.optimizer, key) == getattr(supernet.weights, key)
    assert settings.schedule.kind == "cosine"
    assert settings.schedule.lr_min == supernet.weights.lr_min
    assert settings.epochs == supernet.epochs
    assert settings.data == supernet.data


@pytest.mark.parametrize("kind", ["cifar10", "cifar100"])
def test_transfer_takes_20000_steps_at_224_pixels_with_nesterov_s_momentum(kind: str):
    settings = recipe(f"transfer-{kind}")
    assert (settings.data.kind, settings.data.image_size, settings.data.batch_size) == (kind, 224, 256)
    assert (settings.optimizer.kind, settings.optimizer.nesterov, settings.optimizer.momentum) == ("sgd", True, 0.9)
    assert (settings.schedule.kind, settings.network.size) == ("cosine", "imagenet")
    steps = 50_000 // 256
    assert settings.epochs * steps == pytest.approx(20_000, abs=steps / 2 + 1)
    assert settings.batch_norm_momentum == pytest.approx(1 - max(1 - 10 / steps, 0.9), abs=5e-5)
    assert settings.model_dump(exclude={"data", "name", "source"}) == recipe("transfer-cifar10").model_dump(
        exclude={"data", "name", "source"}
    )


def test_a_warm_up_is_no_longer_than_the_training():
    assert told(schedule__warmup_epochs=5).schedule.warmup_epochs == 5
    wanted = "command line: --schedule.warmup_epochs: schedule.warmup_epochs 5.5: should be at most 5, the number of"
    assert refusal(schedule__warmup_epochs=5.5) == f"{wanted} epochs"
    assert "should be at most 2, the number of epochs" in refusal(epochs=2, schedule__warmup_epochs=3)


def test_a_learning_rate_does_not_fall_upwards():
    assert told(schedule__lr_min=0.1).schedule.lr_min == 0.1
    wanted = "command line: --schedule.lr_min: schedule.lr_min 0.2: should be at most optimizer.lr 0.1"
    assert refusal(schedule__lr_min=0.2) == wanted


def test_nesterov_s_momentum_is_one():
    assert told(optimizer__nesterov=True).optimizer.nesterov
    wanted = "command line: --optimizer.nesterov and --optimizer.momentum: optimizer.nesterov: needs a momentum above 0"
    assert refusal(optimizer__nesterov=True, optimizer__momentum=0) == wanted


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("epochs", 0),
        ("batch_norm_momentum", 0),
        ("batch_norm_momentum", 1.1),
        ("drop_path", 1),
        ("ema", 0),
        ("ema", 1),
        ("optimizer.lr", 0),
        ("optimizer.momentum", 1),
        ("optimizer.clip", 0),
        ("optimizer.alpha", 0.9),  # RMSprop's
        ("schedule.factor", 0.9),  # that of an exponential decay
        ("schedule.warmup_epochs", -1),
        ("loss.label_smoothing", 1),
        ("loss.auxiliary", -0.1),
        ("compute.compile", "fast"),
        ("network.se_ratio", 1.5),
        ("space", "s1"),  # which a genotype knows
    ],
)
def test_what_does_not_fit_is_named(key: str, value: object):
    assert refusal(**{key: value}).startswith(f"command line: --{key}")


@pytest.mark.parametrize("missing", ["epochs", "data", "optimizer", "schedule"])
def test_what_is_missing_is_named(missing: str):
    with pytest.raises(UserError, match=f"^r.yaml: {missing}: is missing$"):
        check(TrainSettings, {key: value for key, value in TINY.items() if key != missing}, "r.yaml")


def test_an_exponential_decay_has_no_end_and_no_unit():
    told_all = {"schedule.kind": "exponential", "schedule.factor": "0.9", "schedule.every": "2"}
    content = {**TINY, "schedule": {"kind": "cosine", "lr_min": 0.01, "unit": "epoch", "warmup_epochs": 1}}
    schedule = check(TrainSettings, content, "r.yaml", told_all).schedule
    assert schedule.model_dump() == {"kind": "exponential", "factor": 0.9, "every": 2, "warmup_epochs": 1}


def test_every_setting_has_its_help():
    for line in describe(TrainSettings).splitlines():
        assert len(line.split()) > 1, line
