"""Trainings that several tests look at."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from trainings import Go, trained


@pytest.fixture
def go(tmp_path: Path) -> Go:
    """`trained` in a run directory of a name."""
    return lambda name, *args, **options: trained(tmp_path / name, *args, **options)


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """The run of a training from beginning to end, made once for all tests that compare with it."""
    runs: dict[str, Path] = {}

    def run(**options: Any) -> Path:
        key = str(options)
        if key not in runs:
            runs[key] = tmp_path_factory.mktemp("whole") / "run"
            trained(runs[key], **options)
        return runs[key]

    return run
