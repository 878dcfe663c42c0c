"""timm knows our models, whichever is imported first, and finds in them all that it expects of a model."""

import copy
import inspect
import json
import subprocess
import sys
import warnings
from importlib.machinery import ModuleSpec, PathFinder

import pytest
import torch
from torch import nn

import fairdarts
from fairdarts import hook
from fairdarts.networks.create import create_model
from fairdarts.networks.models import find, model_names

timm = pytest.importorskip("timm")

NAMES = [name.replace("-", "_") for name in model_names()]
SOME = ["fairnas_a", "fairnas_a_se", "fairdarts_a_imagenet"]


def all_models(quick: list[str]) -> pytest.MarkDecorator:
    """Over all models: these at every commit, the others where slow tests run."""
    slow = [pytest.param(name, marks=pytest.mark.slow) for name in NAMES if name not in quick]
    return pytest.mark.parametrize("name", [*quick, *slow])


def image_of(name: str) -> int:
    return min(64, find(name).default_cfg["input_size"][1])


def run(program: str) -> dict:
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


FACTS = """
model = timm.create_model("fairnas_a", num_classes=3)
print(json.dumps({"early": early, "known": len(timm.list_models(module="timm")), "classes": model.num_classes}))
"""


def test_fairdarts_first():
    loaded = "early = [name for name in ('torch', 'timm', 'fairdarts.networks') if name in sys.modules]"
    found = run(f"import json, sys, fairdarts\n{loaded}\nfrom timm.models import create_model\nimport timm\n{FACTS}")
    assert found == {"early": [], "known": len(NAMES), "classes": 3}


def test_timm_first():
    found = run(f"import json, timm\nearly = timm.is_model('fairnas_a')\nimport fairdarts\n{FACTS}")
    assert found == {"early": False, "known": len(NAMES), "classes": 3}


def test_a_failure_of_ours_is_a_warning(monkeypatch):
    def fail(name: str) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(hook, "import_module", fail)
    with pytest.warns(UserWarning, match="timm does not know the models of fairdarts: RuntimeError: broken"):
        hook.register()


def test_the_finder_finds_timm_alone_and_leaves_odd_loaders_be(monkeypatch):
    class Odd:
        __slots__ = ()

    class Finder:
        @staticmethod
        def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec:
            return ModuleSpec(name, Odd())

    monkeypatch.setattr(sys, "meta_path", [finder := hook.AfterTimm(), object(), PathFinder])
    assert finder.find_spec("torch") is None
    assert finder.find_spec("timm").origin == timm.__file__
    monkeypatch.setattr(sys, "meta_path", [finder])
    assert finder.find_spec("timm") is None  # so that Python says that it is missing
    monkeypatch.setattr(sys, "meta_path", [finder, Finder])
    assert isinstance(finder.find_spec("timm").loader, Odd)
    hook.install()  # timm is loaded, so that nothing waits for it
    assert sys.meta_path == [finder, Finder]


def test_all_models_are_registered_once():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        hook.register()
    assert set(NAMES) <= set(timm.list_models())
    from fairdarts.transfer import timm as ours

    assert {entry.__name__ for entry in map(timm.model_entrypoint, NAMES)} == set(NAMES) == set(ours.__all__)
    for name in NAMES:
        cfg = timm.get_pretrained_cfg(name).to_dict()
        assert {key: cfg[key] for key in find(name).default_cfg} == find(name).default_cfg
        assert not timm.is_model_pretrained(name)


def test_no_weights_are_there_to_be_loaded():
    with pytest.raises(RuntimeError, match="No pretrained weights exist"):
        timm.create_model("fairnas_a", pretrained=True)


def test_feature_info_says_what_timm_s_says():
    theirs = timm.create_model("fairnas_a", features_only=True, out_indices=(1, 3), output_stride=16)
    ours = create_model("fairnas-a", features_only=True, out_indices=(1, 3), output_stride=16)
    for fact in ("channels", "reduction", "module_name"):
        assert getattr(ours.feature_info, fact)() == getattr(theirs.feature_info, fact)()
        assert getattr(ours.feature_info, fact)(1) == getattr(theirs.feature_info, fact)(1)
        assert getattr(ours.feature_info, fact)([0, 2]) == getattr(theirs.feature_info, fact)([0, 2])
    assert theirs.state_dict().keys() == ours.state_dict().keys()
    names = timm.create_model("efficientnet_b0", features_only=True, output_stride=16).feature_info.reduction()
    assert ours.model.feature_info[-1]["reduction"] == names[-2] == names[-1]  # a level may be there twice


@all_models(SOME)
def test_what_a_model_says_of_itself(name: str):
    model = timm.create_model(name, device="meta", dtype=torch.float32).eval()
    cfg, keys = model.default_cfg, model.state_dict().keys()
    assert model.num_classes == cfg["num_classes"]
    assert model.in_chans == cfg["input_size"][0]
    assert {f"{cfg['classifier']}.weight", f"{cfg['first_conv']}.weight"} <= keys
    assert all(tensor.device.type == "meta" for tensor in model.state_dict().values())
    assert inspect.signature(model.reset_classifier).parameters["global_pool"].default is None
    x = torch.zeros(1, *cfg["input_size"], device="meta")
    features = model.forward_features(x)
    assert features.shape[1:] == (model.num_features, *cfg["pool_size"])
    hidden = model.forward_head(features, pre_logits=True).shape
    assert hidden == (1, model.head_hidden_size)
    model.reset_classifier(0, "")
    assert model.requires_grad_(False)(x).shape == features.shape
    assert not [key for key, parameter in model.named_parameters() if parameter.requires_grad]
    headless = timm.create_model(name, num_classes=0, global_pool="", device="meta").eval()
    assert headless(x).shape == features.shape
    headless.to(torch.float64).reset_classifier(2)
    assert headless.get_classifier().weight.dtype == torch.float64
    with pytest.raises(TypeError):
        timm.create_model(name, device="meta", not_a_model_arg=1)


@all_models(SOME)
def test_a_model_runs_trains_and_gives_features(name: str):
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=42)
    x = torch.randn(2, 3, image_of(name), image_of(name))
    out = model(x)
    out.mean().backward()
    assert out.shape == (2, 42)
    assert out.isfinite().all()
    assert [key for key, parameter in model.named_parameters() if parameter.grad is None] == []
    final, levels = model.eval().forward_intermediates(x)
    torch.testing.assert_close(final, model.forward_features(x))
    info = timm.models.FeatureInfo(model.feature_info, len(model.feature_info))
    assert [level.shape[1] for level in levels] == info.channels()
    backbone = timm.create_model(name, features_only=True).eval()
    backbone.model.load_state_dict(model.state_dict(), strict=False)
    for mine, level, stride in zip(backbone(x), levels, backbone.feature_info.reduction(), strict=True):
        assert torch.equal(mine, level)
        assert level.shape[-1] == x.shape[-1] // stride


@all_models(["fairnas_a_se"])
@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
def test_a_model_can_be_scripted(name: str):
    model, x = timm.create_model(name).eval(), torch.randn(1, 3, image_of(name), image_of(name))
    with torch.no_grad():
        assert torch.equal(torch.jit.script(model)(x), model(x))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_pruned_model_keeps_its_levels_and_nothing_else(name: str):
    torch.manual_seed(0)
    model, x = timm.create_model(name).eval(), torch.randn(2, 3, image_of(name), image_of(name))
    with torch.no_grad():
        taps = model.forward_intermediates(x, intermediates_only=True)
    for level, tap in enumerate(taps):
        pruned: nn.Module = copy.deepcopy(model)
        kept = pruned.prune_intermediate_layers([level], prune_norm=True)
        with torch.no_grad():
            assert torch.equal(pruned.forward_features(x), tap)
        pruned.train().forward_intermediates(x, kept, intermediates_only=True)[0].sum().backward()
        assert [key for key, parameter in pruned.named_parameters() if parameter.grad is None] == []


def test_the_getter_can_be_chosen_by_name():
    features = timm.create_model("fairnas_a", features_only=True, feature_cls="getter", out_indices=(-1, 0)).eval()
    low, high = features(torch.zeros(1, 3, 32, 32))
    assert (low.shape[-1], high.shape[-1]) == (1, 16)
    assert fairdarts.model_names()  # the same names serve both
