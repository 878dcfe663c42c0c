"""Which figures does a search leave behind? All that its records allow."""

from pathlib import Path

from fairdarts.plot.dominant import dominant_figure, dominant_info
from fairdarts.plot.evolution import evolution_figure, evolution_info
from fairdarts.plot.heatmap import heatmap_figure, heatmap_info
from fairdarts.plot.joined import joined_parts
from fairdarts.plot.style import save
from fairdarts.spaces.space import Space


def draw_run(records: list[dict], space: Space, folder: Path) -> list[Path]:
    """Writes all figures of a search into `folder` as SVG and PNG and gives their paths.

    At least one record is needed. It is a line of metrics.jsonl: `epoch` (0 before training), `gates`
    {part: [choice points, candidates]} and `dominant` {part: {operation: count}}.
    """
    paths = save(heatmap_figure(heatmap_info(records, space)), folder, "gates-heatmap")
    for part in joined_parts(space):
        paths += save(evolution_figure(evolution_info(records, space, part)), folder, f"gates-evolution-{part}")
    return paths + save(dominant_figure(dominant_info(records, space)), folder, "dominant")
