"""What do the shipped models cost? Facts, which lie beside their genotypes, so that nobody counts them again."""

import json
from functools import cache

from fairdarts import resources
from fairdarts.cost.cost import Cost, Rule
from fairdarts.reading import read_text

FILE = "costs.json"
"""model → parameters and multiply-adds, for three channels and with an auxiliary head; tools/count_shipped.py writes
it"""
MADDS: dict[Rule, str] = {"convolutions": "madds", "fairdarts": "madds_fairdarts"}
"""rule → the key under which a model has its multiply-adds"""


@cache
def shipped_costs(rule: Rule = "convolutions") -> dict[str, Cost]:
    """The costs of all models by their names."""
    content = json.loads(read_text(resources.folder("genotypes") / FILE))
    return {
        name: Cost(cost["params"], cost["params_with_auxiliary"], cost[MADDS[rule]]) for name, cost in content.items()
    }
