"""`fairdarts derive`: every method on a run and on matrices, and what is said of matrices that are none."""

import os
from pathlib import Path

import numpy as np
import pytest
import yaml

from fairdarts.checking import check
from fairdarts.cli import main
from fairdarts.differentiable.settings import SearchSettings
from fairdarts.genotype import CellGenotype, ChainGenotype
from fairdarts.networks.printed import from_darts_text
from fairdarts.reading import read_yaml
from fairdarts.runtime.run import create
from fairdarts.spaces.space import load_space

POOL, SKIP, CONV = "max_pool_3x3", "skip_connect", "dil_conv_3x3"
NORMAL = [  # edges (2, 0), (2, 1), (3, 0), (3, 1), (3, 2); candidates pool, skip, conv
    [0.90, 0.10, 0.75],
    [0.20, 0.65, 0.30],
    [0.10, 0.20, 0.30],
    [0.80, 0.95, 0.85],
    [0.50, 0.55, 0.70],
]
REDUCE = [[0.25] * 3] * 5
ARGMAX = [(POOL, 2, 0), (SKIP, 2, 1), (SKIP, 3, 1), (CONV, 3, 2)]
METHODS = {
    ("argmax", None): ARGMAX,
    ("threshold", 0.6): ARGMAX,
    ("threshold", 0.68): [(POOL, 2, 0), (SKIP, 3, 1), (CONV, 3, 2)],
    ("threshold", 0.97): [],
    ("edge", 0.68): [(POOL, 2, 0), (CONV, 2, 0), (SKIP, 3, 1), (CONV, 3, 1), (CONV, 3, 2)],
}
"""(method, threshold) → the normal cell"""


@pytest.fixture
def run(tiny_recipe: Path) -> Path:
    """A run whose last record holds these gates, and an earlier one others."""
    settings = check(SearchSettings, read_yaml(tiny_recipe), tiny_recipe)
    run = create(tiny_recipe.parent / "my-run", settings, load_space(settings.space))
    dominant = {"normal": {}, "reduce": {}}
    run.log({"epoch": 0, "gates": {"normal": REDUCE, "reduce": NORMAL}, "dominant": dominant})
    run.log({"epoch": 1, "gates": {"normal": NORMAL, "reduce": REDUCE}, "dominant": dominant})
    return run.path


@pytest.fixture
def matrices(tiny_recipe: Path) -> Path:
    np.savez(tiny_recipe.parent / "gates.npz", normal=np.array(NORMAL), reduce=np.array(REDUCE))
    return tiny_recipe.parent / "gates.npz"


@pytest.fixture
def space(tiny_recipe: Path) -> str:
    return str(tiny_recipe.parent / "tiny-space.yaml")


def rule_words(method: str, threshold: float | None) -> list[str]:
    return ["--method", method, *(["--threshold", str(threshold)] if threshold else [])]


def derived(capsys: pytest.CaptureFixture, *words: object) -> CellGenotype:
    capsys.readouterr()
    assert main(["derive", *map(str, words)]) == 0
    return check(CellGenotype, yaml.safe_load(capsys.readouterr().out), "stdout")


def refused(capsys: pytest.CaptureFixture, *words: object) -> str:
    capsys.readouterr()
    assert main(["derive", *map(str, words)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1, err
    return err


@pytest.mark.parametrize("rule", METHODS)
def test_every_method_on_a_run(run: Path, capsys, rule: tuple[str, float | None]):
    genotype = derived(capsys, run, *rule_words(*rule))
    assert list(genotype.normal) == METHODS[rule]
    assert (genotype.name, genotype.space) == ("my-run", "tiny")
    assert genotype.source.startswith(f"search tiny, seed 0, epoch 1, {rule[0]}")


@pytest.mark.parametrize("rule", METHODS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_method_on_matrices(tmp_path: Path, space: str, capsys, rule: tuple[str, float | None], dtype: type):
    file = tmp_path / "found.npz"
    np.savez(file, normal=np.array(NORMAL, dtype), reduce=np.array(REDUCE, dtype))
    genotype = derived(capsys, "--alphas", file, "--space", space, *rule_words(*rule))
    assert list(genotype.normal) == METHODS[rule]
    assert (genotype.name, genotype.space) == ("found", "tiny")
    assert genotype.source.startswith(str(file))


def test_a_run_s_own_rule_holds_unless_another_is_given(run: Path, capsys):
    assert list(derived(capsys, run).normal) == METHODS["threshold", 0.6]
    assert list(derived(capsys, run, "--threshold", 0.68).normal) == METHODS["threshold", 0.68]
    assert derived(capsys, run, "--name", "mine").name == "mine"


def test_the_genotype_of_another_epoch(run: Path, capsys):
    genotype = derived(capsys, run, "--epoch", 0)
    assert (genotype.normal, list(genotype.reduce)) == ((), METHODS["threshold", 0.6])
    assert (genotype.name, genotype.source) == ("my-run-epoch-0", "search tiny, seed 0, epoch 0, threshold 0.6")
    assert derived(capsys, run, "--epoch", "last").normal == derived(capsys, run).normal


def test_a_cell_without_operations_is_told(run: Path, capsys):
    assert main(["derive", str(run)]) == 0
    assert capsys.readouterr().err == "reduce: no operation takes part; the strongest gate is 0.250\n"


@pytest.mark.parametrize("rule", METHODS)
def test_the_line_of_darts_code_reads_back(run: Path, space: str, capsys, rule: tuple[str, float | None]):
    genotype = derived(capsys, run, *rule_words(*rule))
    assert main(["derive", str(run), *rule_words(*rule), "--format", "darts"]) == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    back = from_darts_text(out, "back", load_space(space))
    assert (back.normal, back.reduce) == (genotype.normal, genotype.reduce)


@pytest.fixture
def layers(tmp_path: Path) -> Path:
    """Gates of S2: 0.8 for E6K5 everywhere, but for layer 1, which has a skip too, and layer 3, which has neither."""
    gates = np.full((19, 7), 0.1)
    gates[:, 4] = 0.8
    gates[1, 6] = 0.9
    gates[3, 4] = 0.7
    np.savez(tmp_path / "chain.npz", layers=gates)
    return tmp_path / "chain.npz"


def chained(capsys: pytest.CaptureFixture, *words: object) -> tuple[ChainGenotype, str]:
    capsys.readouterr()
    assert main(["derive", *map(str, words)]) == 0
    out, err = capsys.readouterr()
    return check(ChainGenotype, yaml.safe_load(out), "stdout"), err


def test_matrices_of_a_chain_become_layers(layers: Path, capsys):
    genotype, err = chained(capsys, "--alphas", layers, "--space", "s2", "--threshold", 0.75)
    assert genotype.layers == (("E6K5",), (SKIP, "E6K5"), ("E6K5",), (), *[("E6K5",)] * 15)
    note = "no choice of layer 3 reaches 0.75, so it is removed; the strongest is E6K5 with 0.700"
    assert genotype.notes == (note,)
    assert err == f"{note}\n"
    assert (genotype.name, genotype.space, genotype.source) == ("chain", "s2", f"{layers}, threshold 0.75")


def test_argmax_of_a_chain_keeps_every_layer_and_has_no_notes(layers: Path, capsys):
    genotype, err = chained(capsys, "--alphas", layers, "--space", "s2", "--method", "argmax")
    assert genotype.layers == (("E6K5",), (SKIP,), *[("E6K5",)] * 17)
    assert (genotype.notes, err) == ((), "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--method", "edge", "--threshold", "0.7"], "method: edge: is for cell spaces"),
        (["--threshold", "0.7", "--max-skips", "2"], "max_skips: 2: is for cells"),
        (["--threshold", "0.7", "--format", "darts"], "--format darts is for cells; s2 has layers"),
        (["--threshold", "0.7", "--space", "s1"], "no 'normal' in it; should hold normal and reduce [14, 7]"),
        (["--threshold", "0.7", "--space", "s2-small", "--alphas", "gates.npz"], "no 'layers' in it"),
        (["--threshold", "0.7", "--space", "nasbench101"], "derive: space nasbench101: is searched by paths, not"),
    ],
)
def test_what_is_for_cells_alone_is_named_for_a_chain(layers: Path, matrices: Path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(matrices.parent)
    assert said in refused(capsys, "--alphas", layers, "--space", "s2", *words)


@pytest.mark.parametrize("cell", ["normal", "reduce"])
def test_a_missing_matrix_is_named(tmp_path: Path, space: str, capsys, cell: str):
    np.savez(tmp_path / "half.npz", **{"normal" if cell == "reduce" else "reduce": NORMAL})
    err = refused(capsys, "--alphas", tmp_path / "half.npz", "--space", space, "--threshold", 0.6)
    assert f"{tmp_path}/half.npz: no '{cell}' in it" in err


@pytest.mark.parametrize(
    ("matrix", "said"),
    [
        (np.zeros((14, 7)), "reduce: shape [14, 7], should be [5, 3]"),
        (np.zeros((3, 5)), "reduce: shape [3, 5], should be [5, 3]"),
        (np.zeros(15), "reduce: shape [15], should be [5, 3]"),
        (np.full((5, 3), 1.5), "reduce: should hold gates from 0 to 1"),
        (np.full((5, 3), -0.1), "reduce: should hold gates from 0 to 1"),
        (np.full((5, 3), np.nan), "reduce: holds gates that are not finite"),
        (np.full((5, 3), "high"), "reduce: should be a matrix of numbers"),
        (np.full((5, 3), 0.5j), "reduce: should"),
    ],
)
def test_a_matrix_that_is_none_of_the_space_is_named(tmp_path: Path, space: str, capsys, matrix: np.ndarray, said: str):
    np.savez(tmp_path / "odd.npz", normal=NORMAL, reduce=matrix)
    assert said in refused(capsys, "--alphas", tmp_path / "odd.npz", "--space", space, "--threshold", 0.6)


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.folder),)


def test_an_object_array_is_refused_and_not_executed(tmp_path: Path, space: str, capsys):
    np.savez(tmp_path / "evil.npz", normal=np.array([Evil(tmp_path / "made")], dtype=object), reduce=NORMAL)
    err = refused(capsys, "--alphas", tmp_path / "evil.npz", "--space", space, "--threshold", 0.6)
    assert f"{tmp_path}/evil.npz: not an .npz file of plain numbers: truncated, damaged, or another kind of file" in err
    assert not (tmp_path / "made").exists()


def text(path: Path) -> None:
    path.write_text("Genotype(normal=[")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:300])


def npy(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.array(NORMAL))


def spoiled(path: Path) -> None:
    np.savez_compressed(path, normal=np.array(NORMAL), reduce=np.array(REDUCE))
    content = bytearray(path.read_bytes())
    content[60:90] = bytes(30)
    path.write_bytes(content)


@pytest.mark.parametrize("spoil", [text, empty, truncated, npy, spoiled])
def test_a_file_of_no_matrices_is_named(matrices: Path, space: str, capsys, spoil):
    spoil(matrices)
    err = refused(capsys, "--alphas", matrices, "--space", space, "--threshold", 0.6)
    assert f"{matrices}: not an .npz file of plain numbers: truncated, damaged, or another kind of file" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give either a run directory or --alphas"),
        (["my-run", "--method", "argmax", "--threshold", "0.5"], "threshold 0.5: goes with method threshold or edge"),
        (["my-run", "--epoch", "2"], "epoch 2: there is none; should be 0 to 1, last or best"),
        (["my-run", "--epoch", "best"], "epoch best: no epoch has a held-out loss"),
        (["my-run", "--epoch", "first"], "argument --epoch: 'first': should be a number, last or best"),
        (["my-run", "--epoch", "9" * 30], "argument --epoch: '999"),
        (["--alphas", "gates.npz", "--space", "tiny-space.yaml", "--epoch", "1"], "--epoch goes with a run directory"),
        (["my-run", "--alphas", "gates.npz"], "give either a run directory or --alphas"),
        (["my-run", "--space", "s1"], "a run knows its own space"),
        (["my-run", "--threshold", "1.5"], "threshold: 1.5: should be less than or equal to 1"),
        (["my-run", "--method", "softmax"], "invalid choice: 'softmax'"),
        (["--alphas", "gates.npz"], "--alphas needs --space"),
        (["--alphas", "gates.npz", "--space", "tiny-space.yaml"], "method threshold needs a threshold"),
        (["--alphas", "gates.npz", "--space", "dart", "--threshold", "0.6"], "did you mean 'darts'?"),
        (["--alphas", "gone.npz", "--space", "s1"], "gone.npz: No such file"),
        (["gone"], "gone: not a run directory"),
    ],
)
def test_a_mistake_is_named(run: Path, matrices: Path, monkeypatch, capsys, words: list[str], said: str):
    monkeypatch.chdir(matrices.parent)
    assert said in refused(capsys, *words)


@pytest.mark.parametrize("lines", ["", "3\n", '{"epoch": 1}\n', '{"epoch": 1, "gates": {}}\n'])
def test_records_without_gates_are_named(run: Path, capsys, lines: str):
    (run / "metrics.jsonl").write_text(lines)
    refused(capsys, run)
