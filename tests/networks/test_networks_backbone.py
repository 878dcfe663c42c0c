"""What all networks share: features, heads, pruning, and that torch can script, export and trace them."""

import copy
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from fairdarts.config import UserError
from fairdarts.networks.backbone import Backbone, chosen
from fairdarts.networks.blueprint import NetworkSettings, build
from fairdarts.networks.cell import CellNetwork
from fairdarts.networks.create import create_model
from fairdarts.networks.zoo import load_genotype

SMALL = NetworkSettings(cells=4, channels=4)
SMALL_IMAGENET = NetworkSettings(size="imagenet", cells=4, channels=4)
NETWORKS = {
    "fairnas-a": None,
    "fairnas-a-se": None,
    "fairdarts-a": SMALL,
    "darts-v2": SMALL,
    "fairdarts-b-imagenet": SMALL_IMAGENET,
}
"""A chain, one with squeeze-and-excitation, and networks of cells with few of them."""
STRIDES = {
    "fairnas-a": [2, 4, 8, 16, 32],
    "fairdarts-a": [1, 2, 4],
    "fairdarts-b-imagenet": [4, 8, 16, 32],
}
every = pytest.mark.parametrize("name", NETWORKS)
one_of_each = pytest.mark.parametrize("name", STRIDES)


def make(name: str, **options) -> nn.Module:
    torch.manual_seed(0)
    return create_model(name, network=NETWORKS[name], num_classes=options.pop("num_classes", 7), **options).eval()


def images(size: int = 64, batch: int = 2) -> Tensor:
    return torch.randn(batch, 3, size, size, generator=torch.Generator().manual_seed(1))


def untrained(network: nn.Module) -> list[str]:
    return [key for key, parameter in network.named_parameters() if parameter.grad is None]


@every
def test_a_network_is_its_features_and_its_head(name: str):
    network, x = make(name), images()
    features = network.forward_features(x)
    hidden = network.forward_head(features, pre_logits=True)
    assert isinstance(network, Backbone)
    assert features.shape[1] == network.num_features
    assert hidden.shape == (2, network.head_hidden_size)
    assert torch.equal(network(x), network.forward_head(features))
    assert torch.equal(network(x), network.get_classifier()(hidden))
    assert (network.num_classes, network.in_chans) == (7, 3)


@every
def test_the_classifier_may_change(name: str):
    network, x = make(name).double(), images().double()
    hidden = network.forward_head(network.forward_features(x), pre_logits=True)
    network.reset_classifier(0)
    assert isinstance(network.get_classifier(), nn.Identity)
    assert torch.equal(network(x), hidden)
    network.reset_classifier(0, "")
    assert torch.equal(network(x), network.forward_features(x))
    network.reset_classifier(3)
    assert network(x).shape == (2, 3)
    assert network.get_classifier().weight.dtype == torch.float64
    assert not network.get_classifier().training


@one_of_each
def test_levels_are_a_stride_each(name: str):
    network = make(name)
    levels = network.feature_info
    assert [level["reduction"] for level in levels] == STRIDES[name]
    modules, seen = dict(network.named_modules()), {}
    for level in levels:
        modules[level["module"]].register_forward_hook(
            lambda module, inputs, out, key=level["module"]: seen.update({key: out})
        )
    final, taken = network.forward_intermediates(images(46))
    assert [x.shape[1] for x in taken] == [level["num_chs"] for level in levels]
    assert [x.shape[2] for x in taken] == [-(-46 // stride) for stride in STRIDES[name]]  # rounded up
    assert all(torch.equal(x, seen[level["module"]]) for x, level in zip(taken, levels, strict=True))
    assert torch.equal(final, network.forward_features(images(46)))


def test_the_levels_of_fairnas_are_the_layers_before_a_stride():
    info = make("fairnas-a", features_only=True).feature_info
    assert info.module_name() == ["stem", "layers.1", "layers.5", "layers.13", "layers.18"]
    assert info.channels() == [16, 32, 40, 96, 320]
    assert (info.channels(1), info.reduction([0, -1]), len(info)) == (32, [2, 32], 5)
    assert info[2] == {"num_chs": 40, "reduction": 8, "module": "layers.5"}


def test_cells_that_halve_the_image_at_once_follow_the_stem():
    with torch.device("meta"):
        for size, strides in (("cifar", [1, 2]), ("imagenet", [4, 8, 16])):
            network = create_model("fairdarts-a", network=NetworkSettings(size=size, cells=1, channels=4))
            assert [level["reduction"] for level in network.feature_info] == strides


@one_of_each
def test_features_come_in_the_order_asked_for_and_nothing_runs_behind_the_last(name: str):
    x = images()
    whole = make(name).forward_intermediates(x, intermediates_only=True)
    for indices in ([1, 0], (-1, 0, 0), [1], 2):
        features = make(name, features_only=True, out_indices=indices)
        expected = whole[-2:] if indices == 2 else [whole[level] for level in indices]
        assert all(torch.equal(a, b) for a, b in zip(features(x), expected, strict=True))
        assert features.feature_info.channels() == [feature.shape[1] for feature in expected]
        sum(feature.sum() for feature in features.train()(x)).backward()
        assert untrained(features) == []


@every
def test_a_pruned_network_ends_at_its_last_level(name: str):
    network, x = make(name), images()
    taps = network.forward_intermediates(x, intermediates_only=True)
    kept = copy.deepcopy(network)
    assert kept.prune_intermediate_layers([-1], prune_head=False) == [len(taps) - 1]
    assert torch.equal(kept(x), network(x))
    for level, tap in enumerate(taps):
        stopped, early = network.forward_intermediates(x, [level], stop_early=True)
        assert torch.equal(early[0], tap)
        pruned = copy.deepcopy(network)
        assert pruned.prune_intermediate_layers([level]) == [level]
        assert len(pruned.feature_info) == level + 1
        assert torch.equal(pruned.forward_intermediates(x, [level], intermediates_only=True)[0], tap)
        assert torch.equal(pruned(x), tap)
        assert level == len(taps) - 1 or torch.equal(stopped, tap)
        pruned.reset_classifier(3)
        assert pruned(x).shape == (2, 3)
        pruned.train()(x).sum().backward()
        assert untrained(pruned) == []


def test_the_auxiliary_head_follows_the_classifier():
    def network() -> CellNetwork:
        return build(*load_genotype("fairdarts-a"), NetworkSettings(cells=3, channels=2), auxiliary=True).train()

    x, changed = images(32), network()
    changed.reset_classifier(3)
    assert [logits.shape for logits in changed(x)] == [(2, 3)] * 2
    changed.reset_classifier(0)
    assert changed(x).shape == (2, changed.num_features)
    pruned = network()
    pruned.prune_intermediate_layers(1)
    assert pruned.auxiliary is None


@pytest.mark.parametrize("name", ["fairnas-a", "fairdarts-a"])
def test_what_is_computed_again_is_the_same(name: str):
    passes = []
    for enable in (False, True):
        network = make(name, drop_rate=0.2, drop_path_rate=0.0 if "nas" in name else 0.2).train()
        network.set_grad_checkpointing(enable)
        torch.manual_seed(2)
        network(images()).square().sum().backward()
        passes.append([*(parameter.grad for parameter in network.parameters()), *network.buffers()])
    assert all(torch.equal(kept, again) for kept, again in zip(*passes, strict=True))


@pytest.mark.parametrize("name", ["fairnas-a-se", "darts-v2"])
@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
def test_a_script_gives_the_same(name: str):
    network, x = make(name), images(32)
    assert torch.equal(torch.jit.script(network)(x), network(x))


@one_of_each
@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
def test_a_script_gives_the_same_features(name: str):
    features, x = make(name, features_only=True, out_indices=(1, 0)), images(32)
    assert all(torch.equal(a, b) for a, b in zip(torch.jit.script(features)(x), features(x), strict=True))


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
def test_a_script_trains_with_an_auxiliary_head():
    genotype, space = load_genotype("fairdarts-a")
    network = build(genotype, space, NetworkSettings(cells=3, channels=2), classes=5, auxiliary=True)
    script, x = torch.jit.script(copy.deepcopy(network)), images(32)
    for ours, scripted in zip(network.train()(x), script.train()(x), strict=True):
        torch.testing.assert_close(scripted, ours)
    torch.testing.assert_close(script.eval()(x), network.eval()(x))


@pytest.mark.parametrize("name", [pytest.param("fairnas-a-se", marks=pytest.mark.slow), "fairdarts-a"])
def test_a_trace_and_an_exported_program_give_the_same_for_other_batches(name: str):
    small = NetworkSettings(cells=3, channels=2) if name == "fairdarts-a" else None
    network = create_model(name, num_classes=7, network=small).eval()
    with torch.no_grad():
        batch = ({0: torch.export.Dim("batch")},)
        program = torch.export.export(network, (images(32),), dynamic_shapes=batch).module()
        trace, x = torch.fx.symbolic_trace(network), images(32, 5)
        torch.testing.assert_close(program(x), network(x))
        torch.testing.assert_close(trace(x), network(x))


def test_levels_that_are_asked_for():
    assert chosen(5, None) == [0, 1, 2, 3, 4]
    assert chosen(5, 2) == [3, 4]
    assert chosen(5, [-1, 0]) == [4, 0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda network: network.reset_classifier(-1), "num_classes: -1: should be 0 or more"),
        (lambda network: network.reset_classifier(3, "max"), "global_pool: 'max': should be 'avg', or '' for none"),
        (lambda network: network.reset_classifier(3, ""), "global_pool: '': a classifier needs"),
        (lambda network: network.forward_intermediates(images(), output_fmt="NLC"), "output_fmt: NLC: should be NCHW"),
        (lambda network: network.forward_intermediates(images(), [3]), "out_indices: 3: should be from -3 to 2"),
        (lambda network: network.prune_intermediate_layers([-4]), "out_indices: -4: should be from -3 to 2"),
        (lambda network: network.prune_intermediate_layers(4), "out_indices: 4: should be from 1 to 3"),
        (lambda network: network.prune_intermediate_layers([]), "out_indices: should name at least one level"),
    ],
)
def test_what_is_not_possible_is_one_line(change, message: str):
    with pytest.raises(UserError, match=message):
        change(make("fairdarts-a"))


def test_strides_never_fall():
    for name in STRIDES:
        strides = [point.stride for point in make(name).points]
        assert all(before <= after for before, after in pairwise(strides))
