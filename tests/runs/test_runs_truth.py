"""A search and a supernet held against the truth: what every record tells, and that nothing learns from it."""

import os
from pathlib import Path

import pytest
import yaml
from one_shot import BENCH, CHAIN, every_path
from one_shot import settings_of as training_of
from processes import launch
from runs import metrics, same
from second_stage import accuracy_of, truth_of

import fairdarts
from fairdarts.cli import main
from fairdarts.config import UserError
from fairdarts.oneshot.train import watched_paths
from fairdarts.reading import dump_yaml, read_yaml
from fairdarts.runtime import checkpoint

BEST = max(truth_of().values())
SMALL = {
    "data.images": 32,
    "data.image_size": 8,
    "data.batch_size": 4,
    "watch.paths": 3,
    "watch.images": 5,
    "epochs": 3,
}
TOLD = {"truth": "truth.csv", "truth_columns": "test"}


@pytest.fixture(autouse=True)
def here(tiny_recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recipes of both in a space of 81 paths, and its truth, of half the accuracy for validation."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fairdarts.runs.figures.figures_of", lambda *_: [])
    monkeypatch.setattr("fairdarts.runs.search.log_epoch", lambda *_: None)  # which takes longer than the search
    Path("chain.yaml").write_text(dump_yaml(CHAIN))
    content = read_yaml(tiny_recipe) | {"space": "chain.yaml", "relaxation": "softmax", "derive": {"method": "argmax"}}
    content["zero_one"] = {"form": "squared", "weight": 0}
    Path("search.yaml").write_text(yaml.safe_dump(content))
    Path("supernet.yaml").write_text(dump_yaml(training_of().model_copy(update={"space": "chain.yaml"})))
    rows = [f"{''.join(map(str, path))},{accuracy_of(path)},{accuracy_of(path) / 2}" for path in every_path(CHAIN)]
    Path("truth.csv").write_text("\n".join(["arch,test,valid", *rows]))


def begin(verb: str, out: str, **options: object) -> Path:
    """A search, or the training of a supernet."""
    if verb == "search":
        return fairdarts.search("search.yaml", out=out, **options).path
    return fairdarts.train_supernet("supernet.yaml", settings=SMALL, out=out, **options).path


def state_of(run: Path) -> dict:
    return checkpoint.load(run / "checkpoints" / "last.pt")


def by_gates(record: dict) -> tuple[int, ...]:
    """The path of the strongest choices."""
    (gates,) = record["gates"].values()
    return tuple(row.index(max(row)) for row in gates)


@pytest.mark.parametrize("verb", ["search", "supernet"])
def test_nothing_learns_from_the_truth(verb: str):
    told, other = begin(verb, "told", **TOLD), begin(verb, "other")
    untold = [
        {key: value for key, value in record.items() if key not in ("truth", "regret")} for record in metrics(told)
    ]
    assert untold == metrics(other) != metrics(told)
    assert same(*({key: value for key, value in state_of(run).items() if key != "records"} for run in (told, other)))


def test_a_record_tells_of_the_architecture_that_its_gates_would_give():
    run = begin("search", "run", truth="truth.csv", truth_columns="test,valid", settings={"architect.lr": 1})
    records = metrics(run)
    for record in records:
        accuracy = accuracy_of(by_gates(record))
        assert record["truth"] == {"test": accuracy, "valid": accuracy / 2}
        regret = BEST - accuracy
        expected = {"test": pytest.approx(regret, abs=1e-6), "valid": pytest.approx(regret / 2, abs=1e-6)}
        assert record["regret"] == expected
    assert [record["epoch"] for record in records] == [0, 1, 2, 3]
    assert len(set(map(by_gates, records))) > 1


def test_a_record_of_a_supernet_tells_of_the_first_of_the_best_watched_paths():
    run = begin("supernet", "run", **TOLD)
    paths = watched_paths(fairdarts.open_run(run).settings, CHAIN)
    for record in metrics(run):
        best = paths[record["watched"].index(max(record["watched"]))]
        assert record["truth"] == {"test": accuracy_of(best)}
        assert record["regret"] == {"test": pytest.approx(BEST - accuracy_of(best), abs=1e-6)}


@pytest.mark.parametrize("before", [True, False], ids=["told before", "not told before"])
@pytest.mark.parametrize("verb", ["search", "supernet"])
def test_a_resumed_run_tells_what_an_uninterrupted_one_does(verb: str, before: bool):
    class Stops(fairdarts.Callback):
        def step(self, epoch: int, step: int, steps: int, *seen: object) -> None:
            if (epoch, step) == (2, 2):
                os.kill(os.getpid(), 2)

    whole = begin(verb, "whole", **TOLD)
    with pytest.raises(KeyboardInterrupt):
        begin(verb, "cut", callbacks=Stops(), **(TOLD if before else {}))
    assert ("truth" in metrics(Path("cut"))[-1]) == before
    cut = fairdarts.open_run("cut").resume(settings=TOLD).path
    assert metrics(cut) == metrics(whole)
    assert same(state_of(cut), state_of(whole))


def test_progress_and_summary_say_it(capsys: pytest.CaptureFixture[str]):
    words = ["--truth", "truth.csv", "--truth_columns", "test,valid"]
    assert main(["search", "search.yaml", *words, "--out", "searched"]) == 0
    err, last = capsys.readouterr().err, metrics(Path("searched"))[-1]
    assert err.count("  truth ") == 3
    test, valid = (f"{last['truth'][key]:.2f} %, {last['regret'][key]:.2f} below" for key in ("test", "valid"))
    assert f"\ntruth      test {test} the best of the space\n           valid {valid} the best of the space\n" in err
    small = [word for key, value in SMALL.items() for word in (f"--{key}", str(value))]
    assert main(["supernet", "supernet.yaml", *small, *words, "--out", "trained"]) == 0
    err, last = capsys.readouterr().err, metrics(Path("trained"))[-1]
    assert f"\nbest path  test {last['truth']['test']:.2f} %, {last['regret']['test']:.2f} below" in err


def test_what_a_table_lacks_is_said(capsys: pytest.CaptureFixture[str]):
    Path("few.csv").write_text("\n".join(Path("truth.csv").read_text().splitlines()[:3]))
    assert main(["search", "search.yaml", "--epochs", "1", "--truth", "few.csv", "--truth_columns", "test"]) == 0
    assert "few.csv: holds 2 of 81 paths of space tiny; of others it knows" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--truth", "no.csv"), "no.csv: No such file"),
        (("--truth", "other.csv"), "6 choices, should be 4 for tiny"),
        (("--truth", "truth.csv", "--truth_columns", "top1"), "truth.csv: has no column 'top1'"),
        (("--truth_columns", "test"), "truth_columns test: are those of a file: set truth, too"),
    ],
)
@pytest.mark.parametrize("verb", ["search", "supernet"])
def test_a_truth_that_cannot_be_told_is_one_line_and_nothing_is_begun(
    capsys: pytest.CaptureFixture[str], verb: str, words: tuple[str, ...], message: str
):
    Path("other.csv").write_text(f"arch,accuracy\n{'0' * len(BENCH.choices)},90\n")
    before = sorted(Path().rglob("*"))
    assert main([verb, f"{verb}.yaml", *words]) == 2
    assert message in capsys.readouterr().err
    assert sorted(Path().rglob("*")) == before


def test_a_supernet_that_watches_no_path_is_told_no_truth():
    with pytest.raises(UserError, match="truth is told of the best of the watched paths: set"):
        fairdarts.train_supernet("supernet.yaml", settings=SMALL | {"watch.paths": 0}, truth="truth.csv")
    assert not Path("runs").exists()


def test_two_processes_tell_of_what_they_found_together():
    words = ["search", "search.yaml", "--truth", "truth.csv", "--truth_columns", "test", "--out", "run"]
    done = launch("fairdarts", *words)
    assert done.returncode == 0, done.stderr
    records = metrics(Path("run"))
    assert [record["truth"] for record in records] == [{"test": accuracy_of(by_gates(record))} for record in records]
