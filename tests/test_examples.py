"""Every program in examples/ runs, as a user runs it, and shows what it says that it shows."""

import runpy
from pathlib import Path

import pytest
import torch
from sklearn import datasets
from sklearn.utils import Bunch

EXAMPLES = Path(__file__).parents[1] / "examples"
SHOWS = {
    "evolve_budget": "MAdds",
    "fair_chain": "Kendall's τ",
    "live_plot": "finished",
    "own_operation": "blur",
    "own_relaxation": "strongest gate",
    "search_arrays": "parameters",
    "study": "softmax-seed1 finished",
    "train_export": "fairdarts-a.onnx",
}
"""program → what it prints in any case"""


def test_all_are_run_and_short():
    programs = sorted(EXAMPLES.glob("*.py"))
    assert [program.stem for program in programs] == sorted(SHOWS)
    for program in programs:
        lines = program.read_text(encoding="utf-8").splitlines()
        assert len(lines) < 60
        assert lines[0].startswith('"""')
        assert not any("fairdarts." in line and "import" in line for line in lines), "no import below fairdarts"


@pytest.mark.parametrize("name", SHOWS)
@pytest.mark.usefixtures("forgotten", "few_digits")
def test_it_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(tmp_path)
    if name != "train_export":  # which splits them behind the 1,400th
        bundle = datasets.load_digits()
        few = Bunch(images=bundle.images[:400], target=bundle.target[:400])
        monkeypatch.setattr(datasets, "load_digits", lambda: few)
    state = torch.get_rng_state()
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    torch.set_rng_state(state)
    assert SHOWS[name] in capsys.readouterr().out
    if name == "live_plot":
        assert (tmp_path / "loss.png").stat().st_size > 0
