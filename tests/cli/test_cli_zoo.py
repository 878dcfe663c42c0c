"""`fairdarts zoo`: every shipped genotype, with costs that plain counting confirms."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from fairdarts import resources
from fairdarts.cli import main
from fairdarts.cost.cost import Cost
from fairdarts.cost.derived import network_cost
from fairdarts.cost.shipped import shipped_costs
from fairdarts.genotype import ChainGenotype, EdgeGenotype, to_yaml
from fairdarts.networks.cell import CellNetwork
from fairdarts.networks.models import models
from fairdarts.networks.settings import AS_NAMED
from fairdarts.networks.zoo import load_genotype
from fairdarts.runs.zoo import zoo

KEYS = ["name", "space", "source", "network", "image", "params", "params_with_auxiliary", "madds", "count"]


def ship_only(monkeypatch: pytest.MonkeyPatch, *genotypes: str) -> None:
    """A network of its own takes a while to build, so not all of them are counted twice here."""
    names = resources.names
    monkeypatch.setattr(resources, "names", lambda kind: list(genotypes) if kind == "genotypes" else names(kind))


def listed(capsys: pytest.CaptureFixture, *words: str) -> list[dict]:
    capsys.readouterr()
    assert main(["zoo", "--json", *words]) == 0
    return json.loads(capsys.readouterr().out)


def counted(network: nn.Module, image: int) -> tuple[int, int]:
    """Parameters, and multiply-adds of convolutions and linear layers for one image, from shapes alone."""
    madds = 0

    def add(module: nn.Module, _: object, out: torch.Tensor) -> None:
        nonlocal madds
        madds += out[0, 0].numel() * module.weight.numel() if isinstance(module, nn.Conv2d) else module.weight.numel()

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(add)
    with torch.no_grad():
        network.eval()(torch.zeros(1, 3, image, image))
    return sum(parameter.numel() for parameter in network.parameters()), madds


def test_all_genotypes_are_listed(capsys):
    entries = listed(capsys)
    assert len(entries) == 55
    assert [entry["name"] for entry in entries] == resources.names("genotypes")
    for entry in entries:
        assert list(entry) == KEYS
        assert entry["space"] in resources.names("search_spaces")
        assert len(entry["source"]) > 20
        assert Cost(*(entry[key] for key in Cost._fields)) == shipped_costs()[entry["name"]]
        assert entry["network"] == ("imagenet" if entry["name"].startswith("fairnas") else "cifar")


@pytest.mark.parametrize("many", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_what_is_shipped_of_costs_is_counted_so(many: bool):
    alike = ("random-m2", "darts-noise", "sgas", "fairnas-meta")
    names = [name for name in models() if name.startswith(alike) == many]
    counted = {name: network_cost(*models()[name]) for name in names}
    shipped = {name: cost for name, cost in shipped_costs().items() if name.startswith(alike) == many}
    assert counted == shipped, "python tools/count_shipped.py writes them again"


def test_what_is_shipped_by_fairdarts_rule_is_counted_so():
    shipped, ours = shipped_costs("fairdarts"), shipped_costs()
    assert shipped.keys() == ours.keys()
    for name in ("fairdarts-a", "nasnet-a", "pc-darts-cifar", "darts-v1-imagenet", "fairnas-a-se"):
        assert network_cost(*models()[name], rule="fairdarts") == shipped[name]
    for name, cost in shipped.items():
        assert cost._replace(madds=0) == ours[name]._replace(madds=0)
        assert cost.madds > ours[name].madds


def test_multiply_adds_are_counted_as_fairdarts_authors_do(capsys):
    for words in ([], ["--network", "imagenet"]):
        (ours,) = listed(capsys, "fairdarts-a", *words)
        (theirs,) = listed(capsys, "fairdarts-a", *words, "--count", "fairdarts")
        name = "fairdarts-a-imagenet" if words else "fairdarts-a"
        assert theirs == ours | {"madds": shipped_costs("fairdarts")[name].madds, "count": "fairdarts"}
        assert (ours["count"], ours["madds"]) == ("convolutions", shipped_costs()[name].madds)
    assert main(["zoo", "--count", "thop"]) == 2
    assert "'thop'" in capsys.readouterr().err


def test_a_genotype_that_has_a_model_s_name_is_counted_itself():
    genotype, _ = load_genotype("fairdarts-a")
    (shipped,), (renamed,) = zoo("fairdarts-b"), zoo(genotype.model_copy(update={"name": "fairdarts-b"}))
    assert renamed["params"] == network_cost(*models()["fairdarts-a"]).params != shipped["params"]
    (large,) = zoo("fairdarts-b", "imagenet")
    assert large["madds"] == shipped_costs()["fairdarts-b-imagenet"].madds
    (small,) = zoo("fairdarts-b-imagenet", "cifar")
    assert small["params"] == shipped["params"]


@pytest.mark.parametrize(
    ("words", "name", "size", "image"),
    [((), "cifar", (20, 36, 10), 32), (("--network", "imagenet"), "imagenet", (14, 48, 1000), 224)],
)
def test_costs_are_those_of_the_networks_themselves(monkeypatch, capsys, words, name, size, image):
    names = ["darts-v2", "fairdarts-a"] if image == 32 else ["fairdarts-a"]
    ship_only(monkeypatch, *names)
    entries = listed(capsys, *words)
    assert [entry["name"] for entry in entries] == names
    for entry in entries:
        genotype, space = load_genotype(entry["name"])
        with torch.device("meta"):  # shapes are all that counting needs
            params, madds = counted(CellNetwork(name, genotype, space, *size), image)
            whole = CellNetwork(name, genotype, space, *size, auxiliary=True)
            with_auxiliary = sum(p.numel() for p in whole.parameters())
        assert (entry["params"], entry["params_with_auxiliary"], entry["madds"]) == (params, with_auxiliary, madds)


def test_the_table_says_the_same_as_the_list(monkeypatch, capsys):
    ship_only(monkeypatch, "fairdarts-a")
    (entry,) = listed(capsys)
    assert main(["zoo"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    for title in ("name", "space", "source", "parameters", "with auxiliary", "multiply-adds"):
        assert title in out.splitlines()[0]
    assert "fairdarts-a" in out
    for key in ("params", "params_with_auxiliary", "madds"):
        assert f"{entry[key] / 1e6:.2f} M" in out


def test_an_unknown_network_is_refused(capsys):
    assert main(["zoo", "--network", "mnist"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "'mnist'" in err


# zoo sample


def test_a_sample_is_written_and_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "drawn"
    words = ["zoo", "sample", "--count", "2", "--skips", "2", "--madds", "450", "--out", str(out)]
    assert main([*words, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    paths = sorted(out.iterdir())
    assert [path.stem for path in paths] == [row["name"] for row in rows] == ["random-s1-seed0-0", "random-s1-seed0-1"]
    for path, row in zip(paths, rows, strict=True):
        genotype, space = load_genotype(str(path))
        assert row["count"] == "fairdarts"  # whose floor it is
        assert row["madds"] == network_cost(genotype, space, AS_NAMED, rule="fairdarts").madds >= 450e6
        assert [op for op, *_ in genotype.normal].count("skip_connect") == 2
        assert "2 skip connections in the normal cell, 450 M multiply-adds or more" in genotype.source
    assert main(words) == 2
    assert "already exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--count 0", "--count 0: should be 1 or more"),
        ("--skips 9", "--skips 9: should be 0 or more, at most 8"),
        ("--space s1-noskip --skips 1", "space s1-noskip has no skip connections"),
        ("--madds 9000", "--madds 9000: none of 200 genotypes"),
        ("--madds nan", "--madds nan: should be a number of millions from 0"),
        ("--madds inf", "--madds inf: should be a number of millions from 0"),
        ("--space s2", "--space s2: is a chain space; only cells are drawn"),
        ("--space nasbench201", "--space nasbench201: is a nasbench201 space; only cells are drawn"),
        ("--space s3", "s3: neither a file nor a shipped search space"),
    ],
)
def test_a_sample_that_cannot_be_drawn(words: str, said: str, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fairdarts.runs.zoo.entry", lambda *_, **__: {"madds": 1})
    assert main(["zoo", "sample", *words.split()]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_genotypes_of_one_s_own_are_counted_as_their_space_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    layers = [["E3K3"] if number in (0, 2, 6, 10, 14, 18) else [] for number in range(19)]
    chain = ChainGenotype(schema=1, name="shallow", space="s2", source="a test", layers=layers)
    (tmp_path / "mine.yaml").write_text(to_yaml(chain))
    assert main(["zoo", str(tmp_path / "mine.yaml"), "fairdarts-a", "--json"]) == 0
    mine, shipped = json.loads(capsys.readouterr().out)
    assert (mine["name"], mine["network"], mine["params"]) == ("shallow", "imagenet", mine["params_with_auxiliary"])
    assert (shipped["name"], shipped["network"]) == ("fairdarts-a", "cifar")
    assert mine["madds"] > 40e6  # of 224 pixels and 1000 classes: the stem and the head alone take more
    assert main(["zoo", str(tmp_path / "mine.yaml"), "--network", "cifar"]) == 2
    assert "shallow: space s2 has no cifar network, only imagenet" in capsys.readouterr().err


def test_a_genotype_of_nas_bench_201_has_the_benchmark_s_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    widest = EdgeGenotype(name="n", space="nasbench201", source="a test", edges=["nor_conv_3x3"] * 6)
    (tmp_path / "widest.yaml").write_text(to_yaml(widest))
    assert main(["zoo", str(tmp_path / "widest.yaml"), "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert (entry["network"], entry["params"], entry["params_with_auxiliary"]) == ("cifar", 1_531_546, 1_531_546)
    assert entry["madds"] == 220_119_680  # 220.11969 M in the API, which counts the ten biases of the classifier, too


def test_models_are_counted_by_their_names(capsys):
    assert main(["zoo", "fairnas-a-se", "fairdarts-b-imagenet", "fairdarts-b", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == ["fairnas-a-se", "fairdarts-b-imagenet", "fairdarts-b"]
    assert rows[0]["params"] - 990 * 1281 == 5_835_322  # published for ten classes
    assert [row["network"] for row in rows] == ["imagenet", "imagenet", "cifar"]
