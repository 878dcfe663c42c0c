"""Train a supernet fairly on a space of your own, and ask how well it ranks: `python examples/fair_chain.py`.

The truth is a table of your own: a CSV of architectures and what each was worth when it was trained alone.
"""

import csv
from pathlib import Path

from sklearn.datasets import load_digits

import fairdarts

HERE = Path(__file__).parent
bundle = load_digits()
data = (bundle.images, bundle.target)
seen = {"data.range": (0, 16), "data.flip": False, "data.batch_size": 64}

supernet = fairdarts.train_supernet(
    "fairnas-macro-small",
    data=data,
    settings=seen | {"space": str(HERE / "chain.yaml"), "data.train_portion": 0.5},
    epochs=3,
    out="runs/supernet",
)

space, truth = supernet.space, {}
for path in [(1, 1, 1), (2, 2, 2), (1, 0, 0), (2, 1, 2)]:  # of every layer the number of its choice
    genotype = space.genotype_of(path, space.arch(path).replace(" ", "-"), "an example")
    trained = fairdarts.train((genotype, space), "train-chain-cifar10", data=data, settings=seen, epochs=1)
    truth[space.arch(path)] = 100 * trained.results["last"]["top1"]

with open("truth.csv", "w", newline="") as file:
    csv.writer(file).writerows([("arch", "accuracy"), *truth.items()])

ranking = fairdarts.rank(supernet, benchmark="truth.csv", data=data)
print("Kendall's τ", ranking.measured["kendall"].value)
