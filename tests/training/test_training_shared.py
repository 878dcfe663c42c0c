"""Two processes train as one does that goes through the same parts of a batch, and go on after a stop."""

from pathlib import Path

import pytest
import torch
from networks import assert_same_training, halve, trained
from processes import launch

from fairdarts.runtime import checkpoint
from fairdarts.runtime.run import RunDirectory

PROGRAM = Path(__file__).with_name("shared_training.py")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run directories of two processes (gloo)."""
    folder = tmp_path_factory.mktemp("shared")
    done = launch(PROGRAM, folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize(("name", "given"), [("whole", None), ("given", halve)])
def test_two_processes_find_the_weights_of_one_with_the_same_parts(shared: Path, tmp_path: Path, name: str, given):
    """BatchNorm's running statistics are the first process's, as DistributedDataParallel has it."""
    trained(tmp_path / "alone", initialize=given, drop_path=0, ema=0.9, compute__accumulate=2)
    one, two = (checkpoint.load(RunDirectory(path).last) for path in (tmp_path / "alone", shared / name))
    for key, value in one["network"].items():
        if "running" not in key and "tracked" not in key:
            torch.testing.assert_close(two["network"][key], value, atol=1e-5, rtol=1e-4)
    records = [RunDirectory(path).records()[0] for path in (tmp_path / "alone", shared / name)]
    assert records[0]["train_loss"] == pytest.approx(records[1]["train_loss"], rel=1e-5)


def test_two_processes_that_were_stopped_go_on_to_the_same_bits(shared: Path):
    assert_same_training(shared / "stopped", shared / "whole")
