"""Parts of users' own: what is registered is known everywhere, and nothing is loaded that nobody names."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from torch import nn

import fairdarts
from fairdarts.checking import check
from fairdarts.cli import main
from fairdarts.config import Notice, UserError, describe
from fairdarts.cost.count import count
from fairdarts.cost.table import count_tables
from fairdarts.differentiable.derive import derive
from fairdarts.differentiable.settings import SearchSettings
from fairdarts.networks.blueprint import build
from fairdarts.networks.published import open_model, random_model, save_model
from fairdarts.oneshot.samplers import make_sampler
from fairdarts.oneshot.settings import OwnSamplerSettings, TrainingSettings
from fairdarts.ops import cell
from fairdarts.own import FILE, OWN, PLUGINS, own_parts
from fairdarts.plot.chain import layer_place
from fairdarts.runtime.run import open_run
from fairdarts.spaces.chain import Layer
from fairdarts.spaces.gates import Gate
from fairdarts.spaces.space import load_space, space_from
from fairdarts.supernet.chain import ChoiceLayer

pytestmark = pytest.mark.usefixtures("forgotten")

PLUGIN = """
import torch
from torch import nn

import fairdarts


class Blur(nn.Module):
    def __init__(self, c_in, c_out, stride, affine):
        super().__init__()
        self.pool = nn.AvgPool2d(5, stride, padding=2)
        self.conv = nn.Conv2d(c_in, c_out, 1, bias=False)
        self.norm = nn.BatchNorm2d(c_out, affine=affine)

    def forward(self, x):
        return self.norm(self.conv(self.pool(x.relu())))


fairdarts.register_operation("blur_pool", Blur)
fairdarts.register_relaxation("half", lambda alpha: alpha.sigmoid() / 2)
"""
NAME = "blur_pool"

SIZES = {"cells": 2, "channels": 2, "image": 64, "classes": 3}
SPACES = {
    "cell": {
        "inputs": 2,
        "nodes": 2,
        "candidates": ["skip_connect", NAME],
        "reductions": ["1/2"],
        "stem_multiplier": 1,
        "supernet": {"cells": 2, "channels": 2},
        "networks": {"cifar": {**SIZES}, "imagenet": {**SIZES}},
    },
    "chain": {
        "candidates": ["skip_connect", "E3K3", NAME],
        "stem": {"channels": 4, "stride": 1},
        "stages": [{"channels": 4, "layers": 2, "stride": 1}, {"channels": 6, "layers": 1, "stride": 2}],
        "head": 8,
        "networks": {"cifar": {"image": 9, "classes": 3, "dropout": 0}},
    },
    "nasbench201": {
        "candidates": ["none", "nor_conv_1x1", NAME],
        "channels": 2,
        "cells": 1,
        "networks": {"cifar": {"image": 9, "classes": 3}},
    },
}


def content_of(kind: str) -> dict:
    return {"schema": 1, "name": f"own-{kind}", "kind": kind, "source": "tests", **SPACES[kind]}


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    path = tmp_path / "my_ops.py"
    path.write_text(PLUGIN)
    return path


@pytest.fixture
def recipe(tiny_recipe: Path, plugin: Path) -> Path:
    """A search of one epoch in the space of a kind, `cell` if nothing else is written there."""
    content = yaml.safe_load(tiny_recipe.read_text()) | {"relaxation": "half", "epochs": 1}
    content["derive"] = {"method": "argmax"}
    tiny_recipe.write_text(yaml.safe_dump(content, sort_keys=False))
    (tiny_recipe.parent / "tiny-space.yaml").write_text(yaml.safe_dump(content_of("cell")))
    return tiny_recipe


def refused(capsys: pytest.CaptureFixture, *words: object) -> str:
    """The one line in which the command line refuses words."""
    capsys.readouterr()
    assert main([*map(str, words)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


def test_a_file_is_loaded_once_and_again_when_it_has_changed(tmp_path: Path):
    path, log = tmp_path / "odd name.py", tmp_path / "log"
    path.write_text(f"from pathlib import Path\nPath({str(log)!r}).open('a').write('x')\nclass A: pass\n")
    fairdarts.load_plugin(path)
    fairdarts.load_plugin(str(path))
    assert log.read_text() == "x"
    path.write_text(path.read_text() + "\n")
    fairdarts.load_plugin(path)
    assert log.read_text() == "xx"
    assert {path.resolve(): hashlib.sha256(path.read_bytes()).hexdigest()} == PLUGINS
    assert not (tmp_path / "__pycache__").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\nx = = 2\n", "my.py, line 2: SyntaxError: "),
        ("def f():\n    return 1 / 0\n\nf()\n", "my.py, line 2: ZeroDivisionError: division by zero"),
        ("import no_such_module\n", "my.py, line 1: ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise SystemExit(3)\n", "my.py, line 1: SystemExit: 3"),
        (
            "import fairdarts\nfairdarts.register_loss('squared', lambda z: z.mean())\n",
            "my.py, line 2: loss form 'squared': is one of the library's; take another name",
        ),
    ],
)
def test_a_file_that_fails_says_where(tmp_path: Path, text: str, message: str):
    path = tmp_path / "my.py"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        fairdarts.load_plugin(path)
    assert str(error.value).startswith(f"{tmp_path}/{message}")
    assert not PLUGINS


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(UserError, match=r"my.py: No such file"):
        fairdarts.load_plugin(tmp_path / "my.py")
    with pytest.raises(UserError, match=r"Is a directory"):
        fairdarts.load_plugin(tmp_path)


def identity(c_in: int, c_out: int, stride: int, affine: bool) -> nn.Module:
    return nn.Sequential(nn.Conv2d(c_in, c_out, 1, stride), nn.BatchNorm2d(c_out, affine=affine))


@pytest.mark.parametrize("name", ["none", "skip_connect", "sep_conv_3x3", "nor_conv_1x1", "E6K3", "MBE12K5", "pop"])
def test_names_of_the_library_are_taken(name: str):
    with pytest.raises(UserError, match=f"operation '{name}': is .*take another name"):
        fairdarts.register_operation(name, identity)
    assert not OWN["operation"]


@pytest.mark.parametrize("name", ["", "a b", "../x", "3x3", "a.b", "$"])
def test_names_are_words(name: str):
    with pytest.raises(UserError, match="should be a word"):
        fairdarts.register_operation(name, identity)


def test_what_is_registered_again_takes_the_place_of_the_first():
    fairdarts.register_operation("mine", identity)
    fairdarts.register_operation("mine", lambda c_in, c_out, stride, affine: nn.MaxPool2d(3, stride, 1))
    assert isinstance(cell.OPS["mine"](4, 2, True), nn.MaxPool2d)


def test_a_part_of_a_notebook_is_known_by_its_source():
    def registered(text: str) -> str:
        exec(compile(f"import fairdarts\nfairdarts.register_loss('mine', lambda z: {text})", "<cell>", "exec"), {})
        assert OWN["loss"]["mine"].file is None
        return OWN["loss"]["mine"].sha256

    assert registered("z.mean()") == registered("z.mean()") != registered("2 * z.mean()")


def test_a_class_of_a_prompt_is_known_by_its_functions():
    def registered(text: str) -> str:
        lines = ("import fairdarts", "class A:", f"  def draw(self): return (lambda: {text})()")
        exec("\n".join((*lines, "fairdarts.register_sampler('a', A)")), {})
        return OWN["sampler"]["a"].sha256

    assert registered("1") == registered("1") != registered("2")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda c_in, c_out, stride, affine: nn.Conv2d(c_in, c_out, 3, stride), "makes [2, 4, 4, 4] of x [2, 4, 9, 9]"),
        (lambda c_in, c_out, stride, affine: nn.Conv2d(c_in, 5, 1, stride), "makes [2, 5, 5, 5] of x [2, 4, 9, 9]"),
        (lambda c_in, c_out, stride, affine: abs, "gives builtin_function_or_method, should give a torch.nn.Module"),
        (lambda c_in, c_out, stride, affine: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda channels: nn.Identity(), "TypeError: "),
        (lambda c_in, c_out, stride, affine: nn.Conv2d(3, c_out, 1), "RuntimeError for x [2, 4, 9, 9]: "),
        (
            lambda c_in, c_out, stride, affine: nn.Sequential(nn.ReLU(inplace=True), nn.MaxPool2d(1, stride)),
            "changes its input in place",
        ),
    ],
)
def test_an_operation_that_does_not_fit_is_named(build, message: str):
    fairdarts.register_operation("odd", build)
    with pytest.raises(UserError) as error:
        cell.OPS["odd"](4, 2, False)
    assert str(error.value).startswith(f"operation 'odd': build(4, 4, 2, False): {message}")


def test_trying_an_operation_leaves_no_trace():
    class Noisy(nn.Sequential):
        def forward(self, x):
            return super().forward(x + torch.randn_like(x))

    fairdarts.register_operation("noisy", lambda *how: Noisy(*identity(*how)).train())
    torch.manual_seed(0)
    module = cell.OPS["noisy"](4, 1, True)
    after = torch.rand(1)
    torch.manual_seed(0)
    plain = identity(4, 4, 1, True)
    assert after.equal(torch.rand(1))
    assert all(part.training for part in module.modules())
    for ours, theirs in zip(module.state_dict().values(), plain.state_dict().values(), strict=True):
        assert ours.equal(theirs)


@pytest.mark.parametrize("kind", SPACES)
def test_a_search_with_an_operation_of_ones_own(kind, recipe, plugin, tmp_path, capsys, forgotten):
    (tmp_path / "tiny-space.yaml").write_text(yaml.safe_dump(content_of(kind)))
    out, told = tmp_path / "run", ("--plugin", plugin)
    if kind == "cell":
        known = "should be 'softmax', 'sigmoid', 'sparsemax' or 'dirichlet' (your own: --plugin FILE)"
        assert f"relaxation: 'half': {known}" in refused(capsys, "search", "--config", recipe)
    assert main([*map(str, ("search", "--config", recipe, "--out", out, *told))]) == 0
    origin = {"file": "my_ops.py", "sha256": hashlib.sha256(plugin.read_bytes()).hexdigest()}
    assert json.loads((out / FILE).read_text()) == {"operation": {NAME: origin}, "relaxation": {"half": origin}}
    assert f"train {out} --plugin" in capsys.readouterr().err

    forgotten()
    needs = f"{out}: needs the operation '{NAME}', the relaxation 'half' of my_ops.py (sha256 {origin['sha256'][:12]}…)"
    for words in (("draw", out), ("derive", out), ("train", out), ("zoo", out), ("search", "--resume", out)):
        assert (
            refused(capsys, *words)
            == f"fairdarts: {needs}; name its file: --plugin my_ops.py, or fairdarts.load_plugin"
        )
    for find in (fairdarts.load, fairdarts.create_model):
        with pytest.raises(UserError, match=f"needs the operation '{NAME}'"):
            find(str(out))
    assert main([*map(str, ("draw", out, *told))]) == 0
    assert main([*map(str, ("zoo", out, *told))]) == 0


def test_a_run_is_resumed_with_the_parts_that_it_began_with(recipe, plugin, tmp_path, capsys, forgotten):
    out = tmp_path / "run"
    assert main([*map(str, ("search", "--config", recipe, "--out", out, "--plugin", plugin))]) == 0
    (out / "genotypes" / "final.yaml").unlink()  # so it has not finished
    plugin.write_text(PLUGIN + "# edited\n")
    forgotten()
    fairdarts.load_plugin(plugin)
    with pytest.warns(Notice, match=rf"run: was begun with the operation '{NAME}', the relaxation 'half' of my_ops.py"):
        open_run(out)
    capsys.readouterr()
    assert main([*map(str, ("search", "--resume", out, "--plugin", plugin))]) == 2
    assert f"{FILE}: operation {NAME}: sha256 " in capsys.readouterr().err.splitlines()[-1]
    plugin.write_text(PLUGIN)
    assert main([*map(str, ("search", "--resume", out, "--plugin", plugin))]) == 0


def test_a_damaged_file_of_parts_is_named(tmp_path: Path):
    for text in ("[]", "{", '{"operation": {"x": {"file": 3, "sha256": "a"}}}', '{"magic": {}}', '{"loss": {"x": {}}}'):
        (tmp_path / FILE).write_text(text)
        (tmp_path / "settings.yaml").write_text("verb: search\n")
        with pytest.raises(UserError, match=r"parts.json: should hold \{kind"):
            open_run(tmp_path)


def test_a_recipe_that_is_named_loads_its_plugins_and_a_run_does_not(
    recipe, plugin, tmp_path, capsys, forgotten, monkeypatch
):
    recipe.write_text(recipe.read_text() + "plugins: [my_ops.py]\n")
    monkeypatch.chdir(tmp_path.parent)  # plugins are relative to the recipe
    out = tmp_path / "run"
    assert main([*map(str, ("search", "--config", recipe, "--out", out))]) == 0
    assert yaml.safe_load((out / "settings.yaml").read_text())["plugins"] == [str(plugin)]
    forgotten()
    assert "needs the operation" in refused(capsys, "search", "--resume", out)
    again = ("search", "--config", out / "settings.yaml", "--out", tmp_path / "again")
    assert "relaxation: 'half'" in refused(capsys, *again)
    assert not OWN["operation"]
    assert "should be --plugin FILE" in refused(capsys, "search", "--config", recipe, "--plugins", "[x]")
    assert "--plugin: needs a Python file" in refused(capsys, "search", "--config", recipe, "--plugin")
    recipe.write_text(recipe.read_text().replace("[my_ops.py]", "my_ops.py"))
    assert "plugins: 'my_ops.py': should be a list" in refused(capsys, "search", "--config", recipe)


def test_a_trained_model_is_exported_and_says_what_it_needs(plugin, tmp_path, capsys, forgotten):
    onnxruntime = pytest.importorskip("onnxruntime")
    fairdarts.load_plugin(plugin)
    fairdarts.register_space(content_of("chain"))
    layers = [[NAME], [NAME, "skip_connect"], ["E3K3", NAME]]
    genotype = {"schema": 1, "name": "mine", "space": "own-chain", "source": "tests", "layers": layers}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(genotype))
    model = random_model(str(tmp_path / "mine.yaml"))
    save_model(tmp_path / "mine.safetensors", model)
    out = tmp_path / "made"
    assert main(["export", str(tmp_path / "mine.safetensors"), "--out", str(out), "--format", "onnx,torchscript"]) == 0
    x = torch.randn(1, 3, 9, 9)
    (made,) = out.glob("*.onnx")
    session = onnxruntime.InferenceSession(made)
    (logits,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    np.testing.assert_allclose(logits, model.network(x).detach(), rtol=1e-4, atol=1e-5)
    (script,) = out.glob("*torchscript*")
    torch.testing.assert_close(torch.jit.load(script)(x), model.network(x))
    with pytest.raises(UserError, match=f"output_stride: 1: not with an operation of one's own, as '{NAME}' is"):
        fairdarts.create_model(str(tmp_path / "mine.yaml"), output_stride=1)
    forgotten()
    with pytest.raises(UserError, match=rf"mine.safetensors: needs the operation '{NAME}' of my_ops.py"):
        open_model(tmp_path / "mine.safetensors")
    assert "space: own-chain: neither a file nor" in refused(capsys, "draw", tmp_path / "mine.yaml")


def test_what_a_path_costs_is_what_its_network_costs():
    class Sharpened(nn.Module):
        """Has no weights, but multiplies."""

        def __init__(self, c_in: int, c_out: int, stride: int, affine: bool):
            super().__init__()
            self.c_out, self.stride = c_out, stride

        def forward(self, x):
            return nn.functional.conv2d(x, x.new_ones(self.c_out, x.shape[1], 3, 3), None, self.stride, 1)

    fairdarts.register_operation(NAME, Sharpened)
    for kind in ("chain", "nasbench201"):
        space = space_from(content_of(kind), "tests")
        tables, path = count_tables(space), tuple(len(names) - 1 for names in space.choices)
        cost = count(build(space.genotype_of(path, "g", "tests"), space), 3, space.network.image)
        assert tables["madds"].cost(path) == cost.madds
        assert tables["params"].cost(path) == cost.params


def test_a_layer_sums_an_operation_of_ones_own_under_its_gate():
    fairdarts.register_operation(NAME, identity)
    torch.manual_seed(0)
    layer = ChoiceLayer(0, ("skip_connect", "E3K3", NAME), Layer(4, 4, 1), affine=False, recompute=False)
    x, weights = torch.randn(2, 4, 5, 5), torch.tensor([0.2, 0.3, 0.5], requires_grad=True)
    whole = layer(x, (Gate((0, 1, 2), weights),))
    parts = [op(x) for op in layer.candidates]
    torch.testing.assert_close(whole, sum(w * part for w, part in zip(weights, parts, strict=True)))
    (gradient,) = torch.autograd.grad(whole.square().sum(), weights)
    torch.testing.assert_close(gradient[2], (2 * whole * parts[2]).sum())


def test_a_drawing_names_an_operation_of_ones_own_as_it_is():
    place = layer_place(0, ("MBlur", "skip_connect"), Layer(4, 4, 1))
    assert [box.text for box in place.boxes] == ["MBlur"]
    assert place.residual
    assert not layer_place(0, ("MBlur",), Layer(4, 4, 1)).residual


def test_a_relaxation_gives_gates():
    for function, message in (
        (lambda alpha: 2 * alpha.sigmoid(), r"relaxation 'mine': gives gates from .* should be 0 to 1"),
        (lambda alpha: alpha.softmax(-1)[:, :2], r"makes \[5, 2\] of α \[5, 4\]"),
        (lambda alpha: torch.rand_like(alpha), "gives other gates for the same α"),
    ):
        with pytest.raises(UserError, match=message):
            fairdarts.register_relaxation("mine", function)
    assert not OWN["relaxation"]


def test_other_parts_are_tried_when_they_are_registered():
    with pytest.raises(UserError, match=r"loss form 'mine': gives shape \[5\] for gates \[5\], should give a scalar"):
        fairdarts.register_loss("mine", lambda z: z)
    with pytest.raises(UserError, match=r"schedule 'mine': gives -0.5 at 0.5, should give 0 to 1"):
        fairdarts.register_schedule("mine", lambda done: -done)
    with pytest.raises(UserError, match=r"activation 'mine': makes \[2, 48\] of"):
        fairdarts.register_activation("mine", lambda: nn.Sequential(nn.Flatten(0), nn.Unflatten(0, (2, 48))))
    fairdarts.register_schedule("mine", lambda done: 1 - done)
    fairdarts.register_activation("mine", nn.Tanh)
    lines = describe(SearchSettings).splitlines()
    schedules = "(constant | cosine | exponential | falling | rising | mine)"
    assert any(line.endswith(f"strength over the epochs {schedules}") for line in lines)


@pytest.mark.parametrize(
    "kind", ["operation", "relaxation", "loss", "penalty", "sampler", "derivation", "schedule", "activation"]
)
def test_what_cannot_be_called_is_refused(kind: str):
    with pytest.raises(UserError, match=f"{kind}.* 'mine': is 3, should be a function"):
        getattr(fairdarts, f"register_{kind}")("mine", 3)


def test_a_penalty_of_ones_own_is_one_that_a_search_needs():
    with pytest.raises(UserError, match=r"penalty 'mine': gives shape \[2\] for gates \[2, 3\] of two parts"):
        fairdarts.register_penalty("mine", lambda alphas, gates: alphas["normal"].sum(-1))
    fairdarts.register_penalty("mine", lambda alphas, gates: alphas["normal"].square().sum())
    content = yaml.safe_load((Path(fairdarts.__file__).parent / "recipes" / "darts-s1-cifar10.yaml").read_text("utf-8"))
    penalty = {"form": "mine", "weight": 0.1, "schedule": "constant"}
    settings = check(SearchSettings, content | {"penalties": [penalty]}, "test")
    assert own_parts(settings, load_space("s1")).keys() == {"penalty"}


class Pairs:
    """Two paths a step, with what another draw chooses at the first decision."""

    passes = 2

    def __init__(self, space, generator):
        self.space, self.generator = space, generator

    def below(self, count: int) -> int:
        return int(torch.randint(count, (), generator=self.generator))

    def draw(self, progress: float):
        return [[self.space.random_path(self.below)], [((0, 1), *self.space.random_path(self.below)[1:])]]


def test_a_sampler_of_ones_own_trains_and_resumes_its_draws(tiny_recipe, tmp_path, capsys):
    fairdarts.register_sampler("pairs", Pairs)
    data = yaml.safe_load(tiny_recipe.read_text())["data"]
    content = {"verb": "supernet", "name": "pairs", "source": "tests", "space": "nas-bench-macro-small", "epochs": 1}
    content |= {"device": "cpu", "data": data, "sampler": {"kind": "pairs"}, "watch": {"paths": 0}}
    content["weights"] = {"lr": 0.1, "lr_min": 0, "momentum": 0.9, "weight_decay": 0}
    recipe = tmp_path / "pairs.yaml"
    recipe.write_text(yaml.safe_dump(content))
    assert main(["supernet", "--config", str(recipe), "--out", str(tmp_path / "run")]) == 0
    (record,) = map(json.loads, (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1:])
    assert [sum(counts) for counts in record["updates"]] == [12, *[8] * (len(record["updates"]) - 1)]
    assert record["passes"] == 8
    assert json.loads((tmp_path / "run" / FILE).read_text())["sampler"].keys() == {"pairs"}
    assert "is not known (did you mean 'pairs'?)" in refused(
        capsys, "supernet", "--config", recipe, "--sampler.kind", "pair"
    )
    assert "--sampler.rate: unknown key" in refused(capsys, "supernet", "--config", recipe, "--sampler.rate", 1)

    settings = check(TrainingSettings, content, "tests")
    assert settings.sampler == OwnSamplerSettings(kind="pairs")
    assert check(TrainingSettings, settings.model_dump(mode="json", by_alias=True), "tests") == settings
    repeated = content | {"sampler": {"kind": "uniform_repeat", "repeats": 2}}
    assert check(TrainingSettings, repeated, "tests", {"sampler.kind": "pairs"}).sampler == settings.sampler
    space = load_space("s2")
    sampler = make_sampler(settings.sampler, space, torch.Generator().manual_seed(0))
    state = sampler.generator.get_state()
    drawn = sampler.draw(0)
    sampler.generator.set_state(state)
    assert sampler.draw(0) == drawn


def test_a_sampler_that_draws_no_path_of_the_space_is_named():
    space = space_from(content_of("nasbench201") | {"candidates": ["none", "nor_conv_1x1"]}, "tests")
    for path, message in (((0,) * 5, "a path of 5 choices, should be 6"), ((0,) * 5 + (2,), "chooses 2 at decision 5")):

        class Lost:
            def __init__(self, space, generator, path=path):
                self.draw = lambda progress: [[path]]

        fairdarts.register_sampler("mine", Lost)
        sampler = make_sampler(OwnSamplerSettings(kind="mine"), space, torch.Generator())
        with pytest.raises(UserError, match=f"sampler 'mine': {message}"):
            sampler.draw(0)


def test_a_derivation_of_ones_own():
    space = load_space("nasbench201")
    gates = {"edges": np.random.default_rng(0).random((6, 5))}

    def weakest(gates, space, threshold):
        return {"edges": [space.candidates[row.argmin()] for row in gates["edges"]]}

    fairdarts.register_derivation("weakest", weakest)
    fairdarts.register_derivation("wrong", lambda gates, space, threshold: {"edges": ["blur"] * 6})
    found = derive(gates, space, "weakest", None, "mine", "tests")
    assert found.edges == tuple(space.candidates[row.argmin()] for row in gates["edges"])
    with pytest.raises(UserError, match=r"derivation method 'wrong': edges\[0\]: 'blur' is not an operation of space"):
        derive(gates, space, "wrong", None, "mine", "tests")


def test_a_search_that_derives_by_a_method_of_ones_own(recipe, plugin, tmp_path, capsys):
    fairdarts.load_plugin(plugin)
    fairdarts.register_derivation(
        "first", lambda gates, space, threshold: {"normal": [["skip_connect", 2, 0]], "reduce": []}
    )
    words = ("search", "--config", recipe, "--derive.method", "first")
    assert "derive.max_skips: 1: is for argmax, threshold and edge" in refused(
        capsys, *words, "--derive.max_skips", 1, "--out", tmp_path / "no"
    )
    assert main([*map(str, (*words, "--out", tmp_path / "run"))]) == 0
    shown = capsys.readouterr()
    assert "by first nothing leads through the reduce cell" in shown.err
    assert yaml.safe_load(shown.out)["normal"] == [["skip_connect", 2, 0]]
    assert json.loads((tmp_path / "run" / FILE).read_text())["derivation"].keys() == {"first"}


def test_a_space_of_ones_own_is_found_by_its_name(tmp_path):
    content = content_of("nasbench201") | {"candidates": ["none", "nor_conv_1x1"]}
    (tmp_path / "space.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(UserError, match="own-nasbench201: neither a file nor a shipped search space"):
        load_space("own-nasbench201")
    fairdarts.register_space(tmp_path / "space.yaml")
    assert load_space("own-nasbench201").candidates == ("none", "nor_conv_1x1")
    fairdarts.register_space(content | {"candidates": ["none", "nor_conv_3x3"]})
    assert load_space("own-nasbench201").candidates == ("none", "nor_conv_3x3")
    for wrong, message in (({"name": "s1"}, "space 's1': is a shipped one"), ({"name": "a/b"}, "should be a word")):
        with pytest.raises(UserError, match=message):
            fairdarts.register_space(content | wrong)
