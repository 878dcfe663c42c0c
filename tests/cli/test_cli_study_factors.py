"""`fairdarts study` on a study of factors: what runs, in which order, what is kept, and what comes of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from one_shot import BENCH
from studies import RATES, factor, factor_study

from fairdarts import runs
from fairdarts.checking import check
from fairdarts.cli import main
from fairdarts.oneshot.settings import TrainingSettings
from fairdarts.ranking.report import FIELDS, write_ranking
from fairdarts.ranking.tau import MEASURES
from fairdarts.reading import read_yaml
from fairdarts.runs import supernet
from fairdarts.runs.callbacks import Callbacks
from fairdarts.runs.request import Request
from fairdarts.runs.study import jobs
from fairdarts.runs.study.form import FactorStudy
from fairdarts.runs.study.plan import kept_of, planned
from fairdarts.runtime.lock import held
from fairdarts.runtime.run import RunDirectory, create
from fairdarts.runtime.stop import Diverged, Interrupted

WORDS = ["--benchmarks", ".", "--out", "out"]


@pytest.fixture
def content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A study of two factors in a folder of its own: recipe.yaml, space.yaml, bench.csv."""
    monkeypatch.chdir(tmp_path)
    return factor_study()


@pytest.fixture
def written(content: dict[str, Any]) -> Callable[[], str]:
    """Writes the study, as a test has changed it, and gives its path."""

    def write() -> str:
        apart = json.loads(json.dumps(content))  # what stands twice in it would be written as an alias
        Path("study.yaml").write_text(yaml.safe_dump(apart, sort_keys=False))
        return "study.yaml"

    return write


def ranking(performance: float) -> dict[str, Any]:
    """A ranking whose 3 best have this truth."""
    number = {"value": performance, "low": 0.0, "high": 1.0, "n": 4, "reason": ""}
    kept: dict[str, Any] = dict.fromkeys(FIELDS, 0) | {"recipe": "tiny", "batch_size": 32, "images": 64}
    kept |= {"benchmark": "bench", "column": "accuracy", "statistics": "batch", "paths": [[0], [1], [2], [3]]}
    kept |= {"truth": [60.0, 70.0, 80.0, 90.0], "score": [10.0, 30.0, 20.0, performance]}
    return kept | {"measured": dict.fromkeys(MEASURES, number)}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """In place of training and judging: a run directory with its settings, and a final performance that is 90 less
    its learning rate. Gives what all trainings were asked for."""
    trainings: list[Request] = []

    def carry_out(asked: Request, _: Callbacks) -> Path:
        trainings.append(asked)
        if not asked.resume:
            own = check(TrainingSettings, dict(asked.recipe), "", dict(asked.settings))
            create(asked.out, own, BENCH)
        path = asked.resume or asked.out
        (path / "done").touch()  # in place of a last checkpoint
        return path

    def score(path: Path, *_: Any) -> None:
        settings = check(TrainingSettings, read_yaml(path / "settings.yaml"), "")
        write_ranking(RunDirectory(path), ranking(90 - settings.weights.lr))

    monkeypatch.setattr(supernet, "carry_out", carry_out)
    monkeypatch.setattr("fairdarts.cli.study.finish", lambda _: None)
    monkeypatch.setattr(RunDirectory, "_is_finished", lambda run: (run.path / "done").is_file())
    monkeypatch.setattr("fairdarts.runs.study.factors.score", score)
    monkeypatch.setattr("fairdarts.runs.study.results.draw_factors", lambda *_: [])
    monkeypatch.setattr("fairdarts.runs.study.results.page", lambda *_: "a page")
    return trainings


def trained(trainings: list[Request]) -> list[str]:
    """The names of the runs that were begun."""
    return [asked.out.name for asked in trainings if asked.out]


def test_a_study_trains_judges_tables_and_does_nothing_twice(content, written, monkeypatch, capsys):
    """From end to end: one setting cannot be trained with, which is a result."""
    rates = [*RATES[1:2], {"label": "huge", "changes": {"weights.lr": 1e20}}]
    content["spaces"][0]["factors"] = [factor("rate", rates, "best"), factor("batch", [{"label": "32", "changes": {}}])]
    for part in ("runs.figures.draw_training", "runs.supernet.log_training", "runs.study.results.draw_factors"):
        monkeypatch.setattr(f"fairdarts.{part}", lambda *_: [])
    assert main(["study", written(), *WORDS]) == 0
    out = capsys.readouterr().out
    runs = Path("out/bench")
    names = [f"rate-{label}-seed{seed}" for label in ("0.025", "huge") for seed in (0, 1)]
    assert sorted(path.name for path in runs.iterdir()) == [*names, "recipe.yaml"]
    kept = json.loads((runs / "rate-0.025-seed1" / "ranking-batch.json").read_text())
    assert (len(kept["score"]), kept["images"], kept["benchmark"]) == (20, 64, "bench")
    assert "no longer finite" in (runs / "rate-huge-seed0" / "diverged.txt").read_text()
    table = [line.split() for line in out.splitlines()]
    assert ["huge", *["N/A"] * 7] in table
    assert table[-1] == ["out/report.html"]
    results = json.loads(Path("out/results.json").read_text())
    rows = results["spaces"][0]["factors"][0]["settings"]
    assert [(row["kept"], row["numbers"]["supernets"], row["numbers"]["diverged"]) for row in rows] == [
        (True, 2, 0), (False, 0, 2),
    ]  # fmt: skip
    assert "huge" in Path("out/report.html").read_text()

    monkeypatch.setattr(jobs.Job, "train", lambda job, _: pytest.fail(f"{job} again"))
    assert main(["study", written(), *WORDS]) == 0
    assert capsys.readouterr().out == out
    Path("bench.csv").unlink()
    Path("recipe.yaml").unlink()
    assert main(["report", "out", "--out", "other.html"]) == 0
    assert capsys.readouterr().out == out.replace("out/report.html", "other.html")
    assert Path("other.html").read_text() == Path("out/report.html").read_text()


def test_factors_build_on_what_earlier_ones_kept_and_equal_settings_are_trained_once(content, written, fake):
    bases = [{"label": "as it is", "changes": {"weights.lr": 0.01}}, {"label": "0.1", "changes": {"weights.lr": 0.1}}]
    content["spaces"][0]["factors"].append(factor("again", bases, keep="0.1"))
    content["spaces"][0]["factors"].append(factor("decay", [{"label": "0", "changes": {"weights.weight_decay": 0}}]))
    assert main(["study", written(), *WORDS]) == 0
    assert trained(fake) == [
        f"{name}-seed{seed}"
        for names in (["rate-0.01", "rate-0.025", "rate-0.1"], ["batch-2"], ["decay-0"])
        for seed in (0, 1)
        for name in names
    ]
    own = check(TrainingSettings, read_yaml(Path("out/bench/batch-2-seed1/settings.yaml")), "")
    assert (own.weights.lr, own.data.batch_size, own.seed) == (0.01, 16, 1)
    own = check(TrainingSettings, read_yaml(Path("out/bench/decay-0-seed0/settings.yaml")), "")
    assert (own.weights.lr, own.weights.weight_decay) == (0.1, 0)
    found = json.loads(Path("out/results.json").read_text())["spaces"][0]["factors"]
    assert [[row["label"] for row in own["settings"] if row["baseline"]] for own in found] == [
        ["0.025"], ["baseline"], ["as it is"], ["baseline"],
    ]  # fmt: skip
    assert found[1]["settings"][0]["runs"] == ["rate-0.01-seed0", "rate-0.01-seed1"]
    assert [row["label"] for own in found for row in own["settings"] if row["kept"]] == ["0.01", "0.1"]


def test_the_best_setting_has_no_run_that_diverged(content, written, fake, monkeypatch):
    def carry_out(asked: Request, watch: Callbacks, then=supernet.carry_out) -> Path:
        path = then(asked, watch)
        if path.name == "rate-0.01-seed1":
            RunDirectory(path).note_divergence("the loss is no longer finite")
            raise Diverged("the loss is no longer finite")
        return path

    monkeypatch.setattr(supernet, "carry_out", carry_out)
    assert main(["study", written(), *WORDS]) == 0
    study = check(FactorStudy, content, "")
    rates, batch = planned(study, study.spaces[0], Path("out"))
    assert kept_of(rates).label == "0.025"
    assert batch.rows[0].runs == rates.rows[1].runs


def test_a_study_that_was_stopped_goes_on(written, fake, monkeypatch, capsys):
    def stopped(asked: Request, watch: Callbacks, then=supernet.carry_out) -> Path:
        path = then(asked, watch)
        if len(fake) < 3:
            return path
        watch.begin(runs.result.Run(path))
        (path / "done").unlink()
        raise Interrupted(2)

    with monkeypatch.context() as patch:
        patch.setattr(supernet, "carry_out", stopped)
        assert main(["study", written(), *WORDS, "--weights.momentum", "0.5"]) == 130
    assert "SIGINT: the state is saved; continue with" in (said := capsys.readouterr().err)
    assert said.endswith("supernet --resume out/bench/rate-0.1-seed0\n")
    assert main(["report", "out"]) == 0  # of what there is
    assert "bench: 6 of 8 runs are not done yet\n" in capsys.readouterr().err
    assert main(["study", written(), *WORDS, "--weights.momentum", "0.5"]) == 0
    own = {"weights.momentum": "0.5", "weights.lr": "0.1"}
    assert fake[3] == Request(None, own, resume=Path("out/bench/rate-0.1-seed0"))
    assert len(trained(fake)) == len(set(trained(fake))) == 8
    Path("out/bench/rate-0.1-seed1/ranking-batch.json").write_text("{")  # is made again, and nothing trained
    assert main(["study", written(), *WORDS, "--weights.momentum", "0.5"]) == 0
    assert len(fake) == 9


def test_processes_share_the_runs_and_wait_where_the_best_is_kept(written, fake, monkeypatch, capsys):
    """Each takes what no other is at; here another is at the second run of the first factor, and then ends."""

    class Waits(Exception):
        pass

    def waits(_: float) -> None:
        raise Waits

    monkeypatch.setattr(jobs.time, "sleep", waits)
    with held(Path("out/.locks/bench-rate-0.025-seed0")), pytest.raises(Waits):
        main(["study", written(), *WORDS])
    firsts = ["rate-0.01-seed0", "rate-0.1-seed0", "rate-0.01-seed1", "rate-0.025-seed1", "rate-0.1-seed1"]
    assert trained(fake) == firsts
    said = "rate keeps the best: waiting for other processes, which have 1 runs to do: rate-0.025-seed0"
    assert said in capsys.readouterr().err
    assert not Path("out/results.json").exists()
    assert main(["study", written(), *WORDS]) == 0  # what the other left is taken over
    assert trained(fake)[5:] == ["rate-0.025-seed0", "batch-2-seed0", "batch-2-seed1"]
    assert Path("out/results.json").exists()


def test_the_first_process_alone_concludes(written, fake, monkeypatch):
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank, concluded in (("1", False), ("0", True)):
        monkeypatch.setenv("RANK", rank)
        assert main(["study", written(), *WORDS]) == 0
        assert Path("out/results.json").exists() == concluded
    assert len(trained(fake)) == len(set(trained(fake))) == 8


def test_spaces_run_one_by_one_come_together(content, written, fake):
    content["spaces"].append({**content["spaces"][0], "name": "second", "title": "The second"})
    assert main(["study", written(), *WORDS, "--only", "second"]) == 0
    assert [own["title"] for own in json.loads(Path("out/results.json").read_text())["spaces"]] == ["The second"]
    assert main(["study", written(), *WORDS, "--only", "bench"]) == 0
    own = json.loads(Path("out/results.json").read_text())["spaces"]
    assert [space["name"] for space in own] == ["second", "bench"]
    assert own[0]["factors"] == own[1]["factors"]


@pytest.mark.parametrize(
    ("change", "words", "message"),
    [
        ({}, [], "--benchmarks FOLDER is missing, the folder of bench.csv"),
        ({}, ["--benchmarks", "nowhere"], "nowhere/bench.csv: no such file; --benchmarks should be the folder"),
        ({}, [*WORDS, "--only", "bensh"], "--only bensh: is no space of tiny (did you mean 'bench'?)"),
        ({}, [*WORDS, "--seed", "3"], "seed: a study's seeds stand in its file"),
        ({}, [*WORDS, "--lr", "x"], "command line: --lr (weights.lr): 'x': should be a valid number"),
        ({}, [*WORDS, "--weights.lrr", "3"], "is neither an option nor a setting (did you mean '--weights.lr'?)"),
        ({}, [*WORDS, "--supernet.wsbn", "true"], "supernet.wsbn: true"),
        ({}, [*WORDS, "--data.train_portion", "1"], "rate 0.01: data.train_portion 1.0: no images are held out"),
        ({"keep": "0.5"}, WORDS, "keep: '0.5' is no setting of factor rate"),
        ({"settings": [RATES[0], RATES[0]]}, WORDS, "of factor rate, the labels '0.01', '0.01' name the same runs"),
        ({"settings": [{"label": "/"}]}, WORDS, "the label '/' has no letter or digit"),
        ({"settings": [{"label": "baseline", "changes": {"epochs": 2}}]}, WORDS, "label 'baseline' is for what"),
        ({"name": "batch"}, WORDS, "two settings would name their runs batch-baseline"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_before_anything_runs(content, written, fake, capsys, change, words, message):
    content["spaces"][0]["factors"][0] |= change
    assert main(["study", written(), *words]) == 2
    assert message in capsys.readouterr().err
    assert fake == []
    assert not Path("out").exists()


def test_a_folder_goes_on_with_what_it_began_with(content, written, fake, capsys):
    assert main(["study", written(), *WORDS]) == 0
    assert main(["study", written(), *WORDS, "--epochs", "2"]) == 2
    assert "rate-0.01-seed0/settings.yaml: epochs: 1, but the study says 2" in capsys.readouterr().err
    assert main(["study", written(), *WORDS, "--save_minutes", "2"]) == 0
    content["images"] = 32
    assert main(["study", written(), *WORDS]) == 2
    assert "out/study.yaml: images: 64, but now it is 32" in capsys.readouterr().err
    content["images"] = 64
    content["seeds"].append(2)
    before = len(fake)
    assert main(["study", written(), *WORDS]) == 0
    assert all(name.endswith("seed2") for name in trained(fake[before:]))
    recipe = Path("recipe.yaml")
    recipe.write_text(recipe.read_text().replace("epochs: 1", "epochs: 3"))
    assert main(["study", written(), *WORDS]) == 2
    assert "recipe.yaml is no longer the recipe that the runs began with" in capsys.readouterr().err


def test_the_plugins_of_a_copy_of_a_recipe_are_not_loaded(content, written, fake, forgotten):
    """Neither by the study nor by its report: nobody has named them."""
    assert main(["study", written(), *WORDS]) == 0
    evil = "from pathlib import Path\nPath('executed').touch()\n"
    Path("out/bench/evil.py").write_text(evil)
    Path("evil.py").write_text(evil)
    copy = Path("out/bench/recipe.yaml")
    copy.write_text(copy.read_text() + "plugins: [evil.py]\n")
    assert main(["study", written(), *WORDS]) == 0
    assert main(["report", "out"]) == 0
    study = read_yaml(Path("out/study.yaml"))
    study["spaces"][0]["config"] = str(copy.rename("out/named.yaml"))  # nor where the study of the folder names it
    Path("out/evil.py").write_text(evil)
    Path("out/study.yaml").write_text(yaml.safe_dump(study))
    assert main(["report", "out"]) == 0
    assert not Path("executed").exists()


def test_the_plugins_of_the_recipe_of_a_study_are_loaded(content, written, fake, forgotten):
    Path("mine").mkdir()
    Path("mine/log.py").write_text("from pathlib import Path\nPath('log').open('a').write('x')\n")
    Path("recipe.yaml").rename("mine/recipe.yaml")
    Path("mine/recipe.yaml").write_text(Path("mine/recipe.yaml").read_text() + "plugins: [log.py]\n")
    content["spaces"][0]["config"] = "mine/recipe.yaml"
    assert main(["study", written(), *WORDS]) == 0
    assert Path("log").read_text() == "x"
    own = check(TrainingSettings, read_yaml(Path("out/bench/rate-0.01-seed0/settings.yaml")), "")
    assert own.plugins == (str(Path("mine/log.py").resolve()),)
    content["seeds"].append(2)
    assert main(["study", written(), *WORDS]) == 0  # and goes on with it


def test_the_first_file_of_truth_that_there_is_is_taken_and_kept(content, written, fake, capsys):
    content["spaces"][0]["benchmark"] = ["full.csv", "other.csv", "bench.csv"]
    assert main(["study", written(), "--out", "out"]) == 2
    assert "the folder of full.csv or other.csv or bench.csv" in capsys.readouterr().err
    assert main(["study", written(), "--benchmarks", "nowhere", "--out", "out"]) == 2
    said = "nowhere: holds none of full.csv, other.csv, bench.csv; --benchmarks should be the folder of one of them"
    assert capsys.readouterr().err.splitlines()[-1].endswith(said)
    Path("other.csv").write_text(Path("bench.csv").read_text())
    assert main(["study", written(), *WORDS]) == 0
    assert read_yaml(Path("out/study.yaml"))["spaces"][0]["benchmark"] == "other.csv"
    assert main(["study", written(), *WORDS]) == 0
    assert len(fake) == 8
    Path("full.csv").write_text(Path("bench.csv").read_text())
    assert main(["study", written(), *WORDS]) == 2
    assert "out/study.yaml: bench: benchmark: other.csv, but now it is full.csv" in capsys.readouterr().err


@pytest.mark.parametrize("benchmark", [[], "", ["bench.csv", ""]])
def test_a_space_names_a_file_of_truth(content, written, capsys, benchmark):
    content["spaces"][0]["benchmark"] = benchmark
    assert main(["study", written(), *WORDS]) == 2
    assert "benchmark: should name a file, or a list of files" in capsys.readouterr().err


def test_options_of_such_studies_are_refused_by_others(capsys, content):
    assert main(["study", "collapse-small", "--only", "x"]) == 2
    assert "--only: is for a study of factors" in capsys.readouterr().err
    Path("study.yaml").write_text(yaml.safe_dump(content))
    Path("bench").mkdir()
    assert main(["report", "."]) == 2
    assert "none of its runs has been judged yet" in capsys.readouterr().err
