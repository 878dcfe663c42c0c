"""Runs whose steps go by native kernels."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from fairdarts.checking import check
from fairdarts.config import Settings
from fairdarts.data.sources import open_source
from fairdarts.differentiable.loop import search
from fairdarts.differentiable.settings import SearchSettings
from fairdarts.native import calls
from fairdarts.reading import read_yaml
from fairdarts.runtime import checkpoint
from fairdarts.runtime.run import RunDirectory, changed_versions, create, open_run, versions
from fairdarts.runtime.stop import Interrupted, Stop
from fairdarts.spaces.space import load_space

pytestmark = pytest.mark.usefixtures("native")


class StopAfter:
    """Asks for a stop after so many steps."""

    def __init__(self, steps: int):
        self.stop, self.left = Stop(), steps

    def step(self, *_: Any) -> None:
        self.left -= 1
        if not self.left:
            self.stop.signal = 15

    def epoch(self, record: dict) -> None:
        pass


@pytest.fixture
def entered(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """The images that unit_forward a unit."""
    seen, unit_forward = [], calls.unit_forward
    monkeypatch.setattr(calls, "unit_forward", lambda form, x, *given: seen.append(x) or unit_forward(form, x, *given))
    yield seen
    calls.use_native("auto")


def go(recipe: Path, name: str, stop: StopAfter | None = None, resume: bool = False, **told: str) -> dict[str, Any]:
    """Runs a search, and gives what its last checkpoint holds."""
    overrides = {"data.kind": "digits", "data.batch_size": "64", "data.train_portion": "0.2", "epochs": "2"}
    settings = check(SearchSettings, read_yaml(recipe), recipe, overrides | told)
    space, source, path = load_space(settings.space), open_source(settings.data), recipe.parent / name
    run, watch = open_run(path) if resume else create(path, settings, space), stop or StopAfter(0)
    search(settings, space, source, run, watch, watch.stop, resume=resume)
    return checkpoint.load(run.last)


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    parts = [(one[part][key], other[part][key]) for part in ("supernet", "alphas") for key in one[part]]
    return all(torch.equal(*pair) for pair in parts)


def test_a_search_that_was_stopped_goes_on_to_the_same_bits(tiny_recipe: Path, entered: list[Tensor]):
    whole = go(tiny_recipe, "whole")
    assert entered
    with pytest.raises(Interrupted):
        go(tiny_recipe, "stopped", StopAfter(7))
    assert same(go(tiny_recipe, "stopped", resume=True), whole)

    entered.clear()
    never = go(tiny_recipe, "never", **{"compute.native": "never"})
    assert not entered
    for part in ("supernet", "alphas"):
        for key, value in whole[part].items():
            torch.testing.assert_close(never[part][key], value, rtol=0.01, atol=0.01)
    with pytest.raises(Interrupted):
        go(tiny_recipe, "changed", StopAfter(7))
    go(tiny_recipe, "changed", resume=True, **{"compute.native": "never"})  # as compute.memory, it may be told anew


def test_a_resume_by_other_kernels_is_told(tiny_recipe: Path):
    def asked(mode: str) -> Settings:
        return check(SearchSettings, read_yaml(tiny_recipe), tiny_recipe, {"compute.native": mode})

    run = create(tiny_recipe.parent / "run", asked("auto"), load_space(str(tiny_recipe.parent / "tiny-space.yaml")))
    key = json.loads((run.path / "versions.json").read_text())["native"]
    assert key == versions(asked("auto"))["native"] != "none"
    assert changed_versions(run, asked("auto")) == ""
    assert changed_versions(run, asked("never")) == f"native {key} → none"


def test_a_run_of_before_there_were_native_kernels_had_none(tiny_recipe: Path):
    settings = check(SearchSettings, read_yaml(tiny_recipe), tiny_recipe)
    run = create(tiny_recipe.parent / "run", settings, load_space(settings.space))
    (run.path / "versions.json").write_text(json.dumps(versions()))
    assert "native" not in versions()
    assert changed_versions(run, settings) == f"native none → {versions(settings)['native']}"
    never = check(SearchSettings, read_yaml(tiny_recipe), tiny_recipe, {"compute.native": "never"})
    assert changed_versions(RunDirectory(run.path), never) == ""
