"""benchmarks/second_order.py: what it measures of second-order DARTS is right, and the search does not notice."""

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from PIL import Image
from search_steps import learner_of, settings_of, stream

from fairdarts.differentiable.architect import second_order
from fairdarts.differentiable.learner import StepIndex
from fairdarts.differentiable.settings import SearchSettings

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
TINY = 1e-7


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    import second_order

    return second_order


@pytest.fixture
def settings() -> SearchSettings:
    return settings_of("second_order", "softmax", 0, "squared", 5)


def test_where_no_relu_switches_the_difference_is_the_exact_correction(program: ModuleType, settings: SearchSettings):
    train, valid = next(stream(1)), next(stream(2))
    point = program.measure(learner_of(settings), train, valid, ["float64"], [0.3, TINY], move=False)
    far, near = (point["float64"]["differences"][f"{length:g}"] for length in (0.3, TINY))
    assert point["switched"]["0.3"] > 0 == point["switched"][f"{TINY:g}"]
    assert near["cosine"] == pytest.approx(1, abs=1e-6)
    assert near["ratio"] == pytest.approx(1, abs=1e-6)
    assert near["gradient_error"] < 1e-6 < 1e-3 < far["error"]
    assert far["cosine"] < 1 - 1e-3
    assert far["error"] ** 2 == pytest.approx(1 + far["ratio"] ** 2 - 2 * far["ratio"] * far["cosine"])
    exact = point["float64"]["exact"]
    assert (exact["cosine"], exact["error"], exact["gradient_error"]) == (pytest.approx(1), 0, 0)


def test_moving_alpha_finds_the_exact_correction_where_no_relu_switches(program: ModuleType, settings: SearchSettings):
    settings = settings.model_copy(update={"architect": settings.architect.model_copy(update={"lr": 1e-6})})
    train, valid = next(stream(1)), next(stream(2))
    learner, untouched = learner_of(settings), learner_of(settings)
    moved = program.measure(learner, train, valid, ["float64"], [TINY], move=True)["moved"]
    assert moved["correction_cosine"]["exact"] == pytest.approx(1, abs=1e-3)
    assert moved["correction_error"]["exact"] < 0.05
    assert all(torch.equal(learner.alphas[part], alpha) for part, alpha in untouched.alphas.items())


def test_what_is_measured_is_the_gradient_that_the_step_takes(program: ModuleType, settings: SearchSettings):
    learner, train, valid = learner_of(settings), next(stream(1)), next(stream(2))
    own = program.taken(program.copy_in(learner, torch.float64), train, valid, [TINY])
    before = program.flat(list(learner.alphas.values()))
    second_order(learner, train, valid)
    average = program.flat([state["exp_avg"] for state in learner.alpha_optimizer.state.values()])
    gradient = average / (1 - settings.architect.betas[0]) - settings.architect.weight_decay * before
    torch.testing.assert_close(gradient, own.uncorrected - own.slope * own.exact, rtol=1e-9, atol=1e-12)


def test_a_search_goes_on_as_if_nobody_had_measured(program: ModuleType, settings: SearchSettings):
    ends = []
    for measured in (False, True):
        learner, (train, valid) = learner_of(settings), map(stream, (1, 2))
        for number in range(3):
            batches = next(train), next(valid)
            if measured:
                program.measure(learner, *batches, ["float32", "float64"], [0.01], move=False)
            second_order(learner, *batches, StepIndex(0, number))
        ends.append([*learner.alphas.values(), *learner.supernet.state_dict().values()])
    assert all(torch.equal(one, other) for one, other in zip(*ends, strict=True))


def test_the_program_measures_along_a_search(
    program: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    generator = torch.Generator().manual_seed(0)
    for number in range(16):
        folder = tmp_path / "images" / "train" / f"class {number % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        pixels = torch.randint(256, (8, 8, 3), generator=generator, dtype=torch.uint8).numpy()
        Image.fromarray(pixels).save(folder / f"{number}.png")
    out = tmp_path / "result.json"
    words = ["--root", str(tmp_path / "images"), "--image", "8", "--batch", "4", "--at", "0", "2", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["second_order.py", *words, "--lengths", "0.01", "0.001"])
    program.main()
    result = json.loads(out.read_text())
    assert [(point["step"], point["epoch"]) for point in result["points"]] == [(0, 0), (2, 1)]
    assert (result["recipe"], result["channels"], result["batch"]) == ("darts-second-order-nasbench201", 8, 4)
    for point in result["points"]:
        assert point["float64"]["differences"].keys() == {"0.01", "0.001"}
        assert all(0 < point["switched"][length] < 1 for length in ("0.01", "0.001"))
        assert point["uncorrected"]["gradient_error"] == pytest.approx(point["float64"]["exact"]["size"], rel=0.5)


def test_the_figure_has_the_mean_by_epsilon_and_every_step(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import second_order_figure

    def told(*cosines: float) -> dict:
        lengths = ("0.01", "0.001")
        return {"differences": {length: {"cosine": own} for length, own in zip(lengths, cosines, strict=True)}}

    points = [
        {"step": 0, "float32": told(0.2, 0.6), "float64": told(0.3, 0.8)},
        {"step": 62, "float32": told(0.4, 0.8), "float64": told(0.5, 1)},
    ]
    size = {"recipe": "darts-second-order-nasbench201", "cells": 1, "channels": 8, "image": 16}
    info = second_order_figure._info([{**size, "points": points}])
    (name,) = info.by_length
    assert name == "NAS-Bench-201, 1 × 8, 16 px"
    assert info.by_length[name]["float32"] == [(0.001, pytest.approx(0.7)), (0.01, pytest.approx(0.3))]
    assert info.by_step[name] == {"0.001": [(0, 0.8), (62, 1)], "0.01": [(0, 0.3), (62, 0.5)]}
    left, right = second_order_figure._figure(info).axes
    assert [len(left.get_lines()), len(right.get_lines())] == [3, 2]
