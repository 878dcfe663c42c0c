"""Genotypes as other code prints them: read from any text, and never executed."""

from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fairdarts import resources
from fairdarts.config import Notice, UserError
from fairdarts.genotype import CellGenotype, Genotype, read, to_darts_text, to_yaml
from fairdarts.networks.create import create_model
from fairdarts.networks.printed import from_darts_text, read_printed
from fairdarts.networks.zoo import load_genotype
from fairdarts.reading import dump_yaml, read_yaml
from fairdarts.spaces.space import load_space

PROPERTY = settings(derandomize=True, deadline=None)
S1 = load_space("s1")
OPERATION = st.sampled_from(S1.candidates)
EDGE = st.integers(2, 5).flatmap(lambda node: st.tuples(OPERATION, st.just(node), st.integers(0, node - 1)))
CELL = st.lists(EDGE, max_size=14).map(tuple)
PAIRED_CELL = st.tuples(
    *(st.tuples(OPERATION, st.just(node), st.integers(0, node - 1)) for node in (2, 2, 3, 3, 4, 4, 5, 5))
)
DARTS_V2 = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
    "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], "
    "reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), "
    "('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])"
)
EMPTY = "Genotype(normal=[], normal_concat=range(2, 6), reduce=[], reduce_concat=range(2, 6))"
Printed = namedtuple("Genotype", "normal normal_concat reduce reduce_concat")


def genotype(normal: tuple, reduce: tuple) -> CellGenotype:
    return CellGenotype(schema=1, name="n", space="s1", source="", normal=normal, reduce=reduce)


def refusal(text: str) -> str:
    with pytest.raises(UserError) as error:
        from_darts_text(text, "n", S1, "log.txt")
    assert "\n" not in str(error.value)
    return str(error.value)


@PROPERTY
@given(normal=PAIRED_CELL, reduce=PAIRED_CELL)
def test_pairs_round_trip(normal, reduce):
    text = to_darts_text(genotype(normal, reduce))
    printed = eval(text, {"Genotype": Printed})  # as DARTS code reads it
    assert printed.normal == [(op, source) for op, _, source in normal]
    assert list(printed.reduce_concat) == [2, 3, 4, 5]
    again = from_darts_text(text, "n", S1)
    assert (again.normal, again.reduce) == (normal, reduce)


@PROPERTY
@given(normal=CELL, reduce=CELL | PAIRED_CELL)
def test_triples_round_trip(normal, reduce):
    again = from_darts_text(to_darts_text(genotype(normal, reduce)), "n", S1)
    assert (again.normal, again.reduce) == (normal, reduce)


def test_what_darts_prints_for_darts_v2():
    shipped = read(resources.find("genotypes", "darts-v2"))
    parsed = from_darts_text(DARTS_V2, "darts-v2", S1)
    assert sorted(parsed.normal) == sorted(shipped.normal)
    assert sorted(parsed.reduce) == sorted(shipped.reduce)
    assert [node for _, node, _ in parsed.normal] == [2, 2, 3, 3, 4, 4, 5, 5]


def test_the_last_genotype_of_a_log(tmp_path):
    log = tmp_path / "log.txt"
    log.write_text(
        f"03/01 10:00 AM genotype = {EMPTY}\nsome text (in brackets)\n03/01 11:00 AM genotype = {DARTS_V2}\n"
    )
    found, space = load_genotype(str(log))
    assert found.normal == from_darts_text(DARTS_V2, "n", S1).normal
    assert (found.name, found.source, space) == ("log", str(log), S1)


@pytest.mark.parametrize("part", ["normal=[]", "normal_concat=range(2, 6)"])
@pytest.mark.parametrize("form", ["{}", "[{}]", "[('skip_connect', 2, {})]", "range({}, 6)"])
def test_malicious_text_is_refused_and_not_executed(tmp_path, part, form):
    code = f"__import__('os').system('touch {tmp_path}/executed')"
    message = refusal(EMPTY.replace(part, f"{part.partition('=')[0]}={form.format(code)}"))
    assert message.startswith(f"log.txt: {part.partition('=')[0]}: should be a list")
    assert not (tmp_path / "executed").exists()


def test_brackets_in_its_strings_make_no_genotype_of_other_code():
    assert refusal("Genotype('(') + print(')')") == "log.txt: not a printed Genotype(...)"


def test_truncated_text_is_refused_wherever_it_ends():
    start = len("Genotype(")
    for end in range(start, len(DARTS_V2)):
        assert "cut off" in refusal(DARTS_V2[:end])
    assert "no 'Genotype('" in refusal(DARTS_V2[: start - 1])


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("normal_concat=[2, 3, 4, 5]", "normal_concat=[3, 4, 6]", "normal_concat: should be range(2, 6)"),
        ("reduce_concat=[2, 3, 4, 5]", "reduce_concat=range(1, 5)", "reduce_concat: should be range(2, 6)"),
        ("reduce_concat=[2, 3, 4, 5]", "reduce_concat=5", "reduce_concat: should be a list, not int"),
        ("('dil_conv_3x3', 2)]", "('dil_conv_3x3', 5, 2)]", "normal: should be pairs (operation, input) or triples"),
        (", ('dil_conv_3x3', 2)]", "]", "normal: 7 pairs, should be 8"),
        ("('dil_conv_3x3', 2)]", "'dil_conv_3x3']", "normal: should be a list of (operation, input)"),
        ("('dil_conv_3x3', 2)]", "((), 2)]", "normal.7.0: (): should be a valid string"),
        ("normal=", "normale=", "the Genotype(...) has no normal="),
        ("normal=[", "normal=[[", "not a printed Genotype(...)"),
    ],
)
def test_wrong_text_names_its_part(before, after, message):
    assert refusal(DARTS_V2.replace(before, after, 1)).startswith(f"log.txt: {message}")


TOKENS = [
    "normal=",
    "reduce=",
    "normal_concat=",
    "range(",
    "[",
    "]",
    "(",
    ")",
    ", ",
    "'a'",
    "0",
    " 2",
    "1e999",
    "-",
    "*",
    "{",
    "}",
]


@PROPERTY
@given(
    st.text()
    | st.text().map("Genotype({})".format)
    | st.lists(st.sampled_from(TOKENS)).map(lambda tokens: f"Genotype({''.join(tokens)})")
    | st.lists(st.sampled_from(TOKENS)).map(lambda tokens: EMPTY.replace("[]", "".join(tokens)))
)
@example(EMPTY.replace("[]", "range(1e999)"))
@example(EMPTY.replace("range(2, 6)", f"range({10**12})"))
@example(EMPTY.replace("[]", "-" * 5000 + "1"))
@example(EMPTY.replace("[]", "-" * 50000 + "1"))
@example("Genotype(\x00)")
@pytest.mark.filterwarnings("ignore::SyntaxWarning", "ignore::DeprecationWarning")
def test_arbitrary_text_is_read_or_refused(text):
    try:
        outcome = from_darts_text(text, "n", S1)
    except UserError as error:
        outcome = str(error)
    assert isinstance(outcome, CellGenotype) or outcome.startswith("n: ")


PAIRS = [("sep_conv_3x3", 0), ("skip_connect", 1), ("max_pool_3x3", 2), ("dil_conv_5x5", 0)] * 2
TRIPLES = tuple((op, 2 + number // 2, source) for number, (op, source) in enumerate(PAIRS))


def printed(cell: object, concat: object = range(2, 6)) -> str:
    return str(Printed(cell, concat, cell, concat))


def scalar(number: int) -> np.int64:
    return np.int64(number)


@pytest.mark.parametrize(
    "cell",
    [
        PAIRS,
        tuple(PAIRS),
        [(op, scalar(source)) for op, source in PAIRS],
        [(np.str_(op), scalar(source)) for op, source in PAIRS],
        [(op, source, 0.125 + source) for op, source in PAIRS],
        [PAIRS[at : at + 2] for at in range(0, 8, 2)],
        [tuple(PAIRS[at : at + 2]) for at in range(0, 8, 2)],
        [tuple((op, source, 0.25) for op, source in PAIRS[at : at + 2]) for at in range(0, 8, 2)],
        [(op, scalar(node), scalar(source)) for op, node, source in TRIPLES],
    ],
)
def test_every_form_of_a_cell_is_the_same_cell(cell: object):
    assert from_darts_text(printed(cell), "n", S1).normal == TRIPLES
    if "np." in printed(cell):
        assert from_darts_text(printed(cell).replace("np.", "numpy."), "n", S1).reduce == TRIPLES


def test_nested_nodes_may_have_any_number_of_inputs():
    cell = [[("skip_connect", 0)], [], [("sep_conv_3x3", 1), ("sep_conv_3x3", 2), ("skip_connect", 2)], []]
    text = printed([[("skip_connect", 0)], [("skip_connect", 0)] * 3, *[[("sep_conv_3x3", 1)]] * 2])
    assert [node for _, node, _ in from_darts_text(text, "n", S1).normal] == [2, 3, 3, 3, 4, 5]
    assert "should be" in refusal(printed(cell))  # an empty node is no list of pairs
    assert "normal: 3 nodes, but space s1 has 4" in refusal(printed([PAIRS[:2]] * 3))


@pytest.mark.parametrize(
    "concat", ["[np.int64(2), 3, 4, 5]", "range(np.int64(2), 6)", "list(range(2, 6))", "(2, 3, 4, 5)"]
)
def test_every_form_of_what_is_concatenated(concat: str):
    text = printed(PAIRS).replace("range(2, 6)", concat)
    assert from_darts_text(text, "n", S1).normal == TRIPLES


@pytest.mark.parametrize(
    "call", ["np.load('x')", "os.int64(1)", "np.int64(1, 2)", "np.int64(x)", "np.int64(1)()", "np.f.int64(1)"]
)
def test_other_calls_are_no_numbers(call: str):
    text = printed(PAIRS).replace("('sep_conv_3x3', 0)", f"('sep_conv_3x3', {call})", 1)
    assert refusal(text) == "log.txt: normal: should be a list of literals"


def three_nodes(folder: Path, **changes: object) -> Path:
    """A space of one's own."""
    content = read_yaml(resources.find("search_spaces", "darts")) | {"name": "three", "nodes": 3} | changes
    path = folder / "three.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_another_number_of_nodes_is_that_of_a_space_named_in_the_text(tmp_path: Path):
    own, log = three_nodes(tmp_path), tmp_path / "mine.log"
    text = printed(PAIRS[:6], range(2, 5))
    log.write_text(f"# space: {own}\n{text}\n")
    found, space = load_genotype(str(log))
    assert (found.normal, space.nodes, found.space) == (TRIPLES[:6], 3, "three")
    assert create_model(str(log)).cells[0].concat == (2, 3, 4)
    log.write_text(text)
    with pytest.raises(UserError) as error:
        load_genotype(str(log))
    many = "normal: 6 pairs, should be 8: two for each of the 4 nodes of space s1"
    assert str(error.value).startswith(f"{log}: {many}; another space is named by a line `# space: NAME`")


def test_an_output_of_some_nodes_alone_is_read(tmp_path: Path):
    genotype, space = load_genotype("nasnet-a")
    (tmp_path / "log.txt").write_text(f"# space: nasnet\n{to_darts_text(genotype, space.nodes)}\n")
    found, _ = load_genotype(str(tmp_path / "log.txt"))
    assert (found.normal, found.reduce) == (genotype.normal, genotype.reduce)
    assert (found.normal_concat, found.reduce_concat) == (None, (4, 5, 6))


def test_none_is_left_out_where_the_space_has_it(tmp_path: Path):
    log = tmp_path / "mine.txt"
    text = printed([("none", 1), *PAIRS[1:]])
    log.write_text(f"# space: darts\n{text}\n")
    assert load_genotype(str(log))[0].reduce == TRIPLES[1:]
    log.write_text(text)
    with pytest.raises(
        UserError, match=r"mine.txt: normal\[0\]: 'none' is not an operation of space s1 .*; another space"
    ):
        load_genotype(str(log))


SEVERAL = f"""from collections import namedtuple
class Genotype(namedtuple("Genotype", "normal normal_concat reduce reduce_concat")): pass
FIRST = {EMPTY}
# OLD = {DARTS_V2}
SECOND = gt.Genotype(
  normal={PAIRS},
  reduce={PAIRS})
MINE = FIRST
"""


def test_one_of_several_is_chosen_by_name(tmp_path: Path, recwarn: pytest.WarningsRecorder):
    path = tmp_path / "genotypes.py"
    path.write_text(SEVERAL)
    for name, cell in (("FIRST", ()), ("SECOND", TRIPLES), ("MINE", ())):
        found, _ = load_genotype(f"{path}:{name}")
        assert (found.normal, found.name, found.source) == (cell, name, f"{path}:{name}")
    assert not recwarn.list
    found, _ = load_genotype(str(path))
    assert (found.normal, found.name) == (TRIPLES, "SECOND")
    last = "the last of 2 genotypes in it is taken, SECOND"
    (told,) = recwarn.list
    assert (str(told.message), told.category) == (f"{path}: {last}; {path}:NAME chooses: MINE, FIRST, SECOND", Notice)
    with pytest.raises(
        UserError, match=r"genotypes.py:SECONDS: no genotype of this name in it \(did you mean 'SECOND'"
    ):
        load_genotype(f"{path}:SECONDS")
    assert create_model(f"{path}:SECOND", num_classes=3).num_classes == 3


def test_the_last_of_a_log_is_told_where_they_differ(tmp_path: Path, recwarn: pytest.WarningsRecorder):
    path = tmp_path / "log.txt"
    path.write_text(f"genotype = {DARTS_V2}\n" * 5)
    load_genotype(str(path))
    assert not recwarn.list
    path.write_text("".join(f"genotype = {text}\n" for text in (EMPTY, DARTS_V2, EMPTY)))
    assert load_genotype(str(path))[0].name == "log"
    told = [str(warning.message) for warning in recwarn.list]
    assert told == [f"{path}: the last of 2 genotypes in it is taken, genotype"]


def test_a_space_is_named_as_it_lies_beside_the_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "own.yaml").write_text(dump_yaml(load_space("s1").model_copy(update={"name": "own"})))
    (tmp_path / "mine" / "log.txt").write_text(f"# space: own.yaml\n{DARTS_V2}")
    monkeypatch.chdir(tmp_path)
    assert load_genotype("mine/log.txt")[1].name == "own"


def test_a_genotype_that_never_ends_is_refused(tmp_path: Path):
    path = tmp_path / "log.txt"
    path.write_text(f"Genotype(normal={[1] * 20_000})")
    with pytest.raises(UserError, match=r"the Genotype\(...\) is longer than 20,000 characters"):
        load_genotype(str(path))


def test_a_genotype_in_a_run_is_of_the_run_s_space(tmp_path: Path):
    genotype, space = load_genotype("fairdarts-a")
    (tmp_path / "genotypes").mkdir()
    path = tmp_path / "genotypes" / "mine.yaml"
    path.write_text(to_yaml(genotype.model_copy(update={"space": "mine"})))
    (tmp_path / "space.yaml").write_text(dump_yaml(space.model_copy(update={"name": "mine"})))
    assert load_genotype(str(path))[1].name == "mine"
    path.write_text(to_yaml(genotype))  # of another space, which was only put there
    assert load_genotype(str(path))[1] == space


def test_a_yaml_file_holds_one(tmp_path: Path):
    path = resources.find("genotypes", "darts-v2")
    with pytest.raises(UserError, match=r"darts-v2.yaml:MINE: a YAML file holds one genotype; should be .*yaml$"):
        load_genotype(f"{path}:MINE")


ARCH = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_1x1~1|nor_conv_3x3~2|"


@pytest.mark.parametrize("text", ["{}", "best = '{}', 94.37\n", "[2025-03-04] epoch=49 | arch | {} | 94.3 |"])
def test_an_architecture_of_nasbench201(text: str, tmp_path: Path):
    path = tmp_path / "found.log"
    path.write_text(text.format(ARCH))
    found, space = load_genotype(str(path))
    edges = ("nor_conv_3x3", "none", "skip_connect", "avg_pool_3x3", "nor_conv_1x1", "nor_conv_3x3")
    assert (found.edges, found.name, space.name) == (edges, "found", "nasbench201")


def test_what_is_no_architecture_of_nasbench201_is_named(tmp_path: Path):
    path = tmp_path / "found.txt"
    for wrong, said in (
        (ARCH.replace("avg", "max"), r"edges\[3\]: 'max_pool_3x3' is not an operation of space nasbench201"),
        (ARCH[: ARCH.rindex("+")], "its edges are others than those of NAS-Bench-201"),
        ("|a|b|", "no 'Genotype\\(' and no architecture of NAS-Bench-201 in this text"),
    ):
        path.write_text(wrong)
        with pytest.raises(UserError, match=said):
            load_genotype(str(path))
    path.write_text(f"# space: s1\n{ARCH}")
    with pytest.raises(UserError, match=r"found.txt: holds edges, but space s1 is a cell space$"):
        load_genotype(str(path))
    path.write_text(f"# space: nasbench201\n{DARTS_V2}")
    with pytest.raises(
        UserError, match=r"holds cells \(normal, reduce\), but space nasbench201 is a nasbench201 space$"
    ):
        load_genotype(str(path))


@PROPERTY
@given(
    st.lists(
        st.sampled_from([*TOKENS, ARCH, "|", "~0", "+", "\n", "A = ", "# space: s1\n", "Genotype(", "np.int64(1)"])
    )
)
@pytest.mark.filterwarnings("ignore::SyntaxWarning", "ignore::DeprecationWarning")
def test_a_file_of_anything_is_read_or_refused(tokens: list[str]):
    text, path = "".join(tokens), Path("own.txt")
    try:
        outcome = read_printed(text, path)[0]
    except UserError as error:
        outcome = str(error)
    assert isinstance(outcome, Genotype) if not isinstance(outcome, str) else outcome.startswith("own.txt: ")
