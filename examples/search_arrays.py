"""Search a network for images that lie in arrays: `python examples/search_arrays.py`."""

from sklearn.datasets import load_digits

import fairdarts

bundle = load_digits()
images = bundle.images  # float [1797, 8, 8], from 0 to 16
labels = bundle.target  # int [1797], from 0 to 9

run = fairdarts.search(
    "fairdarts-s1-cifar10",
    data=(images, labels),
    settings={
        "data.range": (0, 16),  # of float images: what is black, and what is white
        "data.flip": False,  # a mirrored digit is another digit
        "supernet.cells": 3,
        "supernet.channels": 4,
        "derive.method": "argmax",
        "derive.threshold": None,
    },
    epochs=2,
    callbacks=fairdarts.ProgressBar(),
)
print(run.genotype)
print("drawn in", run.figures()[0].parent)

network = fairdarts.create_model(run, num_classes=10)
print(sum(weight.numel() for weight in network.parameters()), "parameters")
