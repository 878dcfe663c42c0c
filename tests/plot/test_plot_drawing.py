"""Drawn genotypes of either kind: which files are written, with which titles."""

import shutil

import pytest

from fairdarts.genotype import CellGenotype, ChainGenotype
from fairdarts.networks.zoo import load_genotype
from fairdarts.plot.drawing import draw_genotype, graphs_of
from fairdarts.spaces.space import load_space


def test_without_dot_only_sources_are_written(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda command: None)
    paths, message = draw_genotype(*load_genotype("fairdarts-a"), tmp_path / "new")
    assert [path.name for path in paths] == ["fairdarts-a-normal.gv", "fairdarts-a-reduce.gv"]
    assert sorted((tmp_path / "new").iterdir()) == paths
    assert "fairdarts-a: normal cell" in paths[0].read_text(encoding="utf-8")
    assert message == "dot not found: only .gv sources were written; install it with: apt-get install graphviz"


@pytest.mark.skipif(shutil.which("dot") is None, reason="needs Graphviz' dot")
def test_with_dot_pictures_are_written_even_of_strange_names(tmp_path):
    empty = CellGenotype(name="<a&b> v1.0/x", space="s1", source="", normal=(), reduce=(("skip_connect", 2, 0),))
    paths, message = draw_genotype(empty, load_space("s1"), tmp_path)
    stems = ["-a-b-v1.0-x-normal", "-a-b-v1.0-x-reduce"]
    assert [path.name for path in paths] == [stem + end for stem in stems for end in (".gv", ".svg", ".png")]
    assert message is None
    assert "&lt;a&amp;b&gt; v1.0/x: normal cell" in paths[1].read_text(encoding="utf-8")
    assert paths[2].read_bytes().startswith(b"\x89PNG")


def test_a_chain_is_drawn_whole(tmp_path):
    space = load_space("s2")
    chain = ChainGenotype(name="c", space="s2", source="", layers=[["E3K3"]] * 19)
    paths, _ = draw_genotype(chain, space, tmp_path)
    ends = (".gv", ".svg", ".png") if shutil.which("dot") else (".gv",)
    assert [path.name for path in paths] == [f"c-layers{end}" for end in ends]
    assert "c: chain" in paths[0].read_text(encoding="utf-8")
    (part,) = graphs_of(chain, space)
    assert part == "layers"
