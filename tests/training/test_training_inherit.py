"""Weights of a supernet in a stand-alone network: it computes what the supernet does on the same choices."""

from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from norms import lived_in
from one_shot import BENCH, CELLS, CHAIN, IRREGULAR, every_path, supernet_of
from torch import Tensor, nn

from fairdarts.config import UserError
from fairdarts.differentiable.settings import DenseSupernetSettings
from fairdarts.genotype import CellGenotype, ChainGenotype, live
from fairdarts.networks.blueprint import NetworkSettings, build
from fairdarts.reading import dump_yaml
from fairdarts.relaxation import dense
from fairdarts.runtime import checkpoint
from fairdarts.spaces.gates import Gates, subnet
from fairdarts.spaces.space import Space, load_space
from fairdarts.supernet.settings import SupernetSettings
from fairdarts.supernet.supernet import Supernet, make_supernet
from fairdarts.training.inherit import inherit, weights_of

S1 = load_space("s1")
SMALL = NetworkSettings(cells=4, channels=4)


def cells(normal: list, reduce: list) -> CellGenotype:
    return CellGenotype(schema=1, name="found", space="s1", source="tests", normal=normal, reduce=reduce)


WHOLE = cells(
    [("sep_conv_3x3", 2, 0), ("skip_connect", 3, 1), ("dil_conv_5x5", 4, 2), ("sep_conv_5x5", 5, 4)],
    [("skip_connect", 2, 0), ("dil_conv_3x3", 3, 1), ("skip_connect", 4, 3), ("sep_conv_3x3", 5, 1)],
)
SPARSE = cells(  # nodes that nothing feeds, an operation that reads one, an input unread, an edge of two operations
    [("sep_conv_3x3", 3, 0), ("dil_conv_3x3", 3, 0), ("sep_conv_5x5", 4, 2), ("skip_connect", 5, 3)],
    [("skip_connect", 3, 1), ("sep_conv_3x3", 3, 0), ("dil_conv_5x5", 5, 3)],
)


def gates_of(genotype: CellGenotype | ChainGenotype, space: Space) -> Gates:
    """1 for what takes part in a genotype, 0 for all else, as for what reads a node that nothing feeds."""
    gates = {name: torch.zeros(part.shape, dtype=torch.float64) for name, part in space.parts.items()}
    if isinstance(genotype, ChainGenotype):
        chosen = [("layers", row, name) for row, names in enumerate(genotype.layers) for name in names]
    else:
        edges = [(part, *edge) for part in space.parts for edge in live(getattr(genotype, part))[0]]
        chosen = [(part, space.edges.index((node, source)), name) for part, name, node, source in edges]
    for part, row, name in chosen:
        gates[part][row, space.candidates.index(name)] = 1
    return dense(gates, space)


def with_statistics(supernet: nn.Module) -> nn.Module:
    """In float64, in evaluation, with BatchNorms that matter."""
    torch.manual_seed(0)
    return lived_in(supernet).eval()


def searched(space: Space = S1) -> Supernet:
    sizes = {"cells": 4, "channels": 4} if space is S1 else {}
    return with_statistics(make_supernet(space, 3, settings=DenseSupernetSettings(**sizes)))


def network_of(genotype: Any, space: Space, network: NetworkSettings | None = None, **options: Any) -> nn.Module:
    settings = network or (SMALL if space is S1 else NetworkSettings())
    return build(genotype, space, settings, **({"classes": 3} | options)).double().eval()


IMAGES = torch.randn(2, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def assert_same(found: Tensor, expected: Tensor) -> None:
    assert expected.std() > 1e-4
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("factors", [{}, {"operations": "node", "wsbn": True, "affine": False}], ids=["plain", "wsbn"])
@pytest.mark.parametrize("seed", [0, 1, 3])
def test_cells_compute_what_the_supernet_of_paths_does(factors: dict[str, Any], seed: int):
    """Without poolings, behind which the supernet has a BatchNorm and the network none."""
    torch.manual_seed(0)
    supernet = lived_in(make_supernet(CELLS, 3, 3, SupernetSettings(**factors))).eval()
    path = CELLS.random_path(Random(seed).randrange)
    genotype = CELLS.genotype_of(path, "found", "tests")
    network = network_of(genotype, CELLS, NetworkSettings(cells=3, channels=2))
    assert inherit(network, genotype, CELLS, supernet.state_dict(), "run") == []
    assert_same(network(IMAGES), supernet(IMAGES, CELLS.gates(subnet(path))))


@pytest.mark.parametrize(
    ("factors", "why"),
    [
        ({"track": False}, "have no running statistics (supernet.track false)"),
        ({"ofa_kernel": True}, "parts of others (supernet.ofa_kernel true)"),
    ],
)
def test_supernets_whose_weights_are_no_network_s_are_refused(factors: dict[str, Any], why: str):
    genotype = BENCH.genotype_of((1, 2, 3, 1, 2, 3), "found", "tests")
    weights = make_supernet(BENCH, 3, 3, SupernetSettings(**factors)).state_dict()
    with pytest.raises(UserError) as error:
        inherit(network_of(genotype, BENCH), genotype, BENCH, weights, "run")
    assert why in str(error.value)


@pytest.mark.parametrize("genotype", [WHOLE, SPARSE], ids=["whole", "sparse"])
def test_cells_compute_what_the_supernet_does(genotype: CellGenotype):
    supernet, network = searched(), network_of(genotype, S1)
    assert inherit(network, genotype, S1, supernet.state_dict(), "run") == []
    assert_same(network(IMAGES), supernet(IMAGES, gates_of(genotype, S1)))


def test_cells_behind_the_stem_for_large_images_do_too():
    settings = DenseSupernetSettings(cells=4, channels=4, stem="imagenet")
    supernet = with_statistics(make_supernet(S1, 3, settings=settings))
    large = SMALL.model_copy(update={"size": "imagenet"})
    network = network_of(WHOLE, S1, large)
    assert inherit(network, WHOLE, S1, supernet.state_dict(), "run") == []
    images = torch.cat([IMAGES, IMAGES], dim=3)
    assert_same(network(images), supernet(images, gates_of(WHOLE, S1)))
    message = refusal(network_of(WHOLE, S1), WHOLE, S1, supernet)
    assert message == "has the stem of large images, so the network should be --network.size imagenet"
    message = refusal(network_of(WHOLE, S1, large.model_copy(update={"channels": 8})), WHOLE, S1, supernet)
    assert message.startswith("has 4 cells of 4 channels, but the network 4 of 8: should be")


def test_what_cannot_be_inherited_is_noted_and_all_else_is():
    genotype = cells([*WHOLE.normal, ("max_pool_3x3", 5, 0)], [*WHOLE.reduce, ("avg_pool_3x3", 5, 0)])
    supernet, network = searched(), network_of(genotype, S1, auxiliary=True)
    before = {key: value.clone() for key, value in network.auxiliary.state_dict().items()}
    pools, head = inherit(network, genotype, S1, supernet.state_dict(), "run")
    assert pools.startswith("4 poolings: the supernet has a BatchNorm behind each, which the network has not")
    assert head.startswith("auxiliary head: ")
    assert all(torch.equal(value, before[key]) for key, value in network.auxiliary.state_dict().items())
    for module in supernet.modules():  # without the poolings' BatchNorms both are the same again
        if isinstance(module, nn.Sequential) and isinstance(module[0], nn.MaxPool2d | nn.AvgPool2d):
            module[1].running_mean.zero_()
            module[1].running_var.fill_(1 - module[1].eps)
    assert_same(network(IMAGES), supernet(IMAGES, gates_of(genotype, S1)))


def chain(*layers: tuple[str, ...]) -> ChainGenotype:
    return ChainGenotype(schema=1, name="three", space="tiny", source="tests", layers=layers)


@pytest.mark.parametrize(
    "layers",
    [
        [("MBE2K3",), ("skip_connect", "E1K5"), ("skip_connect",), ("MBE2K3", "E1K5")],
        [("skip_connect",), ("MBE2K3", "E1K5", "skip_connect"), ("E1K5",), ("MBE2K3",)],
    ],
)
def test_layers_compute_what_the_supernet_of_gates_does(layers: list):
    genotype = chain(*layers)
    supernet, network = searched(CHAIN), network_of(genotype, CHAIN)
    assert inherit(network, genotype, CHAIN, supernet.state_dict(), "run") == []
    assert_same(network(IMAGES), supernet(IMAGES, gates_of(genotype, CHAIN)))


@pytest.mark.parametrize("space", [CHAIN, IRREGULAR, BENCH], ids=["chain", "irregular", "bench"])
def test_a_path_computes_what_it_does_in_the_supernet_of_gates(space: Space):
    supernet, paths = searched(space), every_path(space)
    for path in paths[5 :: len(paths) // 7]:
        genotype = space.genotype_of(path, "found", "tests")
        network = network_of(genotype, space)
        assert inherit(network, genotype, space, supernet.state_dict(), "run") == []
        rows = {point: torch.eye(len(names)).double()[path[point]] for point, names in enumerate(space.choices)}
        gates = {name: torch.stack([rows[point] for point in part.points]) for name, part in space.parts.items()}
        assert_same(network(IMAGES), supernet(IMAGES, dense(gates, space)))


def test_a_removed_layer_is_a_skip_connection():
    genotype = chain(("MBE2K3",), (), ("E1K5",), ("MBE2K3",))
    skipped = chain(("MBE2K3",), ("skip_connect",), ("E1K5",), ("MBE2K3",))
    supernet, network = searched(CHAIN), network_of(genotype, CHAIN)
    inherit(network, genotype, CHAIN, supernet.state_dict(), "run")
    assert_same(network(IMAGES), supernet(IMAGES, gates_of(skipped, CHAIN)))


@pytest.mark.parametrize("space", [CHAIN, IRREGULAR, BENCH], ids=["chain", "irregular", "bench"])
def test_a_path_computes_what_it_does_in_the_supernet(space: Space):
    supernet = supernet_of(space).eval()
    paths = every_path(space)
    for path in paths[5 :: len(paths) // 7]:
        genotype = space.genotype_of(path, "found", "tests")
        network = network_of(genotype, space)
        assert inherit(network, genotype, space, supernet.state_dict(), "run") == []
        torch.testing.assert_close(network(IMAGES), supernet(IMAGES, space.gates(subnet(path))), rtol=1e-9, atol=1e-9)


def refusal(network: nn.Module, genotype: Any, space: Space, supernet: nn.Module, by_path: bool = False) -> str:
    """The error of an inheritance, which leaves the network as it was."""
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(UserError) as error:
        inherit(network, genotype, space, supernet.state_dict(), "runs/a", by_path)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    text = str(error.value)
    assert text.startswith("runs/a: ")
    assert "\n" not in text
    return text.removeprefix("runs/a: ")


@pytest.mark.parametrize(
    ("settings", "options", "message"),
    [
        (
            {"cells": 5, "channels": 8},
            {},
            "has 4 cells of 4 channels, but the network 5 of 8: should be --network.cells 4 --network.channels 4",
        ),
        ({"size": "imagenet"}, {}, "has the stem of small images, so the network should be --network.size cifar"),
        (
            {},
            {"classes": 7},
            "tail.classifier.weight: shape [3, 64], but classifier.weight of found needs [7, 64]: "
            "the supernet knows 3 classes, the network 7",
        ),
        (
            {},
            {"in_channels": 1},
            "stem.0.weight: shape [12, 3, 3, 3], but stem.conv.0.weight of found needs [12, 1, 3, 3]: "
            "the supernet reads images of 3 channels, the network of 1",
        ),
    ],
)
def test_cells_of_another_size_are_named(settings: dict, options: dict, message: str):
    network = network_of(WHOLE, S1, NetworkSettings(**({"cells": 4, "channels": 4} | settings)), **options)
    assert refusal(network, WHOLE, S1, searched()) == message


def test_operations_that_the_space_lacks_are_named():
    small = S1.model_copy(update={"candidates": ("skip_connect", "dil_conv_3x3"), "name": "small"})
    text = refusal(network_of(WHOLE, S1), WHOLE, small, searched())
    assert text.startswith("found: normal[0]: 'sep_conv_3x3' is not an operation of space small")
    assert refusal(network_of(WHOLE, S1), WHOLE, CHAIN, searched(CHAIN)).endswith("space tiny is a chain space")


@pytest.mark.parametrize(
    ("settings", "options", "message"),
    [
        ({"se_ratio": 0.5}, {}, "has no squeeze-and-excitation, so the network should be --network.se_ratio 0"),
        ({"activation": "swish"}, {}, "has ReLU6 throughout, so the network should be --network.activation relu6"),
        ({"outer_activation": "relu"}, {}, "has ReLU6 throughout, so the network should be --network.activation relu6"),
        (
            {},
            {"classes": 7},
            "tail.classifier.weight: shape [3, 8], but classifier.weight of found needs [7, 8]: "
            "the supernet knows 3 classes, the network 7",
        ),
    ],
)
def test_chains_built_otherwise_are_named(settings: dict, options: dict, message: str):
    genotype = CHAIN.genotype_of((1, 2, 1, 1), "found", "tests")
    network = network_of(genotype, CHAIN, NetworkSettings(**settings), **options)
    assert refusal(network, genotype, CHAIN, supernet_of(CHAIN)) == message


def test_a_chain_of_other_widths_is_named():
    wide = CHAIN.model_copy(update={"stem": CHAIN.stem.model_copy(update={"channels": 8})})
    genotype = CHAIN.genotype_of((1, 2, 1, 1), "found", "tests")
    text = refusal(network_of(genotype, wide), genotype, CHAIN, supernet_of(CHAIN))
    assert text == (
        "stem.0.0.weight: shape [4, 3, 3, 3], but stem.0.0.weight of found needs [8, 3, 3, 3]: "
        "the supernet begins with 4 channels, the network with 8"
    )


def test_a_layer_that_is_no_path_is_named():
    genotype = chain(("MBE2K3",), ("skip_connect", "E1K5"), ("skip_connect",), ("E1K5",))
    text = refusal(network_of(genotype, CHAIN), genotype, CHAIN, supernet_of(CHAIN), by_path=True)
    assert text == "trains paths, but three: layers[1]: 2 choices, should be 1 to be a path"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run directory of CHAIN without a checkpoint."""
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "settings.yaml").write_text("name: tiny\n")
    (tmp_path / "run" / "space.yaml").write_text(dump_yaml(CHAIN))
    return tmp_path / "run"


@pytest.mark.parametrize(("verb", "more"), [("search", {"alphas": {}}), ("supernet", {"sampler": torch.zeros(1)})])
def test_weights_of_a_run(verb: str, more: dict, run: Path):
    held = supernet_of(CHAIN).state_dict()
    (run / "settings.yaml").write_text(f"name: tiny\nverb: {verb}\n")
    checkpoint.save(run / "checkpoints" / "last.pt", {"supernet": held, **more})
    weights, space, trained_by = weights_of(run)
    assert (space, trained_by) == (CHAIN, verb)
    assert weights.keys() == held.keys()
    assert all(torch.equal(weights[key], tensor) for key, tensor in held.items())


def test_runs_without_weights_are_named(run: Path, tmp_path: Path):
    with pytest.raises(UserError, match="not a run directory"):
        weights_of(tmp_path)
    with pytest.raises(UserError, match="run: has no checkpoint yet, so no weights to inherit"):
        weights_of(run)
    checkpoint.save(run / "checkpoints" / "last.pt", {"archive": {}, "generation": 3})  # of an evolution
    with pytest.raises(UserError, match="its checkpoint has no weights of a supernet: should be a run of `fairdarts s"):
        weights_of(run)
    spoiled = {"stem.0.weight": torch.tensor([float("inf")])}
    checkpoint.save(run / "checkpoints" / "last.pt", {"supernet": spoiled})
    with pytest.raises(UserError, match=r"run: stem\.0\.weight: holds numbers that are not finite"):
        weights_of(run)
    (run / "checkpoints" / "last.pt").write_bytes(b"torn")
    with pytest.raises(UserError, match="not a readable checkpoint"):
        weights_of(run)
