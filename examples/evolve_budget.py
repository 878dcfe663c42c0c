"""Find accurate networks within a budget, with a supernet as judge: `python examples/evolve_budget.py`."""

from sklearn.datasets import load_digits

import fairdarts

bundle = load_digits()
data = (bundle.images, bundle.target)
seen = {"data.range": (0, 16), "data.flip": False, "data.train_portion": 0.5}

supernet = fairdarts.train_supernet("fairnas-macro-small", data=data, settings=seen, epochs=1, out="runs/judge")
run = fairdarts.evolve(
    supernet,
    data=data,
    settings={"constraints": ["madds <= 1e6"], "population": 8, "generations": 4},
    callbacks=lambda record: print("generation", record["generation"], "front", record["front"]),
)
for model in run.models:
    print(model)
print(run.genotype)
