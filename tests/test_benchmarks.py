"""The benchmark programs run, and the library's step is the plain one: they end where float64 does not agree."""

import json
import math
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from processes import launch

from fairdarts.spaces.space import load_space

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_search_step_agrees_with_the_plain_one_and_is_measured(tmp_path: Path):
    words = ["--cells", "3", "--channels", "2", "--batch", "4", "--pairs", "2", "--out", str(tmp_path / "result.json")]
    words += ["--variants", "none", "recompute", "checkpoint", "--compared", "6"]
    subprocess.run([sys.executable, str(ROOT / "benchmarks" / "search_step.py"), *words], check=True)
    result = json.loads((tmp_path / "result.json").read_text())
    assert set(result["difference_float64"]) == {"fairdarts-s1-cifar10", "darts-s1-cifar10"}
    assert all(0 < apart < 1e-10 for apart in result["difference_float64"].values())
    plain, *library = (result["steps"][name] for name in ("plain", "none", "recompute", "checkpoint"))
    assert (plain["ratio_quartiles"], plain["saved"], plain["peak"]) == ([1, 1, 1], 1, 1)
    assert all(0 < step["share_of_peak"] < 1 and step["peak"] > 0 for step in library)
    assert result["steps"]["plain channels_last"]["ratio_channels_last_quartiles"] == [1, 1, 1]
    none, recompute, checkpoint = (step["saved"] for step in library)
    assert 0 < checkpoint < recompute < none < 1


@pytest.mark.slow
def test_the_step_of_a_chain_is_measured_too(tmp_path: Path):
    words = ["--space", "s2-small", "--batch", "8", "--image", "32", "--pairs", "2"]
    words += ["--variants", "none", "2 parts", "--out", str(tmp_path / "result.json")]
    subprocess.run([sys.executable, str(ROOT / "benchmarks" / "search_step.py"), *words], check=True)
    result = json.loads((tmp_path / "result.json").read_text())
    assert set(result["difference_float64"]) == {"fairdarts-s2-small", "darts-s2-small"}
    assert all(0 < apart < 1e-10 for apart in result["difference_float64"].values())
    saved = {name: step["saved"] for name, step in result["steps"].items()}
    assert saved["plain"] == 1 > saved["none"] > saved["2 parts"] > 0


@pytest.mark.slow
def test_the_step_of_nasbench201_is_measured_too(tmp_path: Path):
    words = ["--space", "nasbench201", "--cells", "1", "--channels", "4", "--batch", "4", "--image", "16"]
    words += ["--pairs", "2", "--variants", "none", "checkpoint", "--out", str(tmp_path / "result.json")]
    subprocess.run([sys.executable, str(ROOT / "benchmarks" / "search_step.py"), *words], check=True)
    result = json.loads((tmp_path / "result.json").read_text())
    assert set(result["difference_float64"]) == {"fairdarts-nasbench201", "darts-nasbench201"}
    assert all(0 < apart < 1e-10 for apart in result["difference_float64"].values())
    assert (result["cells"], result["channels"]) == (1, 4)
    saved = {name: step["saved"] for name, step in result["steps"].items()}
    assert saved["plain"] == 1 > saved["none"] > saved["checkpoint"] > 0


@pytest.mark.slow
def test_the_fair_step_agrees_with_m_plain_passes_and_is_measured(tmp_path: Path):
    words = ["--space", "nas-bench-macro-small", "--batch", "4", "--image", "16", "--pairs", "2"]
    words += ["--out", str(tmp_path / "result.json")]
    subprocess.run([sys.executable, str(ROOT / "benchmarks" / "fair_step.py"), *words], check=True)
    result = json.loads((tmp_path / "result.json").read_text())
    assert 0 < result["difference_float64"] < 1e-10
    assert result["steps"].keys() == {
        "plain",
        "plain channels_last",
        "float32",
        "float32, memory given back",
    }
    assert result["steps"]["plain"]["ratio_quartiles"] == [1, 1, 1]
    assert result["steps"]["plain channels_last"]["ratio_channels_last_quartiles"] == [1, 1, 1]
    assert result["passes"] == 3


def test_ratios_are_told_against_both_plain_forms_round_by_round(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from measured import ratios

    found = ratios([1.0, 2.0, 1.0], plain=[4.0, 4.0, 6.0], channels_last=[2.0, 2.0, 2.0])
    assert found["ratio_quartiles"] == [3, 4, 5]  # of 4, 2 and 6, not the 4 that medians give
    assert found["ratio_channels_last_quartiles"] == [1.5, 2, 2]


def test_a_difference_that_is_nan_is_not_passed_over(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import fair_step
    import gpu_parts
    import search_step
    from measured import largest

    assert largest([1e-12, 3e-12, 2e-12]) == 3e-12
    assert math.isnan(largest([0.0, math.nan, 1.0]))

    def spoil(learner: SimpleNamespace, *_: object) -> None:
        list(learner.supernet.parameters())[-1].data.fill_(math.nan)

    for program, step in ((fair_step, "supernet_step"), (search_step, "library_step")):
        monkeypatch.setattr(program, step, spoil)
    assert math.isnan(fair_step.difference("nas-bench-macro-small"))
    assert math.isnan(search_step.difference("fairdarts-nasbench201", "nasbench201", (1, 2), 1))
    monkeypatch.setattr(search_step, "apart", lambda one, _: math.nan if one.dim() < 2 else 0.0)
    found = gpu_parts.parity("s1", "cpu", (2, 2), steps=1, most=1, few=True)
    assert math.isnan(found["differences"]["weights"][0])


def test_a_process_that_steps_when_asked_says_how_it_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from measured import Server

    program = tmp_path / "program.py"
    program.write_text("import sys\nsys.stdin.readline()\nprint(0.5, flush=True)\nsys.stdin.readline()\nsys.exit(3)\n")
    server = Server(str(program), ["--serve", "official"])
    assert server.seconds() == 0.5
    with pytest.raises(SystemExit, match="--serve official ended with status 3"):
        server.seconds()


def test_a_processor_is_named_with_its_vectors_and_cores(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from circumstances import processor

    thread = "processor : {0}\nmodel name : Some CPU\ncpu family : 25\nmodel : 1\nphysical id : 0\ncore id : {1}\n"
    text = "\n".join(thread.format(number, number // 2) + "flags : fpu avx2 sse fma\n" for number in range(4))
    (tmp_path / "cpuinfo").write_text(text)
    found = processor(tmp_path / "cpuinfo")
    assert (found["processor"], found["flags"], found["cores"]) == ("Some CPU (family 25, model 1)", "avx2 fma", 2)
    without = processor(tmp_path / "nothing")
    assert without["processor"]
    assert "cores" not in without


def test_decoding_is_measured_against_images_that_are_decoded(tmp_path: Path):
    words = ["--decode", "--photos", "8", "--batch", "4", "--size", "32", "--pairs", "2", "--workers", "0", "1"]
    words += ["--out", str(tmp_path / "result.json")]
    done = launch(ROOT / "benchmarks" / "loader.py", *words, ranks=1)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "result.json").read_text())
    files = {f"files_{workers}_workers" for workers in (0, 1)}
    assert result["ratio_quartiles"].keys() == files
    assert result["images_per_second_quartiles"].keys() == files | {"decoded"}


def test_loaders_are_measured_in_pairs(tmp_path: Path):
    words = ["--images", "64", "--batch", "8", "--pairs", "2", "--cutout", "4", "--out", str(tmp_path / "result.json")]
    done = launch(ROOT / "benchmarks" / "loader.py", *words, ranks=1)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "result.json").read_text())
    others = {"streamed", "official_2_workers", "official_0_workers"}
    assert result["ratio_quartiles"].keys() == others
    assert result["seconds_quartiles"].keys() == others | {"memory"}
    for low, median, high in [*result["seconds_quartiles"].values(), *result["ratio_quartiles"].values()]:
        assert 0 < low <= median <= high
    assert result["command"].endswith(" ".join(words))


def test_the_fair_step_agrees_with_m_plain_passes(monkeypatch: pytest.MonkeyPatch):
    """The measurement itself takes steps of four processes by turns, each of which imports the library."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import fair_step

    assert 0 < fair_step.difference("nas-bench-macro-small") < 1e-10
    monkeypatch.setattr(fair_step, "keep_memory", lambda: None)  # which would stay so for the tests to come
    given = SimpleNamespace(space="nas-bench-macro-small", device="cpu")
    generator = torch.Generator().manual_seed(0)
    one = fair_step.batch(4, 16, torch.float32, torch.device("cpu"), generator)
    drawn = fair_step.StrictFair(load_space(given.space), generator).draw(0.0)
    for name in ("plain", "plain channels_last", *fair_step.VARIANTS["cpu"]):
        fair_step.step_of(name, given)(drawn, one)


def test_judging_by_the_tree_of_paths_finds_the_same_accuracies(tmp_path: Path):
    words = ["--spaces", "nas-bench-macro-small", "--paths", "12", "--batch", "4", "--image", "16", "--pairs", "2"]
    words += ["--out", str(tmp_path / "result.json")]
    done = launch(ROOT / "benchmarks" / "judging.py", *words, ranks=1)
    assert done.returncode == 0, done.stderr
    (space,) = json.loads((tmp_path / "result.json").read_text())["spaces"].values()
    assert space["paths"] == 12
    assert 0 < space["branches"] < 1


def test_latencies_of_choices_are_held_against_whole_networks(tmp_path: Path):
    words = ["--spaces", "nas-bench-macro-small", "--networks", "4", "--rounds", "2"]
    words += ["--out", str(tmp_path / "result.json")]
    done = launch(ROOT / "benchmarks" / "latency.py", *words, ranks=1)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "result.json").read_text())["spaces"]["nas-bench-macro-small"]
    assert result["networks"] == 4
    assert 0 < result["share_quartiles"][0] <= result["share_quartiles"][2]
    assert -1 <= result["tau"] <= 1


def test_the_training_of_a_network_is_measured_by_turns(tmp_path: Path):
    words = ["--cells", "3", "--channels", "2", "--batch", "8", "--rounds", "2", "--steps", "1", "--warm-up", "1"]
    words += ["--threads", "1", "--out", str(tmp_path / "result.json")]
    done = launch(ROOT / "benchmarks" / "training.py", *words, ranks=1)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "result.json").read_text())
    plain, channels_last, library = result["ways"].values()
    assert plain["ratio_quartiles"] == channels_last["ratio_channels_last_quartiles"] == [1, 1, 1]
    assert library["images_per_second"] > 0
    for found in (plain, channels_last, library):
        assert 0 < found["ratio_quartiles"][0] <= found["ratio_quartiles"][2]
    assert result["multiply_adds"] > 0
    assert result["command"].endswith(" ".join(words))


def test_groups_of_commands_are_named_where_one_is_unknown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import start
    from kept import in_a_line

    monkeypatch.setattr("sys.argv", ["benchmarks/start.py", "--only", "recipes", "nothing"])
    monkeypatch.setattr(start, "timed", lambda *_: pytest.fail("measures"))
    assert in_a_line(start.main) == 2
    said = capsys.readouterr().err
    assert said.startswith("start: --only: 'nothing': should be some of 'VERB --help', 'recipes', ")
    assert said.count("\n") == 1


@pytest.mark.slow
def test_starting_is_measured_in_units_of_torch(tmp_path: Path):
    words = ["--rounds", "2", "--only", "recipes", "zoo FILE", "--out", str(tmp_path / "result.json")]
    subprocess.run([sys.executable, str(ROOT / "benchmarks" / "start.py"), *words], check=True)
    result = json.loads((tmp_path / "result.json").read_text())
    assert [*result["commands"]] == ["recipes", "zoo FILE"]
    recipes, zoo = (result["commands"][name]["cpu_ratio_quartiles"][1] for name in ("recipes", "zoo FILE"))
    assert 0 < recipes < 1 < zoo  # the first loads no torch, the second does
