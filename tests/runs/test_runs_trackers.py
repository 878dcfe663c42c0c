"""Trackers, by stand-ins for their packages that write down what they are told: nothing leaves the machine."""

import os
import signal
import sys
from collections import namedtuple
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from runs import metrics

from fairdarts.checking import check
from fairdarts.config import Notice, UserError
from fairdarts.differentiable.settings import SearchSettings
from fairdarts.reading import read_yaml
from fairdarts.runs.callbacks import Callback
from fairdarts.runs.result import Run, open_run
from fairdarts.runs.search import search
from fairdarts.runs.trackers import mlflow, wandb
from fairdarts.runtime.run import create
from fairdarts.spaces.space import load_space

MAKE = {"wandb": wandb, "mlflow": mlflow}
RULE = {"derive.method": "argmax", "derive.threshold": None}


class Interrupts(Callback):
    """Asks for a stop in the second step of the second epoch."""

    def step(self, epoch: int, step: int, steps: int, *seen: object) -> None:
        if (epoch, step) == (2, 2):
            os.kill(os.getpid(), signal.SIGINT)


class Told:
    """What a tracker was told, in order; raises `problem` where it is asked for something named in `fails`."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.fails: set[str] = set()

    def hear(self, name: str, said: Any = None) -> None:
        if name in self.fails:
            raise RuntimeError(f"{name} fails\nand more")
        self.calls.append((name, said))

    def said(self, name: str) -> list[Any]:
        return [said for called, said in self.calls if called == name]


@pytest.fixture(autouse=True)
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Told:
    """What stand-ins for both packages hear."""
    monkeypatch.chdir(tmp_path)
    told = Told()

    class Artifact:
        def __init__(self, name: str, type: str):
            self.about = (name, type)

        def add_file(self, path: str) -> None:
            self.file = Path(path)

    def init(**options: Any) -> Any:
        told.hear("begin", options)
        return SimpleNamespace(
            id=options["id"] or "run1",
            log=lambda numbers, step: told.hear("log", (step, numbers)),
            log_artifact=lambda artifact: told.hear("artifact", (*artifact.about, artifact.file)),
            finish=lambda exit_code: told.hear("end", exit_code),
        )

    class MlflowClient:
        def get_experiment_by_name(self, name: str) -> Any:
            return SimpleNamespace(experiment_id=name) if name in told.said("experiment") else None

        def create_experiment(self, name: str) -> str:
            told.hear("experiment", name)
            return name

        def create_run(self, experiment_id: str, **options: Any) -> Any:
            told.hear("begin", (experiment_id, options))
            return SimpleNamespace(info=SimpleNamespace(run_id="run1"))

        def update_run(self, run_id: str, status: str) -> None:
            told.hear("again", (run_id, status))

        def log_batch(self, run_id: str, metrics: Any = (), params: Any = ()) -> None:
            assert run_id == "run1"
            assert len(params) <= 100
            if params:
                told.hear("params", {param.key: param.value for param in params})
            for step in {metric.step for metric in metrics}:
                told.hear("log", (step, {metric.key: metric.value for metric in metrics}))

        def log_artifact(self, run_id: str, path: str) -> None:
            told.hear("artifact", Path(path))

        def set_terminated(self, run_id: str, status: str) -> None:
            told.hear("end", status)

    def module(name: str, **held: Any) -> None:
        made = ModuleType(name)
        made.__dict__.update(held)
        monkeypatch.setitem(sys.modules, name, made)

    module("wandb", init=init, Artifact=Artifact)
    module("mlflow", MlflowClient=MlflowClient)
    metric, param = namedtuple("Metric", "key value timestamp step"), namedtuple("Param", "key value")
    module("mlflow.entities", Metric=metric, Param=param)
    return told


@pytest.fixture
def begun(tiny_recipe: Path, told: Told) -> Run:
    """A run that has not taken a step."""
    settings = check(SearchSettings, read_yaml(tiny_recipe), tiny_recipe)
    return Run(create(Path("run"), settings, load_space(settings.space)).path)


def stopped(recipe: Path, tracker: Callback) -> Run:
    with pytest.raises(KeyboardInterrupt):
        search(recipe, settings=RULE, out="run", callbacks=[tracker, Interrupts()])
    return open_run("run")


def numbers_of(record: dict[str, Any]) -> dict[str, float]:
    """What a record of a search holds that is a number, by hand."""
    flat = {key: value for key, value in record.items() if isinstance(value, float)}
    counts = [(part, op, count) for part, ops in record["dominant"].items() for op, count in ops.items()]
    return flat | {f"dominant.{part}.{op}": count for part, op, count in counts}


@pytest.mark.parametrize("name", MAKE)
def test_numbers_of_every_epoch_are_logged_once_over_a_resume(tiny_recipe: Path, told: Told, name: str):
    run = stopped(tiny_recipe, MAKE[name]())
    run.resume(callbacks=MAKE[name]())
    records = run.directory.records()[1:]
    assert told.said("log") == [(record["epoch"], numbers_of(record)) for record in records]
    assert [step for step, _ in told.said("log")] == [1, 2, 3]
    assert "dominant.normal.skip_connect" in told.said("log")[0][1]


def test_wandb_goes_on_with_the_run_that_it_began(tiny_recipe: Path, told: Told):
    run = stopped(tiny_recipe, wandb("nas", entity="us"))
    assert told.said("end") == [1]
    assert not told.said("artifact")
    run.resume(callbacks=wandb("nas", name="mine"))
    first, second = told.said("begin")
    config = first.pop("config")
    assert (config["weights.lr"], config["data.kind"], config["derive.method"]) == (0.1, "fake", "argmax")
    about = {"project": "nas", "job_type": "search", "dir": "run", "reinit": "create_new", "resume": "allow"}
    assert first == about | {"entity": "us", "name": "run", "id": None}
    assert {key: second[key] for key in (*about, "name", "id")} == about | {"name": "mine", "id": "run1"}
    assert told.said("artifact") == [("genotype-run1", "genotype", Path("run/genotypes/final.yaml"))]
    assert told.calls[-1] == ("end", 0)


def test_mlflow_goes_on_with_the_run_that_it_began(tiny_recipe: Path, told: Told):
    run = stopped(tiny_recipe, mlflow("nas", tags={"by": "us"}))
    assert (told.said("experiment"), told.said("end")) == (["nas"], ["KILLED"])
    params = {key: value for some in told.said("params") for key, value in some.items()}
    assert (params["weights.lr"], params["data.kind"]) == ("0.1", "fake")
    run.resume(callbacks=mlflow("nas"), settings={"data.workers": 1})
    assert told.said("begin") == [("nas", {"run_name": "run", "tags": {"by": "us"}})]
    assert told.said("again") == [("run1", "RUNNING")]
    assert sum(map(len, told.said("params"))) == len(params)  # not once more
    assert told.said("artifact") == [Path("run/genotypes/final.yaml")]
    assert told.calls[-1] == ("end", "FINISHED")


def test_the_experiment_is_that_of_the_environment_or_the_default(
    begun: Run, told: Told, monkeypatch: pytest.MonkeyPatch
):
    for _ in range(2):
        mlflow().begin(begun)
        Path("run/mlflow.json").unlink()
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "ours")
    mlflow().begin(begun)
    assert told.said("experiment") == ["Default", "ours"]  # one that is there is not made again
    assert [place for place, _ in told.said("begin")] == ["Default", "Default", "ours"]


@pytest.mark.parametrize("name", MAKE)
def test_a_tracker_changes_no_number(tiny_recipe: Path, name: str):
    search(tiny_recipe, settings=RULE, epochs=1, out="plain")
    search(tiny_recipe, settings=RULE, epochs=1, out="tracked", callbacks=MAKE[name]())
    assert metrics(Path("plain")) == metrics(Path("tracked"))


@pytest.mark.parametrize("name", MAKE)
def test_the_record_of_a_generation_is_logged_too(begun: Run, told: Told, name: str):
    tracker = MAKE[name]()
    tracker.begin(begun)
    best = {"": 0.9, "madds <= 3e6": 0.5, "madds <= 1e6": None}
    tracker.epoch({"generation": 4, "front": 2, "hypervolume": float("nan"), "made": {"crossover": 3}, "best": best})
    limit = "best.madds <= 3e6" if name == "wandb" else "best.madds __ 3e6"
    assert told.said("log") == [(4, {"front": 2, "made.crossover": 3, "best": 0.9, limit: 0.5})]


@pytest.mark.parametrize("name", MAKE)
def test_a_package_that_is_missing_is_named_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch, name: str):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match=f"^{name}: is missing: pip install {name}$"):
        MAKE[name]()


@pytest.mark.parametrize("name", MAKE)
def test_a_tracker_that_cannot_begin_is_told_before_the_first_step(tiny_recipe: Path, told: Told, name: str):
    told.fails = {"begin"}
    with pytest.raises(UserError, match=f"^{name}: cannot begin: begin fails$"):
        search(tiny_recipe, settings=RULE, out="run", callbacks=MAKE[name]())
    assert open_run("run").state == "new"
    assert not told.said("log")
    assert not told.said("end")


@pytest.mark.parametrize("name", MAKE)
def test_a_run_does_not_end_because_its_tracker_cannot_be_reached(tiny_recipe: Path, told: Told, name: str):
    told.fails = {"log", "artifact"}
    with pytest.warns(Notice) as warned:
        run = search(tiny_recipe, settings=RULE, epochs=2, out="run", callbacks=MAKE[name]())
    said = [str(notice.message) for notice in warned]
    assert said == [f"{name}: not logged: log fails"] * 2 + [f"{name}: not logged: artifact fails"]
    assert run.state == "finished"
    assert told.said("end") == [0 if name == "wandb" else "FINISHED"]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"id": 3}'])
@pytest.mark.parametrize("name", MAKE)
def test_a_damaged_id_is_named(begun: Run, name: str, text: str):
    Path(f"run/{name}.json").write_text(text)
    with pytest.raises(UserError, match=rf'^run/{name}\.json: should hold {{"id": …}}; without the file another'):
        MAKE[name]().begin(begun)
