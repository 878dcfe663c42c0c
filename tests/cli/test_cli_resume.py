"""`fairdarts search --resume`: a search that was stopped or killed goes on as if nothing had happened."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

from fairdarts.cli import main
from fairdarts.runs.progress import ProgressBar
from fairdarts.runtime import checkpoint
from fairdarts.runtime.position import TIMES
from fairdarts.runtime.run import RunDirectory

LONG = ("--data.images", "128")  # 16 steps an epoch: a signal sent in the second arrives before the third is over


@pytest.fixture(autouse=True)
def plain(tmp_path: Path, monkeypatch) -> None:
    """No figures, which take longer than the search; and a directory of its own."""
    monkeypatch.setattr("fairdarts.runs.figures.figures_of", lambda *_: [])
    monkeypatch.setattr("fairdarts.runs.search.log_epoch", lambda *_: None)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def stopped(tiny_recipe: Path, monkeypatch, capsys) -> Callable[..., Path]:
    """A run that a signal stopped in the second of its three epochs."""

    def stop(number: int = signal.SIGTERM) -> Path:
        def step(_: object, epoch: int, step: int, *__: object) -> None:
            if (epoch, step) == (2, 2):
                os.kill(os.getpid(), number)

        with monkeypatch.context() as patch:
            patch.setattr(ProgressBar, "step", step)
            assert main(["search", "--config", str(tiny_recipe), "--out", "run"]) == 128 + number
        return Path("run")

    return stop


def begin(recipe: Path, *words: str) -> subprocess.Popen:
    """A search in a process of its own, as a user starts it; it comes back once its second epoch is under way."""
    command = [sys.executable, "-m", "fairdarts", "search", "--config", str(recipe), "--out", "run", *LONG, *words]
    command += ["--save_minutes", "0"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}  # as this process has: their numbers shall be the same
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, env=environment, start_new_session=True, **pipes)
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        if RunDirectory(Path("run")).last.is_file():
            state = checkpoint.load(RunDirectory(Path("run")).last)
            if state["epoch"] >= 1 and state["step"] >= 1:
                break
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)  # between two looks at the file
    return process


def metrics(run: Path) -> list[dict]:
    return [{key: value for key, value in record.items() if key not in TIMES} for record in RunDirectory(run).records()]


def assert_same_search(one: Path, other: Path) -> None:
    assert metrics(one) == metrics(other)
    found, expected = (checkpoint.load(RunDirectory(path).last) for path in (one, other))
    for part in ("alphas", "supernet"):
        assert found[part].keys() == expected[part].keys()
        assert all(torch.equal(found[part][name], expected[part][name]) for name in expected[part]), part


def content(run: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


def refused(capsys: pytest.CaptureFixture, *words: str) -> str:
    capsys.readouterr()
    assert main(["search", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    return err.splitlines()[-1]


def test_a_search_killed_in_mid_epoch_goes_on_as_if_it_never_was(tiny_recipe: Path):
    process = begin(tiny_recipe)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert len(metrics(Path("run"))) < 4
    assert main(["search", "--resume", "run"]) == 0
    assert main(["search", "--config", str(tiny_recipe), "--out", "whole", *LONG]) == 0
    assert_same_search(Path("run"), Path("whole"))


def test_a_terminated_search_ends_with_the_command_that_continues_it(tiny_recipe: Path, capsys):
    process = begin(tiny_recipe, "--data.workers", "1")
    os.killpg(process.pid, signal.SIGTERM)  # as `timeout` and job schedulers do: the loading process is signalled too
    out, err = process.communicate()
    assert process.returncode == 143, err
    assert out == ""
    command = shlex.split(err.splitlines()[-1])
    assert command[-3:] == ["search", "--resume", "run"]
    assert not Path("run/genotypes/final.yaml").exists()
    assert main(command[-3:]) == 0
    assert capsys.readouterr().out == Path("run/genotypes/final.yaml").read_text()
    assert [record["epoch"] for record in metrics(Path("run"))] == [0, 1, 2, 3]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_a_search_after_the_step(tiny_recipe: Path, stopped, capsys, number: int):
    handlers = [signal.getsignal(caught) for caught in (signal.SIGINT, signal.SIGTERM)]
    run = stopped(number)
    out, err = capsys.readouterr()
    assert out == ""
    assert f"{signal.Signals(number).name}: the state is saved; continue with" in err.splitlines()
    assert shlex.split(err.splitlines()[-1])[-3:] == ["search", "--resume", "run"]
    assert handlers == [signal.getsignal(caught) for caught in (signal.SIGINT, signal.SIGTERM)]
    state = checkpoint.load(RunDirectory(run).last)
    assert (state["epoch"], state["step"]) == (1, 2)
    assert main(["search", "--resume", "run"]) == 0
    assert main(["search", "--config", str(tiny_recipe), "--out", "whole"]) == 0
    assert_same_search(run, Path("whole"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--epochs", "9"], "settings.yaml: epochs: 3, but the command line says 9"),
        (["--seed=1"], "settings.yaml: seed: 0, but the command line says 1"),
        (["--weights.lr", "0.2"], "settings.yaml: weights.lr: 0.1, but the command line says 0.2"),
        (["--data.images", "64"], "settings.yaml: data.images: 32, but the command line says 64"),
        (["--epoch", "3"], "--epoch: is neither an option nor a setting (did you mean '--epochs'?)"),
        (["--config", "fairdarts-s1-digits"], "--resume run takes its settings and place from the run itself"),
        (["--out", "other"], "--resume run takes its settings and place from the run itself"),
    ],
)
def test_a_resumed_search_keeps_its_settings(stopped, capsys, words: list[str], said: str):
    run = stopped()
    before = content(run)
    assert said in refused(capsys, "--resume", "run", *words)
    assert content(run) == before


def test_what_computes_nothing_may_change(tiny_recipe: Path, stopped):
    run = stopped()
    words = ["--data.workers", "1", "--save_minutes", "0", "--compute.memory", "checkpoint"]
    words += ["--epochs", "3"]  # as it is
    assert main(["search", "--resume", "run", *words]) == 0
    assert main(["search", "--config", str(tiny_recipe), "--out", "whole"]) == 0
    assert_same_search(run, Path("whole"))


def test_a_finished_search_prints_its_genotype_again(stopped, capsys):
    stopped()
    assert main(["search", "--resume", "run"]) == 0
    first = capsys.readouterr().out
    before = content(Path("run"))
    assert main(["search", "--resume", "run"]) == 0
    out, err = capsys.readouterr()
    assert out == first
    assert yaml.safe_load(out)["name"] == "run"
    assert "already finished" in err
    assert content(Path("run")) == before


def test_figures_that_ctrl_c_left_undrawn_can_be_drawn(tiny_recipe: Path, capsys, monkeypatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("fairdarts.runs.figures.figures_of", interrupted)
        assert main(["search", "--config", str(tiny_recipe), "--out", "new"]) == 130
    command = shlex.split(capsys.readouterr().err.splitlines()[-1])
    assert command[-2:] == ["draw", "new"]
    with monkeypatch.context() as patch:
        drawn = []
        patch.setattr("fairdarts.runs.figures.figures_of", lambda run, folder: drawn.append(folder))
        assert main(["search", "--resume", "new"]) == 0
    assert drawn == [Path("new/figures")]


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (truncate, "run/checkpoints/last.pt: not a readable checkpoint"),
        (Path.unlink, "run/checkpoints/last.pt: no such checkpoint"),
        (lambda path: torch.save([1, 2], path), "run/checkpoints/last.pt: "),
        (lambda path: torch.save({"images": 32}, path), "run/checkpoints/last.pt: not the checkpoint of a run"),
    ],
)
def test_a_checkpoint_that_cannot_be_used_is_named(stopped, capsys, spoil, said: str):
    run = stopped()
    spoil(RunDirectory(run).last)
    records = metrics(run)
    assert said in refused(capsys, "--resume", "run")
    assert metrics(run) == records


@pytest.mark.parametrize("lines", ['{"epoch": 0}\n{"ep\n{"epoch": 2}\n', "3\n", "[]\n", '{"loss": 1}\n'])
def test_metrics_that_cannot_be_read_are_written_again_from_the_checkpoint(stopped, capsys, lines: str):
    run = stopped()
    RunDirectory(run).metrics.write_text(lines)
    capsys.readouterr()
    assert main(["search", "--resume", "run"]) == 0
    said = "run/metrics.jsonl: did not hold every epoch until 1 once; written again from what is known of them"
    assert said in capsys.readouterr().err.splitlines()
    assert [record["epoch"] for record in metrics(run)] == [0, 1, 2, 3]


@pytest.mark.parametrize("lines", ['{"epoch": 0}\n{"ep\n{"epoch": 2}\n', "3\n", "[]\n", '{"loss": 1}\n'])
def test_metrics_that_nothing_can_mend_are_named(stopped, capsys, lines: str):
    run = RunDirectory(stopped())
    state = checkpoint.load(run.last)
    del state["records"]  # as version 0.1 wrote it
    checkpoint.save(run.last, state)
    run.metrics.write_text(lines)
    assert "run/metrics.jsonl" in refused(capsys, "--resume", "run")


def test_a_run_that_another_process_is_at_is_left_alone(stopped, capsys):
    run = stopped()
    before = content(run)
    with RunDirectory(run).held():
        assert f"run: process {os.getpid()} on " in refused(capsys, "--resume", "run")
    assert content(run) == before
    assert main(["search", "--resume", "run"]) == 0


def test_a_run_that_ended_before_it_began_is_begun_again(tiny_recipe: Path, capsys, monkeypatch):
    write = checkpoint.write_atomically

    def killed(path: Path, content: bytes) -> None:
        if path.name == "settings.yaml":
            raise SystemExit(9)
        write(path, content)

    monkeypatch.setattr("fairdarts.runtime.checkpoint.write_atomically", killed)
    with pytest.raises(SystemExit):
        main(["search", "--config", str(tiny_recipe), "--out", "run"])
    monkeypatch.setattr("fairdarts.runtime.checkpoint.write_atomically", write)
    assert "run: its run ended before it began; begin it again with --out run" in refused(capsys, "--resume", "run")
    assert main(["search", "--config", str(tiny_recipe), "--out", "run"]) == 0


def test_a_place_that_is_no_run_is_named(tiny_recipe: Path, capsys):
    assert "nowhere: not a run directory" in refused(capsys, "--resume", "nowhere")
    assert f"{tiny_recipe.parent}: not a run directory" in refused(capsys, "--resume", str(tiny_recipe.parent))


def test_a_run_begun_with_other_versions_is_remarked(stopped, capsys):
    (stopped() / "versions.json").write_text('{"torch": "1.0"}')
    assert main(["search", "--resume", "run"]) == 0
    assert "torch 1.0 → " in capsys.readouterr().err
