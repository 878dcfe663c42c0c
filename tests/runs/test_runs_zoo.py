"""`fairdarts.zoo`, `sample_genotypes`, `transfer` and `load_genotype`: what the verbs say, as objects."""

import json
from pathlib import Path

import pytest

import fairdarts
from fairdarts.cli import main
from fairdarts.config import UserError
from fairdarts.genotype import read
from fairdarts.runs.genotype import load_genotype
from fairdarts.runs.transfer import mmdet_config
from fairdarts.runs.zoo import sample_genotypes, zoo


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_costs_are_those_of_the_verb(capfd):
    rows = zoo(["fairdarts-a", "fairnas-a-se"])
    assert capfd.readouterr() == ("", "")
    assert main(["zoo", "fairdarts-a", "fairnas-a-se", "--json"]) == 0
    assert json.loads(capfd.readouterr().out) == rows


def test_a_count_that_there_is_not_is_refused():
    with pytest.raises(UserError, match=r"^count: thop: should be one of convolutions, fairdarts$"):
        zoo("fairdarts-a", count="thop")


def test_genotypes_are_sampled_and_only_written_where_one_says(capfd):
    sampled = sample_genotypes(count=2, skips=2, seed=3)
    assert not list(Path().iterdir())
    assert main(["zoo", "sample", "--count", "2", "--skips", "2", "--seed", "3", "--json"]) == 0
    assert json.loads(capfd.readouterr().out) == [one.facts for one in sampled]
    for one in sampled:
        assert read(Path(f"sampled/{one.genotype.name}.yaml")) == one.genotype
    with pytest.raises(UserError, match="already exists; name another --out or --seed"):
        sample_genotypes(seed=3, out="sampled")
    with pytest.raises(UserError, match="is a chain space"):
        sample_genotypes("s2")


def test_a_config_is_that_of_the_verb(capfd):
    text = mmdet_config("fairnas-a", "faster-rcnn", data_root="coco", settings={"network.se_ratio": 0.5})
    assert capfd.readouterr() == ("", "")
    words = ["--detector", "faster-rcnn", "--data-root", "coco", "--network.se_ratio", "0.5"]
    assert main(["transfer", "mmdet", "fairnas-a", *words]) == 0
    assert capfd.readouterr().out == text
    with pytest.raises(UserError, match="zz: neither a file nor a shipped detector"):
        mmdet_config("fairnas-a", "zz")


def test_a_genotype_and_a_space_are_loaded_by_name():
    genotype = fairdarts.load_genotype("fairdarts-a")
    assert genotype == load_genotype("fairdarts-a")
    assert genotype.space == fairdarts.load_space(genotype.space).name
    with pytest.raises(UserError, match="fairdarts-h: neither a file"):
        load_genotype("fairdarts-h")
