"""What tests of searches' figures share: models that were made up."""

import numpy as np

from fairdarts.plot.projection import Evolved

THREE = {"accuracy": True, "madds": False, "params": False}


def made(models: int = 60, maximized: dict[str, bool] = THREE, generations: int = 6) -> Evolved:
    random = np.random.default_rng(models)
    values = {name: random.integers(1, 40, models) * 1e6 for name in ("madds", "params")}
    values["accuracy"] = random.integers(60, 90, models).astype(float)
    signed = np.stack([values[name] if up else -values[name] for name, up in maximized.items()], axis=1)
    generation = 1 + np.arange(models) * generations // models
    return Evolved("run", maximized, values, generation, nondominated(signed))


def small(accuracy: list[float], madds: list[float], **other) -> Evolved:
    """A search of accuracy and multiply-adds in millions; all of it in the front."""
    every, count = np.ones(len(accuracy), dtype=bool), len(accuracy)
    values = {"accuracy": np.asarray(accuracy, dtype=float), "madds": 1e6 * np.asarray(madds, dtype=float)}
    search = Evolved("run", {"accuracy": True, "madds": False}, values, np.ones(count, dtype=int), every)
    return search._replace(**other)


def nondominated(signed: np.ndarray) -> np.ndarray:
    """Whether no other row is as good everywhere and better somewhere, if more is better [n]."""
    return np.array([not ((signed >= own).all(1) & (signed > own).any(1)).any() for own in signed], dtype=bool)
