"""What does a found cell look like? Its nodes, and a box for every operation between them, through Graphviz."""

import graphviz

from fairdarts.genotype import Edge, live
from fairdarts.plot import style


def cell_graph(
    edges: tuple[Edge, ...], title: str, inputs: int = 2, nodes: int = 4, concat: tuple[int, ...] | None = None
) -> graphviz.Digraph:
    """The graph of one cell from left to right: its inputs, the nodes that are fed, its output, which concatenates
    those of `concat`, by default all.

    Nodes have the numbers of genotypes, the inputs first: 0 and 1 are the outputs of the two cells before. An operation
    is a box that its edge runs through, as labels beside crossing edges do not tell which is whose.
    """
    kept, fed = live(edges, inputs)
    names = {node: str(node) for node in (*range(inputs), *fed)}
    absent = [str(node) for node in range(inputs, inputs + nodes) if fed and node not in fed]  # a gap is then no riddle
    note = f"no input: node{'s' if len(absent) > 1 else ''} {', '.join(absent)}" if absent else ""
    graph = style.drawing(title, note, rankdir="LR", nodesep="0.2", ranksep="0.45")
    graph.attr("node", width="0.6", height="0.45")
    read = {source for _, _, source in kept}
    with graph.subgraph() as first:
        first.attr(rank="min")
        for source in range(inputs):
            label = f"<{source}: c<sub>k−{inputs - source}</sub>>"
            first.node(names[source], label, **(style.INPUT if source in read else style.UNUSED))
        for source in range(1, inputs):  # keeps them in order from top to bottom
            first.edge(names[source - 1], names[source], style="invis")
    for node in fed:
        graph.node(names[node], **style.NODE)
        if node in (concat or fed):
            graph.edge(names[node], "c_{k}", color=style.FAINT, penwidth="0.8", arrowsize="0.5")
    graph.node("c_{k}", "<c<sub>k</sub>>", **style.OUTPUT)
    for number, (op, node, source) in enumerate(kept):
        box, colour = f"op{number}", style.colour(op)
        graph.node(box, style.label(op), height="0.3", **style.box(op))
        graph.edge(names[source], f"{box}:w", color=colour, dir="none")
        graph.edge(f"{box}:e", names[node], color=colour)
    if not fed:
        note = "no operation reaches the threshold" if not edges else "no operation is fed by the inputs"
        graph.node("note", note, shape="plaintext", style="")
        for source in range(inputs):
            graph.edge(names[source], "note", style="invis")
        graph.edge("note", "c_{k}", style="invis")
    return graph
