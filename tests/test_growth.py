"""benchmarks/growth.py measures what it says, and its figure tells the slopes."""

import json
from pathlib import Path

import pytest
from processes import launch

ROOT = Path(__file__).parents[1]
with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(ROOT / "benchmarks"))
    import growth
    from growth_figure import fixed_table, growth_figure, growth_info, growth_table
    from growth_figure import main as growth_figure_main
    from kept import in_a_line


def test_points_are_measured_once_and_a_second_call_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, int]] = []

    def apart(work, names, words, limit):
        seen.append((words["work"], len(seen)))
        if len(seen) == 5:
            raise KeyboardInterrupt
        yield names[0], {"seconds": float(len(seen)), "peak_mib": 1.0}

    base = {"batch": 8, "points": 4}
    axes = {"batch": (base, (4, 8)), "points": (base, (4, 8))}
    monkeypatch.setattr(growth, "CURVES", {"fair": axes, "judging": axes})
    monkeypatch.setattr(growth, "apart", apart)
    out, result = tmp_path / "growth.json", {"curves": {}}
    with pytest.raises(KeyboardInterrupt):
        growth.grow(result, 1, None, out)
    result = json.loads(out.read_text())
    growth.grow(result, 1, None, out)
    assert len(seen) == 7  # three points a work, and one of them twice
    fair, judging = (result["curves"][work] for work in ("fair", "judging"))
    assert [point["at"] for point in fair["points"]] == [4, 8]
    assert fair["points"][0]["seconds"] == fair["batch"][1]["seconds"] == 2
    assert judging["points"][1]["setting"] == {"batch": 8, "points": 8}


@pytest.mark.parametrize("key", ["processor", "torch", "threads", "steps"])
def test_a_result_of_other_circumstances_is_not_gone_on_with(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, measured = tmp_path / "growth.json", []
    monkeypatch.setattr("sys.argv", ["benchmarks/growth.py", "--out", str(out), "--steps", "3"])
    monkeypatch.setattr(growth, "preload", lambda _: None)
    monkeypatch.setattr(growth, "grow", lambda result, *_: measured.append(result))
    assert [in_a_line(growth.main), in_a_line(growth.main)] == [0, 0]
    assert measured[0] == measured[1] == json.loads(out.read_text())
    there = json.dumps(measured[0] | {key: "another"})
    out.write_text(there)
    assert in_a_line(growth.main) == 2
    assert capsys.readouterr().err == f"growth: {out}: {key}: another, but here {measured[0][key]}; name another file\n"
    assert out.read_text() == there


@pytest.mark.parametrize("text", [None, "{}", '{"curves": {"search": {"batch": []}}}'])
def test_what_is_no_result_of_growth_is_not_drawn(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "growth.json"
    if text is not None:
        file.write_text(text)
    monkeypatch.setattr("sys.argv", ["benchmarks/growth_figure.py", str(file), str(tmp_path / "x")])
    assert in_a_line(growth_figure_main) == 2
    why = "should be a whole result of benchmarks/growth.py" if text else "No such file or directory"
    assert capsys.readouterr().err == f"growth_figure: {file}: {why}\n"


@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_candidates_of_a_chain_expand_as_much_on_average(count: int) -> None:
    space = growth.chain(channels=4, points=3, candidates=count)
    (names, *others) = space.choices
    assert len(names) == count
    assert others == [names, names]
    assert sum(int(name[name.index("E") + 1]) for name in names) == 4 * count
    assert all(layer.keeps_shape for layer in space.layers)


@pytest.mark.parametrize("work", ["search", "fair", "judging"])
def test_a_point_has_time_and_memory_and_processes_share_it(tmp_path: Path, work: str) -> None:
    program = tmp_path / "point.py"
    own = {"points": 2, "candidates": 2, "channels": 4, "batch": 4, "image": 16, "processes": 2, "paths": 4}
    program.write_text(
        f"import json, sys\nsys.path.insert(0, {str(ROOT / 'benchmarks')!r})\nimport growth\n"
        f"print(json.dumps(growth.measure('', {work!r}, {own!r}, 2)))\n"
    )
    done = launch(program, ranks=1)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert 0 < found["seconds_quartiles"][0] <= found["seconds"] <= found["seconds_quartiles"][1]
    assert found["peak_mib"] >= 0


def test_exponents_are_slopes_of_the_last_three_points() -> None:
    def curve(power: float, values: tuple[int, ...]) -> list[dict]:
        return [{"at": at, "seconds": 0.1 * at**power, "peak_mib": 5.0} for at in values]

    batch = [{"at": 1, "seconds": 9.0, "peak_mib": 9.0}, *curve(1.0, (2, 4, 8))]
    result = {"curves": {"search": {"batch": batch, "image": curve(2.0, (16, 32, 64))}, "judging": {"paths": []}}}
    info = growth_info(result)
    assert list(info) == ["batch", "image"]
    assert info["batch"]["search"].exponent == pytest.approx({"seconds": 1, "peak_mib": 0}, abs=1e-9)
    assert info["image"]["search"].exponent["seconds"] == pytest.approx(1)  # of its pixels
    assert "| pixels of an image | 1.00 | " in growth_table(info)
    visible = [ax for ax in growth_figure(info).axes if ax.get_visible()]
    assert len(visible) == 2 * len(info)
    assert [len(ax.lines) for ax in visible] == [2] * 4


def test_the_page_has_the_tables_of_the_kept_result() -> None:
    info = growth_info(json.loads((ROOT / "benchmarks" / "results" / "growth-cpu-1-thread.json").read_text()))
    page = (ROOT / "docs" / "growth.md").read_text(encoding="utf-8")
    for table in (growth_table(info), fixed_table(info)):
        assert table in page, "benchmarks/growth_figure.py prints the tables of docs/growth.md"


def test_what_is_fixed_is_told_from_what_an_image_costs() -> None:
    batch = [{"at": at, "seconds": 0.3 + 0.01 * at, "peak_mib": 1.0} for at in (2, 8, 32)]
    table = fixed_table(growth_info({"curves": {"fair": {"batch": batch}}}))
    assert table.endswith("| fair step | 300 | 10.00 | 19 % |")
