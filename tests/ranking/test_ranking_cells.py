"""Tables of cells: every form is read as it was written, and every mistake ends in one line."""

import csv
import io
import json
from pathlib import Path

import pytest
from bench101_records import training
from hypothesis import given, settings
from hypothesis import strategies as st

from fairdarts.config import UserError
from fairdarts.ranking.cells import CellTable, read_cells
from fairdarts.spaces.cell_paths import cells_of_path
from fairdarts.spaces.space import Space, load_space

PROPERTY = settings(derandomize=True, deadline=None, max_examples=50)
DATA = Path(__file__).parents[3] / "shared" / "data"
BENCH = load_space("nasbench101")
DARTS = load_space("darts")
ONE = DARTS.model_copy(update={"nodes": 1})
PATH = st.tuples(*(st.integers(0, len(names) - 1) for names in DARTS.choices))


def real(name: str) -> Path:
    if not (DATA / name).exists():
        pytest.skip(f"needs {name} in {DATA}")
    return DATA / name


def read(tmp_path: Path, content: str | bytes, space: Space, column: str | None = None) -> CellTable | None:
    path = tmp_path / "t.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_cells(path, space, column)


def refusal(tmp_path: Path, content: str | bytes, space: Space, column: str | None = None) -> str:
    """The error that the content ends in, after the folder."""
    with pytest.raises(UserError) as refused:
        read(tmp_path, content, space, column)
    assert "\n" not in str(refused.value)
    return str(refused.value).removeprefix(f"{tmp_path}/")


def lines(*rows: tuple) -> str:
    stream = io.StringIO()
    csv.writer(stream).writerows(rows)
    return stream.getvalue()


def pairs(edges: tuple) -> list[tuple[str, int]]:
    return [(op, source) for op, _, source in edges]


def test_nas_bench_101():
    file = real("nasbench101_30k.csv")
    found = read_cells(file, BENCH)
    assert (found.column, found.left_out) == ("108_final_validation_accuracy", {"without a matrix": 16616})
    assert len(found.rows) == 13385 == len({path for _, path, _ in found.rows})
    with file.open(newline="") as stream:
        written = [row for row in csv.DictReader(stream) if row["matrix"]]
    for row, (_, path, value) in [*zip(written, found.rows, strict=True)][::100]:
        assert BENCH.canonical(path) == row["hash"]
        assert value == float(row["108_final_validation_accuracy"])


def test_a_sub_space_of_nas_bench_101(tmp_path):
    """Cells of one vertex into the output, of two, and of none: the input itself."""
    three = "[[0, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 0]]"
    rows = [
        (MATRIX, OPS, 0.5),
        (three, "input,maxpool3x3,maxpool3x3,output", 0.6),
        ("[[0, 1], [0, 0]]", "input,output", 1),
    ]
    content = lines(("matrix", "ops", TRUTH), *rows)
    assert [value for *_, value in read(tmp_path, content, BENCH).rows] == [0.5, 0.6, 1]
    for edges, value in ((1, 0.5), (2, 0.6)):
        found = read(tmp_path, content, load_space(f"nasbench101-{edges}"))
        assert [value for *_, value in found.rows] == [value]
        assert found.left_out == {"of other spaces": 2}


def test_darts_cells():
    found = read_cells(real("darts_nasbench301.csv"), DARTS)
    assert (found.column, found.left_out) == ("acc_nb301_surrogate", {"without acc_nb301_surrogate": 199})
    assert len(found.rows) == 1218 == len({path for _, path, _ in found.rows})
    place, path, value = found.rows[0]
    assert (place, value) == (f"{DATA / 'darts_nasbench301.csv'}, line 2", 93.32119084207302)
    assert cells_of_path(path, DARTS)[0][:4] == (
        ("max_pool_3x3", 2, 0),
        ("dil_conv_3x3", 2, 1),
        ("avg_pool_3x3", 3, 0),
        ("avg_pool_3x3", 3, 1),
    )


def test_a_column_by_name(tmp_path):
    content = lines(("matrix", "4_epochs", "ops", TRUTH), (MATRIX, 0.25, OPS, 0.5))
    assert [read(tmp_path, content, BENCH, column).rows for column in (None, "4_epochs")] == [
        [(f"{tmp_path}/t.csv, line 2", CELL, value)] for value in (0.5, 0.25)
    ]


MATRIX = "[[0, 1, 1], [0, 0, 1], [0, 0, 0]]"
OPS = "input,conv3x3-bn-relu,output"
CELL = (0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 3)
TRUTH = "108_final_validation_accuracy"


def test_records_of_nas_bench_101(tmp_path):
    """The mean over trainings of 108 epochs, each by its last evaluation."""
    other = "input,maxpool3x3,output"
    content = [
        training("a", 108, "011001000", OPS, [(0.1, 0.2), (0.5, 0.6)]),
        training("a", 36, "011001000", OPS, [(0.9, 0.9)]),
        training("b", 108, "010001000", other, [(0.25, 0.75)]),
        training("a", 108, "011001000", OPS, [(1.0, 0.8)]),
    ]
    found = read(tmp_path, b"".join(content), BENCH)
    pool = (2, *CELL[1:-1], 2)
    assert found == CellTable(
        "validation_accuracy",
        [(f"{tmp_path}/t.csv, record 1", CELL, 0.75), (f"{tmp_path}/t.csv, record 3", pool, 0.25)],
        {},
    )
    assert [row[2] for row in read(tmp_path, b"".join(content), BENCH, "test_accuracy").rows] == [0.7, 0.75]
    two = load_space("nasbench101-2")
    assert read(tmp_path, b"".join(content), two) == CellTable("validation_accuracy", [], {"of other spaces": 2})
    assert (
        refusal(tmp_path, content[0], BENCH, "acc")
        == "t.csv: has no column 'acc', only validation_accuracy, test_accuracy"
    )
    broken = training("a", 108, "010000000", OPS, [(0.5, 0.5)])
    assert refusal(tmp_path, broken, BENCH).startswith("t.csv, record 1: matrix: no way leads from the input")
    broken = training("a", 108, "0100", "input,none", [(0.5, 0.5)])
    assert refusal(tmp_path, broken, BENCH) == "t.csv, record 1: ops: 'input,none': should be input,…,output"


@PROPERTY
@given(st.lists(PATH, max_size=3, unique=True))
def test_cells_are_read_as_written(tmp_path_factory, paths: list[tuple[int, ...]]):
    """As a CSV of literals and as a file of NDS, `none` included."""
    folder = tmp_path_factory.getbasetemp()
    cells = [[pairs(edges) for edges in cells_of_path(path, DARTS)] for path in paths]
    rows = [(number / 8, *both) for number, both in enumerate(cells)]
    found = read(folder, lines(("acc_nb301_surrogate", "normal", "reduce"), *rows), DARTS)
    expected = [(f"{folder}/t.csv, line {number + 2}", path, number / 8) for number, path in enumerate(paths)]
    assert found == CellTable("acc_nb301_surrogate", expected, {})
    entries = [entry(both, [90.0, 100 - number / 8]) for number, both in enumerate(cells)]
    for form, name in ((entries, ""), ({"top": entries}, "top"), ({"mid": entries, "top": []}, "mid")):
        found = read(folder, json.dumps(form), DARTS)
        expected = [(f"{folder}/t.csv: {name}[{n}]", path, n / 8) for n, path in enumerate(paths)]
        assert found == CellTable("test_ep_top1", expected, {})


def entry(cells: list[list], errors: object) -> dict:
    """A network of NDS, with what else its files hold."""
    concat = {f"{name}_concat": [*range(2, 2 + len(cells[0]) // 2)] for name in ("normal", "reduce")}
    genotype = {"normal": cells[0], "reduce": cells[1], **concat}
    return {"net": {"genotype": genotype, "width": 16, "depth": 20}, "params": 1e6, "test_ep_top1": errors}


SKIPS = [("skip_connect", 0), ("max_pool_3x3", 1)]
TWICE = [("skip_connect", 1), ("max_pool_3x3", 1)]


def test_a_node_that_reads_one_input_twice_is_left_out(tmp_path):
    left_out = {"of a node that reads one input twice": 2}
    content = json.dumps([entry([SKIPS, TWICE], [5]), entry([SKIPS, SKIPS], [7, 6]), entry([TWICE, SKIPS], [5])])
    path = (0, 3, 1) * 2
    assert read(tmp_path, content, ONE) == CellTable("test_ep_top1", [(f"{tmp_path}/t.csv: [1]", path, 94)], left_out)
    rows = ("acc", "normal", "reduce"), (94, SKIPS, SKIPS), (95, TWICE, SKIPS), (95, SKIPS, TWICE)
    assert read(tmp_path, lines(*rows), ONE, "acc") == CellTable(
        "acc", [(f"{tmp_path}/t.csv, line 2", path, 94)], left_out
    )


@pytest.mark.parametrize("space", [BENCH, DARTS], ids=lambda space: space.kind)
@pytest.mark.parametrize("content", ["", "\n", "arch,acc\n0 1,91\n", '{"0 1": {"acc": 91}}', "{}"])
def test_tables_by_path_are_left_to_others(tmp_path, space: Space, content: str):
    assert read(tmp_path, content, space) is None


def graph(matrix: str = MATRIX, ops: str = OPS, accuracy: object = 0.5) -> str:
    return lines(("matrix", "ops", TRUTH), (matrix, ops, accuracy))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("hash,acc\n", ": has no column matrix, only hash, acc"),
        ("matrix,acc\n", ": has no column ops, only matrix, acc"),
        ("matrix,ops,acc\n", f": has no column '{TRUTH}'; name the one of acc"),
        (f"matrix,ops,matrix,{TRUTH}\n", ": column 'matrix' stands twice"),
        (f"matrix,ops,{TRUTH}\n1,2\n", ", line 2: 2 fields, should be 3"),
        (graph("[["), ", line 2: matrix: '[[': should be rows of 0 and 1: [[0, 1], [0, 0]]"),
        (graph("[" * 100_000), ", line 2: matrix: '[[[["),
        (graph("[0, 1]"), ", line 2: matrix: '[0, 1]': should be rows"),
        (graph("[[0, true]]"), ", line 2: matrix: True: should be 0 or 1"),
        (graph("[[0, 1.0]]"), ", line 2: matrix: 1.0: should be 0 or 1"),
        (graph("[[0, 2, 1], [0, 0, 1], [0, 0, 0]]"), ", line 2: matrix[0][1]: 2: should be 0 or 1"),
        (graph("[[0, 1], [0, 0]]"), ", line 2: matrix: 2 rows, should be 3"),
        (graph("[[0, 1, 0], [0, 0], [0, 0, 0]]"), ", line 2: matrix[1]: 2 numbers, should be 3"),
        (graph("[[0, 0, 0], [0, 0, 1], [0, 0, 0]]"), ", line 2: matrix: no way leads from the input"),
        (graph(ops="conv3x3-bn-relu"), ", line 2: ops: 'conv3x3-bn-relu': should be input,…,output"),
        (graph(ops="input"), ", line 2: ops: 'input': should be input,…,output"),
        (
            graph(ops="input,conv3x3-bn-rel\n,output"),
            ", line 3: ops: 'conv3x3-bn-rel\\n' is not an operation of space nasbench101 (did you mean",
        ),
        (graph(accuracy="high"), f", line 2: {TRUTH}: 'high': should be a number"),
        (graph(accuracy=""), f", line 2: {TRUTH}: '': should be a number"),
        (b"matrix\xff", ": not a text file"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_a_mistake_in_a_table_of_graphs_is_one_line(tmp_path, content: str | bytes, message: str):
    assert refusal(tmp_path, content, BENCH).startswith(f"t.csv{message}")


def cell(normal: object, accuracy: object = 94) -> str:
    return lines(("acc_nb301_surrogate", "normal", "reduce"), (accuracy, normal, SKIPS))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("normal,acc\n", ": has no column reduce, only normal, acc"),
        ("normal,reduce,acc\n", ": has no column 'acc_nb301_surrogate'; name the one of acc"),
        (cell("open('x')"), ", line 2: normal: \"open('x')\": should be a list of (operation, input)"),
        (cell("[" * 1000), ", line 2: normal: '[[[["),
        (cell(f"[('skip_connect', 0x{'f' * 9999})]"), ", line 2: normal: "),
        (cell(f"[('skip_connect', 0x{'f' * 1900}), 0]"), ", line 2: normal[1]: 0: should be (operation, input)"),
        (cell("5"), ", line 2: normal: 5: should be 2 of (operation, input), two for each node"),
        (
            cell(f"[('skip_connect', 0x{'f' * 1900}), ('skip_connect', 1)]"),
            ", line 2: normal.0.2: 67292559356",
        ),
        (cell(SKIPS * 2), ", line 2: normal: [('skip_connect', 0), ('max_pool_3x3', 1), ('skip_connect', 0), "),
        (cell([("skip_connect",), SKIPS[1]]), ", line 2: normal[0]: ('skip_connect',): should be (operation, input)"),
        (cell([("skip_connect", True), SKIPS[1]]), ", line 2: normal[0]: ('skip_connect', True): should be"),
        (cell([("skip\nconnect", 0), SKIPS[1]]), ", line 2: normal[0]: 'skip\\nconnect' is not an operation of space"),
        (cell([("skip_connect", 2), SKIPS[1]]), ", line 2: normal: node 2 reads node 2, should be from 0 to 1"),
        (cell([("skip_connect", -1), SKIPS[1]]), ", line 2: normal: node 2 reads node -1, should be from 0 to 1"),
        (cell(SKIPS, "high"), ", line 2: acc_nb301_surrogate: 'high': should be a number"),
        ("[", ", line 1: not valid JSON"),
        ("[" * 100_000, ": not valid JSON"),
        ('{"top": 5}', ": top: should be a list of networks"),
        ("[5]", ': [0]: should be {"net": {"genotype": …}, "test_ep_top1": [error, …]}'),
        (json.dumps({"mid": [entry([SKIPS, SKIPS], [])]}), ": mid[0]: should be"),
        (json.dumps([entry([SKIPS, SKIPS], [float("nan")])]), ": [0]: test_ep_top1: nan: should be a number"),
        (json.dumps([entry([SKIPS, SKIPS], [True])]), ": [0]: test_ep_top1: True: should be a number"),
        (json.dumps([entry([SKIPS, None], [5])]), ": [0]: reduce: None: should be 2 of (operation, input)"),
        (
            json.dumps([entry([SKIPS, SKIPS], [5])]).replace('"normal_concat": [2]', '"normal_concat": [2, 3]'),
            ": [0]: normal_concat: [2, 3]: should be every node, [2]",
        ),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_a_mistake_in_a_table_of_cells_is_one_line(tmp_path, content: str, message: str):
    assert refusal(tmp_path, content, ONE).startswith(f"t.csv{message}")


def test_columns_that_are_not_there(tmp_path):
    content = json.dumps([entry([SKIPS, SKIPS], [5])])
    assert refusal(tmp_path, content, ONE, "acc") == "t.csv: has no column 'acc', only test_ep_top1"
    assert (
        refusal(tmp_path, cell(SKIPS), ONE, "acc") == "t.csv: has no column 'acc'; name the one of acc_nb301_surrogate"
    )
    assert refusal(tmp_path, cell(SKIPS), ONE, "normal").startswith(
        "t.csv: has no column 'normal'; name the one of acc"
    )
    with pytest.raises(UserError, match="No such file"):
        read_cells(tmp_path / "none.csv", ONE)
    with pytest.raises(UserError, match="Is a directory"):
        read_cells(tmp_path, BENCH)


JSON = st.recursive(
    st.none() | st.floats() | st.integers() | st.booleans() | st.text(max_size=5) | st.sampled_from(["skip_connect"]),
    lambda part: (
        st.lists(part, max_size=3)
        | st.dictionaries(st.sampled_from(["net", "genotype", "test_ep_top1", "normal", "reduce", "top", "mid"]), part)
    ),
    max_leaves=20,
)


@PROPERTY
@given(
    st.sampled_from([BENCH, ONE]),
    st.binary(max_size=50)
    | st.lists(st.lists(JSON.map(repr) | st.text(max_size=9), min_size=5, max_size=5), max_size=3).map(
        lambda rows: lines(("matrix", "ops", "normal", "reduce", "acc"), *rows).encode(errors="replace")
    )
    | JSON.map(lambda content: json.dumps(content).encode())
    | JSON.map(lambda part: json.dumps([entry([SKIPS, part], part)]).encode()),
)
def test_garbage_is_refused_in_one_line(tmp_path_factory, space: Space, content: bytes):
    message = ""
    try:
        read(tmp_path_factory.getbasetemp(), content, space, None if content[:1] in b"{[" else "acc")
    except UserError as error:
        message = str(error)
    assert len(message.splitlines()) <= 1
