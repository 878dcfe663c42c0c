"""benchmarks/gpu.py measures all that it lists, whatever fails, and goes on where it ended."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from processes import launch

ROOT = Path(__file__).parents[1]
with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(ROOT / "benchmarks"))
    import apart
    import gpu
    import gpu_parts
    from gpu_table import table
    from kept import in_a_line


def test_all_of_it_runs_tiny_on_the_cpu(tmp_path: Path) -> None:
    out, program = tmp_path / "gpu.json", ROOT / "benchmarks" / "gpu.py"
    words = ["--quick", "--device", "cpu", "--out", str(out)]
    late = launch(program, *words, "--minutes", "0", ranks=1)
    assert late.returncode == 0, late.stderr
    missing = json.loads(out.read_text())
    assert missing["parts"] == {}
    assert len(missing["skipped"]) > 25
    done = launch(program, *words, ranks=1)
    assert done.returncode == 0, done.stderr
    result = json.loads(out.read_text())
    found = {f"{part}: {form}": own for part, forms in result["parts"].items() for form, own in forms.items()}
    assert sorted(found) == sorted(missing["skipped"])
    assert result["skipped"] == []
    assert {name: own["error"] for name, own in found.items() if "error" in own} == {}
    assert found["parity: s1"]["differences"] == {"alphas": [0], "weights": [0], "buffers": [0]}
    assert all(0 < own["share_of_peak"] < 1 for name, own in found.items() if "batch" in own and "loader" not in name)
    assert "search S1, batch 64" in done.stdout.splitlines()
    assert "hours" not in result  # which would be those of tiny images
    assert "epochs" not in done.stdout


def test_hours_are_those_of_the_steps_of_a_recipe() -> None:
    step = {"seconds": 1.0, "batch": 64, "images_per_second": 64.0, "first_seconds": 1.0}
    parts = {gpu.RECIPES[name][0]: {"plain": step} for name in ("fairdarts-s1-cifar10", "fairnas-a-imagenet")}
    own = {name: gpu.hours(name, parts) for name in ("fairdarts-s1-cifar10", "fairnas-a-imagenet")}
    assert own["fairdarts-s1-cifar10"]["steps"] == 50 * 195
    assert own["fairnas-a-imagenet"]["steps"] == 150 * 4809  # 50 images of each class are held out
    head = {"device": "GPU", "torch": "2", "date": "today", "quick": False}
    line = "fairnas-a-imagenet: 150 epochs, 721,350 steps of 256 images, in hours"
    assert line in table({**head, "parts": parts, "hours": own}).splitlines()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--show", "missing.json"], "gpu: missing.json: No such file or directory"),
        (["--show", "empty.json"], "gpu: empty.json: should be a whole result of benchmarks/gpu.py"),
        (["--show", "text.json"], "gpu: text.json: should be a whole result of benchmarks/gpu.py"),
        (["--quick", "--device", "cpu", "--out", "none/x.json"], "gpu: none/x.json: cannot be written: No such file"),
        (["--quick", "--device", "cpu", "--out", "empty.json"], "gpu: empty.json: device: None, but here CPU"),
    ],
)
def test_what_cannot_be_read_or_written_is_refused_in_a_line(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty.json").write_text("{}")
    (tmp_path / "text.json").write_text("no JSON")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["benchmarks/gpu.py", *words])
    monkeypatch.setattr(gpu, "measure", lambda *_: pytest.fail("measures"))
    assert in_a_line(gpu.main) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(said)


def test_what_is_measured_apart_may_fail_or_hang_or_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))  # which the processes are told
    limits = iter([60, 60, 60, 0.3, 60])
    found = dict(apart.apart(misbehave, ["good", "raises", "exits", "hangs", "well"], {"answer": 1}, limits.__next__))
    assert found["good"] == found["well"] == {"answer": 1}
    assert found["raises"] == {"error": "ValueError: first line"}
    assert found["exits"] == {"error": "ended with status 3"}
    assert found["hangs"] == {"error": "took more than 0 s"}


def misbehave(name: str, answer: int) -> dict[str, int]:
    if name == "raises":
        raise ValueError("\n first line\nsecond line")
    if name == "exits":
        os._exit(3)
    if name == "hangs":
        signal.pause()
    return {"answer": answer}


def test_a_second_call_goes_on_and_tries_again_what_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, left = [], [100.0]
    errors = {"bfloat16": {"error": "RuntimeError: no"}}

    def measured(work: Callable, forms: list[str], words: dict, limit: Callable[[], float]) -> Iterator:
        for form in forms:
            asked.append((form, words["device"], limit()))
            left[0] -= 30
            yield form, errors.get(form, {"seconds": 1.0, "batch": 2, "images_per_second": 2.0, "first_seconds": 1.0})

    forms = {"cpu": ("plain", "bfloat16", "none")}
    parts = {name: gpu.Part(gpu_parts.search, forms, ({}, {}), most=50) for name in ("one", "two")}
    monkeypatch.setattr(gpu, "PARTS", parts)
    monkeypatch.setattr(gpu, "RECIPES", {"fairdarts-s1-cifar10": ("one",)})
    monkeypatch.setattr(gpu, "apart", measured)
    out = tmp_path / "gpu.json"
    result = {"kind": "cpu", "quick": False, "device": "CPU", "torch": "2", "date": "today", "parts": {}}
    gpu.measure(result, lambda: left[0], out)
    assert asked == [("plain", "cpu", 50), ("bfloat16", "cpu", 50), ("none", "cpu", 40)]
    result = json.loads(out.read_text())
    assert result["skipped"] == ["two: plain", "two: bfloat16", "two: none"]
    assert result["hours"]["fairdarts-s1-cifar10"]["forms"]["one: plain"] == pytest.approx(9750 * 64 / 3600, abs=0.01)
    asked.clear()
    errors.clear()
    left[0] = 1000
    gpu.measure(result, lambda: left[0], out)
    assert [form for form, _, _ in asked] == ["plain", "bfloat16", "none", "bfloat16"]
    assert "error" not in json.loads(out.read_text())["parts"]["one"]["bfloat16"]
    assert "not measured" not in table(json.loads(out.read_text()))


def test_a_batch_that_does_not_fit_gives_way_to_a_smaller_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def step(train: tuple, valid: tuple) -> None:
        if len(train[0]) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate")

    monkeypatch.setattr(gpu_parts.search_step, "step_of", lambda name, learner, device: step)
    words = {"device": "cpu", "space": "nasbench201", "size": (1, 2), "image": 8, "budget": 0.0}
    found = gpu_parts.search("none", batches=(8, 4, 2), **words)
    why = "OutOfMemoryError: CUDA out of memory."
    assert (found["batch"], found["failed"]) == (2, {"8": why, "4": why})
    assert gpu_parts.search("none", batches=(8, 4), **words) == {"error": why}
