"""How is a page of figures and tables written? As HTML that needs no network: it opens from disk, and prints."""

import base64
import html
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from matplotlib.figure import Figure

from fairdarts.plot import style
from fairdarts.plot.points import part_title

Run = TypeVar("Run")
Key = TypeVar("Key", bound=Hashable)

STYLE = """
:root { color-scheme: light; --line: #d9dde3; --faint: #5c6670; --link: #1657a8; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1d2329; max-width: 1100px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin: 0 0 .3rem; }
h1.kind { font-size: 1.4rem; margin: 3rem 0 .6rem; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .6rem; border-top: 1px solid var(--line); padding-top: 1.2rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; }
p { margin: .4rem 0; max-width: 75ch; }
img { max-width: 100%; height: auto; display: block; margin: .4rem 0; }
table { border-collapse: collapse; font-size: .86rem; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .7rem .2rem 0; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; }
th { font-weight: 600; vertical-align: bottom; white-space: normal; }
details { margin: .4rem 0; }
summary { cursor: pointer; color: var(--link); }
pre { font-size: .8rem; overflow-x: auto; background: #f5f6f8; padding: .8rem; }
.faint { color: var(--faint); }
.wide { overflow-x: auto; }
.figure img { min-width: min(600px, 100% + 240px); }
.cells { display: flex; flex-wrap: wrap; gap: 1rem; }
.cells img { flex: 1 1 420px; min-width: 0; max-height: 420px; object-fit: contain; }
@media print {
  body { max-width: none; margin: 0; font-size: 11px; }
  img, tr, .cells { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  .wide { overflow: visible; }
  .figure img { min-width: 0; }
  table { font-size: 9px; }
}
"""


def grouped(runs: Iterable[Run], key: Callable[[Run], Key]) -> dict[Key, list[Run]]:
    """Runs by what they have in common, in the order in which they first have it."""
    groups: dict[Key, list[Run]] = {}
    for run in runs:
        groups.setdefault(key(run), []).append(run)
    return groups


def document(title: str, parts: Iterable[str]) -> str:
    """The whole page, its title first."""
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    head += f"<title>{html.escape(title)}</title><style>{STYLE}</style>"
    body = "\n".join((f"<h1>{html.escape(title)}</h1>", *parts))
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def table(titles: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    """A table of anything that can be written; a wide one scrolls by itself."""
    head = "".join(f"<th>{html.escape(str(title))}</th>" for title in titles)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def listed(texts: Iterable[str]) -> str:
    """A list of texts."""
    return "<ul>" + "".join(f"<li>{html.escape(text)}</li>" for text in texts) + "</ul>"


def faint(note: str) -> str:
    """A remark."""
    return f'<p class="faint">{html.escape(note)}</p>'


def folded(title: str, content: str) -> str:
    """Content that a click on its title shows."""
    return f"<details><summary>{html.escape(title)}</summary>{content}</details>"


def pre(title: str, text: str) -> str:
    """Text as it stands in a file, such as that of settings, behind a click."""
    return folded(title, f"<pre>{html.escape(text)}</pre>")


def run_head(name: str, text: str, ended: str) -> list[str]:
    """The head of a run: its name, a sentence, and how it ended, if that is worth a word."""
    blocks = [f"<h2>{html.escape(name)}</h2>", f"<p>{html.escape(text)}</p>"]
    return [*blocks, f"<p><b>{html.escape(ended[:1].upper() + ended[1:])}.</b></p>"] if ended else blocks


def by_epoch(records: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> str:
    """The numbers of records, an epoch a row, behind a click; empty where a record lacks one."""
    rows = [[record["epoch"], *(f"{record[key]:.4g}" if key in record else "" for key in keys)] for record in records]
    return folded("numbers, by epoch", table(["epoch", *(key.replace("_", " ") for key in keys)], rows))


def cells(drawings: Mapping[str, str]) -> str:
    """The SVGs of a space's parts, side by side."""
    images = "".join(svg_image(svg, part_title(part)) for part, svg in drawings.items())
    return f'<div class="{"cells" if len(drawings) > 1 else "wide figure"}">{images}</div>'


def image(figure: Figure, alt: str) -> str:
    """A figure; the same numbers give the same bytes."""
    return f'<div class="wide figure">{svg_image(style.rendered(figure, "svg").decode(), alt)}</div>'


def svg_image(svg: str, alt: str) -> str:
    """An SVG as an image of its own: written into the page, the ids of several would clash."""
    data = base64.b64encode(svg.encode()).decode()
    return f'<img alt="{html.escape(alt)}" src="data:image/svg+xml;base64,{data}">'
