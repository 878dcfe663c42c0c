"""What does a found cell look like? A drawing of each cell of a genotype, through Graphviz."""

import html
import re
import shutil
from pathlib import Path

import graphviz

from fairdarts.genotype import CELLS, Edge, Genotype, live
from fairdarts.plot import style

NO_DOT = "dot not found: only .gv sources were written; install it with: apt-get install graphviz"

_FONT = "Helvetica,Arial,sans-serif"
_INPUT = {"fillcolor": "#DCEBD3", "color": "#6F9A5B"}
_UNREAD = {"fillcolor": "#F4F4F4", "color": "#C8C8C8", "fontcolor": style.FAINT}
_NODE = {"fillcolor": "#DCE7F5", "color": "#6F8FBF"}
_OPERATION = {"fontsize": "13", "height": "0.3", "margin": "0.1,0.03"}
_OUTPUT = {"fillcolor": "#F7E9C3", "color": "#C2A14A"}


def draw_cells(genotype: Genotype, folder: Path, inputs: int = 2, nodes: int = 4) -> tuple[list[Path], str | None]:
    """Draws the normal and the reduction cell as `<name>-<cell>.gv`, .svg and .png.

    `inputs` and `nodes` are the space's: how many cells a cell reads, and how many intermediate nodes it has.
    Gives the paths written, and where `dot` is missing and so only .gv was written, a line that says so.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stem = re.sub(r"[^\w.-]+", "-", genotype.name)  # a name may hold what a file's may not
    dot = shutil.which("dot") is not None
    paths = []
    for cell in CELLS:
        graph = cell_graph(getattr(genotype, cell), f"{genotype.name}: {cell} cell", inputs, nodes)
        base = folder / f"{stem}-{cell}"
        paths.append(_write(base, ".gv", graph.source.encode()))
        if dot:
            paths.append(_write(base, ".svg", graph.pipe("svg")))
            graph.attr(dpi="150")  # only now: in an SVG it would scale the drawing
            paths.append(_write(base, ".png", graph.pipe("png")))
    return paths, None if dot else NO_DOT


def cell_graph(edges: tuple[Edge, ...], title: str, inputs: int = 2, nodes: int = 4) -> graphviz.Digraph:
    """The graph of one cell from left to right: its inputs, the nodes that are fed, its output.

    Nodes are numbered as the papers do, without the inputs: node 2 of a genotype is node 0 here. An operation is a box
    that its edge runs through, as labels beside crossing edges do not tell which is whose.
    """
    kept, fed = live(edges, inputs)
    names = {source: f"c_{{k-{inputs - source}}}" for source in range(inputs)}
    names |= {node: str(node - inputs) for node in fed}
    graph = _blank(_caption(title, [node for node in range(nodes) if fed and node + inputs not in fed]))
    read = {source for _, _, source in kept}
    with graph.subgraph() as first:
        first.attr(rank="min")
        for source in range(inputs):
            label = f"<c<sub>k−{inputs - source}</sub>>"
            first.node(names[source], label, **(_INPUT if source in read else _UNREAD))
        for source in range(1, inputs):  # keeps them in order from top to bottom
            first.edge(names[source - 1], names[source], style="invis")
    for node in fed:
        graph.node(names[node], **_NODE)
        graph.edge(names[node], "c_{k}", color=style.FAINT, penwidth="0.8", arrowsize="0.5")
    graph.node("c_{k}", "<c<sub>k</sub>>", **_OUTPUT)
    for number, (op, node, source) in enumerate(kept):
        box, colour = f"op{number}", style.colour(op)
        graph.node(box, style.label(op), color=colour, fillcolor=colour, fontcolor=style.ink_on(colour), **_OPERATION)
        graph.edge(names[source], f"{box}:w", color=colour, dir="none")
        graph.edge(f"{box}:e", names[node], color=colour)
    if not fed:
        note = "no operation reaches the threshold" if not edges else "no operation is fed by the inputs"
        graph.node("note", note, shape="plaintext", style="")
        for source in range(inputs):
            graph.edge(names[source], "note", style="invis")
        graph.edge("note", "c_{k}", style="invis")
    return graph


def _blank(caption: str) -> graphviz.Digraph:
    graph = graphviz.Digraph()
    graph.attr(rankdir="LR", label=caption, labelloc="t", fontname=_FONT, fontsize="16", fontcolor=style.INK)
    graph.attr(nodesep="0.2", ranksep="0.45", pad="0.15", bgcolor="white")
    graph.attr("node", shape="box", style="rounded,filled", fontname=_FONT, fontsize="15", fontcolor=style.INK)
    graph.attr("node", width="0.6", height="0.45", penwidth="1.4")
    graph.attr("edge", penwidth="1.8", arrowsize="0.7")
    return graph


def _caption(title: str, absent: list[int]) -> str:
    """The title, and below it which nodes are left out, so that a gap in their numbers is no riddle."""
    title = html.escape(title)
    if not absent:
        return f"<{title}>"
    plural = "s" if len(absent) > 1 else ""
    return f'<{title}<br/><font point-size="12">no input: node{plural} {", ".join(map(str, absent))}</font>>'


def _write(base: Path, suffix: str, content: bytes) -> Path:
    path = base.with_name(base.name + suffix)  # with_suffix would cut a name at its dot
    path.write_bytes(content)
    return path
