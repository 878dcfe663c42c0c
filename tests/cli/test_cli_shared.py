"""One search in two processes, as torchrun starts them: what it leaves behind, and how it ends when one fails."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image
from processes import launch

from fairdarts.cli import main
from fairdarts.data.loader import ADVICE
from fairdarts.runtime import checkpoint
from fairdarts.runtime.position import TIMES
from fairdarts.runtime.run import RunDirectory

PROGRAM = """
import os, sys
from fairdarts.cli import main
from fairdarts.differentiable.architect import STEPS
number, first_order = int(os.environ["SIGNAL"]), STEPS["first_order"]
def step(learner, train, valid, at):
    if at.step == 6 and os.environ["RANK"] == "1" and number:
        os.kill(os.getpid(), number)
    return first_order(learner, train, valid, at)
STEPS["first_order"] = step
sys.exit(main(sys.argv[1:]))
"""
"""`fairdarts …`, where the second process gets a signal in the seventh of twelve steps"""
IN_PARTS = ("--compute.accumulate", "2")
"""how one process goes through batches as two do"""


@pytest.fixture(autouse=True)
def plain(tmp_path: Path, monkeypatch) -> None:
    """No figures, which take longer than the search; and a directory of its own."""
    monkeypatch.setattr("fairdarts.runs.figures.figures_of", lambda *_: [])
    monkeypatch.setattr("fairdarts.runs.search.log_epoch", lambda *_: None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "program.py").write_text(PROGRAM)


def search(*words: object) -> subprocess.CompletedProcess:
    """A search in two processes."""
    return launch("fairdarts", "search", *words)


def torchrun(*words: object) -> subprocess.CompletedProcess:
    """A search in two processes of torchrun's own, the second of which gets a signal."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["program.py", "search", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


def records(run: Path) -> list[dict]:
    return [{key: value for key, value in record.items() if key not in TIMES} for record in RunDirectory(run).records()]


def assert_same_search(one: Path, other: Path) -> None:
    """α and weights; of the statistics of BatchNorms those of one process differ, which moves them part by part."""
    found, expected = (checkpoint.load(RunDirectory(path).last) for path in (one, other))
    assert (found["epoch"], found["step"]) == (expected["epoch"], expected["step"])
    for name, weight in found["supernet"].items():
        if "running" not in name and "tracked" not in name:
            torch.testing.assert_close(weight, expected["supernet"][name], rtol=1e-4, atol=1e-6)
    for part, alpha in found["alphas"].items():
        torch.testing.assert_close(alpha, expected["alphas"][part], rtol=1e-4, atol=1e-6)
    assert [record["epoch"] for record in records(one)] == [record["epoch"] for record in records(other)]


def test_two_processes_go_from_stage_to_stage_as_one(tiny_recipe: Path):
    staged = [
        "--config",
        tiny_recipe,
        "--epochs",
        "2",
        "--stages",
        "[{}, {cells: 3, keep: 2}]",
        "--derive.method",
        "argmax",
    ]
    staged += ["--architect.initial_std", "0.1"]
    done = search(*staged, "--out", "shared")
    assert done.returncode == 0, done.stderr
    assert main(["search", *map(str, staged), "--out", "alone", *IN_PARTS]) == 0
    assert_same_search(Path("shared"), Path("alone"))
    one, other = (records(Path(name))[2]["gates"]["normal"] for name in ("shared", "alone"))
    assert [[gate == 0 for gate in row] for row in one] == [[gate == 0 for gate in row] for row in other]


@pytest.fixture
def alone(tiny_recipe: Path) -> Path:
    """The same search in one process, from beginning to end."""
    assert main(["search", "--config", str(tiny_recipe), "--out", "alone", *IN_PARTS]) == 0
    return Path("alone")


def test_two_processes_search_what_one_does_and_one_of_them_writes(tiny_recipe: Path, alone: Path, capsys):
    done = search("--config", tiny_recipe, "--out", "run")
    assert done.returncode == 0, done.stderr
    assert_same_search(Path("run"), alone)
    for one, other in zip(records(Path("run")), records(alone), strict=True):
        assert one.keys() == other.keys()
        for key in one.keys() & {"train_loss", "valid_accuracy", "zero_one"}:
            assert one[key] == pytest.approx(other[key], rel=1e-5)
    genotype = yaml.safe_load(done.stdout)  # one document, of one process
    assert genotype == yaml.safe_load(Path("run/genotypes/final.yaml").read_text())
    assert done.stderr.count("epoch   1/3") == 1
    assert "run run: tiny, seed 0, epochs 3, 2 processes" in done.stderr
    assert sorted(path.name for path in Path().iterdir() if path.is_dir()) == ["alone", "run"]


def test_a_process_that_dies_ends_the_run_and_one_process_resumes_it(tiny_recipe: Path, alone: Path, monkeypatch):
    monkeypatch.setenv("SIGNAL", str(int(signal.SIGKILL)))
    died = torchrun("--config", tiny_recipe, "--out", "run", "--save_minutes", "0")
    assert died.returncode != 0
    assert 'Traceback (most recent call last):\n  File "program.py"' not in died.stderr
    assert re.search(r"exitcode +: -9", died.stderr)  # torchrun's word on who died
    state = checkpoint.load(RunDirectory(Path("run")).last)
    assert 4 * state["epoch"] + state["step"] == 6  # the last step before
    assert not Path("run/genotypes/final.yaml").exists()
    assert main(["search", "--resume", "run", *IN_PARTS]) == 0
    assert_same_search(Path("run"), alone)


def test_a_signal_to_one_process_stops_all_of_them_after_the_same_step(tiny_recipe: Path, alone: Path, monkeypatch):
    monkeypatch.setenv("SIGNAL", str(int(signal.SIGTERM)))
    stopped = launch("program.py", "search", "--config", tiny_recipe, "--out", "run")
    assert stopped.returncode != 0
    assert len(re.findall(r"^SIGTERM: the state is saved; continue with$", stopped.stderr, re.MULTILINE)) == 1
    assert "has ended" not in stopped.stderr
    state = checkpoint.load(RunDirectory(Path("run")).last)
    assert 4 * state["epoch"] + state["step"] == 7
    resumed = search("--resume", "run")
    assert resumed.returncode == 0, resumed.stderr
    assert_same_search(Path("run"), alone)


def test_an_image_that_one_process_cannot_read_ends_all_of_them_with_one_message(tiny_recipe: Path, tmp_path: Path):
    for label in "ab":
        (tmp_path / "images" / label).mkdir(parents=True)
        for number in range(16):
            Image.new("RGB", (8, 8), (8 * number, 0, 0)).save(tmp_path / "images" / label / f"{number:02d}.png")
    broken = tmp_path / "images" / "a" / "03.png"
    Image.effect_noise((8, 8), 90).save(broken)
    broken.write_bytes(broken.read_bytes()[:60])  # its head is whole
    folder = ["--data.kind", "folder", "--data.root", "images", "--data.image_size", "8"]
    failed = search("--config", tiny_recipe, "--out", "run", *folder)
    assert failed.returncode != 0
    said = [line for line in failed.stderr.splitlines() if line.startswith("fairdarts: ")]
    assert len(said) == 1, failed.stderr
    assert f"images/a/03.png: cannot be decoded as an image; {ADVICE}; then continue with:" in said[0]
    Image.new("RGB", (8, 8)).save(broken)
    assert search("--resume", "run").returncode == 0


def test_what_is_wrong_from_the_start_is_said_once(tiny_recipe: Path):
    refused = search("--config", tiny_recipe, "--out", "run", "--data.batch_size", "5")
    assert refused.returncode != 0
    said = [line for line in refused.stderr.splitlines() if line.startswith("fairdarts: ")]
    assert said == [
        "fairdarts: data.batch_size: 5: is that of all processes, so it should be divisible by "
        "2 processes × compute.accumulate 1 = 2"
    ]
    assert not Path("run").exists()
