"""`fairdarts draw`: cells of a genotype from any source, all figures of a run."""

import shutil
from pathlib import Path

import pytest

from fairdarts import resources
from fairdarts.checking import check
from fairdarts.cli import main
from fairdarts.differentiable.settings import SearchSettings
from fairdarts.genotype import CellGenotype, ChainGenotype, EdgeGenotype, read, to_darts_text, to_yaml
from fairdarts.networks.zoo import load_genotype
from fairdarts.reading import read_yaml
from fairdarts.runtime.run import create
from fairdarts.spaces.chain import ChainStage
from fairdarts.spaces.space import load_space

SUFFIXES = (".gv", ".png", ".svg") if shutil.which("dot") else (".gv",)
CELLS = [f"fairdarts-a-{cell}{suffix}" for cell in ("normal", "reduce") for suffix in SUFFIXES]


pytestmark = pytest.mark.usefixtures("rendered")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(tiny_recipe: Path) -> Path:
    """A finished run of two records."""
    settings = check(SearchSettings, read_yaml(tiny_recipe), tiny_recipe)
    run = create(tiny_recipe.parent / "run", settings, load_space(settings.space))
    for epoch in (0, 1):
        gates = {cell: [[0.1, 0.2, 0.5 + epoch / 4]] * 5 for cell in ("normal", "reduce")}
        run.log({"epoch": epoch, "gates": gates, "dominant": {cell: {"dil_conv_3x3": 4 * epoch} for cell in gates}})
    edges = [("dil_conv_3x3", 2, 0), ("skip_connect", 3, 2)]
    run.write_genotype(
        CellGenotype(schema=1, name="run", space="tiny", source="a test", normal=edges, reduce=edges), "final"
    )
    return run.path


def drawn(capsys: pytest.CaptureFixture, *words: object) -> tuple[list[Path], str]:
    """The files that were said to be drawn, all there and not empty; and what was said besides."""
    capsys.readouterr()
    assert main(["draw", *map(str, words)]) == 0
    out, err = capsys.readouterr()
    paths = [Path(line) for line in out.splitlines()]
    assert all(path.stat().st_size > 0 for path in paths)
    return sorted(paths), err


def test_a_shipped_genotype_is_drawn(capsys):
    paths, _ = drawn(capsys, "fairdarts-a")
    assert paths == [Path("figures") / name for name in CELLS]
    assert "sep conv 5×5" in Path("figures/fairdarts-a-normal.gv").read_text()


def test_a_genotype_of_any_form_is_drawn_alike(tmp_path: Path, capsys):
    genotype = load_genotype("fairdarts-a")[0]
    forms = {"yaml": to_yaml(genotype), "txt": f"epoch 49\n{to_darts_text(genotype)}\nfinished\n"}
    for suffix, text in forms.items():
        (tmp_path / f"fairdarts-a.{suffix}").write_text(text)
        paths, _ = drawn(capsys, f"fairdarts-a.{suffix}", "--out", suffix)
        assert [path.name for path in paths] == CELLS
    drawn(capsys, "fairdarts-a", "--out", "shipped")
    for cell in ("normal", "reduce"):
        sources = {Path(folder, f"fairdarts-a-{cell}.gv").read_text() for folder in ("shipped", "yaml", "txt")}
        assert len(sources) == 1


def test_all_figures_of_a_run_are_drawn_into_it(run: Path, capsys):
    paths, _ = drawn(capsys, run)
    assert {path.parent for path in paths} == {run / "figures"}
    bases = {path.stem for path in paths}
    assert bases == {
        "gates-heatmap",
        "gates-evolution-normal",
        "gates-evolution-reduce",
        "gates-stacked-normal",
        "gates-stacked-reduce",
        "dominant",
        "run-normal",
        "run-reduce",
    }
    assert set(paths) == set((run / "figures").iterdir())


def test_a_chain_is_drawn_whole(tmp_path: Path, capsys):
    layers = [["E3K3"], ["skip_connect", "E6K7"], *[["E6K5"]] * 17]
    chain = ChainGenotype(name="mine", space="s2", source="a test", layers=layers)
    Path("mine.yaml").write_text(to_yaml(chain))
    paths, _ = drawn(capsys, "mine.yaml")
    assert paths == [Path("figures") / f"mine-layers{suffix}" for suffix in SUFFIXES]
    source = Path("figures/mine-layers.gv").read_text()
    assert [source.count(f'="{name}"') for name in ("IBE3 K3", "MBE6 K7", "IBE6 K5")] == [1, 1, 17]


def test_a_cell_of_nas_bench_201_is_drawn(capsys):
    edges = ["nor_conv_1x1", "none", "skip_connect", "none", "none", "avg_pool_3x3"]
    Path("mine.yaml").write_text(to_yaml(EdgeGenotype(name="mine", space="nasbench201", source="a test", edges=edges)))
    paths, _ = drawn(capsys, "mine.yaml")
    assert paths == [Path("figures") / f"mine-edges{suffix}" for suffix in SUFFIXES]
    source = Path("figures/mine-edges.gv").read_text()
    assert [source.count(f'="{name}"') for name in ("nor conv 1×1", "skip connect", "avg pool 3×3")] == [1, 1, 1]
    assert source.count('[label="nor conv') == 1


def test_a_run_in_a_chain_space_has_all_its_figures(tiny_recipe: Path, capsys):
    settings = check(SearchSettings, read_yaml(tiny_recipe), tiny_recipe)
    space = load_space("s2").model_copy(update={"stages": (ChainStage(channels=16, layers=2, stride=1),)})
    run = create(tiny_recipe.parent / "chain", settings, space)
    run.log({"epoch": 0, "gates": {"layers": [[0.5] * 7] * 2}, "dominant": {"layers": {}}})
    run.write_genotype(ChainGenotype(name="c", space="s2", source="a test", layers=[["E3K3"], []]), "final")
    paths, _ = drawn(capsys, run.path)
    assert {path.stem for path in paths} == {
        "gates-heatmap",
        "gates-evolution-layers",
        "gates-stacked-layers",
        "dominant",
        "c-layers",
    }


def test_figures_are_written_in_the_formats_that_are_named(run: Path, capsys):
    paths, _ = drawn(capsys, run, "--out", "pdfs", "--format", "pdf")
    assert {path.suffix for path in paths} == {".pdf", ".gv"}
    assert Path("pdfs/gates-stacked-normal.pdf").read_bytes().startswith(b"%PDF")
    paths, _ = drawn(capsys, "zero-one", "--format", "pdf,svg")
    assert paths == [Path("figures/zero-one.pdf"), Path("figures/zero-one.svg")]


def test_runs_are_laid_over_one_edge(run: Path, capsys):
    other = run.with_name("other")
    shutil.copytree(run, other)
    paths, _ = drawn(capsys, run, other, "--edge", "normal:3,2", "--format", "svg")
    assert paths == [Path("figures/gates-edge-normal-3-2.svg")]


@pytest.mark.parametrize(
    ("edge", "said"),
    [
        (
            "normal:9,0",
            "edge normal:9,0: is no edge (node, input) of space tiny; should be one of normal:2,0",
        ),
        ("3,2", "edge 3,2: is no edge (node, input) of space tiny"),  # of which cell?
    ],
)
def test_an_edge_that_is_none_is_named(run: Path, capsys, edge: str, said: str):
    assert main(["draw", str(run), "--edge", edge]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_runs_over_one_edge_are_searches_in_one_space(run: Path, tiny_recipe: Path, capsys):
    settings = check(SearchSettings, read_yaml(tiny_recipe), tiny_recipe)
    chain = create(tiny_recipe.parent / "chain", settings, load_space("s2"))
    chain.log({"epoch": 0, "gates": {"layers": [[0.5] * 7] * 19}, "dominant": {"layers": {}}})
    trained, *copies = (tiny_recipe.parent / name for name in ("trained", "a", "b", "c", "d"))
    for copy in (trained, *copies):
        shutil.copytree(run, copy)
    file = trained / "settings.yaml"
    file.write_text(file.read_text().replace("verb: search", "verb: supernet"))
    words = {
        (run, chain.path): f"{chain.path}: is in space s2, and {run} in tiny: runs over one edge should be in the same",
        (run, trained): f"{trained}: is a run of `fairdarts supernet`: only those of `search` have gates to draw",
        (run, *copies): "5 runs over one edge cannot be told apart; should be at most 4",
    }
    for runs, said in words.items():
        assert main(["draw", *map(str, runs), "--edge", "normal:3,2"]) == 2
        err = capsys.readouterr().err
        assert said in err
        assert err.count("\n") == 1
    assert main(["draw", str(run), str(copies[0])]) == 2
    assert "or of `search` over one edge that is named (--edge normal:5,4)" in capsys.readouterr().err


def test_an_edge_of_a_space_with_one_cell_needs_no_name_of_it(tiny_recipe: Path, capsys):
    settings = check(SearchSettings, read_yaml(tiny_recipe), tiny_recipe)
    made = create(tiny_recipe.parent / "bench", settings, load_space("nasbench201"))
    made.log({"epoch": 0, "gates": {"edges": [[0.2] * 5] * 6}, "dominant": {"edges": {}}})
    for edge in ("3,1", "edges:3,1", "(3, 1)"):
        paths, _ = drawn(capsys, made.path, "--edge", edge, "--format", "svg")
        assert paths == [Path("figures/gates-edge-edges-3-1.svg")]


def test_a_search_under_way_has_no_cells_yet(run: Path, monkeypatch, capsys):
    monkeypatch.setattr("fairdarts.runs.figures.draw_run", lambda *_: [])
    (run / "genotypes" / "final.yaml").unlink()
    paths, err = drawn(capsys, run, "--out", "elsewhere")
    assert paths == []
    assert "has not finished" in err


def test_without_dot_the_sources_are_written_and_the_way_to_get_it_is_told(monkeypatch, capsys):
    monkeypatch.setattr("fairdarts.plot.drawing.shutil.which", lambda _: None)
    paths, err = drawn(capsys, "fairdarts-a")
    assert [path.name for path in paths] == ["fairdarts-a-normal.gv", "fairdarts-a-reduce.gv"]
    assert "apt-get install graphviz" in err


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("found.txt", "Genotype(normal=[('sep_conv_3x3', 0)", "cut off"),
        ("found.txt", "Genotype(normal=__import__('os').mkdir('made'))", "should be a list of literals"),
        ("found.txt", "", "no 'Genotype(' and no architecture of NAS-Bench-201 in this text"),
        ("found.yaml", "nothing of the kind", "should hold keys and values"),
        ("found.yaml", "schema: 1\nname: x\n", "space: is missing"),
        ("found.yaml", "{[a, b]: 1}\n", "not valid YAML"),
    ],
)
def test_a_file_that_holds_no_genotype_is_named(tmp_path: Path, capsys, name: str, content: str, said: str):
    Path(name).write_text(content)
    assert main(["draw", name]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert name in err
    assert said in err
    assert not Path("made").exists()
    assert not Path("figures").exists()


def test_a_genotype_that_its_space_does_not_allow_is_named(capsys):
    genotype = read(resources.find("genotypes", "fairdarts-a"))
    Path("odd.yaml").write_text(to_yaml(genotype).replace("sep_conv_5x5", "sep_conv_7x7"))
    assert main(["draw", "odd.yaml"]) == 2
    assert "odd.yaml: normal[1]: 'sep_conv_7x7' is not an operation of space s1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fairdarts-h"], "fairdarts-h: neither a file nor a shipped genotype (did you mean 'fairdarts-"),
        (["."], ".: not a run directory"),
        ([], "the following arguments are required: genotype"),
        (["fairdarts-a", "--outt", "x"], "unrecognized arguments: --outt"),
        (["fairdarts-a", "--format", "svg,jpg"], "draw: --format: 'jpg' is not a format of figures"),
        (["fairdarts-a", "--edge", "normal:5,4"], "fairdarts-a: not a run directory"),
    ],
)
def test_a_mistake_is_named(capsys, words: list[str], said: str):
    assert main(["draw", *words]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("lines", ["", "3\n", '{"epoch": 1}\n', '{"epoch": 1, "gates": {}}\n'])
def test_records_that_cannot_be_drawn_are_named(run: Path, capsys, lines: str):
    (run / "metrics.jsonl").write_text(lines)
    assert main(["draw", str(run)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
