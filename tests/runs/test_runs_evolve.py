"""`fairdarts.evolve`: to the same bits as the verb, without a word, and what the run then tells."""

import json
import shutil
from pathlib import Path

import pytest
from one_shot import CHAIN
from runs import same
from second_stage import accuracy_of, make_supernet_runs

import fairdarts
from fairdarts.cli import main
from fairdarts.config import UserError
from fairdarts.genotype import read
from fairdarts.runs.callbacks import Callback
from fairdarts.runs.evolve import evolve
from fairdarts.runtime import checkpoint
from fairdarts.runtime.run import RunDirectory

SMALL = {"population": 6, "generations": 3, "judge.images": 32}
WORDS = [word for key, value in SMALL.items() for word in (f"--{key}", str(value))]


class Watch(Callback):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def note(self, text: str) -> None:
        self.told.append(text)

    def begin(self, run) -> None:
        self.told.append("begins")

    def epoch(self, record) -> None:
        self.told.append(f"generation {record['generation']}")

    def end(self, run) -> None:
        self.told.append(run.state)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evolved")
    make_supernet_runs(folder, "net")
    return folder


@pytest.fixture
def here(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(trained, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    for place in ("cli.evolve_show.draw_search", "cli.evolve_show.draw_truth"):
        monkeypatch.setattr(f"fairdarts.{place}", lambda *_: [])
    return tmp_path / "work"


def test_the_function_finds_what_the_verb_finds_and_prints_nothing(here: Path, capfd):
    watch = Watch()
    run = evolve("net", "nsga2.yaml", truth="tiny.csv", settings=SMALL, out="found", callbacks=watch)
    assert capfd.readouterr() == ("", "")
    assert watch.told[:3] == [
        "costs      counted for 8×8 images of 10 classes",
        "judge      net: 1 epochs, 32 held-out images",
        "run found: nsga2, seed 0, 3 generations of 6 models",
    ]
    assert watch.told[3:7] == ["begins", "generation 1", "generation 2", "generation 3"]
    assert watch.told[-1] == "finished"
    assert (
        main(["evolve", "net", "--config", "nsga2.yaml", *WORDS, "--out", "said", "--json", "--truth", "tiny.csv"]) == 0
    )
    assert same(*(checkpoint.load(RunDirectory(here / name).last) for name in ("found", "said")))
    assert Path("found/models.csv").read_bytes() == Path("said/models.csv").read_bytes()
    told = json.loads(capfd.readouterr().out)["models"]
    assert [model.name for model in run.models] == [model["name"] for model in told]
    for model, other in zip(run.models, told, strict=True):
        assert (model.accuracy, model.costs) == (other["accuracy"], {key: other[key] for key in ("madds", "params")})
        assert model.genotype == read(Path(f"found/genotypes/{model.name}.yaml"))
        assert CHAIN.path_of(model.genotype) == tuple(other["path"])
        assert model.truth == {"accuracy": pytest.approx(accuracy_of(tuple(other["path"])))}
    assert run.state == "finished"
    best = run.models[-1]
    madds, params = best.costs["madds"] / 1e6, best.costs["params"] / 1e6
    accuracies = f"{best.accuracy:.2f} %, in truth {best.truth['accuracy']:.2f} %"
    assert str(best) == f"best: {accuracies}, {madds:.1f} M MAdds, {params:.3f} M params"


def test_a_run_tells_its_models_later_and_ends_with_others(here: Path):
    first = evolve(RunDirectory(here / "net").path, "random.yaml", settings=SMALL, out="found")
    again = fairdarts.open_run("found")
    assert again.models == first.models
    fewer = again.resume(settings={"models": 1})
    assert [model.name for model in fewer.models] == ["front-1", "best"]
    assert {path.stem for path in Path("found/genotypes").iterdir()} == {"front-1", "best", "final"}


def test_a_supernet_has_no_models(here: Path):
    with pytest.raises(UserError, match="net: is a run of `fairdarts supernet`; only an evolution ends with models"):
        fairdarts.open_run("net").models  # noqa: B018


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"run": None}, "nsga2.yaml: supernet: is missing; should be a run of `fairdarts supernet`"),
        ({"run": "nowhere"}, "nowhere: not a run directory"),
        ({"recipe": "recipe.yaml"}, "is a recipe of `fairdarts supernet`"),
        ({"objectives": ["acuracy"]}, "'acuracy' is not a quantity"),
        ({"truth": "no.csv"}, "no.csv: No such file"),
        ({"benchmark": "tiny.csv"}, "benchmark"),
        ({"constraints": ["accuracy >= 101"]}, "none of 18 models keeps accuracy >= 101; all are in its models.csv$"),
    ],
)
def test_what_cannot_be_searched(here: Path, capfd, asked: dict, message: str):
    with pytest.raises(UserError, match=message):
        evolve(**{"run": "net", "recipe": "nsga2.yaml", "settings": SMALL, **asked})
    assert capfd.readouterr() == ("", "")
