"""How verbs read their words, and speak: results that any program can read, messages that end nothing."""

import errno
import io
import json
import sys
from pathlib import Path
from typing import Literal

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from fairdarts import resources
from fairdarts.checking import check
from fairdarts.cli import main
from fairdarts.cli.words import Parser, add_recipe, parse_words, say, to_json
from fairdarts.config import Settings, UserError
from fairdarts.differentiable.settings import SearchSettings
from fairdarts.options import check_words
from fairdarts.reading import dump_yaml, read_yaml
from fairdarts.runs.progress import ProgressBar, Shown

NUMBERS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
PLAIN = st.recursive(NUMBERS, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner), max_leaves=9)


def refuse(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


@given(PLAIN)
@settings(derandomize=True, deadline=None)
def test_a_result_is_json_by_the_letter(found: object):
    text = to_json(found)
    assert text.isascii()
    json.loads(text, parse_constant=refuse)


def test_what_is_no_finite_number_is_null():
    found = {"a": float("nan"), "b": (1.5, float("inf"), [-float("inf")]), "c": "é"}
    assert json.loads(to_json(found)) == {"a": None, "b": [1.5, None, [None]], "c": "é"}


class Full(io.StringIO):
    def write(self, _: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_message_that_nobody_can_hear_ends_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stderr", Full())
    say("the run goes on")
    progress = ProgressBar()
    progress.note("the run goes on")
    progress.shown = Shown(lambda *_: "", lambda record: f"epoch {record['epoch']}")
    progress.epoch({"epoch": 1})


def test_a_message_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str]):
    say("a\x1b[2Jb\nc")
    assert capsys.readouterr().err == "a\\x1b[2Jb\nc\n"


class Cake(Settings):
    """Settings of a verb that bakes."""

    verb: Literal["bake"] = "bake"
    eggs: int
    """number of eggs"""
    sweet: bool = False
    """whether there is sugar"""


def bake() -> Parser:
    parser = Parser("bake", "Bake.")
    add_recipe(parser)
    parser.add_argument("--out", type=Path)
    return parser


@pytest.fixture
def cake(tmp_path: Path) -> str:
    (tmp_path / "cake.yaml").write_text("eggs: 3\n")
    return str(tmp_path / "cake.yaml")


@pytest.mark.parametrize(
    "words", [["cake", "--out", "x"], ["--config", "cake", "--out", "x"], ["--out=x", "--config=cake"]]
)
def test_a_recipe_is_the_first_word_or_named(words: list[str]):
    args, rest = parse_words(bake(), Cake, [*words, "--eggs", "4", "--sweet"])
    assert (args.config, args.out, args.print_config) == ("cake", Path("x"), False)
    assert rest == ["--eggs", "4", "--sweet"]


def test_a_recipe_may_be_left_out_but_not_named_twice():
    args, rest = parse_words(bake(), Cake, ["--eggs", "cake", "--print-config"])
    assert (args.config, args.print_config, rest) == (None, True, ["--eggs", "cake"])
    with pytest.raises(UserError, match=r"^bake: cake and --config pie: should be one recipe$"):
        parse_words(bake(), Cake, ["cake", "--config", "pie"])


def test_the_first_word_may_be_another_thing():
    args, rest = parse_words(bake(), Cake, ["oven", "--config", "cake", "--eggs", "4"], first="place")
    assert (args.place, args.config, rest) == ("oven", "cake", ["--eggs", "4"])
    assert parse_words(bake(), Cake, ["--eggs", "4"], first="place")[0].place is None


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_after_a_recipe_has_present_values(cake: str, capsys: pytest.CaptureFixture[str], flag: str):
    for words in ([cake, flag], [cake, "--sweet", flag], [flag, "--config", cake, "--sweet"]):
        with pytest.raises(SystemExit) as exit_:
            parse_words(bake(), Cake, words)
        assert exit_.value.code == 0
        lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.strip()}
        assert lines["--eggs"].endswith("number of eggs [3]")
        assert lines["--sweet"].endswith("whether there is sugar [true]" if "--sweet" in words else "[false]")
    with pytest.raises(SystemExit):
        parse_words(bake(), Cake, [flag])
    assert "--eggs" not in capsys.readouterr().out


def test_help_after_a_recipe_refuses_what_the_run_would(cake: str):
    with pytest.raises(
        UserError, match=r"^command line: --egs: is neither .*'--eggs'.*; --eggs: 'x': should be a valid"
    ):
        parse_words(bake(), Cake, [cake, "--eggs", "x", "--egs", "3", "--help"])
    with pytest.raises(UserError, match="pie: neither a file nor a shipped recipe"):
        parse_words(bake(), Cake, ["pie", "--help"])


def test_help_after_a_recipe_reads_it_as_the_run_would(tmp_path: Path, capsys: pytest.CaptureFixture[str], forgotten):
    text = resources.find("recipes", "fairdarts-s1-digits").read_text()
    mine = tmp_path / "mine.yaml"
    mine.write_text(text.replace("relaxation: sigmoid", "relaxation: half") + "\nplugins: [my.py]\n")
    Path(tmp_path / "my.py").write_text(
        "import fairdarts\nfairdarts.register_relaxation('half', lambda alpha: alpha.sigmoid() / 2)\n"
    )
    with pytest.raises(SystemExit):
        main(["search", str(mine), "--help"])
    assert "(softmax | sigmoid | sparsemax | dirichlet | half) [half]" in capsys.readouterr().out
    assert main(["search", "fairnas-macro-small", "--help"]) == 2
    assert "is a recipe of `fairdarts supernet`, not of `fairdarts search`" in capsys.readouterr().err


def test_an_option_that_is_like_one_of_the_verb_names_it(cake: str):
    with pytest.raises(UserError, match=r"^command line: --confg: is neither .* \(did you mean '--config'\?\)$"):
        check_words(Cake, {"eggs": 3}, cake, ["--confg", "x"], bake().options)


def test_a_shipped_recipe_is_shown_and_written_with_what_is_laid_over_it(capsys: pytest.CaptureFixture[str]):
    words = ["fairdarts-s1-digits", "--batch-size", "32"]
    with pytest.raises(SystemExit):
        parse_words(bake(), SearchSettings, [*words, "--help"])
    assert "images a batch [32]" in capsys.readouterr().out
    args, rest = parse_words(bake(), SearchSettings, words)
    path = resources.find("recipes", args.config)
    settings = check_words(SearchSettings, read_yaml(path), path, rest)
    assert settings.data.batch_size == 32
    assert check(SearchSettings, yaml.safe_load(dump_yaml(settings)), "mine.yaml") == settings


@pytest.mark.parametrize(
    "words",
    [
        ["search", "fairdarts-s1-digits"],
        ["supernet", "fairnas-macro-small"],
        ["train", "fairdarts-a"],
        ["train", "fairdarts-a", "--config", "train-darts-cifar10"],
        ["segment", "fairnas-a"],
        ["bench", "fairdarts-s1-digits"],
    ],
)
def test_all_settings_are_printed_and_nothing_runs(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    assert main([*words, "--print-config", "--batch-size", "12"]) == 0
    Path("printed.yaml").write_text(capsys.readouterr().out)
    printed = read_yaml(Path("printed.yaml"))
    assert printed["data"]["batch_size"] == 12
    named = [words[1], "--config"] if words[0] in ("train", "segment") else []
    assert main([words[0], *named, "printed.yaml", "--print-config"]) == 0
    assert capsys.readouterr().out == Path("printed.yaml").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["printed.yaml"]
