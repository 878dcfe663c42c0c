"""A whole search: what it leaves behind, what decides it, and that a stop at any step changes nothing."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from runs import Broken, Watch, metrics, same

from fairdarts.checking import check
from fairdarts.config import Notice, UserError
from fairdarts.data.given import given
from fairdarts.data.sources import open_source
from fairdarts.differentiable import loop
from fairdarts.differentiable.loop import learning_rate, search
from fairdarts.differentiable.settings import SearchSettings
from fairdarts.differentiable.setup import make_learner
from fairdarts.genotype import CellGenotype, read
from fairdarts.reading import read_yaml
from fairdarts.runtime import checkpoint
from fairdarts.runtime.device import LAYOUTS
from fairdarts.runtime.position import TIMES
from fairdarts.runtime.run import RunDirectory, create, open_run
from fairdarts.runtime.stop import Diverged, Interrupted
from fairdarts.spaces.space import load_space
from fairdarts.supernet.cell import SuperCell

STEPS_AN_EPOCH, EPOCHS = 4, 3
LAST = STEPS_AN_EPOCH * EPOCHS


Go = Callable[..., CellGenotype]


@pytest.fixture
def go(tiny_recipe: Path) -> Go:
    """Searches into a run directory of a name, or goes on with it, under a watch and changed settings."""

    def run(name: str, watch: Watch | None = None, resume: bool = False, spoil: Any = None, **overrides: Any):
        settings = check(SearchSettings, read_yaml(tiny_recipe), tiny_recipe, overrides)
        path, space, source = tiny_recipe.parent / name, load_space(settings.space), open_source(settings.data)
        watch = watch or Watch()
        place = open_run(path) if resume else create(path, settings, space)
        source = source._replace(dataset=spoil(source.dataset)) if spoil else source
        return search(settings, space, source, place, watch, watch.stop, resume)

    return run


def assert_same_search(one: Path, other: Path) -> None:
    assert metrics(one) == metrics(other)
    assert same(checkpoint.load(RunDirectory(one).last), checkpoint.load(RunDirectory(other).last))
    found, expected = (read(path / "genotypes" / "final.yaml") for path in (one, other))
    assert (found.normal, found.reduce) == (expected.normal, expected.reduce)


@pytest.mark.parametrize("mode", ["none", "default", "reduce-overhead"])
def test_cells_are_compiled_in_the_mode_that_is_asked_for(
    tiny_recipe: Path, monkeypatch: pytest.MonkeyPatch, mode: str
):
    compiled = []
    monkeypatch.setattr(SuperCell, "compile", lambda cell, **options: compiled.append((cell, options)), raising=False)
    settings = check(SearchSettings, read_yaml(tiny_recipe), tiny_recipe, {"compute.compile": mode})
    learner = make_learner(settings, load_space(settings.space), open_source(settings.data), torch.device("cpu"))
    expected = [] if mode == "none" else [(cell, {"mode": mode, "dynamic": False}) for cell in learner.supernet.stages]
    assert compiled == expected


def test_a_search_leaves_a_complete_run_behind(go: Go, tmp_path: Path):
    watch = Watch()
    genotype = go("run", watch)
    run = tmp_path / "run"
    assert (open_run(run).verb, open_run(run).state) == ("search", "finished")
    assert watch.steps == [(epoch, step, STEPS_AN_EPOCH) for epoch in (1, 2, 3) for step in (1, 2, 3, 4)]
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in records] == [0, 1, 2, 3]
    assert watch.records == records[1:]
    assert set(records[0]) == {"epoch", "gates", "alphas", "dominant"}
    assert records[0]["gates"]["normal"] == [[0.5] * 3] * 5  # the fair start
    measured = {"train_loss", "train_accuracy", "valid_loss", "valid_accuracy", "zero_one", "lr", *TIMES}
    assert set(records[3]) == set(records[0]) | measured
    alphas = torch.tensor(records[3]["alphas"]["reduce"])
    torch.testing.assert_close(torch.tensor(records[3]["gates"]["reduce"]), alphas.sigmoid())
    settings = check(SearchSettings, read_yaml(run / "settings.yaml"), "settings")
    assert (settings.name, settings.epochs) == ("tiny", EPOCHS)
    assert load_space(str(run / "space.yaml")).name == "tiny"
    assert torch.__version__.startswith(json.loads((run / "versions.json").read_text())["torch"])
    names = sorted(path.name for path in (run / "genotypes").iterdir())
    assert names == ["epoch-001.yaml", "epoch-002.yaml", "epoch-003.yaml", "final.yaml"]
    final, last = (read(run / "genotypes" / f"{name}.yaml") for name in ("final", "epoch-003"))
    assert final == genotype
    assert (final.normal, final.reduce) == (last.normal, last.reduce)
    state = checkpoint.load(RunDirectory(run).last)
    assert (state["epoch"], state["step"]) == (3, 0)
    assert state["alphas"]["normal"].tolist() == records[3]["alphas"]["normal"]


def test_a_seed_decides_every_number(go: Go, tmp_path: Path):
    go("one")
    torch.manual_seed(99)  # what went on before does not count
    go("two")
    go("other", seed="1")
    assert_same_search(tmp_path / "one", tmp_path / "two")
    assert metrics(tmp_path / "one")[1:] != metrics(tmp_path / "other")[1:]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_images_have_the_layout_of_the_settings(go: Go, layouts: set[str], layout: str):
    go("run", epochs="1", curvature="true", **{"compute.layout": layout})
    assert layouts == {layout}


def test_the_loss_of_a_single_level_search_has_no_held_out_part(go: Go, tmp_path: Path):
    go("run", **{"architect.kind": "single_level", "data.train_portion": "1"})
    last = metrics(tmp_path / "run")[-1]
    assert "train_loss" in last
    assert not {"valid_loss", "valid_accuracy"} & set(last)


KINDS = ["first_order", "second_order", "single_level"]


@pytest.mark.parametrize("kind", KINDS)
def test_alpha_stays_as_it_is_while_the_weights_warm_up(go: Go, tmp_path: Path, kind: str):
    go("run", **{"architect.kind": kind, "architect.warmup": "2", "architect.initial_std": "0.1"})
    start, *warm, last = metrics(tmp_path / "run")
    for record in warm:
        assert {part: record[part] for part in ("alphas", "gates", "dominant")} == {
            part: start[part] for part in ("alphas", "gates", "dominant")
        }
        assert set(record) == {*start, "train_loss", "train_accuracy", "zero_one", "lr"}
    assert last["alphas"] != start["alphas"]
    assert ("valid_loss" in last) == (kind != "single_level")
    assert warm[0]["train_loss"] != warm[1]["train_loss"]


def test_while_the_weights_warm_up_all_kinds_are_alike(go: Go, tmp_path: Path):
    for kind in KINDS:
        with pytest.raises(Interrupted):
            go(kind, Watch(epoch=2), **{"architect.kind": kind, "architect.warmup": "2"})
    first, *others = (checkpoint.load(RunDirectory(tmp_path / kind).last) for kind in KINDS)
    assert all(same(first[key], other[key]) for other in others for key in ("supernet", "alphas"))
    first, *others = (metrics(tmp_path / kind) for kind in KINDS)
    assert all(other == first for other in others)


def test_images_a_second_are_those_that_were_looked_at(go: Go, tmp_path: Path):
    go("run", **{"architect.warmup": "1"})
    warm, both = RunDirectory(tmp_path / "run").records()[1:3]
    assert warm["images_per_second"] * warm["seconds"] == pytest.approx(16, rel=0.05)
    assert both["images_per_second"] * both["seconds"] == pytest.approx(32, rel=0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_a_search_stopped_while_it_warms_up_is_as_if_it_never_was(go: Go, tmp_path: Path, kind: str):
    overrides = {"architect.kind": kind, "architect.warmup": "1"}
    go("whole", **overrides)
    for number, step in enumerate((2, 4, 6)):
        with pytest.raises(Interrupted):
            go("stopped", Watch(step=step), resume=number > 0, **overrides)
    go("stopped", resume=True, **overrides)
    assert_same_search(tmp_path / "stopped", tmp_path / "whole")


def test_a_search_that_freezes_candidates_may_be_stopped_between_two_judgements(go: Go, tmp_path: Path):
    overrides = {"architect.kind": "first_order", "freezing.threshold": "0.2", "freezing.steps": "3"}
    go("whole", **overrides)
    for number, step in enumerate((2, 4, 7)):
        with pytest.raises(Interrupted):
            go("stopped", Watch(step=step), resume=number > 0, **overrides)
    go("stopped", resume=True, **overrides)
    assert_same_search(tmp_path / "stopped", tmp_path / "whole")
    assert RunDirectory(tmp_path / "whole").records()[-1]["frozen"] > 0


def test_a_warm_up_of_all_epochs_is_refused(go: Go):
    with pytest.raises(UserError, match=r"architect\.warmup 3: should be below epochs 3, so that α is trained"):
        go("run", **{"architect.warmup": "3"})


@pytest.mark.parametrize(("kind", "relaxation"), [*zip(KINDS, ("sigmoid", "softmax", "sigmoid"), strict=True)])
def test_a_search_stopped_after_every_step_is_as_if_it_never_was(go: Go, tmp_path: Path, kind: str, relaxation: str):
    overrides = {"architect.kind": kind, "relaxation": relaxation, "architect.initial_std": "0.1", "epochs": "2"}
    go("whole", **overrides)
    for step in range(1, 2 * STEPS_AN_EPOCH):
        with pytest.raises(Interrupted):
            go("stopped", Watch(step=step), resume=step > 1, **overrides)
        state = checkpoint.load(RunDirectory(tmp_path / "stopped").last)
        assert state["epoch"] * STEPS_AN_EPOCH + state["step"] == step
        assert len(metrics(tmp_path / "stopped")) == step // STEPS_AN_EPOCH + 1
        assert open_run(tmp_path / "stopped").state == "stopped"
    go("stopped", resume=True, **overrides)
    assert_same_search(tmp_path / "stopped", tmp_path / "whole")


@pytest.mark.parametrize("at", [{"step": 6}, {"epoch": 2}], ids=str)
def test_a_search_stopped_once_is_as_if_it_never_was(go: Go, tmp_path: Path, at: dict[str, int]):
    go("whole")
    with pytest.raises(Interrupted):
        go("stopped", Watch(**at))
    go("stopped", resume=True, **{"data.workers": "1"})
    assert_same_search(tmp_path / "stopped", tmp_path / "whole")


@pytest.mark.parametrize("at", [{"step": LAST}, {"epoch": EPOCHS}], ids=str)
def test_a_stop_asked_for_at_the_very_end_comes_too_late(go: Go, tmp_path: Path, at: dict[str, int]):
    go("run", Watch(**at))
    assert (tmp_path / "run" / "genotypes" / "final.yaml").is_file()


DISTURBED = {
    "noise.on": "output",
    "noise.distribution": "gaussian",
    "noise.std": "1",
    "noise.schedule": "cosine",
    "noise.operations": "[skip_connect]",
    "dropout.unit": "image",
    "dropout.rate": "0.3",
    "dropout.schedule": "rising",
    "dropout.operations": "[skip_connect, dil_conv_3x3]",
}


@pytest.mark.parametrize("on", ["output", "gate"])
def test_a_disturbed_search_that_was_stopped_draws_what_it_would_have_drawn(go: Go, tmp_path: Path, on: str):
    overrides = DISTURBED | {"noise.on": on}
    go("whole", **overrides)
    with pytest.raises(Interrupted):
        go("stopped", Watch(step=6), **overrides)
    go("stopped", resume=True, **overrides, **{"compute.memory": "checkpoint"})
    assert_same_search(tmp_path / "stopped", tmp_path / "whole")
    go("undisturbed")
    assert metrics(tmp_path / "whole")[1] != metrics(tmp_path / "undisturbed")[1]


STOPPED = {"stopping.kind": "skips", "stopping.limit": "1", "derive.threshold": "0.01"}
"""every gate is dominant at this threshold, so the search ends with its first epoch"""


def test_a_search_that_stops_early_keeps_the_genotype_and_says_why(go: Go, tmp_path: Path):
    watch = Watch()
    genotype = go("run", watch, **STOPPED)
    assert [record["epoch"] for record in watch.records] == [1]
    assert "stopped: 5 skip connections are dominant in the normal cell after epoch 1" in genotype.source
    first = read(tmp_path / "run" / "genotypes" / "epoch-001.yaml")
    assert (genotype.normal, genotype.reduce) == (first.normal, first.reduce)
    assert go("run", resume=True, **STOPPED) == genotype
    assert len(metrics(tmp_path / "run")) == 2


def test_a_genotype_of_an_earlier_epoch_may_be_kept(go: Go, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    values = iter((1.0, 2.0, 3.0))
    monkeypatch.setattr(loop, "held_out_curvature", lambda *_: next(values))
    genotype = go("run", **{"stopping.kind": "eigenvalue", "stopping.window": "1", "stopping.ratio": "0.75"})
    assert [record.get("eigenvalue") for record in metrics(tmp_path / "run")] == [None, 1.0, 2.0]
    assert "the genotype of epoch 1 is kept" in genotype.source
    first = read(tmp_path / "run" / "genotypes" / "epoch-001.yaml")
    assert (genotype.normal, genotype.reduce) == (first.normal, first.reduce)


def test_the_curvature_is_logged_where_nothing_stops(go: Go, tmp_path: Path):
    go("whole", curvature="true")
    values = [record.get("eigenvalue") for record in metrics(tmp_path / "whole")]
    assert values[0] is None
    assert all(isinstance(value, float) for value in values[1:])
    with pytest.raises(Interrupted):
        go("stopped", Watch(step=6), curvature="true")
    go("stopped", resume=True, curvature="true")
    assert_same_search(tmp_path / "stopped", tmp_path / "whole")
    go("unmeasured")
    unmeasured = checkpoint.load(RunDirectory(tmp_path / "unmeasured").last)
    assert same(unmeasured["supernet"], checkpoint.load(RunDirectory(tmp_path / "whole").last)["supernet"])


def test_records_behind_the_checkpoint_are_written_again(go: Go, tmp_path: Path):
    """A kill between a record and its checkpoint leaves one record too many."""
    go("whole")
    with pytest.raises(Interrupted):
        go("stopped", Watch(step=6))
    with open(tmp_path / "stopped" / "metrics.jsonl", "a") as file:
        file.write(json.dumps(metrics(tmp_path / "whole")[2] | {"train_loss": -1}) + "\n")
    go("stopped", resume=True)
    assert_same_search(tmp_path / "stopped", tmp_path / "whole")


def test_a_search_goes_on_once_a_broken_image_is_mended(go: Go, tmp_path: Path):
    go("whole")
    with pytest.raises(UserError, match=r"cat\.png"):
        go("broken", spoil=partial(Broken, readings=50))  # in the second of the two batches of a step
    assert checkpoint.load(RunDirectory(tmp_path / "broken").last)["step"] > 0
    go("broken", resume=True)
    assert_same_search(tmp_path / "broken", tmp_path / "whole")


def test_other_images_cannot_continue_a_search(go: Go):
    with pytest.raises(Interrupted):
        go("run", Watch(step=2))
    with pytest.raises(UserError, match=r"data: images \(number, names\): 32 when the run began, 28 now"):
        go("run", resume=True, **{"data.images": "28"})


def test_a_checkpoint_of_another_supernet_is_refused(go: Go, tmp_path: Path):
    with pytest.raises(Interrupted):
        go("run", Watch(step=2))
    with pytest.raises(UserError, match=r"settings.yaml: supernet.channels: None when the run began, 4 now"):
        go("run", resume=True, **{"supernet.channels": "4"})
    last = tmp_path / "run" / "checkpoints" / "last.pt"
    checkpoint.save(last, checkpoint.load(last) | {"weight_optimizer": 3})
    with pytest.raises(checkpoint.BadState, match=f"{last}: does not fit"):
        go("run", resume=True)


def test_settings_edited_in_a_run_cannot_continue_it(go: Go, tmp_path: Path):
    with pytest.raises(Interrupted):
        go("run", Watch(step=2))
    for key, value in {"weights.lr": "0.2", "zero_one.weight": "1", "threads": "2"}.items():
        with pytest.raises(checkpoint.BadState, match=key):
            go("run", resume=True, **{key: value})
    torch.set_num_threads(1)
    go("run", resume=True, save_minutes="3")


def test_lost_records_are_written_again_from_the_checkpoint(go: Go, tmp_path: Path):
    with pytest.raises(Interrupted):
        go("run", Watch(step=6))
    lines = tmp_path / "run" / "metrics.jsonl"
    lines.write_text(lines.read_text().splitlines(keepends=True)[1])
    with pytest.warns(Notice, match=r"metrics\.jsonl: did not hold every epoch until 1 once; written again"):
        go("run", resume=True)
    go("whole")
    assert metrics(tmp_path / "run") == metrics(tmp_path / "whole")


def test_a_loss_that_is_no_longer_finite_ends_the_search(go: Go):
    with pytest.raises(UserError, match=r"the loss is no longer finite in epoch 1; lower weights\.lr") as error:
        go("run", **{"weights.lr": "1.0e+20"})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", KINDS)
def test_what_goes_wrong_while_the_weights_warm_up_is_never_of_alpha(go: Go, kind: str):
    told = {"architect.kind": kind, "architect.warmup": "1", "weights.lr": "1.0e+20"}
    with pytest.raises(Diverged) as of_loss:
        go("loss", **told)
    assert str(of_loss.value).endswith(": the loss is no longer finite in epoch 1; lower weights.lr (1e+20)")
    with pytest.raises(Diverged) as of_weights:
        go("weights", **told, **{"weights.weight_decay": "1.0e+20", "data.batch_size": "16"})
    assert str(of_weights.value).endswith(": the weights are no longer finite in epoch 1; lower weights.lr (1e+20)")


@pytest.mark.parametrize("kind", KINDS)
def test_what_went_wrong_first_decides_which_learning_rate_is_to_be_lowered(go: Go, kind: str):
    huge = {"architect.lr": "1.0e+20", "architect.weight_decay": "1.0e+19"}
    with pytest.raises(Diverged) as of_alphas:
        go("alphas", **{"architect.kind": kind}, **huge)
    with pytest.raises(Diverged) as of_weights:
        go("weights", **{"architect.kind": kind, "weights.lr": "1.0e+20"})
    if kind == "single_level":  # one loss, from which both learn
        assert str(of_alphas.value).endswith(
            "are no longer finite in epoch 1; lower weights.lr (0.1) or architect.lr (1e+20)"
        )
    else:
        assert str(of_alphas.value).endswith(": α is no longer finite in epoch 1; lower architect.lr (1e+20)")
        assert str(of_weights.value).endswith(": the loss is no longer finite in epoch 1; lower weights.lr (1e+20)")
    assert "lower weights.lr (1e+20)" in str(of_weights.value)


def test_weights_that_the_last_step_of_an_epoch_spoils_are_not_derived_from(go: Go, tmp_path: Path):
    huge = {"weights.lr": "1.0e+20", "weights.weight_decay": "1.0e+20", "data.batch_size": "16"}
    with pytest.raises(Diverged, match=r"the weights are no longer finite in epoch 1; lower weights\.lr \(1e\+20\)"):
        go("run", **huge)
    assert list((tmp_path / "run" / "genotypes").iterdir()) == []
    assert len(metrics(tmp_path / "run")) == 1
    with pytest.raises(checkpoint.BadState, match=r"settings.yaml: weights.lr: 1e\+20 when the run began, 0.1 now"):
        go("run", resume=True, **(huge | {"weights.lr": "0.1"}))
    assert open_run(tmp_path / "run").state == "diverged"
    with pytest.raises(Diverged) as again:
        go("run", resume=True, **huge)
    assert open_run(tmp_path / "run").divergence == str(again.value)


@pytest.mark.parametrize(("kind", "limit"), [("first_order", 8), ("single_level", 24)])
def test_a_batch_larger_than_its_part_of_the_images_is_refused(go: Go, kind: str, limit: int):
    overrides = {"architect.kind": kind, "data.train_portion": "0.75", "data.batch_size": "25"}
    with pytest.raises(UserError, match=f"data.batch_size: 25: should be at most {limit}"):
        go("run", **overrides)


def test_the_learning_rate_is_that_of_torch_s_cosine():
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.025)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=50, eta_min=0.001)
    for epoch in range(51):
        assert learning_rate(epoch, 50, 0.025, 0.001) == pytest.approx(schedule.get_last_lr()[0], rel=1e-9)
        optimizer.step()
        schedule.step()
    assert learning_rate(0, 50, 0.025, 0.001) == 0.025
    assert learning_rate(50, 50, 0.025, 0.001) == 0.001


def test_the_learning_rate_of_an_epoch_is_recorded_and_used(go: Go, tmp_path: Path):
    go("run")
    rates = [record["lr"] for record in metrics(tmp_path / "run")[1:]]
    assert rates == [learning_rate(epoch, EPOCHS, 0.1, 0.001) for epoch in range(EPOCHS)]
    state = checkpoint.load(RunDirectory(tmp_path / "run").last)
    assert state["weight_optimizer"]["param_groups"][0]["lr"] == rates[-1]


def test_a_search_killed_before_its_first_checkpoint_begins_anew(go: Go, tmp_path: Path):
    go("whole")
    go("killed", epochs="1")
    checkpoints, lines = tmp_path / "killed" / "checkpoints", tmp_path / "killed" / "metrics.jsonl"
    (checkpoints / "last.pt").unlink()
    lines.write_text(lines.read_text().splitlines(keepends=True)[0] + '{"epoch": 1, "ga')
    go("killed", resume=True)
    assert_same_search(tmp_path / "killed", tmp_path / "whole")


def test_a_lost_checkpoint_is_not_begun_anew(go: Go, tmp_path: Path):
    go("run", epochs="1")
    (tmp_path / "run" / "checkpoints" / "last.pt").unlink()
    with pytest.raises(checkpoint.BadState, match=r"last\.pt: no such checkpoint"):
        go("run", resume=True)
    assert len(metrics(tmp_path / "run")) == 2


def test_a_search_on_images_from_python_goes_on_with_the_same_ones(tiny_recipe: Path, tmp_path: Path):
    images = np.random.default_rng(0).integers(0, 256, (32, 16, 16, 1)) / 255
    data = {"train": (images, np.arange(32) % 4), "test": (images[:4], np.arange(4))}
    told = {"kind": "given", "batch_size": 4, "workers": 0, "train_portion": 0.5, "cutout": 0, "range": [0, 1]}
    content = read_yaml(tiny_recipe) | {"data": told}

    def go(name: str, watch: Watch, resume: bool = False) -> None:
        path = tmp_path / name
        begun = read_yaml(path / "settings.yaml") if resume else content
        settings = check(SearchSettings, begun, tiny_recipe)
        source, filled = given(data, settings.data)
        settings = settings.model_copy(update={"data": filled})
        space = load_space(settings.space)
        run = open_run(path) if resume else create(path, settings, space)
        search(settings, space, source, run, watch, watch.stop, resume)

    go("whole", Watch())
    with pytest.raises(Interrupted):
        go("stopped", Watch(step=6))
    go("stopped", Watch(), resume=True)
    assert_same_search(tmp_path / "whole", tmp_path / "stopped")
    data["train"] = 1 - images, data["train"][1]
    with pytest.raises(UserError, match="data: other pixels or labels than the run began with"):
        go("stopped", Watch(), resume=True)
