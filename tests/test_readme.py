"""Every command of the README runs, in its order, on images and sizes small enough for a test."""

import json
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from glob import glob
from itertools import product
from pathlib import Path
from pkgutil import resolve_name

import numpy as np
import pytest
import torch
from photographs import voc_folder
from PIL import Image
from processes import launch
from torch.utils.data import TensorDataset
from torchvision import datasets

from fairdarts import resources
from fairdarts.cli import main
from fairdarts.data import judging, sources
from fairdarts.differentiable.settings import SearchSettings
from fairdarts.evolution.settings import EvolveSettings
from fairdarts.networks.models import models
from fairdarts.oneshot.settings import TrainingSettings
from fairdarts.plot import style
from fairdarts.runs.fit import plan
from fairdarts.runs.recipe import names_of
from fairdarts.runs.study import factors, recipes
from fairdarts.segmentation.settings import SegmentSettings
from fairdarts.training.settings import TrainSettings
from fairdarts.transfer.settings import DetectorSettings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
RECIPES = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
RUN = ("README.md", "docs/command-line.md", "docs/cost.md", "docs/speed.md")
"""pages whose commands run, one after the other, as those of a reader who goes through them"""
SMALL = shlex.split("--epochs 1 --data.batch_size 4 --data.workers 0")
SMALL_CELLS = shlex.split("--supernet.cells 3 --supernet.channels 2")
SMALL_PATHS = shlex.split("--space nas-bench-macro-small --data.image_size 32 --data.held_out 4")
SMALL_RANKING = ["--paths", "8"]
SMALL_BENCH = shlex.split("--supernet.cells 1 --supernet.channels 8 --watch.paths 2")
SMALL_EVOLUTION = shlex.split("--population 4 --generations 2")
SMALL_NETWORK = shlex.split("--network.cells 3 --network.channels 2")
SMALL_CHAIN_NETWORK = shlex.split("--data.image_size 32 --schedule.warmup_epochs 0")
SMALL_PHOTOGRAPHS = shlex.split("--epochs 1 --data.batch_size 2 --data.workers 0 --data.crop 33 --device cpu")
SMALL_CHAIN = shlex.split("--space s2-small --data.image_size 32 --data.held_out 4")


EDGES = ("skip_connect", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
"""operations of NAS-Bench-201 that lead somewhere"""


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)


def commands() -> list[list[str]]:
    """The commands of all pages, each once."""
    lines = [line for page in RUN for block in blocks(page, "sh") for line in block.splitlines()]
    return [shlex.split(line) for line in dict.fromkeys(shlex.join(shlex.split(line, comments=True)) for line in lines)]


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory as the README's reader has it: photos in class folders, matrices of gates, CIFAR-10 at hand."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for number in range(20):
        folder = tmp_path / "photos" / ("cat" if number % 2 else "dog")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (40, 50, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    voc_folder(tmp_path / "VOCdevkit" / "VOC2012", train=2, val=1)
    truth = {"".join(key): {"mean_acc": float(rng.random())} for key in product("012", repeat=8)}
    (tmp_path / "nas-bench-macro_cifar10.json").write_text(json.dumps(truth))
    chain = ["[[0,1,0],[0,0,1],[0,0,0]]", "[[0,1,1],[0,0,1],[0,0,0]]"]
    names = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
    cells = [f'"{matrix}","input,{name},output",0.9{number}' for number, name in enumerate(names) for matrix in chain]
    head = "matrix,ops,108_final_validation_accuracy"
    (tmp_path / "nasbench101.csv").write_text("\n".join([head, *cells]) + "\n")
    edges = [f"|{a}~0|+|{b}~0|none~1|+|skip_connect~0|none~1|{a}~2|" for a in EDGES for b in EDGES]
    (tmp_path / "tables").mkdir()
    lines = [f"{arch},{90 + number / 10}" for number, arch in enumerate(edges)]
    (tmp_path / "tables" / "nasbench201.csv").write_text("\n".join(["arch,cifar10_test200", *lines]) + "\n")
    [seen] = [text for text in blocks("docs/command-line.md", "yaml") if "name: collapse-seen" in text]
    (tmp_path / "collapse-seen.yaml").write_text(seen, encoding="utf-8")
    np.savez(tmp_path / "gates.npz", normal=rng.random((14, 7)), reduce=rng.random((14, 7)))
    torch.save([torch.randn(14, 7) for _ in range(2)], tmp_path / "alphas.pt")
    small = sources.Source(datasets.FakeData(16, (3, 32, 32), 10), tuple("0123456789"), 32, *sources.FAKE_STATISTICS)
    for module in (sources, judging):
        monkeypatch.setattr(module, "cifar", lambda *_: small)
    digits = sources.digits()
    few = digits._replace(dataset=TensorDataset(*digits.dataset[:80]))
    monkeypatch.setattr(sources, "digits", lambda: few)
    for name, limits in {"SEARCH_STEPS": (2, 4), "SEARCH_EPOCHS": (2, 2), "TRAIN_EPOCHS": (2, 3)}.items():
        monkeypatch.setattr(plan, name, limits)  # of `fit`, which would take its hour
    return tmp_path


@pytest.mark.usefixtures("rendered")
def test_every_command_runs(user: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert "fairnas-a" in models()  # which are listed once, before there are fewer
    kept = resources.names("genotypes")[:2]
    monkeypatch.setattr(
        resources, "names", lambda kind, names=resources.names: kept if kind == "genotypes" else names(kind)
    )
    verb, draws = "", style.rendered  # takes seconds a figure, which the verb that is for figures alone may take
    monkeypatch.setattr(style, "rendered", lambda *figure: draws(*figure) if verb == "draw" else b"<svg/>")
    for kind in (recipes, factors):
        monkeypatch.setattr(kind, "jobs_of", lambda *asked, all_of=kind.jobs_of: all_of(*asked)[:1])
    ran = []
    for words in commands():
        if words[0] in ("make", "git", "pip"):
            continue
        words = [name for word in words for name in (sorted(glob(word)) if "*" in word else [word])]
        tool = next((word for word in words if word.startswith("tools/")), "")
        verb = next((verb for verb in ("evolve", "train", "segment") if tool == f"tools/{verb}.py"), words[1])
        begins = (verb in ("search", "supernet", "bench", "study") or tool) and "--resume" not in words
        begins = begins and verb not in ("evolve", "train", "segment")
        if "supernet" in [*words, tool.removeprefix("tools/train_").removesuffix(".py")]:
            size = SMALL_PATHS if tool else ["--data.train_portion", "0.5"]
            size += SMALL_BENCH if any("nasbench" in word for word in words) else []
        else:
            size = SMALL_CHAIN if "imagenet" in tool or any("s2" in word for word in words) else SMALL_CELLS
            size = [] if "supernet-small" in words else size
        arguments = words[1:] + (SMALL + size if begins else [])
        if "supernet-small" in words:
            arguments += ["--only", "nasbench201", "--data.train_portion", "0.1"]
        if verb == "bench":
            arguments += ["--steps", "2"]
        if "--choose.networks" in words:
            arguments += ["--choose.networks", "3"]
        if verb == "rank" and "--analyse" not in words:
            arguments += SMALL_RANKING
        if verb == "evolve":
            arguments += SMALL_EVOLUTION + (["--seeds", "2"] if words[2] == "--benchmark" else [])
        if verb == "train" and "--resume" not in words:
            arguments += SMALL + (SMALL_CHAIN_NETWORK if "fairnas-a" in words else SMALL_NETWORK)
            for run in user.glob("runs/fairdarts-s1-cifar10-seed3"):  # one epoch finds no operation
                shutil.copy(resources.find("genotypes", "fairdarts-a"), run / "genotypes" / "final.yaml")
        if verb == "segment" and "fairnas-a" in words:
            arguments += SMALL_PHOTOGRAPHS
        if ">" in arguments:
            arguments, shown = arguments[: arguments.index(">")], user / arguments[-1]
        else:
            shown = None
        capsys.readouterr()
        if words[0] == "torchrun":
            assert arguments[:3] == ["--nproc-per-node", "2", tool]
            done = launch(ROOT / tool, *arguments[3:])
            print(done.stdout)
            print(done.stderr, file=sys.stderr)
            status = done.returncode
        elif words[0] == "python":
            monkeypatch.setattr("sys.argv", arguments)
            with pytest.raises(SystemExit) as exit_info:
                runpy.run_path(str(ROOT / arguments[0]), run_name="__main__")
            status = exit_info.value.code
        else:
            assert words[0] == "fairdarts"
            status = main(arguments)
        out, err = capsys.readouterr()
        assert status == 0, (words, err)
        if shown:
            shown.write_text(out)
        ran += [*words[:2], tool]
    tools = {
        "tools/search_cifar.py",
        "tools/search_imagenet.py",
        "tools/train_supernet.py",
        "tools/evolve.py",
        "tools/train.py",
        "tools/segment.py",
        "torchrun",
    }
    assert {"search", "supernet", "rank", "evolve", "study", "report", "derive", "draw", "zoo", *tools} <= set(ran)
    assert {"train", "evaluate", "export", "transfer", "segment"} <= set(ran)
    assert "FairDARTSBackbone" in (user / "config.py").read_text()
    assert (user / "figures" / "fairdarts-a-normal.gv").is_file()


def test_make_targets_exist() -> None:
    targets = [words[1] for words in commands() if words[0] == "make"]
    assert set(targets) == {"search", "test"}
    for target in targets:
        subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.usefixtures("few_digits")
def test_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = "\n".join(blocks("README.md", "python"))
    names: dict[str, object] = {}
    shown = 'fairdarts.search("fairdarts-s1-digits", epochs=5'
    assert code.count(shown) == 1
    short = shown.replace("epochs=5", 'epochs=1, settings={"derive.threshold": 0.5}')  # few digits move gates little
    exec(code.replace(shown, short).replace("epochs=2", "epochs=1"), names)
    assert (names["network"].num_classes, names["backbone"].model.in_chans) == (10, 4)
    assert f"# {names['backbone'].feature_info.channels()} {names['backbone'].feature_info.reduction()}" in code


@pytest.mark.usefixtures("few_digits")
def test_python_of_the_page_on_functions_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec("\n".join(blocks("docs/python.md", "python")), names)
    assert Path("runs/first/report.html").is_file()
    assert [path.name for path in Path("exported").iterdir()] == ["fairdarts-a.onnx"]
    assert names["found"].models


def test_python_names_of_the_pages_are_there() -> None:
    pages = [ROOT / "CHANGELOG.md", ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    names = {
        (page.name, name) for page in pages for name in re.findall(r"`(fairdarts(?:\.\w+)+)", page.read_text("utf-8"))
    }
    assert len(names) > 10
    for page, name in sorted(names):
        try:
            resolve_name(name)
        except (ImportError, AttributeError) as error:
            pytest.fail(f"{page}: {name}: {error}")


def test_every_recipe_is_named() -> None:
    forms = (SearchSettings, EvolveSettings, TrainSettings, SegmentSettings, DetectorSettings)
    for recipe in [name for form in forms for name in names_of(form)]:
        assert f"`{recipe}`" in RECIPES
    for recipe in names_of(TrainingSettings):  # named by method and by task, in a table and in the text below it
        named = {(f"`{recipe}`",), *((f"`{recipe[:cut]}-…`", f"`{recipe[cut + 1 :]}`") for cut in range(len(recipe)))}
        assert any(all(word in RECIPES for word in words) for words in named), recipe


PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "docs/architecture.md",
    "docs/data.md",
    "docs/extend.md",
    "docs/first-search.md",
    "docs/collapse.md",
    "docs/inside.md",
    "docs/methods.md",
    "docs/second-order.md",
    "docs/speed.md",
    "docs/growth.md",
    "docs/imagenet.md",
    "docs/ranking.md",
    "docs/supernet-factors.md",
    "docs/evolve.md",
    "docs/speed.md",
    "docs/train.md",
    "docs/transfer.md",
    "docs/zoo.md",
    "benchmarks/README.md",
]


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)]*)\)", text):
        if not link.startswith("https://"):
            target, _, heading = link.partition("#")
            path = (ROOT / page).parent / target if target else ROOT / page
            assert path.exists(), link
            if heading:  # as GitHub calls one
                headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
                assert heading in {re.sub(r"[^\w -]", "", own.lower()).replace(" ", "-") for own in headings}, link
            ignored = subprocess.run(["git", "check-ignore", "-q", str(path)], cwd=ROOT, check=False).returncode
            assert ignored != 0, f"{target} is ignored by git, so a clone lacks it"
