"""A whole training: what it leaves behind, what decides it, and that a stop at any step changes nothing."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from statistics import fmean, pstdev, pvariance
from typing import Any

import pytest
import torch
from one_shot import CHAIN, CLASSES, IRREGULAR, chain, settings_of

from fairdarts.config import UserError
from fairdarts.data.serve import still_batches
from fairdarts.data.sources import Source, open_source
from fairdarts.oneshot.evaluate import Evaluator
from fairdarts.oneshot.samplers import make_sampler, tally
from fairdarts.oneshot.settings import TrainingSettings
from fairdarts.oneshot.state import load_weights
from fairdarts.oneshot.train import check_fit, held_out_images, learning_rate, make_learner, train
from fairdarts.runtime import checkpoint, distributed
from fairdarts.runtime.checkpoint import BadState
from fairdarts.runtime.position import TIMES
from fairdarts.runtime.run import Run, create, open_run
from fairdarts.runtime.seed import PATHS, WATCHED, fold
from fairdarts.runtime.stop import Diverged, Interrupted, Stop
from fairdarts.spaces.paths import PathSpace, random_path
from fairdarts.supernet.path import path_supernet

STEPS_AN_EPOCH, EPOCHS = 4, 3
LAST = STEPS_AN_EPOCH * EPOCHS
TINY = {
    "epochs": EPOCHS,
    "data.images": 32,
    "data.image_size": 8,
    "data.classes": CLASSES,
    "data.batch_size": 4,
    "watch.paths": 3,
    "watch.images": 5,
}
SAMPLERS: dict[str, dict[str, Any]] = {
    "strict_fair": {"kind": "strict_fair"},
    "uniform": {"kind": "uniform"},
    "uniform_repeat": {"kind": "uniform_repeat", "repeats": 2},
    "one_shot": {"kind": "one_shot", "rate": 0.5},
    "architecture": {"kind": "architecture"},
}


class Watch:
    """Asks for a stop after a step (counted from 1 over the whole training), or after an epoch; else only looks on."""

    def __init__(self, step: int | None = None, epoch: int | None = None):
        self.stop, self.at_step, self.at_epoch = Stop(), step, epoch
        self.steps: list[tuple[int, int, int]] = []
        self.sums: list[list[float]] = []
        self.records: list[dict] = []

    def step(self, epoch: int, step: int, steps: int, sums: torch.Tensor) -> None:
        self.steps.append((epoch, step, steps))
        self.sums.append(sums.tolist())
        if (epoch - 1) * steps + step == self.at_step:
            self.stop.signal = 15

    def epoch(self, record: dict) -> None:
        self.records.append(record)
        if record["epoch"] == self.at_epoch:
            self.stop.signal = 15


Go = Callable[..., TrainingSettings]


def trained(
    path: Path,
    watch: Watch | None = None,
    resume: bool = False,
    sampler: str = "strict_fair",
    space: PathSpace = CHAIN,
    spoil: Callable | None = None,
    **overrides: Any,
) -> TrainingSettings:
    """Trains into a run directory, or goes on with it, under a watch and changed settings, which it gives."""
    settings, watch = settings_of(SAMPLERS[sampler], **(TINY | overrides)), watch or Watch()
    source = open_source(settings.data)
    source = source._replace(dataset=spoil(source.dataset)) if spoil else source
    place = open_run(path) if resume else create(path, settings, space)
    train(settings, space, source, place, watch, watch.stop, resume)
    return settings


@pytest.fixture
def go(tmp_path: Path) -> Go:
    """`trained` in a run directory of a name."""
    return lambda name, *args, **options: trained(tmp_path / name, *args, **options)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """The run of a training from beginning to end, made once for all tests that compare with it."""
    runs: dict[str, Path] = {}

    def run(**options: Any) -> Path:
        key = str(options)
        if key not in runs:
            runs[key] = tmp_path_factory.mktemp("whole") / "run"
            trained(runs[key], **options)
        return runs[key]

    return run


Whole = Callable[..., Path]


def metrics(run: Path) -> list[dict]:
    return [{key: value for key, value in record.items() if key not in TIMES} for record in Run(run).records()]


TOOK = {"seconds", "loading"}


def same(one: Any, other: Any) -> bool:
    """Whether two states are equal bit for bit, but for the seconds they took."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one.keys() - TOOK)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def assert_same_training(one: Path, other: Path) -> None:
    assert metrics(one) == metrics(other)
    assert same(checkpoint.load(Run(one).last), checkpoint.load(Run(other).last))
    files = [{path.relative_to(run) for path in run.rglob("*") if path.is_file()} for run in (one, other)]
    assert files[0] == files[1]


def updates_of(settings: TrainingSettings, space: PathSpace, steps: int) -> list[list[int]]:
    """How often the seed's paths update every choice in so many steps of a training."""
    generator = torch.Generator().manual_seed(fold(settings.seed, PATHS))
    sampler, counts = make_sampler(settings.sampler, space, generator), [torch.zeros(len(c)) for c in space.choices]
    for number in range(steps):
        tally(counts, sampler.draw(number / LAST))
    return [own.tolist() for own in counts]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_training_leaves_a_complete_run_behind(go: Go, tmp_path: Path, sampler: str):
    watch, run = Watch(), tmp_path / "run"
    settings = go("run", watch, sampler=sampler)
    assert watch.steps == [(epoch, step, STEPS_AN_EPOCH) for epoch in (1, 2, 3) for step in (1, 2, 3, 4)]
    records = Run(run).records()
    assert records == watch.records
    assert [record["epoch"] for record in records] == [1, 2, 3]
    passes = {"strict_fair": 3, "uniform_repeat": 2}.get(sampler, 1)
    for record in records:
        done = record["epoch"] * STEPS_AN_EPOCH
        assert record["passes"] == done * passes
        assert record["updates"] == updates_of(settings, CHAIN, done)
        if sampler == "strict_fair":
            assert record["updates"] == [[done] * 3] * 4
        elif sampler != "one_shot":
            assert [sum(own) for own in record["updates"]] == [done * passes] * 4
        assert record["updates_mean"] == pytest.approx([fmean(own) for own in record["updates"]])
        assert record["updates_variance"] == pytest.approx([pvariance(own) for own in record["updates"]])
        if sampler == "strict_fair":
            assert record["updates_variance"] == [0] * 4
        means = [total / STEPS_AN_EPOCH for total in watch.sums[done - 1]]
        assert [record["train_loss"], record["train_accuracy"]] == pytest.approx(means, rel=1e-6)
        assert record["lr"] == learning_rate(settings, done - 1, STEPS_AN_EPOCH)
        assert record["watched_mean"] == pytest.approx(fmean(record["watched"]))
        assert record["watched_std"] == pytest.approx(pstdev(record["watched"]))
    measured = {"train_loss", "train_accuracy", "watched", "watched_mean", "watched_std"}
    counted = {"epoch", "passes", "updates", "updates_mean", "updates_variance", "lr"}
    assert set(records[0]) == {*counted, *measured, *TIMES}
    state = checkpoint.load(Run(run).last)
    assert (state["epoch"], state["step"]) == (3, 0)
    assert state["optimizer"]["param_groups"][0]["lr"] == records[-1]["lr"]
    assert [own.tolist() for own in state["updates"]] == records[-1]["updates"]


def test_an_irregular_space_s_counts_are_exact_too(go: Go, tmp_path: Path):
    settings = go("run", space=IRREGULAR)
    for record in metrics(tmp_path / "run"):
        done = record["epoch"] * STEPS_AN_EPOCH
        assert record["passes"] == 5 * done
        assert record["updates"] == updates_of(settings, IRREGULAR, done)
        assert [sum(own) for own in record["updates"]] == [5 * done] * 4
        assert record["updates"][3] == [done] * 5


def test_a_supernet_learns_the_digits(tmp_path: Path):
    space = chain({"channels": 8, "layers": 1, "stride": 1}, {"channels": 16, "layers": 2, "stride": 2}, stem=8)
    space = space.model_copy(update={"head": 32})
    data = {"data.kind": "digits", "data.batch_size": 32, "data.train_portion": 0.3}
    weights = {"weights.lr": 0.2, "weights.weight_decay": 1e-4}
    settings = settings_of(**data, **weights, **{"epochs": 8, "watch.paths": 4, "watch.images": 200})
    watch, run = Watch(), create(tmp_path / "run", settings, space)
    train(settings, space, open_source(settings.data), run, watch, watch.stop)
    first, last = watch.records[0], watch.records[-1]
    assert last["updates"] == [[8 * (539 // 32)] * 3] * 3
    assert last["train_loss"] < 0.8 * first["train_loss"]
    assert first["train_accuracy"] < 0.2 < 0.3 < last["train_accuracy"]
    assert max(last["watched"]) > 25  # percent; chance gives ten


def test_a_seed_decides_every_number(go: Go, whole: Whole, tmp_path: Path):
    first = whole(sampler="strict_fair")
    torch.manual_seed(99)  # what went on before does not count
    go("again")
    go("other", seed=1)
    assert_same_training(first, tmp_path / "again")
    one, other = metrics(first), metrics(tmp_path / "other")
    assert all(mine["train_loss"] != theirs["train_loss"] for mine, theirs in zip(one, other, strict=True))


def test_to_watch_paths_changes_nothing(go: Go, whole: Whole, tmp_path: Path):
    go("alone", **{"watch.paths": 0})
    one, other = (checkpoint.load(Run(run).last) for run in (whole(sampler="strict_fair"), tmp_path / "alone"))
    assert all(same(one[part], other[part]) for part in ("supernet", "optimizer", "sampler", "updates"))
    assert not {"watched", "watched_mean", "watched_std"} & set(metrics(tmp_path / "alone")[0])


def test_what_is_watched_are_paths_of_the_seed_on_held_out_images_with_the_weights_so_far(go: Go, tmp_path: Path):
    settings = go("run", **{"watch.images": 7})
    supernet = path_supernet(CHAIN, CLASSES)
    assert load_weights(supernet, Run(tmp_path / "run")) == (3, 0)
    source = open_source(settings.data)
    trained, held_out = check_fit(settings, CHAIN, source)
    images = held_out_images(settings, held_out, 7)
    assert len(set(images)) == 7
    assert set(images) < set(held_out)
    assert not set(images) & set(trained)
    random = Random(fold(settings.seed, WATCHED))
    paths = [random_path(CHAIN, random) for _ in range(3)]
    judge = Evaluator(supernet, lambda: still_batches(source, settings.data, images, torch.device("cpu")))
    assert metrics(tmp_path / "run")[-1]["watched"] == judge(paths)


@pytest.mark.parametrize("sampler", ["strict_fair", "uniform"])
def test_a_training_stopped_after_every_step_is_as_if_it_never_was(go: Go, whole: Whole, tmp_path: Path, sampler: str):
    for step in range(1, LAST):
        with pytest.raises(Interrupted):
            go("stopped", Watch(step=step), resume=step > 1, sampler=sampler)
        state = checkpoint.load(Run(tmp_path / "stopped").last)
        assert state["epoch"] * STEPS_AN_EPOCH + state["step"] == step
        assert len(metrics(tmp_path / "stopped")) == step // STEPS_AN_EPOCH
    go("stopped", resume=True, sampler=sampler)
    assert_same_training(tmp_path / "stopped", whole(sampler=sampler))


@pytest.mark.parametrize("at", [{"step": 6}, {"epoch": 2}], ids=str)
@pytest.mark.parametrize("sampler", ["strict_fair", "uniform", "one_shot", "uniform_repeat"])
def test_a_training_stopped_once_is_as_if_it_never_was(
    go: Go, whole: Whole, tmp_path: Path, sampler: str, at: dict[str, int]
):
    options = {"sampler": sampler, "weights.warmup_epochs": 1.5}
    with pytest.raises(Interrupted):
        go("stopped", Watch(**at), **options)
    go("stopped", resume=True, **options)
    assert_same_training(tmp_path / "stopped", whole(**options))


@pytest.mark.parametrize("at", [{"step": LAST}, {"epoch": EPOCHS}], ids=str)
def test_a_stop_asked_for_at_the_very_end_comes_too_late(go: Go, tmp_path: Path, at: dict[str, int]):
    go("run", Watch(**at))
    assert len(metrics(tmp_path / "run")) == EPOCHS


def test_checkpoints_are_written_within_an_epoch_when_they_are_due(go: Go, whole: Whole, tmp_path: Path):
    class Crash(Exception):
        pass

    class Crashing(Watch):
        def step(self, epoch: int, step: int, steps: int, sums: torch.Tensor) -> None:
            if (epoch, step) == (2, 3):
                raise Crash

    for minutes, kept in ((0, 2), (10, 0)):
        with pytest.raises(Crash):
            go(f"crashed-{minutes}", Crashing(), save_minutes=minutes)
        state = checkpoint.load(Run(tmp_path / f"crashed-{minutes}").last)
        assert (state["epoch"], state["step"]) == (1, kept)
    go("crashed-0", resume=True, save_minutes=3)
    assert_same_training(tmp_path / "crashed-0", whole(sampler="strict_fair"))


class Broken(torch.utils.data.Dataset):
    """A data set that fails at its 30th reading, in the second epoch."""

    def __init__(self, dataset: torch.utils.data.Dataset):
        self.dataset, self.left = dataset, 30

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple:
        self.left -= 1
        if self.left < 0:
            raise UserError("cat.png: cannot be decoded as an image")
        return self.dataset[index]


@pytest.mark.parametrize("paths", [0, 3])
def test_a_training_goes_on_once_a_broken_image_is_mended(go: Go, whole: Whole, tmp_path: Path, paths: int):
    """Without a watch it fails in a step of the second epoch, with one in the watch after the first."""
    watched = {"watch.paths": paths, "watch.images": 16}
    with pytest.raises(UserError, match=r"cat\.png"):
        go("broken", spoil=Broken, **watched)
    state = checkpoint.load(Run(tmp_path / "broken").last)
    assert state["epoch"] * STEPS_AN_EPOCH + state["step"] == (0 if paths else 7)
    go("broken", resume=True, **watched)
    assert_same_training(tmp_path / "broken", whole(**watched))


def test_settings_edited_in_a_run_cannot_continue_it(go: Go):
    with pytest.raises(Interrupted):
        go("run", Watch(step=2), sampler="one_shot")
    edits = {"weights.lr": 0.2, "weights.shared_gradient": "mean", "sampler.rate": 0.6, "seed": 1, "epochs": 4}
    for key, value in (edits | {"threads": 1, "watch.paths": 4, "data.cutout": 2}).items():
        with pytest.raises(BadState, match=rf"settings\.yaml: {key}: .* when the run began, {value} now"):
            go("run", resume=True, sampler="one_shot", **{key: value})


def test_another_sampler_or_space_or_other_images_cannot_continue_a_run(go: Go):
    with pytest.raises(Interrupted):
        go("run", Watch(step=2))
    with pytest.raises(BadState, match=r"settings\.yaml: sampler\.kind: strict_fair when the run began, uniform now"):
        go("run", resume=True, sampler="uniform")
    with pytest.raises(BadState, match=r"space\.yaml: stages"):
        go("run", resume=True, space=IRREGULAR)
    with pytest.raises(BadState, match=r"data: images \(number, names\): 32 when the run began, 28 now"):
        go("run", resume=True, **{"data.images": 28})
    go("run", resume=True, save_minutes=3, **{"compute.accumulate": 2, "data.workers": 0})


def test_a_checkpoint_that_does_not_fit_is_refused(go: Go, tmp_path: Path):
    with pytest.raises(Interrupted):
        go("run", Watch(step=2))
    last = Run(tmp_path / "run").last
    whole = checkpoint.load(last)
    for key in ("supernet", "optimizer", "sampler", "updates", "sums", "step"):
        without = {name: part for name, part in whole.items() if name != key}
        for spoiled in (without, without | {key: None}, without | {key: []}):
            checkpoint.save(last, spoiled)
            with pytest.raises(BadState, match=f"{last}: does not fit the run's settings.yaml and space.yaml"):
                go("run", resume=True)
    checkpoint.save(last, whole)
    go("run", resume=True)


def truncated(last: Path) -> None:
    last.write_bytes(last.read_bytes()[:-100])


def emptied(last: Path) -> None:
    last.write_bytes(b"")


def lost(last: Path) -> None:
    last.unlink()


def of_something_else(last: Path) -> None:
    checkpoint.save(last, {"weights": torch.zeros(3)})


@pytest.mark.parametrize("spoil", [truncated, emptied, lost, of_something_else])
def test_a_damaged_checkpoint_is_named(go: Go, tmp_path: Path, spoil: Callable[[Path], None]):
    with pytest.raises(Interrupted):
        go("run", Watch(step=6))
    run = Run(tmp_path / "run")
    spoil(run.last)
    with pytest.raises(BadState) as error:
        go("run", resume=True)
    assert str(error.value).startswith(f"{run.last}: ")
    assert "\n" not in str(error.value)
    with pytest.raises(BadState, match=f"{run.last}: "):
        load_weights(path_supernet(CHAIN, CLASSES), run)
    assert len(metrics(run.path)) == 1


def test_weights_of_another_space_are_refused(go: Go, tmp_path: Path):
    with pytest.raises(Interrupted):
        go("run", Watch(step=1))
    assert load_weights(path_supernet(CHAIN, CLASSES), Run(tmp_path / "run"))[0] == 0
    with pytest.raises(BadState, match=r"last\.pt: not the checkpoint of a supernet of the run's space\.yaml"):
        load_weights(path_supernet(IRREGULAR, CLASSES), Run(tmp_path / "run"))


def test_lost_records_cannot_be_continued_and_those_behind_the_checkpoint_are_written_again(
    go: Go, whole: Whole, tmp_path: Path
):
    with pytest.raises(Interrupted):
        go("run", Watch(step=6))
    lines = Run(tmp_path / "run").metrics
    written = lines.read_text()
    for broken in ("", "no JSON\n"):
        lines.write_text(broken)
        with pytest.raises(BadState, match=r"metrics\.jsonl"):
            go("run", resume=True)
    lines.write_text(written + written.replace('"epoch": 1', '"epoch": 2') + '{"epoch": 3, "tor')
    go("run", resume=True)
    assert_same_training(tmp_path / "run", whole(sampler="strict_fair"))


def test_a_training_killed_before_its_first_checkpoint_begins_anew(go: Go, whole: Whole, tmp_path: Path):
    settings = settings_of(SAMPLERS["strict_fair"], **TINY)
    create(tmp_path / "killed", settings, CHAIN).metrics.write_text('{"epoch": 1, "pas')
    go("killed", resume=True)
    assert_same_training(tmp_path / "killed", whole(sampler="strict_fair"))


def test_a_loss_that_is_no_longer_finite_ends_the_training(go: Go, tmp_path: Path):
    with pytest.raises(Diverged, match=r"the loss is no longer finite in epoch 1; lower weights\.lr") as error:
        go("run", **{"weights.lr": "1.0e+38"})
    assert "\n" not in str(error.value)
    assert metrics(tmp_path / "run") == []


def rates(steps: int, **overrides: Any) -> list[float]:
    """The learning rate of every step of a training."""
    settings = settings_of(**overrides)
    return [learning_rate(settings, step, steps) for step in range(settings.epochs * steps)]


def test_the_learning_rate_is_that_of_torch_s_cosine():
    found = rates(10, epochs=5, **{"weights.lr": 0.045, "weights.lr_min": 0.001})
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.045)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=50, eta_min=0.001)
    for rate in found:
        assert rate == pytest.approx(schedule.get_last_lr()[0], rel=1e-9)
        optimizer.step()
        schedule.step()
    assert found[0] == 0.045
    settings = settings_of(epochs=5, **{"weights.lr": 0.045, "weights.lr_min": 0.001})
    assert learning_rate(settings, 50, 10) == pytest.approx(0.001)


@pytest.mark.parametrize(("warmup", "steps"), [(1, 10), (0.5, 5), (2.25, 22)])
def test_the_learning_rate_rises_in_equal_parts_and_then_falls(warmup: float, steps: int):
    found = rates(10, epochs=5, **{"weights.lr": 0.1, "weights.warmup_epochs": warmup})
    assert found[:steps] == pytest.approx([0.1 * (step + 1) / steps for step in range(steps)])
    assert found[steps - 1] == found[steps] == 0.1
    cosine = [0.05 * (1 + math.cos(math.pi * step / (50 - steps))) for step in range(50 - steps)]
    assert found[steps:] == pytest.approx(cosine)


def test_a_training_may_be_all_warm_up():
    found = rates(4, epochs=2, **{"weights.lr": 0.1, "weights.warmup_epochs": 2})
    assert found == pytest.approx([0.1 * (step + 1) / 8 for step in range(8)])


def fit(ranks: int, monkeypatch: pytest.MonkeyPatch, **overrides: Any) -> tuple[Sequence[int], Sequence[int]]:
    """What `check_fit` says to so many processes."""
    monkeypatch.setattr(distributed, "ranks", lambda: ranks)
    settings = settings_of(**(TINY | overrides))
    return check_fit(settings, CHAIN, open_source(settings.data))


@pytest.mark.parametrize(
    ("ranks", "overrides", "message"),
    [
        (1, {"compute.accumulate": 3}, "data.batch_size: 4: .* 1 processes × compute.accumulate 3 = 3"),
        (3, {}, "data.batch_size: 4: .* 3 processes × compute.accumulate 1 = 3"),
        (2, {"compute.accumulate": 4}, "data.batch_size: 4: .* 2 processes × compute.accumulate 4 = 8"),
        (1, {"data.batch_size": 17}, "data.batch_size: 17: should be at most 16, the images that train the weights"),
        (4, {"compute.parallel": "path"}, "compute.parallel: path: 4 processes, but a step has 3 paths"),
        (1, {"compute.compile": "default"}, "compute.compile: default: is for CUDA; on the CPU it should be none"),
        (2, {"compute.parallel": "path", "compute.accumulate": 2}, "compute.accumulate: 2: should be 1 with .* path"),
    ],
)
def test_what_does_not_fit_is_refused(ranks: int, overrides: dict, message: str, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(UserError, match=message) as error:
        fit(ranks, monkeypatch, **overrides)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("ranks", "overrides"),
    [
        (2, {"compute.accumulate": 2}),
        (1, {"data.batch_size": 16}),
        (3, {"compute.parallel": "path"}),
    ],
)
def test_what_fits_gives_two_parts_of_all_images(ranks: int, overrides: dict, monkeypatch: pytest.MonkeyPatch):
    trained, held_out = fit(ranks, monkeypatch, **overrides)
    assert (len(trained), len(held_out)) == (16, 16)
    assert {*trained, *held_out} == set(range(32))


@pytest.mark.parametrize(
    ("sampler", "overrides", "message"),
    [
        ("uniform", {"compute.parallel": "path"}, "compute.parallel path shares out several paths a step; uniform has"),
        ("one_shot", {"compute.parallel": "path"}, "one_shot has one"),
        ("strict_fair", {"weights.warmup_epochs": 3.5}, "weights.warmup_epochs 3.5: should be at most the 3 epochs"),
        ("strict_fair", {"data.train_portion": 1}, "data.train_portion 1.0 leaves no images to watch paths on"),
        ("one_shot", {"sampler.rate": 1}, r"sampler\.\S*rate: "),
        ("uniform_repeat", {"sampler.repeats": 0}, r"sampler\.\S*repeats: "),
        ("uniform", {"sampler.repeats": 2}, r"sampler\.\S*repeats: unknown key"),
        ("uniform", {"sampler.kind": "fair"}, r"sampler"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(sampler: str, overrides: dict, message: str):
    with pytest.raises(UserError, match=message) as error:
        settings_of(SAMPLERS[sampler], **(TINY | overrides))
    assert "\n" not in str(error.value)


def test_all_images_may_train_where_nothing_is_watched(go: Go, tmp_path: Path):
    go("run", **{"data.train_portion": 1, "watch.paths": 0, "epochs": 1})
    assert metrics(tmp_path / "run")[0]["updates"] == [[8] * 3] * 4


def test_a_learner_s_weights_are_those_of_its_optimizer_and_decided_by_the_seed():
    settings = settings_of(**TINY)
    source: Source = open_source(settings.data)
    learners = [make_learner(settings, CHAIN, source, torch.device("cpu")) for _ in range(2)]
    assert [id(weight) for weight in learners[0].weights] == [id(w) for w in learners[0].supernet.parameters()]
    assert same(*(learner.supernet.state_dict() for learner in learners))
    other = make_learner(settings_of(**TINY, seed=1), CHAIN, source, torch.device("cpu"))
    assert not same(other.supernet.state_dict(), learners[0].supernet.state_dict())
