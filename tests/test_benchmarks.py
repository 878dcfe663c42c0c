"""The benchmark programs run, and the library's step is the plain one: they end where float64 does not agree."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_search_step_agrees_with_the_plain_one_and_is_measured(tmp_path: Path):
    words = ["--cells", "3", "--channels", "2", "--batch", "4", "--pairs", "2", "--out", str(tmp_path / "result.json")]
    subprocess.run([sys.executable, str(ROOT / "benchmarks" / "search_step.py"), *words], check=True)
    result = json.loads((tmp_path / "result.json").read_text())
    assert 0 < result["difference_float64"] < 1e-10
    assert len(result["ratio_quartiles"]) == 3
