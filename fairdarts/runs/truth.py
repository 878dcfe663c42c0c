"""What would a run have come to after each of its epochs? The architecture of every record, and what it is worth."""

from collections.abc import Sequence
from typing import Any

from fairdarts.differentiable.loop import found_in
from fairdarts.differentiable.settings import SearchSettings
from fairdarts.genotype import Genotype
from fairdarts.oneshot.settings import TrainingSettings
from fairdarts.oneshot.train import best_watched
from fairdarts.spaces.space import Space


def genotypes_of(
    records: Sequence[dict[str, Any]], settings: SearchSettings | TrainingSettings, space: Space
) -> list[Genotype | None]:
    """Of every record of a search the genotype that it would end with then; of a supernet's training the watched path
    of highest accuracy, None where none is watched."""
    if isinstance(settings, SearchSettings):
        return [found_in(record, settings, space, f"epoch-{record['epoch']}") for record in records]
    paths = [best_watched(record, settings, space) if record.get("watched") else None for record in records]
    return [space.genotype_of(path, "best-watched", settings.name) if path else None for path in paths]


def skips_of(
    records: Sequence[dict[str, Any]], settings: SearchSettings | TrainingSettings, space: Space
) -> list[int | None]:
    """How many skip connections each of them has."""
    return [skips(genotype) for genotype in genotypes_of(records, settings, space)]


def skips(genotype: Genotype | None) -> int | None:
    """Skip connections of all parts of a genotype."""
    return sum(genotype.skips().values()) if genotype else None
