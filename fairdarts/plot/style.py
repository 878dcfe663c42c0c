"""How do all figures look alike? Colours and labels of operations, panels, the look of drawings, the files saved."""

from __future__ import annotations

import colorsys
import html
import io
import re
import zlib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import graphviz

from fairdarts.plot.settings import USUAL
from fairdarts.runtime.checkpoint import folder_for, write_atomically

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Chosen for the largest least distance (CIELAB) between any two of a space under normal vision and under simulated
# protanopia, deuteranopia and tritanopia, each dark enough for a line on white. Blues are separable and plain
# convolutions of up to five pixels; green bottlenecks expand three times and purple ones six times; the darker one has
# the larger kernel.
COLOURS = {
    "none": "#AFAFAF",
    "max_pool_3x3": "#F79A02",
    "avg_pool_3x3": "#4A1A00",
    "skip_connect": "#CB1601",
    "sep_conv_3x3": "#001C6A",
    "sep_conv_5x5": "#1486F9",
    "dil_conv_3x3": "#056953",
    "dil_conv_5x5": "#AC53A5",
    "sep_conv_7x7": "#AA75B3",
    "conv_7x1_1x7": "#98B273",
    "nor_conv_1x1": "#2B8CE6",
    "nor_conv_3x3": "#0A1F7A",
    "E3K3": "#00CB68",
    "E3K5": "#43835F",
    "E3K7": "#002D1B",
    "E6K3": "#DD95DF",
    "E6K5": "#A424BA",
    "E6K7": "#53245F",
}

# Chosen as the operations' colours are, with a marker each for who sees none; the first ones are the farthest apart.
SERIES = (
    ("#1486F9", "o"),
    ("#F79A02", "s"),
    ("#000050", "^"),
    ("#C80000", "D"),
    ("#A050A0", "v"),
    ("#A0A0A0", "P"),
    ("#780028", "X"),
    ("#5000F0", "p"),
)
"""colour and marker of what is compared and is no operation: recipes, choices by number"""

INK, FAINT = "#222222", "#999999"
"""text and lines; what stands back"""

INPUT = {"fillcolor": "#DCEBD3", "color": "#6F9A5B"}
NODE = {"fillcolor": "#DCE7F5", "color": "#6F8FBF"}
OUTPUT = {"fillcolor": "#F7E9C3", "color": "#C2A14A"}
UNUSED = {"fillcolor": "#F4F4F4", "color": "#C8C8C8", "fontcolor": FAINT}
"""nodes of a cell that is drawn; UNUSED are those that nothing feeds, or nothing reads"""


def colour(op: str) -> str:
    """The operation's colour, #RRGGBB: the same in every figure. One not listed gets a hue from its name."""
    op = op.removeprefix("MB")  # with its residual a bottleneck looks as it does without
    if op in COLOURS:
        return COLOURS[op]
    # crc32, as hash() of a string differs from process to process.
    red, green, blue = colorsys.hls_to_rgb(zlib.crc32(op.encode()) / 2**32, 0.42, 0.45)
    return f"#{round(255 * red):02X}{round(255 * green):02X}{round(255 * blue):02X}"


def series(number: int) -> dict[str, str]:
    """Colour, marker and line of the series of this number, from 0.

    After the last of SERIES they are hollow and dashed, so that twice as many can be told apart.
    """
    (ink, marker), again = SERIES[number % len(SERIES)], number // len(SERIES) % 2
    face, line = ("white", "--") if again else (ink, "-")
    return {"color": ink, "marker": marker, "markerfacecolor": face, "linestyle": line}


def ink_on(background: str) -> str:
    """The colour of text on a background #RRGGBB: white where its contrast reaches 3:1 (WCAG 2), else dark."""
    levels = (int(background[start : start + 2], 16) / 255 for start in (1, 3, 5))
    linear = (level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4 for level in levels)
    luminance = sum(share * value for share, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return "white" if 1.05 / (luminance + 0.05) >= 3 else INK


def label(op: str) -> str:
    """The operation as readers know it: 'sep conv 3×3', 'E3 K5'."""
    return re.sub(r"(?<=\d)x(?=\d)", "×", re.sub(r"(?<=\d)(?=K\d)", " ", op)).replace("_", " ")


def panels(
    count: int, columns: int, size: tuple[float, float], sharex: bool = False, sharey: bool = False
) -> tuple[Figure, list[Axes]]:
    """A figure of so many panels, in rows of at most `columns`; `size` is that of a panel, in inches."""
    from matplotlib.figure import Figure  # here, as drawings of genotypes have the same look without matplotlib

    columns = min(columns, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(size[0] * columns + 0.4, size[1] * rows + 0.3), layout="constrained")
    axes = list(figure.subplots(rows, columns, sharex=sharex, sharey=sharey, squeeze=False).flat)
    for number, ax in enumerate(axes):
        ax.set_visible(number < count)
        if sharex:
            ax.tick_params(labelbottom=number + columns >= count)  # the lowest of a column, if not of the figure
    return figure, axes[:count]


def tidy(ax: Axes, x: str = "", y: str = "") -> None:
    """The look of a panel with two axes of numbers, and what these are."""
    if x:
        ax.set_xlabel(x, fontsize=9.5)
    if y:
        ax.set_ylabel(y, fontsize=9.5)
    ax.grid(color="#E6E6E6", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=8.5)


def legend_below(figure: Figure, handles: Sequence[Artist], labels: Sequence[str]) -> None:
    """A legend below all panels, in as many columns as fit; the figure grows by its rows after the first."""
    width, height = figure.get_size_inches()
    columns = max(1, min(len(labels), int(width / (0.072 * max(map(len, labels)) + 0.65))))
    figure.set_size_inches(width, height + 0.18 * (-(-len(labels) // columns) - 1))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize=9, frameon=False)


def drawing(title: str, note: str = "", **look: str) -> graphviz.Digraph:
    """An empty drawing of boxes and arrows, with its title and below that a note. `look` is of the whole graph."""
    graph, title = graphviz.Digraph(), html.escape(title)
    caption = f'<{title}<br/><font point-size="12">{html.escape(note)}</font>>' if note else f"<{title}>"
    font = {"fontname": "Helvetica,Arial,sans-serif", "fontcolor": INK}
    graph.attr(label=caption, labelloc="t", **font, fontsize="16", pad="0.15", bgcolor="white", **look)
    graph.attr("node", shape="box", style="rounded,filled", **font, fontsize="15", penwidth="1.4")
    graph.attr("edge", penwidth="1.8", arrowsize="0.7")
    return graph


def at(x: float, y: float, width: float = 0, height: float = 0) -> dict[str, str]:
    """Where a node of a drawing stands, from its middle, and its size, where it is not that of its text; in inches."""
    size = {"width": f"{width:.2f}", "height": f"{height:.2f}", "fixedsize": "true"} if width else {}
    return {"pos": f"{x:.2f},{y:.2f}!", **size}


def line(
    graph: graphviz.Digraph,
    stops: Sequence[str | tuple[float, float]],
    arrow: str = "none",
    clipped: bool = True,
    **look: str,
) -> None:
    """A line through points, from a node or to one; `arrow` is of its last part. Where it is `clipped`, it ends at the
    border of a node, not in its middle or at its side."""
    names = [stop if isinstance(stop, str) else "at {:.2f} {:.2f}".format(*stop) for stop in stops]
    for name, stop in zip(names, stops, strict=True):
        if name != stop:
            graph.node(name, "", shape="point", width="0", style="invis", **at(*stop))
    for start, end in pairwise(names):
        if start != end:
            tail, head = (str(clipped and stop in stops).lower() for stop in (start, end))
            way = arrow if end == names[-1] else "none"
            graph.edge(start, end, dir=way, tailclip=tail, headclip=head, **look)


def box(op: str) -> dict[str, str]:
    """The look of an operation's box in a drawing."""
    fill = colour(op)
    return {"color": fill, "fillcolor": fill, "fontcolor": ink_on(fill), "fontsize": "13", "margin": "0.1,0.03"}


def save(figure: Figure, folder: Path, name: str, formats: Sequence[str] = USUAL) -> list[Path]:
    """Writes `folder`/`name`.svg and .png, or in other of FORMATS, whole ones at any moment; gives their paths."""
    paths = [folder / f"{name}.{kind}" for kind in formats]
    with folder_for(folder):
        for kind, path in zip(formats, paths, strict=True):
            write_atomically(path, rendered(figure, kind))
    return paths


DATES = {"svg": "Date", "pdf": "CreationDate"}
"""format → where it holds when it was made, which is left out"""


def rendered(figure: Figure, kind: str) -> bytes:
    """A figure as what a file of one of FORMATS holds. The same numbers give the same bytes."""
    import matplotlib  # here, for the same reason

    buffer = io.BytesIO()
    # Without a fixed salt the ids in an SVG are random; the salt has no other way in than the settings.
    with matplotlib.rc_context({"svg.hashsalt": "fairdarts"}):
        figure.savefig(buffer, format=kind, dpi=150, metadata={DATES[kind]: None} if kind in DATES else None)
    return buffer.getvalue()
