"""Train the network of a genotype, and write it as files for other programs: `python examples/train_export.py`."""

from sklearn.datasets import load_digits

import fairdarts

bundle = load_digits()
data = {
    "train": (bundle.images[:1400], bundle.target[:1400]),
    "test": (bundle.images[1400:], bundle.target[1400:]),
}
run = fairdarts.train(
    "fairdarts-a",
    data=data,
    settings={"data.range": (0, 16), "data.flip": False, "network.cells": 3, "network.channels": 4},
    epochs=2,
    callbacks=fairdarts.ProgressBar(),
)
judged = fairdarts.evaluate(run, data=data)
print(f"top-1 {judged.top1:.1%} of {judged.images} {judged.on} images")
for file in fairdarts.export(run, formats=["onnx", "safetensors"], out="exported").files:
    print(file.path)
