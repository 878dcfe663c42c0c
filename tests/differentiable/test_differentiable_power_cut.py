"""A power cut at any moment leaves a run that goes on to the same bits, or a place where one may begin."""

import os
from pathlib import Path

import pytest
from disk import lay, watched
from runs import Watch, metrics, same

from fairdarts.checking import check
from fairdarts.data.sources import open_source
from fairdarts.differentiable.loop import search
from fairdarts.differentiable.settings import SearchSettings
from fairdarts.reading import read_yaml
from fairdarts.runtime import checkpoint
from fairdarts.runtime.run import RunDirectory, create, is_free, open_run
from fairdarts.spaces.space import load_space


def searched(recipe: Path, path: Path, resume: bool = False) -> RunDirectory:
    """A run after its search, which saves after every epoch."""
    settings = check(SearchSettings, read_yaml(recipe), recipe, {"epochs": "2"})
    space, watch = load_space(settings.space), Watch()
    run = open_run(path) if resume else create(path, settings, space)
    search(settings, space, open_source(settings.data), run, watch, watch.stop, resume)
    return run


@pytest.mark.filterwarnings("error")
@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs Linux to tell which file is flushed")
def test_a_power_cut_at_any_moment_loses_nothing_that_was_saved(tiny_recipe: Path, tmp_path: Path):
    root = tmp_path / "disk"
    root.mkdir()
    with watched(root) as disk:
        whole = searched(tiny_recipe, root / "runs" / "run")
    begun = [state for state in disk.states if state.get("runs/run/settings.yaml")]
    assert len(begun) > 10
    for number, state in enumerate(disk.states):
        lay(state, tmp_path / str(number))
        path = tmp_path / str(number) / "runs" / "run"
        if state not in begun:
            assert is_free(path), state.keys()
            continue
        run = open_run(path)
        if run.last.is_file():
            at = checkpoint.load(run.last)["epoch"]
            assert len(run.records()) > at  # that of the start is one more
        run = searched(tiny_recipe, path, resume=True)
        assert metrics(run.path) == metrics(whole.path)
        assert same(checkpoint.load(run.last), checkpoint.load(whole.last))
    assert os.listdir(tmp_path / "0") == []
