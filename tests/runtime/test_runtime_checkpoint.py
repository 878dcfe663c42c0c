"""Checkpoints: whole at any moment, read without executing anything."""

import errno
import os
import pickle
import zipfile
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from damage import flipped, outcome

from fairdarts.config import UserError
from fairdarts.runtime import checkpoint
from fairdarts.runtime.checkpoint import BadState

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


def refused(path: Path, content: bytes) -> bool:
    """Whether a damaged checkpoint is refused in one line; else it has to be the state that was saved."""
    path.write_bytes(content)
    state = outcome(lambda: checkpoint.load(path))
    if isinstance(state, str):
        assert state.startswith(f"{path}: not a readable checkpoint")
        return True
    assert state.keys() == STATE.keys()
    assert torch.equal(state["alphas"]["normal"], STATE["alphas"]["normal"])
    assert (state["epoch"], state["nested"]) == (3, STATE["nested"])
    return False


def test_a_flipped_bit_is_refused_or_changes_nothing(saved: Path):
    outcomes = [refused(saved, content) for content in flipped(saved.read_bytes(), 500)]
    assert 100 < sum(outcomes) < 500  # there are bits that nobody reads, too


def test_a_lost_block_is_refused(saved: Path):
    whole = saved.read_bytes()
    for begin in range(0, len(whole), 512):
        assert refused(saved, whole[:begin] + bytes(512) + whole[begin + 512 :])


def test_what_is_said_of_a_member_is_not_taken_on_trust(saved: Path):
    """torch takes a member that is said to be a folder for one, and gives memory that nobody wrote as its tensors."""
    whole = saved.read_bytes()
    with zipfile.ZipFile(saved) as archive:
        place, members = archive.start_dir, archive.infolist()
    for member in members:
        assert whole[place : place + 4] == b"PK\x01\x02"
        assert not refused(saved, whole[: place + 38] + b"\x10" + whole[place + 39 :])
        place += 46 + len(member.filename)


def test_a_member_may_not_hide_another(saved: Path):
    """The comment of a member is as long as the file says, and so may take the next one in."""
    whole = saved.read_bytes()
    with zipfile.ZipFile(saved) as archive:
        place, members = archive.start_dir, archive.infolist()
    for member, hidden in pairwise(members):
        comment = (46 + len(hidden.filename)).to_bytes(2, "little")
        assert refused(saved, whole[: place + 32] + comment + whole[place + 34 :])
        place += 46 + len(member.filename)


def test_files_from_before_torch_wrote_zips_are_read(tmp_path: Path):
    torch.save(STATE, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert torch.equal(checkpoint.load(tmp_path / "old.pt")["alphas"]["normal"], STATE["alphas"]["normal"])


def test_what_is_no_file_is_not_opened(tmp_path: Path, pipe: Path):
    for path, problem in ((pipe, "not a regular file"), (tmp_path, "Is a directory")):
        with pytest.raises(BadState) as error:
            checkpoint.load(path)
        assert message(error) == f"{path}: {problem}"


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
