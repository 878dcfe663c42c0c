"""`fairdarts search`: what it prints, what it refuses, and where it puts a run."""

import re
import shlex
from multiprocessing import active_children
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image

from fairdarts.checking import check
from fairdarts.cli import main
from fairdarts.data.loader import ADVICE
from fairdarts.differentiable.architect import STEPS
from fairdarts.differentiable.settings import SearchSettings
from fairdarts.genotype import CellGenotype, read
from fairdarts.reading import read_yaml


@pytest.fixture
def plain(monkeypatch) -> None:
    """No figures, which take longer than the search."""
    monkeypatch.setattr("fairdarts.runs.figures.figures_of", lambda *_: [])
    monkeypatch.setattr("fairdarts.runs.search.log_epoch", lambda *_: None)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


def fails(capsys: pytest.CaptureFixture, *words: object, begun: bool = False) -> str:
    """The one line that a search of these words ends with; where it has begun, its own line stands before."""
    capsys.readouterr()
    assert main(["search", *map(str, words)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert len(lines) == (3 if begun else 1), err
    assert lines[-1].startswith("fairdarts")
    return lines[-1]


def failed(capsys: pytest.CaptureFixture, *words: str) -> str:
    """What a command of these words says last, which ends with status 2."""
    capsys.readouterr()
    assert main(list(words)) == 2
    return capsys.readouterr().err.splitlines()[-1]


def edited(path: Path, **changes: object) -> Path:
    """A copy of a YAML file with some of its keys changed."""
    copy = path.with_name(f"edited-{path.name}")
    copy.write_text(yaml.safe_dump(read_yaml(path) | changes))
    return copy


def test_a_search_prints_its_genotype_and_says_where_all_lies(tiny_recipe: Path, capsys):
    assert main(["search", "--config", str(tiny_recipe), "--out", "found", "--epochs", "2"]) == 0
    out, err = capsys.readouterr()
    run = Path("found")
    assert out == (run / "genotypes" / "final.yaml").read_text()
    assert check(CellGenotype, yaml.safe_load(out), "stdout") == read(run / "genotypes" / "final.yaml")
    lines = err.splitlines()
    assert lines[0] == "run found: tiny, seed 0, epochs 2"
    assert lines[1] == "images     16 of 32 train the weights, 16 are held out"
    assert [line.split()[:2] for line in lines[2:4]] == [["epoch", "1/2"], ["epoch", "2/2"]]
    assert shlex.split(lines.pop())[-4:] == ["derive", "found", "--method", "argmax"]
    said = dict(line.split(maxsplit=1) for line in lines[4:])
    assert list(said) == ["genotype", "network", "run", "figures", "curves", "continue"]
    assert shlex.split(said["continue"])[-2:] == ["train", "found"]
    genotype = read(run / "genotypes" / "final.yaml")
    counts = f"{len(genotype.normal)} normal, {len(genotype.reduce)} reduce operations"
    assert said["genotype"] == f"found: {counts} (threshold 0.6)"
    assert "M parameters" in said["network"]
    assert {path.suffix for path in Path(said["figures"]).iterdir()} >= {".svg", ".png", ".gv"}
    assert list(Path(shlex.split(said["curves"])[-1]).glob("tensorboard/events*"))
    settings = check(SearchSettings, read_yaml(run / "settings.yaml"), "settings.yaml")
    assert (settings.epochs, settings.weights.lr) == (2, 0.1)
    assert main(["derive", "found", "--method", "argmax"]) == 0
    assert check(CellGenotype, yaml.safe_load(capsys.readouterr().out), "stdout").source.endswith("argmax")


@pytest.mark.usefixtures("plain")
def test_what_is_said_at_the_end_can_be_run(tiny_recipe: Path, capsys):
    """Of a network that was chosen no gates are said to derive it, and shares of edges go with no threshold."""
    assert (
        main(["search", "--config", str(tiny_recipe), "--out", "chosen", "--epochs", "1", "--choose.networks=2"]) == 0
    )
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("genotype"))
    assert re.search(r"\(the best of 2 drawn, \d+\.\d\d % on held-out images\)$", line)
    shares = ["--edges", "softmax", "--derive.method", "argmax", "--derive.threshold", "null"]
    assert main(["search", "--config", str(tiny_recipe), "--out", "shares", "--epochs", "1", *shares]) == 0
    assert shlex.split(capsys.readouterr().err.splitlines()[-1])[-2:] == ["train", "shares"]


@pytest.mark.usefixtures("plain")
def test_a_search_without_a_network_says_so(tiny_recipe: Path, capsys):
    assert main(["search", "--config", str(tiny_recipe), "--epochs", "1", "--derive.threshold", "1"]) == 0
    out, err = capsys.readouterr()
    assert yaml.safe_load(out)["normal"] == []
    (line,) = (line for line in err.splitlines() if line.startswith("network"))
    assert "tiny-seed0: the normal cell has no operation" in line
    assert "strongest gates: normal 0." in line
    for cell in ("normal", "reduce"):
        nothing = f"runs/tiny-seed0: too few gates of {cell} reached 1.0 (the strongest is 0."
        assert any(line.startswith(nothing) for line in err.splitlines())
    derive, train = (shlex.split(line) for line in err.splitlines()[-2:])
    assert derive[-6:] == ["derive", "runs/tiny-seed0", "--method", "argmax", ">", train[-1]]
    assert main(derive[-6:-2]) == 0
    Path(train[-1]).write_text(capsys.readouterr().out)
    assert main(["zoo", train[-1]]) == 0
    assert "--method argmax" in failed(capsys, "zoo", "runs/tiny-seed0")
    assert "--method argmax" in failed(capsys, "train", "runs/tiny-seed0")


@pytest.mark.usefixtures("plain")
def test_a_small_share_of_the_images_is_said_loudly(tiny_recipe: Path, capsys):
    assert main(["search", "--config", str(tiny_recipe), "--epochs", "1", "--data.train_portion", "0.25"]) == 0
    said = "images     ONLY 8 of 32 train the weights, as data.train_portion is 0.25; "
    assert any(line.startswith(said) for line in capsys.readouterr().err.splitlines())


@pytest.mark.usefixtures("plain")
def test_a_default_place_is_numbered_where_it_is_taken(tiny_recipe: Path, tmp_path: Path):
    for seed in (0, 0, 7, 0):
        assert main(["search", "--config", str(tiny_recipe), "--epochs=1", f"--seed={seed}"]) == 0
    names = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert names == ["tiny-seed0", "tiny-seed0-2", "tiny-seed0-3", "tiny-seed7"]


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize(("relaxation", "weight", "said"), [("softmax", 10, 1), ("softmax", 0, 0), ("sigmoid", 10, 0)])
def test_a_zero_one_loss_under_softmax_is_remarked(tiny_recipe: Path, capsys, relaxation: str, weight: int, said: int):
    words = ["--relaxation", relaxation, "--zero_one.weight", str(weight), "--epochs", "1"]
    assert main(["search", "--config", str(tiny_recipe), *words]) == 0
    assert capsys.readouterr().err.count("of little use") == said


def test_without_a_recipe_it_says_who_lists_them(capsys):
    for words in (("--epochs", "3"), ("--epochs", "3", "fairdarts-s1-digits")):
        said = "the first word should be a RECIPE, or --resume a RUN; `fairdarts recipes search` lists recipes"
        assert said in fails(capsys, *words)
    assert main(["recipes", "search"]) == 0
    listed = capsys.readouterr().out
    for recipe in ("darts-s1-cifar10", "fairdarts-s1-cifar10", "fairdarts-s1-digits"):
        assert recipe in listed


def test_a_recipe_that_is_not_there_names_the_nearest(capsys):
    assert "did you mean 'fairdarts-s1-digits'?" in fails(capsys, "--config", "fairdarts-s1-digit")


@pytest.mark.parametrize("content", ["kept.txt", None])
def test_a_place_that_is_taken_is_refused(tiny_recipe: Path, tmp_path: Path, capsys, content: str | None):
    out = tmp_path / "taken"
    if content:
        out.mkdir()
        (out / content).write_text("kept")
    else:
        out.write_text("kept")
    assert f"{out}: already exists" in fails(capsys, "--config", tiny_recipe, "--out", out)
    assert (out / content if content else out).read_text() == "kept"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--epoch 3", "--epoch: is neither an option nor a setting (did you mean '--epochs'?)"),
        (
            "--weights.learning_rate 3",
            "--weights.learning_rate: is neither an option nor a setting (did you mean '--weights.lr'",
        ),
        (
            "--data.batchsize=3",
            "--data.batchsize: is neither an option nor a setting (did you mean '--data.batch_size'?)",
        ),
        ("--epochs three", "--epochs: 'three': should be a valid integer"),
        ("--epochs 0", "--epochs: '0': should be greater than or equal to 1"),
        ("--relaxation gumbel", "--relaxation: 'gumbel': should be 'softmax', 'sigmoid', 'sparsemax' or 'dirichlet'"),
        ("--data.kind mnist", "--data.kind: 'mnist' is not known"),
        ("--data.train_portion 1.5", "--data.train_portion: '1.5': should be less than or equal to 1"),
        ("--data.train_portion 0", "--data.train_portion: '0': should be greater than 0"),
        ("--data.train_portion half", "--data.train_portion: 'half': should be a valid number"),
        ("--data.train_portion 1", "data.train_portion 1.0 leaves no images to train α on"),
        ("--data.batch_size 17", "data.batch_size: 17: should be at most 16"),
        ("--compute.compile default", "compute.compile: default: is for CUDA"),
        (
            "--compute.compile default --compute.memory checkpoint",
            "command line: --compute.compile and --compute.memory: compile default goes with memory none only",
        ),
        ("--supernet.cells 1", "supernet.cells: 1: all of them are reduction cells"),
        ("--space s4", "s4: neither a file nor a shipped search space (did you mean 's2'?)"),
        ("--data.kind folder --data.root gone", "data.root: gone: no such folder"),
        ("--epochs", "--epochs needs a value"),
        ("epochs 3", "'epochs' is neither an option nor a setting"),
        ("--resume gone", "--resume gone takes its settings and place from the run itself"),
    ],
)
def test_a_mistake_is_named_and_nothing_is_left_behind(
    tiny_recipe: Path, tmp_path: Path, capsys, words: str, said: str
):
    assert said in fails(capsys, "--config", tiny_recipe, *words.split())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny-space.yaml", "tiny.yaml"]


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_that_cannot_be_read_ends_in_one_line(tiny_recipe: Path, tmp_path: Path, capsys, workers: int):
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(10, 30):
            Image.effect_noise((8, 8), 90).save(tmp_path / "photos" / name / f"{number}.png")
    broken = tmp_path / "photos" / "dog" / "15.png"
    whole = broken.read_bytes()
    broken.write_bytes(whole[:60])  # its head is whole
    data = ["--data.kind", "folder", "--data.root", tmp_path / "photos", "--data.workers", workers]
    line = fails(capsys, "--config", tiny_recipe, *data, "--save_minutes", 0, "--out", "run", begun=True)
    assert line.startswith(f"fairdarts: {broken}: cannot be decoded as an image; {ADVICE}; then continue with: ")
    assert not active_children()  # workers left behind speak of their death when the process ends
    broken.write_bytes(whole)
    assert main(["search", "--resume", "run"]) == 0  # the advice can be followed


@pytest.mark.usefixtures("plain")
def test_files_that_are_no_images_are_named_before_a_run_begins(tiny_recipe: Path, tmp_path: Path, capsys):
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(10, 30):
            Image.effect_noise((8, 8), 90).save(tmp_path / "photos" / name / f"{number}.png")
    words = ["--config", tiny_recipe, "--data.kind", "folder", "--data.root", "photos", "--out", "run"]
    Path("photos/cat/15.png").write_bytes(b"")
    line = fails(capsys, *words)
    assert line == "fairdarts: photos/cat/15.png: cannot be decoded as an image; mend or remove it"
    Path("photos/dog/21.png").unlink()
    Path("photos/dog/21.png").symlink_to("gone.png")
    line = fails(capsys, *words)
    both = "photos/cat/15.png: cannot be decoded as an image; photos/dog/21.png: No such file or directory"
    assert line == f"fairdarts: 2 of 40 files are no whole images: {both}; mend or remove them"
    assert not Path("run").exists()


@pytest.mark.usefixtures("plain")
def test_memory_that_does_not_suffice_ends_in_one_line_that_says_how_to_go_on(tiny_recipe: Path, capsys, monkeypatch):
    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.\nMuch more.")

    with monkeypatch.context() as patch:
        patch.setitem(STEPS, "first_order", fail)
        line = fails(capsys, "--config", tiny_recipe, "--out", "new", begun=True)
    assert line.startswith("fairdarts: out of memory: take --compute.memory checkpoint")
    words = shlex.split(line.partition("continue with: ")[2])
    assert main([*words[words.index("search") :], "--compute.memory", "checkpoint"]) == 0


def test_a_space_states_the_sizes_of_its_networks(tiny_recipe: Path, tmp_path: Path, capsys):
    space = edited(tmp_path / "tiny-space.yaml", networks={})
    assert f"{space}: networks.cifar: is missing" in fails(capsys, "--config", tiny_recipe, "--space", space)


def test_a_space_of_no_operation_but_none_is_refused(tiny_recipe: Path, tmp_path: Path, capsys):
    space = edited(tmp_path / "tiny-space.yaml", candidates=["none"])
    assert f"{space}: candidates" in fails(capsys, "--config", tiny_recipe, "--space", space)


def test_help_lists_recipes_and_settings(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["search", "--help"])
    assert exit_.value.code == 0
    out = capsys.readouterr().out
    for word in ("fairdarts-s1-digits", "--resume", "--weights.lr ", "--data.train_portion", "softmax | sigmoid"):
        assert word in out
