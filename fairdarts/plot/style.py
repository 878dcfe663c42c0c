"""How do all figures look alike? Colours and labels of operations, numbers of edges, and the files saved."""

import colorsys
import re
import zlib
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from fairdarts.spaces.cell import CellSpace

# Chosen for the largest least distance (CIELAB) between any two under normal vision and under simulated protanopia,
# deuteranopia and tritanopia, each dark enough for a line on white. Blues are separable convolutions.
COLOURS = {
    "none": "#AFAFAF",
    "max_pool_3x3": "#F79A02",
    "avg_pool_3x3": "#4A1A00",
    "skip_connect": "#CB1601",
    "sep_conv_3x3": "#001C6A",
    "sep_conv_5x5": "#1486F9",
    "dil_conv_3x3": "#056953",
    "dil_conv_5x5": "#AC53A5",
}

INK, FAINT = "#222222", "#999999"
"""text and lines; what stands back"""


def colour(op: str) -> str:
    """The operation's colour, #RRGGBB: the same in every figure. One not listed gets a hue from its name."""
    if op in COLOURS:
        return COLOURS[op]
    # crc32, as hash() of a string differs from process to process.
    red, green, blue = colorsys.hls_to_rgb(zlib.crc32(op.encode()) / 2**32, 0.42, 0.45)
    return f"#{round(255 * red):02X}{round(255 * green):02X}{round(255 * blue):02X}"


def ink_on(background: str) -> str:
    """The colour of text on a background #RRGGBB: white where its contrast reaches 3:1 (WCAG 2), else dark."""
    levels = (int(background[start : start + 2], 16) / 255 for start in (1, 3, 5))
    linear = (level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4 for level in levels)
    luminance = sum(share * value for share, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return "white" if 1.05 / (luminance + 0.05) >= 3 else INK


def label(op: str) -> str:
    """The operation as readers know it: 'sep conv 3×3'."""
    return re.sub(r"(?<=\d)x(?=\d)", "×", op).replace("_", " ")


def paper_edges(space: CellSpace) -> tuple[tuple[int, int], ...]:
    """(j, k) of every edge, in the order of the rows of α: FairDARTS (arXiv:1911.12126), supplementary, Table 2.

    j counts intermediate nodes only, k the cell's inputs too.
    """
    return tuple((node - space.inputs, source) for node, source in space.edges)


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Writes `folder`/`name`.svg and .png and gives their paths. The same numbers give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    svg, png = folder / f"{name}.svg", folder / f"{name}.png"
    # Without a fixed salt the ids in an SVG are random; the salt has no other way in than the settings.
    with matplotlib.rc_context({"svg.hashsalt": "fairdarts"}):
        figure.savefig(svg, metadata={"Date": None})
    figure.savefig(png, dpi=150)
    return [svg, png]
