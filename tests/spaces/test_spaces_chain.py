"""A chain space: its facts, what a file of it may hold, and which genotypes it allows."""

import pytest

from fairdarts.checking import check
from fairdarts.config import UserError
from fairdarts.genotype import CellGenotype, ChainGenotype
from fairdarts.reading import read_yaml
from fairdarts.resources import find
from fairdarts.spaces.chain import ChainSpace, Layer
from fairdarts.spaces.space import check_genotype, load_space

S2 = load_space("s2")
CHANGES = (0, 2, 6, 10, 14, 18)
"""the layers of S2 that change width or resolution"""


def test_s2_has_nineteen_layers_of_seven_choices():
    assert S2.parts["layers"].shape == (19, 7)
    assert S2.parts == {"layers": (tuple(range(19)), S2.candidates)}
    assert S2.candidates == ("E3K3", "E3K5", "E3K7", "E6K3", "E6K5", "E6K7", "skip_connect")


def test_the_layers_of_s2_are_those_of_fairnas_a():
    """The table of blocks that FairNAS-A's authors released: expansion, output channels, kernel, stride."""
    widths = [32] * 2 + [40] * 4 + [80] * 4 + [96] * 4 + [192] * 4 + [320]
    strides = [2, 1, 2, 1, 1, 1, 2, 1, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1]
    assert [layer.c_out for layer in S2.layers] == widths
    assert [layer.stride for layer in S2.layers] == strides
    assert [layer.c_in for layer in S2.layers] == [16, *widths[:-1]]
    assert tuple(number for number, layer in enumerate(S2.layers) if not layer.keeps_shape) == CHANGES


def test_s2_noskip_lacks_skip_connections_alone():
    noskip = load_space("s2-noskip")
    assert noskip.candidates == S2.candidates[:-1]
    assert noskip.layers == S2.layers


@pytest.mark.parametrize(
    ("c_in", "c_out", "stride", "keeps"), [(8, 8, 1, True), (8, 8, 2, False), (8, 16, 1, False), (8, 16, 2, False)]
)
def test_a_layer_keeps_the_shape_where_neither_width_nor_resolution_change(c_in, c_out, stride, keeps):
    assert Layer(c_in, c_out, stride).keeps_shape is keeps


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("candidates", ["E3K3", "E3K4"], "candidates: 'E3K4' is not a choice of a layer"),
        ("candidates", ["E3K3", "E3K3"], "candidates: a choice stands twice"),
        ("candidates", ["sep_conv_3x3"], "candidates: 'sep_conv_3x3' is not a choice of a layer"),
        ("candidates", [], "candidates"),
        ("stages", [], "stages"),
        ("stages", [{"channels": 8, "layers": 1, "stride": 3}], "stages.0.stride"),
        ("nodes", 4, "nodes: unknown key"),
    ],
)
def test_a_file_is_refused(key: str, value: object, message: str):
    content = read_yaml(find("search_spaces", "s2")) | {key: value}
    with pytest.raises(UserError) as refused:
        check(ChainSpace, content, "my.yaml")
    assert str(refused.value).startswith(f"my.yaml: {message}")


def genotype(**changes: tuple[str, ...]) -> ChainGenotype:
    layers = [("E3K3",)] * 19
    for key, value in changes.items():
        layers[int(key.removeprefix("layer"))] = value
    return ChainGenotype(schema=1, name="n", space="s2", source="", layers=tuple(layers))


@pytest.mark.parametrize("choices", [(), ("skip_connect",), ("E6K7", "skip_connect"), ("E3K3", "E6K5")])
def test_a_layer_that_keeps_the_shape_may_have_any_choices_and_none(choices: tuple[str, ...]):
    found = genotype(layer1=choices)
    assert check_genotype(found, S2, "my.yaml") is found


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layer0": ()}, "layers[0]: has no choice, but it leads from 16 to 32 channels at stride 2"),
        ({"layer18": ()}, "layers[18]: has no choice, but it leads from 192 to 320 channels at stride 1"),
        ({"layer3": ("E3K9",)}, "layers[3]: 'E3K9' is not a choice of space s2 (did you mean 'E3K"),
        ({"layer3": ("E3K3", "E3K3")}, "layers[3]: a choice stands twice"),
    ],
)
def test_what_the_space_does_not_allow_is_named(changes: dict, message: str):
    with pytest.raises(UserError) as refused:
        check_genotype(genotype(**changes), S2, "my.yaml")
    assert str(refused.value).startswith(f"my.yaml: {message}")


def test_another_number_of_layers_and_another_kind_of_genotype_are_named():
    short = genotype().model_copy(update={"layers": (("E3K3",),) * 18})
    with pytest.raises(UserError, match="layers: 18, should be 19 for space s2"):
        check_genotype(short, S2, "my.yaml")
    cells = CellGenotype(schema=1, name="n", space="s2", source="", normal=(), reduce=())
    with pytest.raises(UserError, match=r"holds cells \(normal, reduce\), but space s2 is a chain space"):
        check_genotype(cells, S2, "my.yaml")
    with pytest.raises(UserError, match="holds layers, but space s1 is a cell space"):
        check_genotype(genotype(), load_space("s1"), "my.yaml")


def test_an_unknown_kind_of_space_is_named(tmp_path):
    (tmp_path / "my.yaml").write_text("kind: chian\n")
    with pytest.raises(UserError, match=r"kind: 'chian' is not a kind of space \(did you mean 'chain'\?\)"):
        load_space(str(tmp_path / "my.yaml"))
    (tmp_path / "my.yaml").write_text("stages: []\n")
    with pytest.raises(UserError, match=r"kind: is missing \(known: cell, chain, nasbench101, nasbench201\)"):
        load_space(str(tmp_path / "my.yaml"))
