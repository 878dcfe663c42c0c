"""Tables of accuracies: every form is read as it was written, and every mistake ends in one line."""

import csv
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fairdarts.config import UserError
from fairdarts.ranking.benchmarks import Benchmark, read_benchmark, read_path

PROPERTY = settings(derandomize=True, deadline=None)
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
BENCH_201 = (OPERATIONS,) * 6
MACRO = (("skip_connect", "MBE3K3", "MBE6K5"),) * 8
THREE = (("a", "b", "c"),) * 3
DATA = Path(__file__).parents[3] / "shared" / "data"


def real(name: str) -> Path:
    if not (DATA / name).exists():
        pytest.skip(f"needs {name} in {DATA}")
    return DATA / name


def read(tmp_path: Path, content: str | bytes, column: str | None = None) -> Benchmark:
    """The content as a benchmark of three layers."""
    path = tmp_path / "b.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_benchmark(path, THREE, "three", column)


def refusal(tmp_path: Path, content: str | bytes, column: str | None = None) -> str:
    """The error that the content ends in, after the folder."""
    with pytest.raises(UserError) as refused:
        read(tmp_path, content, column)
    assert "\n" not in str(refused.value)
    return str(refused.value).removeprefix(f"{tmp_path}/")


def bench_201_text(path: tuple[int, ...]) -> str:
    names = iter([OPERATIONS[index] for index in path])
    return "+".join("|" + "".join(f"{next(names)}~{source}|" for source in range(node)) for node in (1, 2, 3))


def test_nas_bench_macro():
    found = read_benchmark(real("nas-bench-macro_cifar10.json"), MACRO, "nas-bench-macro")
    assert (found.name, found.column) == ("nas-bench-macro_cifar10", "mean_acc")
    assert len(found.truth) == 3**8
    assert found.truth[0, 2, 0, 1, 2, 1, 0, 0] == 89.19666544596355
    again = read_benchmark(real("nas-bench-macro_cifar10.json"), MACRO, "nas-bench-macro", "test_acc")
    assert again.truth[0, 2, 0, 1, 2, 1, 0, 0] == pytest.approx(89.19666544596355, rel=1e-12)
    with pytest.raises(UserError, match="params: 890666: should be an accuracy in percent, or a share"):
        read_benchmark(real("nas-bench-macro_cifar10.json"), MACRO, "nas-bench-macro", "params")


def test_nas_bench_201():
    found = read_benchmark(real("nasbench201.csv"), BENCH_201, "nasbench201")
    assert found.column == "cifar10_test200"
    assert len(found.truth) == 5**6
    assert max(found.truth.values()) == pytest.approx(94.373, abs=1e-3)
    assert found.truth[4, 2, 1, 2, 1, 1] == 85.86333  # the first line
    other = read_benchmark(real("nasbench201.csv"), BENCH_201, "nasbench201", "imagenet16_test200")
    assert max(other.truth.values()) == pytest.approx(47.311, abs=1e-3)


@pytest.mark.parametrize(
    "text",
    ["014", "0 1 4", "0,1,4", "0-1-4", "[0, 1, 4]", "(0, 1, 4)", " [ 0 1 4 ] ", "a b e", "['a', 'b', 'e']", "a-1-e"],
)
def test_an_architecture_may_be_written_as(text: str):
    assert read_path(text, (tuple("abcde"),) * 3, "s", "there") == (0, 1, 4)


def test_indices_of_two_digits_need_a_separator():
    choices = (tuple("abcdefghijk"),) * 2
    assert read_path("10 3", choices, "s", "there") == (10, 3)
    with pytest.raises(UserError, match=r"there: '103': 1 choices, should be 2 for s$"):
        read_path("103", choices, "s", "there")
    assert read_path("10", choices[:1], "s", "there") == (10,)


def test_names_with_dashes_and_names_of_digits():
    assert read_path("sep-3, sep-5", (("sep-5", "sep-3"),) * 2, "s", "there") == (1, 0)
    assert read_path("1 0", (("1", "0"),) * 2, "s", "there") == (1, 0)


NAMES = st.lists(st.from_regex("[a-zA-Z_][a-zA-Z0-9_]{0,5}", fullmatch=True), min_size=1, max_size=12, unique=True)
CHOICES = st.lists(NAMES.map(tuple), min_size=1, max_size=6).map(tuple)


@st.composite
def spaces_with_paths(draw: st.DrawFn) -> tuple[tuple, list[tuple]]:
    choices = draw(CHOICES)
    paths = st.tuples(*(st.integers(0, len(names) - 1) for names in choices))
    return choices, draw(st.lists(paths, min_size=1, max_size=4, unique=True))


@PROPERTY
@given(
    spaces_with_paths(),
    st.sampled_from([" ", ",", ", ", "-"]),
    st.sampled_from(["", "[]", "()"]),
    st.booleans(),
    st.sampled_from(["csv", "json"]),
)
def test_every_form_is_read_as_written(tmp_path_factory, space, separator, brackets, by_name, form):
    choices, paths = space

    def written(path: tuple[int, ...]) -> str:
        words = [names[i] if by_name else str(i) for names, i in zip(choices, path, strict=True)]
        return brackets[:1] + separator.join(words) + brackets[1:]

    _read_as_written(tmp_path_factory, choices, {path: written(path) for path in paths}, form)


@PROPERTY
@given(st.lists(st.tuples(*[st.integers(0, 4)] * 6), min_size=1, max_size=4, unique=True), st.booleans())
def test_digits_and_nas_bench_201_strings_are_read_as_written(tmp_path_factory, paths, digits):
    written = {path: "".join(map(str, path)) if digits else bench_201_text(path) for path in paths}
    for form in ("csv", "json"):
        _read_as_written(tmp_path_factory, BENCH_201, written, form)


def _read_as_written(tmp_path_factory, choices: tuple, texts: dict[tuple, str], form: str) -> None:
    file = tmp_path_factory.getbasetemp() / f"written.{form}"
    truth = {path: 90 + number / 8 for number, path in enumerate(texts)}
    if form == "json":
        file.write_text(json.dumps({texts[path]: {"accuracy": truth[path]} for path in texts}))
    else:
        with file.open("w", newline="") as stream:
            csv.writer(stream).writerows([("accuracy", "arch"), *((truth[path], texts[path]) for path in texts)])
    assert read_benchmark(file, choices, "s") == Benchmark("written", "accuracy", truth)


def test_columns_of_a_csv(tmp_path):
    """Quotes, empty lines, a byte-order mark and Windows' line ends do no harm."""
    text = '\ufeffpath,name,acc,other\r\n\r\n"[0, 1, 2]",x,91.5,1e1\r\n"2,1,0","y",90,7\r\n,,,\r\n'
    found = read(tmp_path, text)
    assert found == Benchmark("b", "acc", {(0, 1, 2): 91.5, (2, 1, 0): 90})
    assert read(tmp_path, text, "other").truth == {(0, 1, 2): 10, (2, 1, 0): 7}


def test_fractions_become_percent(tmp_path):
    assert read(tmp_path, "arch,acc\n012,0.5\n210,1\n").truth == {(0, 1, 2): 50, (2, 1, 0): 100}
    assert read(tmp_path, "arch,acc\n012,0.5\n210,1.5\n").truth == {(0, 1, 2): 0.5, (2, 1, 0): 1.5}
    for other in ("-0.5", "100.5"):
        with pytest.raises(UserError, match=f"acc: {other}: should be an accuracy"):
            read(tmp_path, f"arch,acc\n012,0.5\n210,{other}\n")


def test_the_same_line_twice_does_no_harm(tmp_path):
    assert read(tmp_path, "arch,acc\n012,91\n0-1-2,91\n").truth == {(0, 1, 2): 91}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "b.csv: is empty"),
        (" \n\n", "b.csv: is empty"),
        ("arch,acc\n", "b.csv: holds no architecture"),
        ("{}", "b.csv: holds no architecture"),
        (b"arch,acc\n\xff", "b.csv: not a text file"),
        ("a,acc\n", "b.csv: has no column arch or architecture or path, only a, acc"),
        (",,\n", "b.csv: has no column arch or architecture or path, only nothing"),
        ("arch,top\n", "b.csv: has no column accuracy or acc or mean_acc or test_acc or cifar10_test200; name the one"),
        ("arch,acc,acc\n", "b.csv: column 'acc' stands twice"),
        ("arch,acc\n012,91\n012\n", "b.csv, line 3: 1 fields, should be 2"),
        ("arch,acc\n\n0,1,2,91\n", "b.csv, line 3: 4 fields, should be 2"),
        ("arch,acc\n012,good\n", "b.csv, line 2: acc: 'good': should be a number"),
        ("arch,acc\n012,nan\n", "b.csv, line 2: acc: 'nan': should be a number"),
        ("arch,acc\n0121,91\n", "b.csv, line 2: '0121': 4 choices, should be 3 for three"),
        ("arch,acc\n12,91\n", "b.csv, line 2: '12': 2 choices, should be 3 for three (has the file lost leading zer"),
        ("arch,acc\n013,91\n", "b.csv, line 2: '013': choice 2 of three: 3: should be from 0 to 2"),
        (
            "arch,acc\na b d,91\n",
            "b.csv, line 2: 'a b d': choice 2 of three: 'd': is not one of its choices (known: a, b, c)",
        ),
        ("arch,acc\na b -1,91\n", "b.csv, line 2: 'a b -1': choice 2 of three: '-1': is not one of its choices"),
        ("arch,acc\n|a~0|+|b~0,91\n", "b.csv, line 2: '|a~0|+|b~0': not an architecture of NAS-Bench-201: should be"),
        ("arch,acc\n|a~0|+|b~1|c~0|,91\n", "b.csv, line 2: '|a~0|+|b~1|c~0|': its edges are others than those"),
        ("arch,acc\n|a~0|+|b~0|,91\n", "b.csv, line 2: '|a~0|+|b~0|': its edges are others than those"),
        ("arch,acc\n|a~0|,91\n", "b.csv, line 2: '|a~0|': its edges are others than those"),
        ("arch,acc\n012,91\na b c,92\n", "b.csv, line 3: 'a b c': stands twice, with acc 91 and 92"),
        ('arch,acc\n"012,91\n', "b.csv, line 2: not valid CSV"),
        ('{"012": {"acc": 91},\n}', "b.csv, line 2: not valid JSON"),
        ('{"012": {"acc": ' + "9" * 5000 + "}}", "b.csv: not valid JSON"),
        ('{"012": {"acc": 1' + "0" * 400 + "}}", "b.csv: '012': acc: 1000"),
        ("[" * 100_000, "b.csv: not valid JSON"),
        ('["012"]', "b.csv: should hold architectures, each with its numbers"),
        ('{"012": 91}', "b.csv: should hold architectures, each with its numbers"),
        ('{"012": {"acc": 91}, "011": {"std": 1}}', "b.csv: '011': has no 'acc', only std"),
        ('{"012": {"acc": null}}', "b.csv: '012': acc: None: should be a number"),
        ('{"012": {"acc": []}}', "b.csv: '012': acc: []: should be a number"),
        ('{"012": {"acc": [91, true]}}', "b.csv: '012': acc: [91, True]: should be a number"),
        ('{"012": {"acc": NaN}}', "b.csv: '012': acc: nan: should be a number"),
        ('{"0121": {"acc": 91}}', "b.csv: '0121': 4 choices, should be 3"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, content: str | bytes, message: str):
    assert refusal(tmp_path, content).startswith(message)


def test_an_unknown_operation_and_an_unknown_column(tmp_path):
    (tmp_path / "b.csv").write_text(f"arch,acc\n{bench_201_text((0,) * 6).replace('none~2', 'nine~2')},91\n")
    with pytest.raises(UserError, match=r"choice 5 of nasbench201: 'nine': .* \(did you mean 'none'\?\)"):
        read_benchmark(tmp_path / "b.csv", BENCH_201, "nasbench201")
    assert refusal(tmp_path, "arch,acc,std\n", "ac") == "b.csv: has no column 'ac', only acc, std"
    assert refusal(tmp_path, '{"012": {"acc": 91, "std": 1}}', "ac") == "b.csv: has no column 'ac', only acc, std"


def test_a_missing_file(tmp_path):
    with pytest.raises(UserError, match="No such file"):
        read_benchmark(tmp_path / "none.csv", THREE, "three")
    with pytest.raises(UserError, match="Is a directory"):
        read_benchmark(tmp_path, THREE, "three")


@PROPERTY
@given(
    st.binary()
    | st.text().map(str.encode)
    | st.lists(st.text("arch,c\n012-abc|~+[]'\" ", max_size=30)).map(
        lambda rows: "\n".join(["arch,acc", *rows]).encode()
    )
    | st.recursive(
        st.none() | st.floats() | st.integers() | st.booleans() | st.text(),
        lambda part: st.lists(part) | st.dictionaries(st.sampled_from(["acc", "012", "0 1 2"]) | st.text(), part),
    ).map(lambda content: json.dumps(content).encode())
)
@example(b"\x80\x02")
@example(b"PK\x03\x04")
@example(b'arch,"a\ncc"\n')
@example(b'{"\\ud800": {"acc": 1}}')
def test_garbage_is_refused_in_one_line(tmp_path_factory, content: bytes):
    file = tmp_path_factory.getbasetemp() / "garbage"
    file.write_bytes(content)
    message = ""
    try:
        read_benchmark(file, THREE, "three")
    except UserError as error:
        message = str(error)
    assert len(message.splitlines()) <= 1


@pytest.mark.parametrize(
    ("start", "install"),
    [(b"PK\x03\x04", "pip install nas-bench-201"), (b"\x80\x02", "pip install nas-bench-201"), (b"BZh9", "nats_bench")],
)
def test_a_pickled_file_needs_its_package(tmp_path, monkeypatch, start: bytes, install: str):
    for name in ("nas_201_api", "nats_bench"):
        monkeypatch.setitem(sys.modules, name, None)  # as if not installed
    message = refusal(tmp_path, start + b"...")
    assert message.startswith("b.csv: not text; NAS-Bench-201's own file needs its package: pip install ")
    assert install in message
    assert "a CSV needs none" in message


class FakeApi:
    """What the API's two packages have in common; its answers are made of the arguments."""

    def __init__(self, path: str, verbose: bool):
        self.paths = [(0,) * 6, (1, 2, 3, 4, 0, 1)]

    def __len__(self) -> int:
        return len(self.paths)

    def arch(self, index: int) -> str:
        return bench_201_text(self.paths[index])

    def get_more_info(self, index: int, dataset: str, hp: str, is_random: bool) -> dict[str, float]:
        assert (hp, is_random) == ("200", False)
        return {"test-accuracy": {"cifar10": 90, "ImageNet16-120": 40}[dataset] + index}


@pytest.mark.parametrize("package", ["nas_201_api", "nats_bench"])
def test_a_pickled_file_is_read_by_its_package(tmp_path, monkeypatch, package: str):
    module = ModuleType(package)
    module.NASBench201API = FakeApi
    module.create = lambda path, space, verbose: FakeApi(path, verbose) if space == "tss" else None
    monkeypatch.setitem(sys.modules, package, module)
    (tmp_path / "b.pth").write_bytes(b"BZh9" if package == "nats_bench" else b"\x80\x02")
    found = read_benchmark(tmp_path / "b.pth", BENCH_201, "nasbench201")
    assert found.column == "cifar10_test200"
    assert found.truth == {(0,) * 6: 90, (1, 2, 3, 4, 0, 1): 91}
    other = read_benchmark(tmp_path / "b.pth", BENCH_201, "nasbench201", "imagenet16_test200")
    assert list(other.truth.values()) == [40, 41]
    with pytest.raises(UserError, match=f"{package} cannot read it"):
        read_benchmark(tmp_path / "b.pth", BENCH_201, "nasbench201", "cifar100_test200")  # which the fake lacks
    with pytest.raises(UserError, match="has no column 'acc', only cifar10_test200, cifar100_test200"):
        read_benchmark(tmp_path / "b.pth", BENCH_201, "nasbench201", "acc")
