"""`fairdarts study` on recipes, on searches of a second."""

from pathlib import Path

import pytest
import yaml

from fairdarts.checking import check
from fairdarts.cli import main
from fairdarts.config import UserError
from fairdarts.differentiable.settings import SearchSettings
from fairdarts.reading import read_yaml
from fairdarts.runs import search
from fairdarts.runs.callbacks import Callbacks
from fairdarts.runs.request import Request
from fairdarts.runs.result import Run
from fairdarts.runs.study import jobs
from fairdarts.runs.study.results import StudyResult
from fairdarts.runtime.lock import held
from fairdarts.runtime.stop import Interrupted


@pytest.fixture(autouse=True)
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder of its own, and without figures and report, which take longer than searches."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fairdarts.runs.figures.figures_of", lambda *_: [])
    monkeypatch.setattr("fairdarts.runs.search.log_epoch", lambda *_: None)
    monkeypatch.setattr(StudyResult, "report", lambda result: result.folder / "report.html")


@pytest.fixture
def small_study(tiny_recipe: Path, tmp_path: Path) -> Path:
    content = {
        "name": "small",
        "source": "tests",
        "seeds": [0, 1],
        "shared": {"epochs": 1, "noise": None, "zero_one.weight": 3},
        "runs": [
            {"name": "fair", "config": str(tiny_recipe)},
            {"name": "soft", "config": str(tiny_recipe), "changes": {"relaxation": "softmax", "zero_one.weight": 0}},
        ],
    }
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_a_study_runs_every_recipe_with_every_seed_and_skips_what_is_done(small_study: Path, capsys, monkeypatch):
    assert main(["study", str(small_study), "--weights.lr", "0.05"]) == 0
    out, err = capsys.readouterr()
    folder = Path("runs/small")
    assert sorted(path.name for path in folder.glob("[!.]*") if path.is_dir()) == [
        "fair-seed0", "fair-seed1", "soft-seed0", "soft-seed1",
    ]  # fmt: skip
    own = [
        check(SearchSettings, read_yaml(folder / name / "settings.yaml"), "") for name in ("fair-seed1", "soft-seed0")
    ]
    assert [(one.seed, one.relaxation, one.zero_one.weight) for one in own] == [(1, "sigmoid", 3), (0, "softmax", 0)]
    assert [(one.epochs, one.weights.lr) for one in own] == [(1, 0.05)] * 2
    assert out == f"{folder / 'report.html'}\n"
    assert "small: 4 of 4 runs are done" in err
    names = "fair-seed0, soft-seed0, fair-seed1, soft-seed1"
    assert f"small: 4 runs, 0 of them done, in runs/small; to run: {names}\n" in err
    monkeypatch.setattr(jobs.Job, "train", lambda job, _: pytest.fail(f"{job} again"))
    assert main(["study", str(small_study), "--weights.lr", "0.05"]) == 0
    assert main(["study", str(small_study), "--epochs", "2"]) == 2
    assert "epochs: 1, but the command line says 2" in capsys.readouterr().err


def test_a_study_that_was_stopped_goes_on(small_study: Path, tiny_recipe: Path, monkeypatch, capsys):
    begun: list[Request] = []

    def stopped(asked: Request, watch: Callbacks, then=search.carry_out) -> Run:
        begun.append(asked)
        run = then(asked, watch)
        if len(begun) == 2:
            (run.path / "genotypes/final.yaml").unlink()
            raise Interrupted(15)
        return run

    monkeypatch.setattr(search, "carry_out", stopped)
    assert main(["study", str(small_study)]) == 143
    said = capsys.readouterr().err
    assert "SIGTERM: the state is saved; continue with" in said
    assert said.endswith("search --resume runs/small/soft-seed0\n")
    assert main(["study", str(small_study)]) == 0
    assert [asked.resume or asked.out for asked in begun] == [
        Path("runs/small") / name for name in ("fair-seed0", "soft-seed0", "soft-seed0", "fair-seed1", "soft-seed1")
    ]
    own = {"epochs": "1", "noise": "null", "zero_one.weight": "0", "relaxation": "softmax"}
    assert begun[2] == Request(None, own, resume=Path("runs/small/soft-seed0"))
    assert begun[1] == Request(str(tiny_recipe), own | {"seed": "0"}, out=Path("runs/small/soft-seed0"))


def test_processes_share_the_runs(small_study: Path, monkeypatch, capsys):
    """Each takes what no other is at; the one that ends last reports."""
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    folder = Path("runs/small")
    with held(folder / ".locks/fair-seed0"):  # where rank 0 would be
        assert main(["study", str(small_study)]) == 0
    out, err = capsys.readouterr()
    assert sorted(path.name for path in folder.glob("[!.]*")) == ["fair-seed1", "soft-seed0", "soft-seed1"]
    assert out == ""
    assert err.endswith("small: 3 of 4 runs are done, in runs/small; other processes are at 1 of them\n")
    monkeypatch.setenv("RANK", "0")
    assert main(["study", str(small_study)]) == 0
    out, err = capsys.readouterr()
    assert "small: run 1 of 4: fair-seed0\n" in err
    assert "run 2 of 4" not in err
    assert out == "runs/small/report.html\n"


def test_a_lone_word_on_processes_is_refused(small_study: Path, monkeypatch, capsys):
    """As schedulers leave it behind: half of the runs would be skipped without a word."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    for words in (["study", str(small_study)], ["search", "--config", "fairdarts-s1-digits"]):
        assert main(words) == 2
        assert "WORLD_SIZE is 2, but RANK is not set: start with torchrun" in capsys.readouterr().err


def test_a_run_that_fails_does_not_keep_the_others_from_running(small_study: Path, monkeypatch, capsys):
    def fails(asked: Request, watch: Callbacks, then=search.carry_out) -> Run:
        run = then(asked, watch)
        if run.path.name == "soft-seed0":
            (run.path / "genotypes/final.yaml").unlink()
            raise UserError("the loss is no longer finite")
        return run

    monkeypatch.setattr(search, "carry_out", fails)
    assert main(["study", str(small_study)]) == 2
    err = capsys.readouterr().err
    assert "soft-seed0: the loss is no longer finite" in err
    assert "small: 3 of 4 runs are done" in err
    assert "1 of its runs failed: soft-seed0" in err.splitlines()[-1]


def test_all_mistakes_of_a_study_are_one_answer_that_says_where_they_stand(small_study: Path, tiny_recipe, capsys):
    def refused(*words: str) -> str:
        assert main(["study", str(small_study), *words]) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        return said.removeprefix("fairdarts: ").strip()

    content = yaml.safe_load(small_study.read_text())
    said = refused("--epochs", "x", "--foo", "1", "--lr", "-1").split("; ")
    assert [part.split(":")[0] for part in said] == [
        *("command line", "--help lists them", "--epochs", "--lr (weights.lr)"),
    ]
    assert said[0].startswith("command line: --foo: ")

    content["shared"] = {"epoch": 1}
    content["runs"][1]["changes"] = {"weights.lr": -1, "data.root": "x"}
    small_study.write_text(yaml.safe_dump(content))
    assert refused() == (
        f"{small_study}: shared: epoch: unknown key (did you mean 'epochs'?); soft: data.root: unknown key where "
        "data.kind is fake; known where it is cifar10, cifar100, folder, imagenet, npz, csv; "
        "soft: weights.lr: '-1': should be greater than 0"
    )

    content["shared"] = {}
    content["runs"][1] = {"name": "soft", "config": "nope"}
    content["runs"].append({"name": "other", "config": "fairnas-macro-small", "changes": {"seed": 1}})
    small_study.write_text(yaml.safe_dump(content))
    said = refused("--relaxation", "sigmoid")
    assert said.startswith(f"{small_study}: soft: nope: neither a file nor a shipped recipe")
    assert "; other: seed: a study's seeds stand in its file; leave it out; " in said
    assert said.endswith("; command line: --relaxation: unknown key (did you mean 'deviations'?) (in other)")
    content["runs"] = [content["runs"][1]]
    small_study.write_text(yaml.safe_dump(content))
    assert refused().startswith(f"{small_study}: soft: nope: neither")


def test_a_run_that_follows_another_study_says_what_has_changed(small_study: Path, capsys):
    content = yaml.safe_load(small_study.read_text())
    content |= {"seeds": [0], "runs": content["runs"][:1]}
    small_study.write_text(yaml.safe_dump(content))
    assert main(["study", str(small_study)]) == 0
    content["shared"]["epochs"] = 2
    small_study.write_text(yaml.safe_dump(content))
    assert main(["study", str(small_study)]) == 2
    assert "settings.yaml: epochs: 1, but the study says 2" in capsys.readouterr().err


def test_a_mistake_in_a_study_is_named_at_once(small_study: Path, capsys):
    assert main(["study", str(small_study), "--epoch", "3"]) == 2
    assert "--epoch: is neither an option nor a setting (did you mean '--epochs'?)" in capsys.readouterr().err
    assert main(["study", str(small_study), "--seed", "3"]) == 2
    assert "seed: a study's seeds stand in its file" in capsys.readouterr().err
    assert not Path("runs").exists()
    twice = read_yaml(small_study)
    twice["runs"][1]["name"] = "fair"
    Path("twice.yaml").write_text(yaml.safe_dump(twice))
    assert main(["study", "twice.yaml"]) == 2
    assert "runs: the name 'fair' stands twice" in capsys.readouterr().err
    twice["runs"][1] |= {"name": "later", "changes": {"weights.lrr": 1}}
    Path("twice.yaml").write_text(yaml.safe_dump(twice))
    assert main(["study", "twice.yaml"]) == 2
    assert "weights.lrr: unknown key" in capsys.readouterr().err
    assert not Path("runs").exists()
    small_study.write_text(yaml.safe_dump(read_yaml(small_study) | {"seeds": []}))
    assert main(["study", str(small_study)]) == 2
    assert f"{small_study}: seeds" in capsys.readouterr().err
    evolution = read_yaml(small_study) | {"seeds": [0], "runs": [{"name": "x", "config": "moremnas"}]}
    small_study.write_text(yaml.safe_dump(evolution))
    assert main(["study", str(small_study)]) == 2
    assert "moremnas: is a recipe of `fairdarts evolve`, which a study does not run" in capsys.readouterr().err
    assert main(["study", "colapse"]) == 2
    assert "did you mean 'collapse'?" in capsys.readouterr().err
