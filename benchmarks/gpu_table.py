"""How does a result of `gpu.py` read? As a table: a row a form, the speed as that of the part's first form."""

from typing import Any

COLUMNS = ("form", "ms", "images/s", "× plain", "peak GiB", "of peak %", "first s")


def table(result: dict[str, Any]) -> str:
    """All of it as text."""
    lines = [f"{result['device']}, torch {result['torch']}, {result['date']}"]
    if result["quick"]:
        lines.append("quick: everything was tiny, so that times mean nothing")
    for name, forms in result["parts"].items():
        lines += ["", name]
        timed = {form: found for form, found in forms.items() if "seconds" in found}
        plain = timed.get("plain") or result["parts"].get(name.removesuffix(", compiled").removesuffix(", more"), {})
        first = plain if "seconds" in plain else next(iter((plain or timed).values()), {})
        rows = [COLUMNS, *(row(form, found, first) for form, found in timed.items())] if timed else []
        widths = [max(len(cells[column]) for cells in rows) for column in range(len(COLUMNS))] if rows else []
        for cells in rows:
            padded = (cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))
            lines.append("  ".join((f"  {cells[0].ljust(widths[0])}", *padded)).rstrip())
        lines += [f"  {form}: {said(found)}" for form, found in forms.items() if form not in timed]
    for recipe, own in result.get("hours", {}).items():
        lines += ["", f"{recipe}: {own['epochs']} epochs, {own['steps']:,} steps of {own['batch']} images, in hours"]
        lines += [f"  {value:>9,.2f}  {form}" for form, value in own["forms"].items()]
    if result.get("skipped"):
        lines += ["", "not measured, for want of time:", *(f"  {form}" for form in result["skipped"])]
    return "\n".join(lines)


def row(form: str, found: dict[str, Any], first: dict[str, Any]) -> tuple[str, ...]:
    """The cells of a form; speed is in images a second, as batches may differ."""
    batch = f", batch {found['batch']}"
    return (
        form + batch,
        f"{1000 * found['seconds']:.1f}",
        f"{found['images_per_second']:,.1f}",
        f"{found['images_per_second'] / first['images_per_second']:.2f}" if "images_per_second" in first else "",
        f"{found['peak_mib'] / 1024:.1f}" if "peak_mib" in found else "",
        f"{100 * found['share_of_peak']:.2f}" if "share_of_peak" in found else "",
        f"{found['first_seconds']:.1f}",
    )


def said(found: dict[str, Any]) -> str:
    """What is no step, in a line: an error, or numbers by their names."""
    if "error" in found:
        return found["error"]
    if "differences" in found:
        last = (f"{name} {own[-1]:.0e}" for name, own in found["differences"].items())
        return f"apart after {len(found['differences']['alphas'])} steps: {', '.join(last)}"
    if "images_per_second_quartiles" in found:
        middles = (f"{way} {own[1]:,.0f}" for way, own in found["images_per_second_quartiles"].items())
        return f"images/s: {', '.join(middles)}"
    return ", ".join(f"{name} {value:,}" for name, value in found.items())
