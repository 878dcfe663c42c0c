"""The command line as a whole: verbs, exit statuses, and that nobody ever reads a traceback."""

import os
import subprocess
import sys

import pytest

from fairdarts import __version__
from fairdarts.cli import VERBS, main


def start(*words: str, **options: object) -> subprocess.CompletedProcess:
    # Buffered output is what users have; it fails later than unbuffered output, when the process ends.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-m", "fairdarts", *words]
    options = {"stdout": subprocess.PIPE, "env": environment} | options
    return subprocess.run(command, stderr=subprocess.PIPE, text=True, **options)


def test_the_module_runs_and_tells_its_version():
    done = start("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"fairdarts {__version__}\n", "")


@pytest.mark.parametrize("words", [["--version"], ["draw", "--help"]])
def test_a_reader_that_went_away_is_no_error(words: list[str]):
    reader, writer = os.pipe()
    os.close(reader)
    done = start(*words, stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("word", ["-h", "--help"])
def test_help_names_every_verb(capsys, word: str):
    assert main([word]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    for verb in VERBS:
        assert f"  {verb} " in out


def test_nothing_asked_for_is_answered_with_the_usage_on_stderr(capsys):
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("usage: fairdarts VERB")


@pytest.mark.parametrize(("word", "meant"), [("serch", "search"), ("derived", "derive"), ("drew", "draw")])
def test_an_unknown_verb_names_the_nearest(capsys, word: str, meant: str):
    assert main([word]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"fairdarts: '{word}' is not a verb (did you mean '{meant}'?)\n"


def test_a_verb_that_is_like_none_is_answered_with_all(capsys):
    assert main(["xyzzy"]) == 2
    known = "search, supernet, rank, evolve, report, study, bench, derive, train, evaluate, segment, export, "
    known += "transfer, draw, zoo"
    assert capsys.readouterr().err == f"fairdarts: 'xyzzy' is not a verb (known: {known})\n"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(capsys, verb: str):
    with pytest.raises(SystemExit) as exit_:
        main([verb, "--help"])
    assert exit_.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: fairdarts {verb}")


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (KeyboardInterrupt(), 130, ""),
        (PermissionError(13, "Permission denied", "runs"), 2, "fairdarts: runs: Permission denied\n"),
        (OSError(28, "No space left on device"), 2, "fairdarts: output: No space left on device\n"),
    ],
)
def test_what_goes_wrong_outside_is_told_in_a_line(monkeypatch, capsys, error: BaseException, status: int, said: str):
    def fail(_: list[str]) -> int:
        raise error

    monkeypatch.setattr("fairdarts.cli.zoo.main", fail)
    assert main(["zoo"]) == status
    assert capsys.readouterr() == ("", said)


@pytest.mark.parametrize(
    "words",
    [
        ["zoo", "extra"],
        ["zoo", "--josn"],
        ["draw"],
        ["derive", "/dev/null"],
        ["search", "--config", "/dev/null"],
        ["search", "--config", "/"],
        ["search", "--config", "x" * 5000],
        ["search", "--config", "fairdarts-s1-digits", "--epochs", "[1"],
        ["search", "--config", "fairdarts-s1-digits", "--architect.betas", "0.9"],
        ["search", "--config", "fairdarts-s1-digits", "--seed", "-1"],
        ["search", "--config", "fairdarts-s1-digits", "--", "x"],
    ],
    ids=lambda words: " ".join(words)[:60],
)
def test_a_mistake_ends_in_one_line_and_status_2(capsys, words: list[str]):
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("fairdarts: ")
