"""`fairdarts.bench`: a measurement as a dict, without a word."""

from pathlib import Path

import pytest

from fairdarts.config import UserError
from fairdarts.runs.bench import bench


def test_a_measurement_is_a_dict_and_leaves_nothing(tiny_recipe: Path, tmp_path: Path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    facts = bench(tiny_recipe, steps=2, settings={"data.batch_size": 2}, epochs=7)
    assert capfd.readouterr() == ("", "")
    assert (facts["recipe"], facts["epochs"], facts["steps_per_epoch"]) == ("tiny", 7, 8)
    assert facts["step_ms"] > 0
    assert sorted(tmp_path.rglob("*")) == before


def test_too_few_steps_are_refused(tiny_recipe: Path):
    with pytest.raises(UserError, match="1: should be at least 2"):
        bench(tiny_recipe, steps=1)
