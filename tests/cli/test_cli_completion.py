"""How a shell completes words: what is offered where."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from forms import FORMS as EVERY

from fairdarts import resources
from fairdarts.cli import VERBS, main
from fairdarts.cli.complete import FORMS
from fairdarts.cli.completion import SCRIPTS


def offered(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert main(["complete", *words]) == 0
    return [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()]


def test_verbs_are_completed(capsys: pytest.CaptureFixture[str]):
    assert offered(capsys, "") == [*VERBS, "help", "--help", "--version"]
    assert offered(capsys) == offered(capsys, "")
    assert offered(capsys, "s") == ["search", "supernet", "study", "segment"]
    assert offered(capsys, "help", "se") == ["search", "segment"]
    assert offered(capsys, "nothing", "") == []


@pytest.mark.parametrize(
    ("words", "first"),
    [
        (["search", "fairdarts-s1-d"], ["fairdarts-s1-digits"]),
        (["search", "--config", "fairdarts-s1-d"], ["fairdarts-s1-digits"]),
        (["train", "fairdarts-a", "--config", "transfer-"], ["transfer-cifar10", "transfer-cifar100"]),
        (["bench", "--config", "darts-second-order-s1"], ["darts-second-order-s1-cifar10"]),
        (["train", "fairdarts-"], [f"fairdarts-{letter}" for letter in "abcdefg"]),
        (["zoo", "fairdarts-a", "fairdarts-b"], ["fairdarts-b"]),
        (["study", "supernet-"], ["supernet-small"]),
        (["recipes", "su"], ["supernet"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["search", "x", "--weights.lr"], ["--weights.lr", "--weights.lr_min"]),
        (["search", "x", "--data.kind", "c"], ["cifar10", "cifar100", "csv"]),
        (["search", "x", "--data.kind", "=", "f"], ["folder", "fake"]),
        (["search", "x", "--relaxation", "="], ["softmax", "sigmoid", "sparsemax", "dirichlet"]),
        (["search", "x", "--data.kind=f"], ["--data.kind=folder", "--data.kind=fake"]),
        (["search", "x", "--curvature", ""], ["true", "false"]),
        (["search", "x", "--pr"], ["--print-config"]),
        (["search", "x", "--data.root", ""], []),
        (["search", "x", ""], []),
        (["report", ""], []),
        (["report", "--"], ["--help", "--out"]),
        (["derive", "--m"], ["--method", "--max-skips"]),
        (["export", "x", "--be"], ["--benchmark"]),
        (["evaluate", "--sp"], ["--split"]),
        (["evaluate", "--data.wo"], ["--data.workers"]),
        (["evolve", "sn", "--col"], ["--column"]),
        (["qqqqq", "--"], []),
    ],
)
def test_what_may_follow_is_completed(capsys: pytest.CaptureFixture[str], words: list[str], first: list[str]):
    assert offered(capsys, *words) == first


def test_settings_are_those_of_the_verb():
    for verb, name in FORMS.items():
        module, _, form = name.rpartition(".")
        assert getattr(import_module(module), form) is EVERY["search" if verb == "bench" else verb]
    assert FORMS.keys() - {"bench"} == EVERY.keys() - {"transfer"}  # of which no setting is an option


@pytest.mark.parametrize("shell", SCRIPTS)
def test_every_shell_has_a_script(capsys: pytest.CaptureFixture[str], shell: str):
    assert main(["completion", shell]) == 0
    assert " complete " in capsys.readouterr().out


def test_bash_completes(tmp_path: Path):
    program = tmp_path / "fairdarts"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m fairdarts "$@"\n')
    program.chmod(0o755)
    script = f"""{SCRIPTS["bash"]}
COMP_WORDS=({program} search fairdarts-s1-); COMP_CWORD=2; _fairdarts; echo "${{COMPREPLY[@]}}"
COMP_WORDS=({program} search ""); COMP_CWORD=2; _fairdarts; echo "${{#COMPREPLY[@]}}"
complete -p fairdarts"""
    done = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True, check=True)
    recipes = len(resources.recipes("search"))
    assert done.stdout == (
        f"fairdarts-s1-cifar10 fairdarts-s1-digits\n{recipes}\ncomplete -o default -F _fairdarts fairdarts\n"
    )
