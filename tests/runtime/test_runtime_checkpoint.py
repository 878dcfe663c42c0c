"""Checkpoints: whole at any moment, read without executing anything."""

import errno
import os
import pickle
from pathlib import Path

import pytest
import torch

from fairdarts.config import UserError
from fairdarts.runtime import checkpoint

STATE = {"epoch": 3, "alphas": {"normal": torch.arange(12.0).view(3, 4)}, "nested": [{"step": torch.tensor(7)}, None]}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    checkpoint.save(tmp_path / "last.pt", STATE)
    return tmp_path / "last.pt"


def message(error: pytest.ExceptionInfo[UserError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_state_comes_back_as_it_was(saved: Path):
    state = checkpoint.load(saved)
    assert torch.equal(state["alphas"]["normal"], STATE["alphas"]["normal"])
    assert state["alphas"]["normal"].dtype == torch.float32
    assert state["epoch"] == 3
    assert state["nested"] == STATE["nested"]


def test_a_newer_state_takes_the_place_of_the_older(saved: Path):
    checkpoint.save(saved, {"epoch": 4})
    assert checkpoint.load(saved) == {"epoch": 4}
    assert os.listdir(saved.parent) == ["last.pt"]


def test_content_reaches_the_disk_before_its_name(saved: Path, monkeypatch):
    """A rename that survives a power cut before its content does would leave an empty checkpoint."""
    calls = []
    monkeypatch.setattr(os, "fsync", lambda _: calls.append("fsync"))
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda *paths: (calls.append("replace"), replace(*paths)))
    checkpoint.save(saved, {"epoch": 4})
    assert calls == ["fsync", "replace", "fsync"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_state_whole(saved: Path, monkeypatch, call: str):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = saved.read_bytes()
    monkeypatch.setattr(os, call, full)
    with pytest.raises(UserError) as error:
        checkpoint.save(saved, {"epoch": 4})
    assert str(saved) in message(error)
    assert "No space left on device" in message(error)
    assert saved.read_bytes() == before
    assert os.listdir(saved.parent) == ["last.pt"]


def test_a_folder_that_is_gone_is_named(tmp_path: Path):
    with pytest.raises(UserError) as error:
        checkpoint.save(tmp_path / "gone" / "last.pt", STATE)
    assert f"{tmp_path}/gone/last.pt: cannot be written: No such file or directory" in message(error)


def test_a_missing_checkpoint_is_named(tmp_path: Path):
    with pytest.raises(UserError) as error:
        checkpoint.load(tmp_path / "last.pt")
    assert message(error) == f"{tmp_path}/last.pt: no such checkpoint"


@pytest.mark.parametrize("share", [0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_checkpoint_is_refused(saved: Path, share: float):
    whole = saved.read_bytes()
    saved.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(UserError) as error:
        checkpoint.load(saved)
    assert message(error).startswith(f"{saved}: not a readable checkpoint")


@pytest.mark.parametrize("length", [1, 100, 10_000])
def test_random_bytes_are_refused(tmp_path: Path, length: int):
    path = tmp_path / "last.pt"
    generator = torch.Generator().manual_seed(length)
    path.write_bytes(bytes(torch.randint(256, (length,), generator=generator).tolist()))
    with pytest.raises(UserError) as error:
        checkpoint.load(path)
    assert message(error).startswith(f"{path}: not a readable checkpoint")


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("write", [torch.save, lambda state, path: path.write_bytes(pickle.dumps(state, protocol=2))])
def test_nothing_in_a_checkpoint_is_executed(tmp_path: Path, write):
    path, folder = tmp_path / "last.pt", tmp_path / "executed"
    write({"epoch": 1, "alphas": Evil(folder)}, path)
    with pytest.raises(UserError) as error:
        checkpoint.load(path)
    assert message(error).startswith(f"{path}: not a readable checkpoint")
    assert not folder.exists()


def test_a_file_that_is_no_state_is_refused(tmp_path: Path):
    torch.save([1, 2], tmp_path / "last.pt")
    with pytest.raises(UserError):
        checkpoint.load(tmp_path / "last.pt")
