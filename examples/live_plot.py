"""Plot the loss of a search while it runs: `python examples/live_plot.py`, then open loss.png."""

import matplotlib
import matplotlib.pyplot as plt

import fairdarts

matplotlib.use("Agg")


class LivePlot(fairdarts.Callback):
    """Draws the losses again after every epoch; in a notebook, `display(figure)` would show them."""

    def __init__(self) -> None:
        self.records: list[dict] = []

    def epoch(self, record: dict) -> None:
        self.records.append(record)
        figure, axes = plt.subplots()
        epochs = [record["epoch"] for record in self.records]
        for key in ("train_loss", "valid_loss"):
            axes.plot(epochs, [record[key] for record in self.records], marker="o", label=key)
        axes.set_xlabel("epoch")
        axes.legend()
        figure.savefig("loss.png")
        plt.close(figure)


small = {"supernet.cells": 3, "derive.method": "argmax", "derive.threshold": None}
run = fairdarts.search("fairdarts-s1-digits", epochs=3, settings=small, callbacks=LivePlot())
print(run.state)
