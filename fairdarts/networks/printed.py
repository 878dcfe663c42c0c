"""Genotypes as other code prints them, anywhere in a text: DARTS' `Genotype(...)`, NAS-Bench-201's `|op~0|+|…|`.

Nothing is executed: a text is parsed, and its lists are read as literals.
"""

import ast
import re
import warnings
from pathlib import Path
from typing import NamedTuple

from fairdarts.checking import check
from fairdarts.config import Notice, UserError, nearest
from fairdarts.genotype import CELLS, CellGenotype, EdgeGenotype, Genotype
from fairdarts.spaces.cell import CellSpace
from fairdarts.spaces.nasbench201 import ARCH, names_of_arch
from fairdarts.spaces.space import Space, check_genotype, load_space

_START = re.compile(rf"(?:\b(\w+)\s*=\s*)?['\"]?(?:(?<!class )\b(?:\w+\.)?Genotype(\()|({ARCH.pattern}))")
_ALIAS = re.compile(r"^(\w+)\s*=\s*(\w+)\s*$", re.MULTILINE)
_SPACE = re.compile(r"^\s*#\s*space:\s*(\S+)\s*$", re.MULTILINE)

SCALARS = re.compile(r"u?int(8|16|32|64|p)?_?|float(16|32|64)|str_")
"""what numpy 2 calls the scalars that it prints as np.int64(1)"""

LONGEST = 20_000
"""characters of a `Genotype(...)`"""

HINT = "another space is named by a line `# space: NAME` in it, or a YAML file of your own"


class Print(NamedTuple):
    """A genotype that stands in a text."""

    name: str | None
    """what it is assigned to"""
    call: str
    """`Genotype(` and LONGEST characters behind it, or nothing"""
    arch: str | None
    """or an architecture of NAS-Bench-201"""


def prints(text: str) -> list[Print]:
    """All genotypes in a text, in their order; where one is assigned to several names, once for each."""
    genotypes = []
    for match in _START.finditer(text):
        name, bracket, arch = match.groups()
        start = match.start(2) - len("Genotype")
        genotypes.append(Print(name, text[start : start + LONGEST + 1] if bracket else "", arch))
    names = {printed.name: printed for printed in genotypes}
    aliases = ((alias, names[name]) for alias, name in _ALIAS.findall(text) if name in names)
    return [printed._replace(name=alias) for alias, printed in aliases] + genotypes


def read_printed(text: str, path: Path, chosen: str | None = None) -> tuple[Genotype, Space]:
    """The genotype of a text that is `chosen` by name, or the last one, and its space.

    The space is s1, or nasbench201, or what a line `# space: NAME` says. That there are others, where none is chosen,
    is said by a Notice. Raises UserError naming the file and the part.
    """
    space_line = _SPACE.search(text)
    if path.suffix == ".py":
        text = re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)
    genotypes = prints(text)
    if not genotypes:
        raise UserError(f"{path}: no 'Genotype(' and no architecture of NAS-Bench-201 in this text")
    names = dict.fromkeys(printed.name for printed in genotypes if printed.name)
    if chosen is not None and chosen not in names:
        raise UserError(f"{path}:{chosen}: no genotype of this name in it{nearest(chosen, names)}")
    printed = [printed for printed in genotypes if chosen in (None, printed.name)][-1]
    if chosen is None:
        _tell_others(path, genotypes, [*names])
    name = chosen or (printed.name if path.suffix == ".py" else None) or path.stem
    source = f"{path}:{chosen}" if chosen else str(path)
    named = space_line[1] if space_line else "nasbench201" if printed.arch else "s1"
    beside = path.parent / named  # a file is named as it lies beside the text
    space = load_space(str(beside) if beside.is_file() else named, f"{path}: space")
    try:
        return check_genotype(_genotype(printed, name, space, source), space, source), space
    except UserError as error:
        raise error if space_line else UserError(f"{error}; {HINT}") from None


def _tell_others(path: Path, genotypes: list[Print], names: list[str]) -> None:
    count = len({one.arch or one.call[: _closing(one.call, len("Genotype"), str(path))] for one in genotypes})
    if count > 1:
        last = f", {genotypes[-1].name}" if genotypes[-1].name else ""
        choice = f"; {path}:NAME chooses: {', '.join(names)}" if len(names) > 1 else ""
        notice = f"{path}: the last of {count} genotypes in it is taken{last}{choice}"
        warnings.warn(notice, Notice, stacklevel=3)


def _genotype(printed: Print, name: str, space: Space, source: str) -> Genotype:
    if printed.arch:
        try:
            edges = names_of_arch(printed.arch)
        except UserError as error:
            raise UserError(f"{source}: {error}") from None
        return EdgeGenotype(name=name, space=space.name, source=source, edges=edges)
    if not isinstance(space, CellSpace):
        raise UserError(f"{source}: holds cells (normal, reduce), but space {space.name} is a {space.kind} space")
    return from_darts_text(printed.call, name, space, source)


def from_darts_text(text: str, name: str, space: CellSpace, source: str = "") -> CellGenotype:
    """The first `Genotype(...)` in a text, of nodes as the space has them.

    A cell is a list of pairs (operation, input), two a node, of triples (operation, node, input), or of lists of pairs,
    one a node. Behind a pair its strength may stand, a float. Where the space has `none`, it is left out, as from all
    genotypes. An output may concatenate some of the nodes. Raises UserError naming the part.
    """
    place = source or name
    start = text.find("Genotype(")
    if start < 0:
        raise UserError(f"{place}: no 'Genotype(' in this text")
    try:
        call = ast.parse(text[start : _closing(text, start + len("Genotype"), place)], mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UserError(f"{place}: not a printed Genotype(...): {getattr(error, 'msg', 'nested too deep')}") from None
    if not isinstance(call, ast.Call):  # brackets in its strings
        raise UserError(f"{place}: not a printed Genotype(...)")
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    cells: dict[str, list] = {}
    nodes = range(space.inputs, space.inputs + space.nodes)
    for cell in CELLS:
        if cell not in given:
            raise UserError(f"{place}: the Genotype(...) has no {cell}=")
        edges = _triples(_literal(given[cell], f"{place}: {cell}"), f"{place}: {cell}", space)
        concat = _literal(given.get(f"{cell}_concat"), f"{place}: {cell}_concat")
        if concat is not None and concat not in (nodes, [*nodes]):
            if len(concat) > len(nodes) or not all(node in nodes for node in concat):
                every = f"the {space.nodes} nodes of space {space.name}, or some of them"
                raise UserError(f"{place}: {cell}_concat: should be range({nodes.start}, {nodes.stop}), {every}")
            cells[f"{cell}_concat"] = [*concat]
        cells[cell] = [edge for edge in edges if edge[0] != "none" or "none" not in space.candidates]
    return check(CellGenotype, {"name": name, "space": space.name, "source": source, **cells}, place)


def _closing(text: str, opening: int, place: str) -> int:
    depth = 0
    for position in range(opening, len(text)):
        depth += {"(": 1, ")": -1}.get(text[position], 0)
        if depth == 0:
            return position + 1
    if len(text) > LONGEST:
        raise UserError(f"{place}: the Genotype(...) is longer than {LONGEST:,} characters, or has no closing bracket")
    raise UserError(f"{place}: the Genotype(...) is cut off: a closing bracket is missing")


class _Scalars(ast.NodeTransformer):
    """Puts 1 in the place of np.int64(1)."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        match node:
            case ast.Call(ast.Attribute(ast.Name("np" | "numpy"), kind), [ast.Constant() as value], []):
                return value if SCALARS.fullmatch(kind) else node
        return node


def _literal(node: ast.expr | None, place: str) -> list | range | None:
    """A list or tuple of literals, or range(a, b) of two numbers."""
    if node is None:
        return None
    try:
        node = _Scalars().visit(node)
        match node:
            case ast.Call(ast.Name("list" | "tuple"), [argument], []):
                node = argument
        match node:
            case ast.Call(ast.Name("range"), arguments, []):
                return range(*(int(ast.literal_eval(argument)) for argument in arguments))
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError, OverflowError):
        raise UserError(f"{place}: should be a list of literals") from None
    if not isinstance(value, list | tuple):
        raise UserError(f"{place}: should be a list, not {type(value).__name__}")
    return list(value)


def _triples(edges: list | range | None, place: str, space: CellSpace) -> list:
    if not isinstance(edges, list) or not all(isinstance(edge, list | tuple) for edge in edges):
        raise UserError(f"{place}: should be a list of (operation, input) or (operation, node, input)")
    nodes, first = space.nodes, space.inputs
    if edges and all(edge and all(isinstance(part, list | tuple) for part in edge) for edge in edges):
        if len(edges) != nodes:
            raise UserError(f"{place}: {len(edges)} nodes, but space {space.name} has {nodes}")
        pairs = [(first + number, _pair(edge)) for number, node in enumerate(edges) for edge in node]
        if any(len(pair) != 2 for _, pair in pairs):
            raise UserError(f"{place}: should be pairs (operation, input), node by node")
        return [(pair[0], node, pair[1]) for node, pair in pairs]
    edges = [_pair(edge) for edge in edges]
    widths = {len(edge) for edge in edges}
    if widths == {2}:
        if len(edges) != 2 * nodes:
            many = f"two for each of the {nodes} nodes of space {space.name}"
            raise UserError(f"{place}: {len(edges)} pairs, should be {2 * nodes}: {many}")
        return [(op, first + position // 2, source) for position, (op, source) in enumerate(edges)]
    if widths <= {3}:
        return edges
    raise UserError(f"{place}: should be pairs (operation, input) or triples (operation, node, input), not mixed")


def _pair(edge: list | tuple) -> list | tuple:
    """A pair without its strength, as GDAS prints it; anything else as it is."""
    return edge[:2] if len(edge) == 3 and isinstance(edge[2], float) else edge
