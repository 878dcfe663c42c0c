"""`fairdarts.draw` and `Run.figures`: the verb's files, without a word."""

import warnings
from pathlib import Path

import pytest

from fairdarts.cli import main
from fairdarts.config import Notice, UserError
from fairdarts.runs.draw import draw
from fairdarts.runs.genotype import load_genotype
from fairdarts.runs.search import search

pytestmark = pytest.mark.usefixtures("rendered")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_genotype_is_drawn_by_name_and_as_an_object(capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Notice)  # where there is no dot
        named, given = draw("fairdarts-a"), draw(load_genotype("fairdarts-a"), "given")
    assert capfd.readouterr() == ("", "")
    assert main(["draw", "fairdarts-a", "--out", "said"]) == 0
    assert capfd.readouterr().out.splitlines() == [f"said/{path.name}" for path in named]
    for path in named:
        assert path.parent == Path("figures")
        assert path.read_bytes() == Path("given", path.name).read_bytes() == Path("said", path.name).read_bytes()
    assert len(given) == len(named)


def test_a_missing_dot_is_a_notice(monkeypatch):
    monkeypatch.setattr("fairdarts.plot.drawing.shutil.which", lambda _: None)
    with pytest.warns(Notice, match="apt-get install graphviz"):
        assert [path.suffix for path in draw("fairdarts-a")] == [".gv", ".gv"]


def test_a_search_that_has_not_finished_says_so(tiny_recipe: Path, monkeypatch):
    monkeypatch.setattr("fairdarts.runs.figures.draw_run", lambda *_: [])
    monkeypatch.setattr("fairdarts.runs.search.log_epoch", lambda *_: None)
    run = search(tiny_recipe, epochs=1, out="run")
    (run.path / "genotypes" / "final.yaml").unlink()
    with pytest.warns(Notice, match="run: the search has not finished"):
        assert run.figures("elsewhere") == []


@pytest.mark.parametrize(("what", "message"), [("fairdarts-h", "neither a file"), (".", "not a run directory")])
def test_what_cannot_be_drawn(what: str, message: str):
    with pytest.raises(UserError, match=message):
        draw(what)
