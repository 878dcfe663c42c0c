"""The command line as a whole: verbs, exit statuses, and that nobody ever reads a traceback."""

import io
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from fairdarts import __version__
from fairdarts.cli import VERBS, main
from fairdarts.config import UserError
from fairdarts.genotype import to_yaml
from fairdarts.networks.zoo import load_genotype


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


def test_a_verb_that_is_like_none_is_answered_with_the_nearest(capsys):
    assert main(["xyzzy"]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"fairdarts: 'xyzzy' is not a verb (nearest of {len(VERBS)}: ")


@pytest.mark.parametrize("word", ["--version", "-V"])
def test_the_version_is_told(capsys, word: str):
    assert main([word]) == 0
    assert capsys.readouterr() == (f"fairdarts {__version__}\n", "")


def test_help_is_a_verb_too(capsys):
    assert main(["help"]) == 0
    assert capsys.readouterr().out.startswith("usage: fairdarts VERB")
    with pytest.raises(SystemExit) as exit_:
        main(["help", "recipes"])
    assert exit_.value.code == 0
    assert capsys.readouterr().out.startswith("usage: fairdarts recipes")
    assert main(["help", "recipe"]) == 2
    assert "is not a verb (did you mean 'recipes'?)" in capsys.readouterr().err


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
        (OSError(28, "No space left on device"), 2, "fairdarts: standard output: No space left on device\n"),
        (UserError("a\x1b[31m\nb"), 2, "fairdarts: a\\x1b[31m b\n"),
        (MemoryError(), 2, "fairdarts: out of memory: take a smaller network, smaller images or batches\n"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory"),
            2,
            "fairdarts: out of memory: take a smaller network, smaller images or batches\n",
        ),
    ],
)
def test_what_goes_wrong_outside_is_told_in_a_line(monkeypatch, capsys, error: BaseException, status: int, said: str):
    def fail(_: list[str]) -> int:
        raise error

    monkeypatch.setattr("fairdarts.cli.zoo.main", fail)
    assert main(["zoo"]) == status
    assert capsys.readouterr() == ("", said)


def poor_terminal(monkeypatch: pytest.MonkeyPatch) -> io.BytesIO:
    """What is written on a standard output that knows nothing but ASCII."""
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    return written


def test_letters_that_the_terminal_lacks_are_escaped(monkeypatch: pytest.MonkeyPatch):
    written = poor_terminal(monkeypatch)
    with pytest.raises(SystemExit):
        main(["search", "--help"])
    assert rb"how \u03b1 becomes gates" in written.getvalue()


def test_json_can_be_read_whatever_the_terminal_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    written = poor_terminal(monkeypatch)
    text = to_yaml(load_genotype("fairdarts-a")[0]).replace('name: "fairdarts-a"', 'name: "é α 🙂"')
    (tmp_path / "g.yaml").write_text(text, encoding="utf-8")
    assert main(["zoo", str(tmp_path / "g.yaml"), "--json"]) == 0
    assert json.loads(written.getvalue())[0]["name"] == "é α 🙂"


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-", "2>&-", "2>/dev/full"])
def test_closed_and_full_streams_are_no_error(closed: str):
    command = f"exec {shlex.quote(sys.executable)} -m fairdarts"
    assert subprocess.run(["bash", "-c", f"{command} --version {closed}"], stdout=subprocess.DEVNULL).returncode == 0
    mistaken = subprocess.run(["bash", "-c", f"{command} serch {closed}"], capture_output=True, text=True)
    assert (mistaken.returncode, mistaken.stdout) == (2, "")


def test_files_never_get_the_number_of_a_closed_stream():
    """What C++ writes to standard error would else end up in a checkpoint."""
    code = "import os; from fairdarts.cli import guarded; guarded(lambda _: os.write(3, b'%d' % os.open('/', 0)), [])"
    reader, writer = os.pipe()
    moved = f"exec 3>&{writer} <&- >&- 2>&-; exec {shlex.quote(sys.executable)} -c {shlex.quote(code)}"
    subprocess.run(["bash", "-c", moved], pass_fds=[writer])
    os.close(writer)
    with os.fdopen(reader) as numbers:
        assert int(numbers.read()) > 3


def test_a_full_standard_output_is_said():
    with open("/dev/full", "w") as full:
        done = start("--version", stdout=full)
    assert (done.returncode, done.stderr) == (2, "fairdarts: standard output: No space left on device\n")


@pytest.mark.parametrize("word", ["a\0b", "a\x1b[31m", os.fsdecode(b"a\xff")])
def test_words_that_are_no_text_are_refused(capsys: pytest.CaptureFixture[str], word: str):
    for words in (["draw", word], ["search", "--config", word], ["search", f"--out={word}"]):
        assert main(words) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith("fairdarts: command line: '")
        assert said.err.endswith("': should hold no control characters, nor what is no text\n")
        assert said.err.count("\n") == 1
        assert "\x1b" not in said.err


@pytest.mark.parametrize(
    "words",
    [
        ["zoo", "extra"],
        ["zoo", "sample", "--count", "99999999999"],
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
