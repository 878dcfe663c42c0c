#!/usr/bin/env python3
"""Counts all shipped models again: python tools/count_shipped.py, after a genotype is added or a network changed."""

import json

from fairdarts import resources
from fairdarts.cost.derived import network_cost
from fairdarts.cost.shipped import FILE, MADDS
from fairdarts.networks.models import models

path = resources.folder("genotypes") / FILE
costs = {}
for name, model in models().items():
    counted = {key: network_cost(*model, rule=rule) for rule, key in MADDS.items()}
    costs[name] = counted["madds"]._asdict() | {key: cost.madds for key, cost in counted.items()}
rows = ",\n".join(f" {json.dumps(name)}: {json.dumps(cost)}" for name, cost in costs.items())
path.write_text(f"{{\n{rows}\n}}\n", encoding="utf-8")
print(f"{path}: {len(costs)} models")
