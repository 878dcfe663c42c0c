"""What do the shipped models cost? Facts, which lie beside their genotypes, so that nobody counts them again."""

import json
from functools import cache

from fairdarts import resources
from fairdarts.cost.cost import Cost
from fairdarts.reading import read_text

FILE = "costs.json"
"""model → its Cost, for three channels and with an auxiliary head; tools/count_shipped.py writes it"""


@cache
def shipped_costs() -> dict[str, Cost]:
    """The costs of all models by their names."""
    content = json.loads(read_text(resources.folder("genotypes") / FILE))
    return {name: Cost(**cost) for name, cost in content.items()}
