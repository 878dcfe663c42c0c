"""What does a found chain look like? Its layers in rows, a stage a row, as FairDARTS (arXiv:1911.12126), Fig. 6."""

from collections.abc import Sequence
from typing import NamedTuple

import graphviz

from fairdarts.genotype import SKIP, ChainGenotype
from fairdarts.ops.names import is_bottleneck
from fairdarts.plot import style
from fairdarts.plot.points import resolutions
from fairdarts.runtime.shape import size_text
from fairdarts.spaces.chain import ChainSpace, Layer

_FIXED = {"fillcolor": "#E3E8EE", "color": "#8A97A8"}
_ABSENT = {"style": "dashed,rounded", "color": "#B5B5B5", "fontcolor": style.FAINT}
_BAND = {"style": "filled,rounded", "fillcolor": "#F5F6F8", "color": "#F5F6F8"}
_TEXT = {"shape": "plain", "style": ""}
_LINE = "#555555"
_IDENTITY = _ABSENT | {"color": style.COLOURS[SKIP], "fontcolor": style.COLOURS[SKIP]}

# Inches. Graphviz only draws: where everything stands is known.
_WIDTH, _HEIGHT, _PITCH = 1.2, 0.32, 0.42  # of a box; from one to the next below it
_FIRST, _STEP, _JOINT = 2.25, 1.78, 0.74  # a row's first box; from one to the next; where its lines part and meet
_ARC, _CAPTION, _MARGIN = 0.13, 0.22, 0.1  # a residual line above its box; a line of text; inside and between rows


class Box(NamedTuple):
    """An operation."""

    text: str
    look: dict[str, str]


class Place(NamedTuple):
    """One place in a row: boxes, one below the other, whose outputs are summed; where `residual`, their input too."""

    caption: str
    boxes: tuple[Box, ...]
    residual: bool = False

    @property
    def heights(self) -> tuple[float, float]:
        """Above and below the line that runs through the row."""
        half = (_HEIGHT + _PITCH * (len(self.boxes) - 1)) / 2
        return half + _ARC * self.residual + _CAPTION, half


class Row(NamedTuple):
    """Places of one width and resolution."""

    title: str
    places: tuple[Place, ...]


def chain_rows(genotype: ChainGenotype, space: ChainSpace) -> tuple[Row, ...]:
    """The whole network: stem, a row for each stage, head."""
    stem, sides, numbers = space.stem, resolutions(space), iter(range(len(space.layers)))
    convolution = Place(f"{stem.channels} channels, stride {stem.stride}", (Box("conv 3×3", _FIXED),))
    separable = (Place(f"{stem.separable} channels", (Box("BOTTLE K3", _FIXED),)),) if stem.separable else ()
    rows = [Row(f"stem\n{size_text(sides[0])}", (convolution, *separable))]
    for stage, side in zip(space.stages, sides[1:], strict=True):
        layers = [next(numbers) for _ in range(stage.layers)]
        places = tuple(layer_place(number, genotype.layers[number], space.layers[number]) for number in layers)
        rows.append(Row(f"{stage.channels} channels\n{size_text(side)}", places))
    classes = f"{space.network.classes} classes"
    head = ((f"{space.head} channels", "conv 1×1"), ("", "average pool"), (classes, "linear"))
    return (*rows, Row("head", tuple(Place(caption, (Box(text, _FIXED),)) for caption, text in head)))


def layer_place(number: int, choices: Sequence[str], layer: Layer) -> Place:
    """A layer as Fig. 6 names it: MBE is an inverted bottleneck whose input is added to its output, IBE one without.

    A choice that is called MBE is so everywhere, as in FairNAS; its input is added where the shape is kept. Where a
    layer changes the shape, its skip is a 1×1 convolution beside the bottleneck.
    """
    caption = f"layer {number}" + (f", stride {layer.stride}" if layer.stride > 1 else "")
    blocks, skips = [name for name in choices if name != SKIP], SKIP in choices
    if not choices:
        return Place(caption, (Box("removed", _ABSENT),))
    if not blocks and layer.keeps_shape:
        return Place(caption, (Box(style.label(SKIP), _IDENTITY),))
    known = [name for name in blocks if is_bottleneck(name)]
    residual = layer.keeps_shape and (skips or (len(blocks) == 1 and blocks[0].startswith("MB") and bool(known)))
    start = "MB" if residual and len(blocks) == 1 else "IB"
    named = [(start if name in known and not name.startswith("MB") else "") + style.label(name) for name in blocks]
    boxes = [Box(text, style.box(name)) for text, name in zip(named, blocks, strict=True)]
    if skips and not residual:
        boxes.append(Box("skip, 1×1", style.box(SKIP)))
    return Place(caption, tuple(boxes), residual)


def chain_graph(genotype: ChainGenotype, space: ChainSpace, title: str) -> graphviz.Digraph:
    """The graph of the whole network, to be read as a text is: row by row, each from left to right."""
    rows = chain_rows(genotype, space)
    graph = style.drawing(title, f"images of {size_text(space.network.image)} pixels", layout="neato", splines="line")
    graph.attr("node", fontsize="13")
    graph.attr("edge", color=_LINE, penwidth="1.3")
    longest = max(len(row.places) for row in rows)
    left, width = _FIRST - _STEP / 2, _FIRST + _STEP * (longest - 0.4)
    top, behind = 0.0, []  # of the row; where the line goes on from, and its way to the next row
    for number, row in enumerate(rows):
        above, below = (max(place.heights[way] for place in row.places) + _MARGIN for way in (0, 1))
        middle, bottom = top - above, top - above - below
        graph.node(f"row{number}", "", **style.at(width / 2, (top + bottom) / 2, width, above + below), **_BAND)
        graph.node(f"title{number}", row.title, **style.at(left / 2, middle), **_TEXT)
        behind.append((left, middle))
        for column, place in enumerate(row.places):
            x = _FIRST + _STEP * column
            style.line(graph, [*behind, (x - _JOINT, middle)])
            behind = [_place(graph, f"{number}.{column}", place, x, middle)]
        right, between = _FIRST + _STEP * (len(row.places) - 0.5), bottom - _MARGIN / 2
        behind += [(right, middle), (right, between), (left, between)]
        top = bottom - _MARGIN
    return graph


def _place(graph: graphviz.Digraph, name: str, place: Place, x: float, y: float) -> str:
    """Boxes around (x, y), the lines that part before them, and their sum behind them; gives the node that is last."""
    above, half = place.heights
    caption = _TEXT | {"fontsize": "10", "fontcolor": "#666666"}
    graph.node(f"caption{name}", place.caption, **style.at(x, y + above - _CAPTION / 2), **caption)
    first, last = (x - _JOINT, y), f"sum{name}"
    summed = len(place.boxes) + place.residual > 1
    if summed:
        plus = {"shape": "circle", "margin": "0", "fillcolor": "white", "color": _LINE}
        graph.node(last, "+", **style.at(x + _JOINT, y, 0.2, 0.2), **plus)
    for number, box in enumerate(place.boxes):
        node, level = f"op{name}.{number}", y + half - _HEIGHT / 2 - _PITCH * number
        graph.node(node, box.text, **style.at(x, level, _WIDTH, _HEIGHT), **box.look)
        style.line(graph, [first, (x - _JOINT, level), f"{node}:w"], arrow="forward")
        if summed:
            corner = [(x + _JOINT, level)] if abs(level - y) > 0.01 else []
            style.line(graph, [f"{node}:e", *corner, last])
    if place.residual:
        level = y + half + _ARC
        style.line(graph, [first, (x - _JOINT, level), (x + _JOINT, level), last], color=style.COLOURS[SKIP])
    return last if summed else f"{node}:e"
