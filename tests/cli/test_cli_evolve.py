"""`fairdarts evolve`: what it finds, keeps, resumes, compares and refuses."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from one_shot import CHAIN, every_path
from one_shot import settings_of as training_of
from processes import launch
from runs import same
from second_stage import STRATEGIES, accuracy_of, settings_of

from fairdarts.cli import main
from fairdarts.cost.count import count
from fairdarts.genotype import read
from fairdarts.networks.blueprint import build
from fairdarts.networks.zoo import load_genotype
from fairdarts.ranking.report import open_training
from fairdarts.reading import dump_yaml
from fairdarts.runtime import checkpoint
from fairdarts.runtime.run import RunDirectory

WORDS = ("--data.images", "96", "--data.image_size", "8", "--data.batch_size", "8", "--watch.paths", "0")
SMALL = ("--population", "6", "--generations", "4", "--judge.images", "32")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a trained supernet, recipes of all strategies, and tiny.csv, the truth of its space."""
    folder = tmp_path_factory.mktemp("evolved")
    (folder / "tiny.yaml").write_text(dump_yaml(CHAIN))
    training = training_of().model_copy(update={"space": str(folder / "tiny.yaml")})
    (folder / "recipe.yaml").write_text(dump_yaml(training))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fairdarts.runs.figures.draw_training", lambda *_: [])
        assert main(["supernet", "--config", str(folder / "recipe.yaml"), "--out", str(folder / "net"), *WORDS]) == 0
    for kind in STRATEGIES:
        (folder / f"{kind}.yaml").write_text(dump_yaml(settings_of(kind)))
    lines = [f"{''.join(map(str, path))},{accuracy_of(path)}" for path in every_path(CHAIN)]
    (folder / "tiny.csv").write_text("\n".join(["arch,accuracy", *lines]))
    return folder


@pytest.fixture
def here(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it to work in, where nothing is drawn."""
    shutil.copytree(trained, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr("fairdarts.cli.evolve_show.draw_search", lambda *_: [])
    monkeypatch.setattr("fairdarts.cli.evolve_show.draw_truth", lambda *_: [])
    monkeypatch.setattr("fairdarts.runs.compare.draw_regret", lambda *_, **__: [])
    return tmp_path / "work"


def evolves(*words: str) -> None:
    assert main(["evolve", "net", "--config", "nsga2.yaml", *SMALL, *words]) == 0


def fails(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main(["evolve", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    return err


def test_a_search_ends_with_genotypes_whose_numbers_are_true(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evolves("--budgets", "params <= 1100, madds <= 90000", "--out", "found", "--json", "--truth", "tiny.csv")
    told = json.loads(capsys.readouterr().out)
    assert told["evaluations"] == 24
    names = [model["name"] for model in told["models"]]
    assert set(names) >= {"front-1", "best-1", "best-2"}
    for model in told["models"]:
        path = here / "found" / "genotypes" / f"{model['name']}.yaml"
        genotype, _ = read(path), None
        cost = count(build(genotype, CHAIN, classes=10), image=8)  # the classes of the images, not of the space
        assert (cost.params, cost.madds) == (model["params"], model["madds"])
        assert CHAIN.path_of(genotype) == tuple(model["path"])
        assert model["truth"] == {"accuracy": pytest.approx(accuracy_of(tuple(model["path"])))}
    final, space = load_genotype("found")
    assert space == CHAIN
    best = max(told["models"], key=lambda model: model["accuracy"])
    assert CHAIN.path_of(final) == tuple(best["path"])
    (within,) = [model for model in told["models"] if model["budget"] == "params <= 1100"]
    assert told["truth_within"]["params <= 1100"] == within["truth"]
    assert told["truth"] == best["truth"]
    assert 0 < told["front_truth"]["accuracy"]["hypervolume"] <= 1
    rows = (here / "found" / "models.csv").read_text().splitlines()
    assert len(rows) == 25


def test_costs_and_constraints_are_of_the_images_that_the_supernet_was_trained_on(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    training = here / "large.yaml"
    content = yaml.safe_load((here / "recipe.yaml").read_text())
    training.write_text(yaml.safe_dump(content | {"data": content["data"] | {"classes": 5}}))
    words = ("--data.images", "96", "--data.image_size", "16", "--data.batch_size", "8", "--watch.paths", "0")
    assert main(["supernet", "--config", str(training), "--out", "large", *words]) == 0
    capsys.readouterr()
    evolve = ["evolve", "large", "--config", "nsga2.yaml", *SMALL, "--constraints", "madds <= 250000", "--json"]
    assert main([*evolve, "--out", "found"]) == 0
    out, err = capsys.readouterr()
    assert "costs      counted for 16×16 images of 5 classes" in err
    for model in json.loads(out)["models"]:
        genotype = read(here / "found" / "genotypes" / f"{model['name']}.yaml")
        cost = count(build(genotype, CHAIN, classes=5), image=16)
        assert (cost.params, cost.madds) == (model["params"], model["madds"])
        assert cost.madds <= 250_000
        assert genotype.source.endswith("(16×16 images)")
    (here / "found" / "images.json").unlink()  # as version 0.1 left a run: its costs stay what they were
    assert main(["evolve", "--resume", "found", "--json"]) == 0
    model = json.loads(capsys.readouterr().out)["models"][0]
    genotype = read(here / "found" / "genotypes" / f"{model['name']}.yaml")
    assert count(build(genotype, CHAIN), image=8).params == model["params"]


def test_the_table_says_what_was_found_and_what_the_truth_says(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evolves("--out", "found", "--truth", "tiny.csv")
    out, err = capsys.readouterr()
    assert out.split()[:8] == ["model", "accuracy,", "%", "madds,", "M", "params,", "M", "true,"]
    record = RunDirectory(here / "found").records()[-1]
    (row,) = [line.split() for line in out.splitlines() if line.startswith("accuracy ")]
    front = record["front_truth"]["accuracy"]
    numbers = [record["truth"]["accuracy"], record["regret"]["accuracy"], front["mean"], front["best"]]
    assert row == ["accuracy", *(f"{number:.2f}" for number in numbers), f"{100 * front['hypervolume']:.1f}"]
    assert f"  truth {record['truth']['accuracy']:.2f} %" in err
    assert "judge      net: 1 epochs, 32 held-out images" in err
    assert "generation 4/4  24 models  front" in err


def test_a_judge_that_tells_no_models_apart_is_told_of_and_the_cheapest_is_final(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fairdarts.oneshot.evaluate.Evaluator.__call__", lambda _, paths: [25.0] * len(paths))
    evolves("--out", "found", "--json")
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert "judge      all 24 models are judged alike, at 25.00 %" in err
    assert told["as_accurate_as_best"] == told["evaluations"] == 24
    rows = [row.split(",") for row in (here / "found" / "models.csv").read_text().splitlines()[1:]]
    cheapest = min(rows, key=lambda row: (float(row[2]), float(row[3])))
    final, best = (read(here / "found" / "genotypes" / f"{name}.yaml") for name in ("final", "best"))
    assert final.layers == best.layers
    cost = count(build(final, CHAIN, classes=10), image=8)
    assert (cost.madds, cost.params) == (float(cheapest[2]), float(cheapest[3]))


def test_a_finished_search_says_the_same_again_and_can_be_judged_later(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evolves("--out", "found", "--truth", "tiny.csv")
    first = capsys.readouterr().out
    assert main(["evolve", "--resume", "found"]) == 0
    assert capsys.readouterr().out == first
    evolves("--out", "late")
    assert "truth" not in RunDirectory(here / "late").records()[0]
    capsys.readouterr()
    assert main(["evolve", "--resume", "late", "--truth", "tiny.csv"]) == 0
    assert capsys.readouterr().out == first
    truths = [[record["truth"] for record in RunDirectory(here / name).records()] for name in ("found", "late")]
    assert truths[0] == truths[1]
    assert len(truths[0]) == 4


def test_a_search_goes_on_in_another_place_to_the_same_bits(here: Path) -> None:
    evolves("--out", "whole")
    evolves("--out", "cut")
    run = RunDirectory(here / "cut")
    text = (run.path / "settings.yaml").read_text()
    shutil.rmtree(run.path)
    evolves("--out", "cut", "--generations", "2")
    (run.path / "settings.yaml").write_text(text)
    state = checkpoint.load(run.last)
    identity = state["identity"] | {"settings.yaml: generations": "4"}
    checkpoint.save(run.last, state | {"identity": identity})
    (here / "net").rename(here / "moved")
    assert main(["evolve", "--resume", "cut", "--supernet", "moved"]) == 0
    one, other = (checkpoint.load(RunDirectory(here / name).last) for name in ("cut", "whole"))
    assert same(one, other)
    assert yaml.safe_load((run.path / "settings.yaml").read_text())["supernet"] == "net"


def test_a_finished_search_can_end_with_other_models(here: Path) -> None:
    evolves("--out", "found", "--models", "1")
    names = {path.stem for path in (here / "found" / "genotypes").iterdir()}
    assert names == {"front-1", "best", "final"}
    assert main(["evolve", "--resume", "found", "--budgets", "params <= 1100"]) == 0
    assert {path.stem for path in (here / "found" / "genotypes").iterdir()} == {"front-1", "best-1", "final"}


def test_another_supernet_cannot_judge_the_rest(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evolves("--out", "found")
    run = RunDirectory(here / "net")
    state = checkpoint.load(run.last)
    name = next(iter(state["supernet"]))
    state["supernet"][name] = state["supernet"][name] + 1
    checkpoint.save(run.last, state)
    assert "supernet: weights:" in fails(capsys, "--resume", "found")


@pytest.mark.parametrize(
    "words",
    [
        ("evolve", "net", "--config", "random.yaml", *SMALL),
        ("rank", "net"),
        ("rank", "net", "--analyse", "--out", "figures"),
    ],
    ids=" ".join,
)
def test_a_supernet_that_has_diverged_is_of_no_use(here: Path, capsys, words: tuple[str, ...]) -> None:
    state = checkpoint.load(RunDirectory(Path("net")).last)
    name = next(name for name in state["supernet"] if name.endswith("weight"))
    state["supernet"][name].fill_(float("nan"))
    checkpoint.save(RunDirectory(Path("net")).last, state)
    assert main([*words]) == 2
    assert f"net: {name}: holds numbers that are not finite: its training has diverged\n" in capsys.readouterr().err
    assert not Path("runs").exists()


def test_latency_is_measured_once_and_kept(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evolves("--objectives", "accuracy,latency", "--out", "found")
    text = (here / "found" / "latency.csv").read_text()
    first = capsys.readouterr()
    assert "measuring latency per choice on cpu" in first.err
    assert main(["evolve", "--resume", "found"]) == 0
    assert capsys.readouterr().out == first.out
    (here / "mine.csv").write_text(text)
    evolves("--objectives", "accuracy,latency", "--latency", "mine.csv", "--out", "given")
    assert (here / "given" / "latency.csv").read_text() == text
    archives = [checkpoint.load(RunDirectory(here / name).last)["archive"]["paths"] for name in ("found", "given")]
    assert same(*archives)
    (here / "given" / "latency.csv").write_text(text.replace("rest,,", "rest,,1"))
    assert "latency.csv: Table(fixed=" in fails(capsys, "--resume", "given")


def test_models_of_a_larger_space_are_counted_and_found_there(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wide = CHAIN.model_copy(update={"name": "wide", "head": 64})
    (here / "wide.yaml").write_text(dump_yaml(wide))
    evolves("--space", "wide.yaml", "--out", "found", "--json")
    model = json.loads(capsys.readouterr().out)["models"][0]
    genotype = read(here / "found" / "genotypes" / "front-1.yaml")
    assert genotype.space == "wide"
    assert count(build(genotype, wide), image=8).params == model["params"]
    other = fails(capsys, "net", "--config", "nsga2.yaml", "--space", "nas-bench-macro", "--out", "other")
    assert "space: nas-bench-macro: has other choices than tiny" in other


def test_two_processes_find_what_one_does(here: Path) -> None:
    evolves("--out", "one")
    words = ["evolve", "net", "--config", "nsga2.yaml", *SMALL, "--out", "two"]
    done = launch("fairdarts", *words)
    assert done.returncode == 0, done.stderr
    assert same(*(checkpoint.load(RunDirectory(here / name).last) for name in ("one", "two")))


def test_strategies_are_compared_on_a_table(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evolve", "--benchmark", "tiny.csv", "--config", "nsga2.yaml,random.yaml", "--space", "tiny.yaml"]
    words += ["--seeds", "3", "--population", "6", "--generations", "4", "--out", "compared"]
    assert main([*words, "--budgets", "madds <= 90000", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(row["strategy"], row["seeds"], row["models"]) for row in told] == [("nsga2", 3, 24), ("random", 3, 24)]
    for row in told:
        regret = row["regret"]["madds <= 90000"]
        assert list(regret) == ["2", "6", "12", "24"]
        assert regret["2"]["mean"] >= regret["24"]["mean"] >= 0
        assert regret["24"]["low"] <= regret["24"]["mean"] <= regret["24"]["high"]
    lines = (here / "compared" / "trials-0.jsonl").read_text().splitlines()
    with (here / "compared" / "trials-0.jsonl").open("a") as file:
        file.write('\n{"strategy": "nsga2", "se')  # torn
    assert main([*words, "--budgets", "madds <= 90000", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == told
    assert len((here / "compared" / "trials-0.jsonl").read_text().splitlines()) == len(lines) + 1
    assert "strategies.json: holds another comparison, as to budgets of nsga2" in fails(
        capsys, *words[1:], "--budgets", "madds <= 80000"
    )


COMPARED = ["evolve", "--benchmark", "tiny.csv", "--config", "nsga2.yaml,random.yaml", "--space", "tiny.yaml"]
COMPARED += ["--seeds", "2", "--population", "6", "--generations", "2", "--json"]


def test_processes_share_the_searches_of_a_comparison(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*COMPARED, "--out", "alone"]) == 0
    alone = capsys.readouterr().out
    done = launch("fairdarts", *COMPARED, "--out", "shared")
    assert (done.returncode, done.stdout) == (0, alone), done.stderr
    lines = [(here / "shared" / f"trials-{rank}.jsonl").read_text().split("\n")[1:] for rank in (0, 1)]
    assert list(map(len, lines)) == [2, 2]


def test_seeds_and_strategies_can_be_added_to_a_comparison(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*COMPARED, "--out", "compared", "--seeds", "1"]) == 0
    (only,) = [row for row in json.loads(capsys.readouterr().out) if row["strategy"] == "random"]
    assert only["hypervolume"]["low"] is None
    words = [word.replace("random.yaml", "mnasnet.yaml, random.yaml") for word in COMPARED]
    assert main([*words, "--out", "compared"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(row["strategy"], row["seeds"]) for row in told] == [("nsga2", 2), ("mnasnet", 2), ("random", 2)]
    assert len((here / "compared" / "trials-0.jsonl").read_text().splitlines()) == 1 + 6
    assert main([*COMPARED[:-1], "--out", "compared"]) == 0
    assert "± " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--config", "nsga2.yaml,nsga2.yaml"), "two recipes have the name nsga2; should have one each"),
        (("--budgets", "madds <= 1"), "budgets: madds <= 1: no model of tiny.csv keeps it"),
        (("--constraints", "madds <= 1"), "constraints: madds <= 1: no model keeps it: tiny has"),
        (("--constraints", "accuracy >= 101"), "constraints: accuracy >= 101: no model of tiny.csv keeps it"),
        (("--config", "nsga2.yaml", "--evolve.prior_weights", "[[1, 2]]"), "evolve.prior_weights: should hold"),
        (("--config", ","), "--config ,: names no recipe"),
        (("--root", "photos"), "--root: is of no use in a comparison on a table: it needs no images"),
        (("--seed", "3"), "--seed: is of no use in a comparison on a table: it has --seeds"),
        (("--truth", "tiny.csv"), "--truth: is of no use in a comparison on a table: the table is the truth"),
        (("--judge.images", "3"), "--judge.images: is of no use in a comparison on a table"),
        (("--evolve.mutation", "0.5"), "random.yaml: command line: --evolve.mutation: unknown key"),
        (("--out", "net"), "net: holds something else than a comparison; name another --out"),
        (("--benchmark", "no.csv"), "no.csv: No such file"),
    ],
)
def test_what_cannot_be_compared(here: Path, capsys, words: tuple[str, ...], message: str) -> None:
    before = sorted(here.rglob("*"))
    assert message in fails(capsys, *COMPARED[1:], *words)
    assert sorted(here.rglob("*")) == before


def test_the_space_of_a_table_is_the_one_that_it_is_named_after(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy("tiny.csv", "nas-bench-macro_mine.csv")
    assert "4 choices, should be 8 for nas-bench-macro" in fails(capsys, "--benchmark", "nas-bench-macro_mine.csv")
    assert "tiny.csv: of which space are its architectures?" in fails(capsys, "--benchmark", "tiny.csv")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "evolve: the first word should be a RUN of `fairdarts supernet`, which judges"),
        (("nowhere",), "nowhere: not a run directory"),
        (("--column", "x"), "--column x: is a column of --benchmark FILE, which is missing"),
        (("net", "--column", "x"), "to hold a search against the truth, say --truth_columns x"),
        (("net", "--benchmark", "tiny.csv"), "to hold a search against the truth, say --truth tiny.csv"),
        (("net", "--truth_columns", "accuracy"), "truth_columns accuracy: are those of a file: set truth, too"),
        (("net", "--truth", "tiny.csv", "--truth_columns", "x"), "tiny.csv: has no column 'x'"),
        (("net", "--seeds", "3"), "--seeds 3: is for a comparison on a table"),
        (("net", "--config", "recipe.yaml"), "recipe.yaml: is a recipe of `fairdarts supernet`"),
        (("net", "--objectives", "acuracy"), "objectives: 'acuracy' is not a quantity (did you mean 'accuracy'?)"),
        (("net", "--constraints", "madds <= 10"), "constraints: madds <= 10: no model keeps it: tiny has"),
        (("net", "--latency", "no.csv", "--objectives", "latency"), "no.csv: No such file"),
        (("net", "--config", "regularized.yaml", "--objectives", "accuracy,madds"), "regularized evolution has one"),
        (("net", "--truth", "no.csv"), "no.csv: No such file"),
        (("net", "--supernet", "other"), "--supernet: is what RUN says, the first word"),
        (("net", "--latency", "no.csv"), "no.csv: is of no use, as neither an objective nor a limit is latency"),
        (
            ("net", "--evolve.controller.foo", "1"),
            "--evolve.controller.foo: is neither an option nor a setting (did you mean '--evolve.controller.lr'",
        ),
        (("--resume", "net"), "net: is a run of `fairdarts supernet`, which resumes it"),
        (("net", "--resume", "net"), "takes its supernet, settings and place from the run itself"),
        (("--benchmark", "tiny.csv", "--seeds", "0"), "--seeds 0: should be at least 1"),
        (("--benchmark", "tiny.csv", "--space", "tiny.yaml", "--objectives", "latency"), "--latency FILE"),
    ],
)
def test_what_cannot_be_searched(here: Path, capsys, words: tuple[str, ...], message: str) -> None:
    before = sorted(here.rglob("*"))
    assert message in fails(capsys, *words)
    assert sorted(here.rglob("*")) == before  # and nothing was begun


def test_a_limit_that_nothing_found_keeps_is_said(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("net", "--config", "nsga2.yaml", *SMALL, "--constraints", "accuracy >= 101", "--out", "found")
    assert "found: none of 24 models keeps accuracy >= 101; all are in its models.csv" in fails(capsys, *words)
    assert len((here / "found" / "models.csv").read_text().splitlines()) == 25


def test_a_search_says_when_no_more_models_are_found(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evolves("--constraints", "madds <= 8144", "--out", "found", "--evolve.controller.kind", "reinforce")
    assert "1 model, and no more are found within the constraints" in capsys.readouterr().err


def test_other_verbs_know_a_search(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evolves("--out", "found")
    capsys.readouterr()
    assert main(["zoo", "found"]) == 0
    assert "found" in capsys.readouterr().out
    for words, message in [
        (["search", "--resume", "found"], "found: is a run of `fairdarts evolve`, which resumes it"),
        (["rank", "found"], "found: not the training of a supernet"),
        (
            ["draw", "found", "net"],
            "net: is a run of `fairdarts supernet`: several runs can be drawn of `evolve` alone",
        ),
    ]:
        assert main(words) == 2
        assert message in capsys.readouterr().err


@pytest.mark.usefixtures("rendered")
def test_searches_are_drawn(trained: Path, tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(trained)
    for kind in ("nsga2", "random"):
        words = ("evolve", "net", "--config", f"{kind}.yaml", *SMALL, "--out", str(tmp_path / kind))
        assert main([*words, "--truth", "tiny.csv"]) == 0
    out = capsys.readouterr().out
    for name in ("evolved", "evolved-truth", "found", "fronts"):
        assert str(tmp_path / "nsga2" / "figures" / f"{name}.svg") in out
        assert (tmp_path / "nsga2" / "figures" / f"{name}.svg").is_file()
    before = (tmp_path / "nsga2" / "figures" / "evolved.svg").read_bytes()
    assert main(["draw", str(tmp_path / "nsga2"), "--out", str(tmp_path / "again")]) == 0
    assert (tmp_path / "again" / "evolved.svg").read_bytes() == before
    assert main(["draw", str(tmp_path / "nsga2"), str(tmp_path / "random"), "--out", str(tmp_path / "both")]) == 0
    assert "random" in (tmp_path / "both" / "fronts.svg").read_text()


def test_training_opened_by_the_judge_is_that_of_the_run(here: Path) -> None:
    settings, space = open_training(RunDirectory(here / "net"))
    assert (settings.name, space) == ("tiny", CHAIN)
