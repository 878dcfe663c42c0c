"""What does a cell of NAS-Bench-101 look like? A box for every operation, an arrow for every edge, through Graphviz."""

import graphviz

from fairdarts.genotype import GraphGenotype
from fairdarts.plot import style
from fairdarts.spaces.graph import bits, inputs_of, kept

_KNOWN = {"conv3x3-bn-relu": "nor_conv_3x3", "conv1x1-bn-relu": "nor_conv_1x1", "maxpool3x3": "max_pool_3x3"}
"""operation → what it looks like: the same with other spaces' names"""
_TEXTS = {"conv3x3-bn-relu": "conv 3×3", "conv1x1-bn-relu": "conv 1×1", "maxpool3x3": "max pool 3×3"}
_USED, _UNUSED = {"color": style.INK, "penwidth": "1.3"}, {"color": style.UNUSED["color"], "style": "dashed"}
"""edges between vertices on a way from the input to the output, and others"""


def vertex_graph(genotype: GraphGenotype, title: str) -> graphviz.Digraph:
    """The graph of the cell from left to right, all with the numbers of their vertices.

    What is on no way from the input to the output is no part of the network: it is grey, and a note counts it.
    """
    inputs, last = inputs_of(genotype.matrix), len(genotype.matrix) - 1
    keep = kept(inputs)
    unused = [str(vertex) for vertex in range(1, last) if not keep >> vertex & 1]
    which = f"vert{'ices' if len(unused) > 1 else 'ex'} {', '.join(unused)}"
    note = f"on no way from input to output: {which}" if unused else ""
    graph = style.drawing(title, note, rankdir="LR", nodesep="0.25", ranksep="0.5")
    graph.node("0", "0: input", **style.INPUT)
    for vertex, name in enumerate(genotype.operations, start=1):
        look = style.box(_KNOWN[name]) if keep >> vertex & 1 else style.UNUSED | {"fontsize": "13"}
        graph.node(str(vertex), f"{vertex}: {_TEXTS[name]}", height="0.3", **look)
    graph.node(str(last), f"{last}: output", **style.OUTPUT)
    for target, sources in enumerate(inputs, start=1):
        for source in bits(sources):
            look = _USED if keep >> source & keep >> target & 1 else _UNUSED
            graph.edge(str(source), str(target), **look)
    return graph
