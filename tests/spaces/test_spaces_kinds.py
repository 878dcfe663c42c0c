"""Every dict on kinds of spaces knows them all, or refuses the rest; and few places ask what kind one is of."""

import ast
from pathlib import Path

import pytest

import fairdarts
from fairdarts.cli.summary import TEXTS
from fairdarts.config import UserError
from fairdarts.cost.parts import PARTS, parts_of
from fairdarts.genotype import Genotype
from fairdarts.networks.blueprint import BUILDERS, NetworkSettings, build_backbone
from fairdarts.networks.models import ENDS
from fairdarts.networks.sizes import HAVE
from fairdarts.plot.drawing import DRAWINGS
from fairdarts.plot.found import COLUMNS
from fairdarts.plot.points import POINTS
from fairdarts.ranking.cells import FILES
from fairdarts.resources import names
from fairdarts.spaces.base import SearchSpace
from fairdarts.spaces.space import FORMS, KINDS, load_space
from fairdarts.training.inherit import NAMES

SITES = 18
"""of isinstance and match on kinds of spaces and genotypes, in the whole package, at most"""
SHIPPED = {name: load_space(name) for name in names("search_spaces")}


def test_a_kind_is_what_its_class_says():
    for kind, space in KINDS.items():
        assert issubclass(space, SearchSpace)
        assert space.model_fields["kind"].annotation.__args__ == (kind,)
    assert {space.kind for space in SHIPPED.values()} == set(KINDS)


@pytest.mark.parametrize("known", [FORMS, BUILDERS, HAVE, DRAWINGS], ids=["forms", "builders", "have", "drawings"])
def test_of_every_kind_there_is_one(known: dict):
    assert list(known) == list(KINDS)


def test_of_every_genotype_there_is_one():
    assert set(TEXTS) == set(FORMS.values()) == set(Genotype.__args__)


@pytest.mark.parametrize("name", SHIPPED)
def test_some_are_of_the_kinds_of_which_something_holds(name: str):
    space = SHIPPED[name]
    assert (space.kind in FILES) == bool(space.topology)
    assert (space.kind in COLUMNS) == (not space.topology)
    assert (space.kind in POINTS) == (space.kind in PARTS) == bool(space.parts)
    assert (space.kind in NAMES) == (space.kind != "nasbench101")  # whose paths cut the weights anew
    if space.kind not in PARTS:
        with pytest.raises(UserError, match="choose inputs"):
            parts_of(space)


@pytest.mark.parametrize("name", ["s1", "nas-bench-macro", "nasbench101", "nasbench201"])
def test_networks_that_give_features_have_ends(name: str):
    space = SHIPPED[name]
    genotype = space.genotype_of((0,) * (len(space.choices) - 1) + (1,), "n", "s")
    if space.kind in ENDS:
        assert build_backbone(genotype, space, NetworkSettings()).num_features
    else:
        with pytest.raises(UserError, match="give no features"):
            build_backbone(genotype, space, NetworkSettings())


def test_few_places_ask_for_a_kind():
    classes = {own.__name__ for own in (*KINDS.values(), *FORMS.values())}

    def asked(node: ast.AST) -> bool:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
            return bool(classes & {name.id for name in ast.walk(node.args[1]) if isinstance(name, ast.Name)})
        return isinstance(node, ast.MatchClass) and isinstance(node.cls, ast.Name) and node.cls.id in classes

    sites = [
        f"{path}:{node.lineno}"
        for path in Path(fairdarts.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if asked(node)
    ]
    assert len(sites) <= SITES, sites
