"""Files of others: wherever the tensors are, whatever stands before their names, and what is refused."""

import argparse
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from fairdarts.config import UserError
from fairdarts.networks.blueprint import NetworkSettings
from fairdarts.networks.create import create_model
from fairdarts.networks.foreign import HELD, first_names, read_file, tensors_in
from fairdarts.networks.published import open_model

TENSORS = {"stem.weight": torch.ones(2), "module_list.0.bias": torch.zeros(1)}
AVERAGE = {key: value + 5 for key, value in TENSORS.items()}
BESIDE = {"epoch": 3, "args": argparse.Namespace(lr=0.1), "best": np.float64(0.5), "optimizer": {"state": {}}}


def write(path: Path, content: Any, legacy: bool = False) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def refusal(path: Path, **words: Any) -> str:
    with pytest.raises(UserError, match=f"^{re.escape(str(path))}: ") as caught:
        tensors_in(path, **words)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{path}: ")


@pytest.mark.parametrize(("kind", "key"), [(kind, key) for kind, keys in HELD.items() for key in keys])
@pytest.mark.parametrize("legacy", [False, True])
def test_tensors_are_found_under_every_key_that_people_use(kind: str, key: str, legacy: bool, tmp_path: Path):
    tensors, found = tensors_in(write(tmp_path / "a.pt", BESIDE | {key: TENSORS}, legacy))
    assert same(tensors, TENSORS)
    assert found == kind


@given(wrappers=st.lists(st.sampled_from(["module.", "_orig_mod."]), max_size=4))
def test_wrappers_stand_before_the_names_in_any_number_and_order(wrappers: list[str], tmp_path_factory: Any):
    path = tmp_path_factory.getbasetemp() / "wrapped.pt"
    tensors, kind = tensors_in(write(path, {"".join(wrappers) + key: value for key, value in TENSORS.items()}))
    assert same(tensors, TENSORS)
    assert kind == "raw"


def compiled(module: nn.Module) -> nn.Module:
    """With the names that torch.compile makes."""
    wrapper = nn.Module()
    wrapper._orig_mod = module
    return wrapper


def test_names_are_those_of_a_network_that_was_wrapped(tmp_path: Path):
    network = nn.Sequential(nn.Conv2d(3, 2, 1), nn.Sequential(nn.BatchNorm2d(2)))
    expected = network.state_dict()
    network[1] = compiled(network[1])
    average = torch.optim.swa_utils.AveragedModel(nn.DataParallel(network))
    counted = {"module.module.total_ops": torch.zeros(1), **average.state_dict()}
    tensors, _ = tensors_in(write(tmp_path / "a.pt", {"model_ema": counted}))
    assert same(tensors, expected)


def test_averaged_and_raw_weights_are_chosen_between(tmp_path: Path):
    path = write(tmp_path / "a.pt", {"state_dict": TENSORS, "state_dict_ema": AVERAGE})
    for weights, expected in (("auto", "ema"), ("raw", "raw"), ("ema", "ema")):
        tensors, kind = tensors_in(path, weights)
        assert kind == expected
        assert same(tensors, TENSORS if kind == "raw" else AVERAGE)
    empty = write(tmp_path / "b.pt", {"net": TENSORS, "ema": None})
    assert tensors_in(empty)[1] == "raw"
    assert refusal(empty, weights="ema") == "weights: it has no ema weights, only raw ones"
    assert refusal(write(tmp_path / "c.pt", {"ema": AVERAGE}), weights="raw").endswith("no raw weights, only ema ones")


class Whole(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))


class Config:
    lr = 0.1


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (Whole(), f"holds a whole pickled module ({__name__}.Whole); save its state_dict() instead"),
        ({"model": nn.Linear(2, 2)}, "holds a whole pickled module (torch.nn.modules.linear.Linear); save its"),
        ({"net": TENSORS, "config": Config()}, f"holds {__name__}.Config beside tensors and plain values; save the"),
        ({"epoch": 3, "lr": [0.1]}, "holds no tensors by name, only epoch, lr; should be a state dict, bare or under "),
        ({}, "holds no tensors by name; should be"),
    ],
)
def test_what_is_no_state_dict_is_named_for_what_it_is(content: Any, message: str, legacy: bool, tmp_path: Path):
    assert refusal(write(tmp_path / "a.pt", content, legacy)).startswith(message)


@pytest.mark.filterwarnings("ignore:.torch.jit.(script|save)")
def test_a_script_is_named(tmp_path: Path):
    torch.jit.save(torch.jit.script(nn.ReLU()), tmp_path / "a.pt")
    assert refusal(tmp_path / "a.pt") == "is a TorchScript archive; should be a state_dict(), saved with torch.save"


def test_a_file_that_is_not_whole_is_no_pickled_module(tmp_path: Path):
    whole = write(tmp_path / "a.pt", nn.Linear(2, 2)).read_bytes()
    (tmp_path / "a.pt").write_bytes(whole[: len(whole) // 2])
    assert refusal(tmp_path / "a.pt").startswith("not a readable checkpoint: truncated, damaged")


def test_a_namespace_stays_as_plain_as_it_is(tmp_path: Path):
    args = read_file(write(tmp_path / "a.pt", BESIDE))["args"]
    assert (type(args), vars(args)) == (argparse.Namespace, {"lr": 0.1})
    with pytest.raises(UserError, match=r"Config beside"):
        read_file(write(tmp_path / "a.pt", {"args": argparse.Namespace(own=Config())}))


def test_names_for_people():
    assert [first_names("abcd"[:count]) for count in (1, 3, 4)] == ["a", "a, b, c", "a, b, c and so on"]


def test_a_model_is_opened_with_the_weights_that_are_asked_for(tmp_path: Path):
    settings = NetworkSettings(cells=3, channels=4)
    raw, average = (create_model("fairdarts-a", num_classes=4, network=settings).state_dict() for _ in range(2))
    path = write(tmp_path / "a.pt", {"state_dict": raw, "state_dict_ema": average, "args": argparse.Namespace()})
    for weights, expected in (("raw", raw), ("auto", average)):
        model = open_model(path, weights, "fairdarts-a", settings)
        assert same(model.network.state_dict(), expected)
        assert model.about["weights"] == ("raw" if expected is raw else "ema")
        assert len(model.blueprint.classes) == 4
    with pytest.raises(UserError, match=r"a\.pt: not a trained network of fairdarts; if others wrote it, say which"):
        open_model(path)
