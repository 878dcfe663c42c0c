"""Noise and dropout: their size, their schedules, where they act, and that their seed and place decide them."""

import math

import pytest
import torch
from one_shot import IRREGULAR

from fairdarts.disturbance import Disturbance
from fairdarts.noise import SCHEDULES, DropoutSettings, NoiseSettings
from fairdarts.relaxation import initial_alphas
from fairdarts.spaces.gates import Part

CANDIDATES = ("max_pool_3x3", "skip_connect", "sep_conv_3x3")


def noise(**changes: object) -> NoiseSettings:
    own = {"on": "output", "distribution": "gaussian", "std": 2, "schedule": "constant", "operations": ["skip_connect"]}
    return NoiseSettings(**own | changes)


def dropout(**changes: object) -> DropoutSettings:
    own = {"unit": "element", "rate": 0.25, "schedule": "constant", "operations": ["skip_connect"]}
    return DropoutSettings(**own | changes)


@pytest.mark.parametrize(
    ("name", "at_start", "half_way", "at_end"),
    [
        ("constant", 1, 1, 1),
        ("cosine", 1, 0.5, 0),
        ("exponential", 1, math.exp(-2.5), math.exp(-5)),
        ("rising", 0, 0.5, 1),
    ],
)
def test_schedules(name: str, at_start: float, half_way: float, at_end: float):
    assert [SCHEDULES[name](done) for done in (0, 0.5, 1)] == pytest.approx([at_start, half_way, at_end])


@pytest.mark.parametrize("distribution", ["gaussian", "uniform"])
@pytest.mark.parametrize(("schedule", "done", "std"), [("constant", 0.5, 2), ("cosine", 0, 2), ("cosine", 0.5, 1)])
def test_noise_on_outputs_has_its_deviation(distribution: str, schedule: str, done: float, std: float):
    disturbance = Disturbance(noise(distribution=distribution, schedule=schedule), None, 0, done)
    x = torch.full((8, 4, 32, 32), 5.0).contiguous(memory_format=torch.channels_last)
    added = disturbance.of_output(x, "skip_connect", 0, 0, 1) - x
    assert added.mean().abs() < 0.05 * std
    assert added.std().item() == pytest.approx(std, rel=0.02)
    kurtosis = 3 if distribution == "gaussian" else 1.8  # of the fourth moment, in units of the squared variance
    assert (added.pow(4).mean() / std**4).item() == pytest.approx(kurtosis, rel=0.05)


def test_what_is_drawn_follows_from_seed_and_place_alone():
    x = torch.zeros(2, 2, 4, 4)
    places = [(seed, *place) for seed in (0, 1) for place in ((0, 0, 1), (1, 0, 1), (0, 1, 1), (0, 0, 2))]

    def draw() -> list[torch.Tensor]:
        return [Disturbance(noise(), None, seed, 0).of_output(x, "skip_connect", *at) for seed, *at in places]

    before = torch.get_rng_state()
    first, second = draw(), draw()
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
    assert len({one.sum().item() for one in first}) == len(places)


def test_parts_of_a_batch_are_disturbed_apart_but_share_the_noise_on_alpha():
    x, alphas = torch.zeros(2, 2, 4, 4), {"normal": torch.zeros(5, 3)}
    parts = [Disturbance(noise(), dropout(), 0, 0, shard) for shard in (0, 1, 2)]
    outputs = [part.of_output(x, "skip_connect", 0, 0, 1) for part in parts]
    assert len({output.sum().item() for output in outputs}) == 3
    space_parts = {"normal": Part(tuple(range(5)), CANDIDATES)}
    on_alpha = [
        Disturbance(noise(on="gate"), None, 0, 0, shard).of_alphas(alphas, space_parts)["normal"] for shard in (0, 1)
    ]
    assert torch.equal(*on_alpha)
    assert on_alpha[0].any()


def test_noise_on_gates_moves_alpha_of_its_operations_alone():
    alphas = {cell: torch.zeros(4000, 3, requires_grad=True) for cell in ("normal", "reduce")}
    parts = {cell: Part(tuple(range(4000)), CANDIDATES) for cell in alphas}
    found = Disturbance(noise(on="gate"), None, 0, 0).of_alphas(alphas, parts)
    for cell, alpha in found.items():
        assert not alpha[:, [0, 2]].any()
        assert alpha[:, 1].std().item() == pytest.approx(2, rel=0.05)
        (gradient,) = torch.autograd.grad(alpha.sum(), alphas[cell])
        assert (gradient == 1).all()
    assert not torch.equal(found["normal"], found["reduce"])
    assert Disturbance(noise(on="output"), None, 0, 0).of_alphas(alphas, parts) is alphas


def test_noise_on_gates_finds_its_operation_in_every_part_that_has_it():
    alphas = initial_alphas(IRREGULAR, 0, torch.Generator())
    found = Disturbance(noise(on="gate", operations=["E2K3"]), None, 0, 0).of_alphas(alphas, IRREGULAR.parts)
    for name, part in IRREGULAR.parts.items():
        moved = [part.candidates[column] for column in found[name].any(0).nonzero().flatten().tolist()]
        assert moved == [op for op in part.candidates if op == "E2K3"]
    assert {name for name, alpha in found.items() if alpha.any()} == {"layers-1", "layers-3"}


@pytest.mark.parametrize("unit", ["element", "image"])
def test_dropout_drops_its_rate_and_keeps_the_mean(unit: str):
    x = torch.ones(4000, 2, 3, 3)
    found = Disturbance(None, dropout(unit=unit), 0, 0).of_output(x, "skip_connect", 0, 0, 1)
    assert found.unique().tolist() == pytest.approx([0, 1 / 0.75])
    assert (found == 0).float().mean().item() == pytest.approx(0.25, abs=0.02)
    whole = (found == found[:, :1, :1, :1]).flatten(1).all(1)
    assert whole.all() if unit == "image" else whole.float().mean() < 0.1


def test_a_disturbance_touches_what_its_settings_name():
    both = Disturbance(noise(), dropout(operations=["sep_conv_3x3"]), 0, 0)
    assert [both.touches(name) for name in CANDIDATES] == [False, True, True]
    x = torch.ones(2, 2, 3, 3)
    dropped = both.of_output(x, "sep_conv_3x3", 0, 0, 2)
    assert dropped.unique().tolist() == pytest.approx([0, 4 / 3])
    assert not any(Disturbance(noise(on="gate"), None, 0, 0).touches(name) for name in CANDIDATES)
