"""`fairdarts.report` and `Run.report`: the verb's page, without a word."""

import shutil
from pathlib import Path

import pytest
from second_stage import make_supernet_runs

import fairdarts
from fairdarts.cli import main
from fairdarts.config import Notice, UserError
from fairdarts.runs.report import report


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("runs").mkdir()
    make_supernet_runs(Path("runs"), "net")


def test_a_page_is_that_of_the_verb_and_nothing_is_printed(capfd):
    page = fairdarts.open_run("runs/net").report()
    assert page == Path("runs/net/report.html")
    assert report("runs", "pages/all.html") == Path("pages/all.html")
    assert capfd.readouterr() == ("", "")
    own = page.read_bytes()
    assert Path("pages/all.html").read_bytes() == own
    assert main(["report", "runs/net"]) == 0
    assert capfd.readouterr().out == "runs/net/report.html\n"
    assert page.read_bytes() == own


def test_a_damaged_run_of_a_folder_is_left_out_with_a_notice():
    shutil.copytree("runs/net", "runs/odd")
    Path("runs/odd/space.yaml").write_text("nothing")
    with pytest.warns(Notice, match="left out: runs/odd"):
        assert report("runs").is_file()
    with pytest.raises(UserError, match="runs/odd"):
        report(["runs/net", "runs/odd"])


def test_what_is_no_run_is_named():
    with pytest.raises(UserError, match="gone: neither a run directory nor a folder of them"):
        report("gone")
    with pytest.raises(UserError, match="no run is named"):
        report([])
