"""Which figures does a search leave behind? All that its records allow."""

from collections.abc import Sequence
from pathlib import Path

from fairdarts.plot.cost import cost_figure, cost_info
from fairdarts.plot.dominant import dominant_figure, dominant_info
from fairdarts.plot.evolution import evolution_figure, evolution_info, stacked_figure
from fairdarts.plot.heatmap import heatmap_figure, heatmap_info
from fairdarts.plot.joined import joined_parts
from fairdarts.plot.settings import USUAL
from fairdarts.plot.style import save
from fairdarts.spaces.space import Space


def draw_run(records: list[dict], space: Space, folder: Path, formats: Sequence[str] = USUAL) -> list[Path]:
    """Writes all figures of a search into `folder`, in every format, and gives their paths.

    At least one record is needed. It is a line of metrics.jsonl: `epoch` (0 before training), `gates`
    {part: [choice points, candidates]} and `dominant` {part: {operation: count}}.
    """
    figures = {"gates-heatmap": heatmap_figure(heatmap_info(records, space))}
    infos = {part: evolution_info(records, space, part) for part in joined_parts(space)}
    figures |= {f"gates-evolution-{part}": evolution_figure(info) for part, info in infos.items()}
    figures |= {f"gates-stacked-{part}": stacked_figure(info) for part, info in infos.items()}
    figures["dominant"] = dominant_figure(dominant_info(records, space))
    if cost := cost_info(records):
        figures["cost"] = cost_figure(cost)
    return [path for name, figure in figures.items() for path in save(figure, folder, name, formats)]
