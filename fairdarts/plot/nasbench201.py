"""What does a cell of NAS-Bench-201 look like? Its four nodes, and a box for every operation but `none`."""

import graphviz

from fairdarts.genotype import EdgeGenotype
from fairdarts.plot import style
from fairdarts.spaces.nasbench201 import Bench201Space

# Inches. Graphviz only draws: where everything stands is known.
_STEP, _WIDTH, _HEIGHT = 2.5, 0.75, 0.45  # from one node to the next; of a node
_LEVELS = {(2, 0): 0.6, (3, 0): 1.05, (3, 1): -0.6}  # of an edge that passes a node: above the nodes, or below
_APART = 0.18  # the lines of two such edges on one node, each from its middle


def bench_graph(genotype: EdgeGenotype, space: Bench201Space, title: str) -> graphviz.Digraph:
    """The graph of the cell from left to right: node 0 is its input, the last one its output.

    All nodes are there, those that nothing feeds in grey; a note names the edges of `none`, as (node, input).
    """
    chosen = dict(zip(space.edges, genotype.edges, strict=True))
    absent = [f"({node}, {source})" for (node, source), name in chosen.items() if name == "none"]
    note = f"none on {', '.join(absent)}" if absent else ""
    graph = style.drawing(title, note, layout="neato", splines="line")
    last, fed = space.edges[-1][0], {node for (node, _), name in chosen.items() if name != "none"}
    ends = {0: style.INPUT, last: style.OUTPUT}
    for node in range(last + 1):
        look = style.UNUSED if node and node not in fed else ends.get(node, style.NODE)
        text = {0: "0: input", last: f"{last}: output"}.get(node, str(node))
        graph.node(str(node), text, width=str(_WIDTH), height=str(_HEIGHT), **style.at(_STEP * node, 0), **look)
    for edge, name in chosen.items():
        if name != "none":
            _edge(graph, *edge, name)
    return graph


def _edge(graph: graphviz.Digraph, node: int, source: int, name: str) -> None:
    """The box of an operation and the line that runs through it."""
    box, colour, level = f"op{node}{source}", style.colour(name), _LEVELS.get((node, source), 0)
    graph.node(box, style.label(name), height="0.3", **style.at(_STEP * (node + source) / 2, level), **style.box(name))
    if not level:
        graph.edge(str(source), f"{box}:w", color=colour, dir="none")
        graph.edge(f"{box}:e", str(node), color=colour)
        return
    apart = _APART if node - source == 2 else -_APART
    start, end = _STEP * source + apart, _STEP * node - apart
    rim = _HEIGHT / 2 if level > 0 else -_HEIGHT / 2
    style.line(graph, [(start, rim), (start, level), f"{box}:w"], clipped=False, color=colour)
    style.line(graph, [f"{box}:e", (end, level), (end, rim)], "forward", clipped=False, color=colour)
