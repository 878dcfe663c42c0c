"""The page of runs in spaces of either kind: which tables and figures it has."""

import re

import pytest

from fairdarts.genotype import CellGenotype, ChainGenotype
from fairdarts.plot.document import document
from fairdarts.plot.report_searched import BESIDE, Found, searches
from fairdarts.spaces.chain import ChainStage
from fairdarts.spaces.space import Space, load_space

CELLS = load_space("s1").model_copy(update={"nodes": 1})
CHAIN = load_space("s2").model_copy(update={"stages": (ChainStage(channels=16, layers=3, stride=1),)})
NOTE = "no choice of layer 4 reaches 0.75 <so>, so it is removed"


def page(runs: list[Found], title: str) -> str:
    return document(title, searches(runs))


def found(name: str, space: Space, skips: int = 2, weight: float | None = None) -> Found:
    """A run of two epochs, the second with so many dominant skip connections in every part."""
    points, candidates = next(iter(space.parts.values())).shape
    gates = {part: [[0.25] * candidates] * points for part in space.parts}
    records = [
        {"epoch": epoch, "gates": gates, "dominant": {part: {"skip_connect": skips * epoch} for part in space.parts}}
        for epoch in (0, 1)
    ]
    said = {"name": name, "space": space.name, "source": "tests"}
    chain = ChainGenotype(**said, notes=(NOTE,), layers=(("skip_connect",), ("E6K7",), ("E3K3", "skip_connect")))
    cells = CellGenotype(**said, normal=(("skip_connect", 2, 0),), reduce=())
    return Found(
        name=name,
        method=re.sub(r"-seed\d+$", "", name),
        recipe="r",
        weight=weight,
        settings="seed: 0",
        space=space,
        records=records,
        derived=[chain if space is CHAIN else cells] * len(records),
        ended="",
        genotype=chain if space is CHAIN else cells,
        cost="1 parameters",
        drawings=dict.fromkeys(space.parts, "<svg/>"),
    )


def rows(text: str) -> list[list[str]]:
    """The cells of every row of every table."""
    return [re.findall(r"<t[hd]>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", text)]


def headings(text: str) -> list[str]:
    return re.findall(r"<h[123]>(.*?)</h[123]>", text)


def row(text: str, name: str) -> list[str]:
    return next(cells for cells in rows(text) if cells[0] == name)


def test_a_chain_has_columns_of_its_own_and_its_notes():
    text = page([found("fairdarts-seed0", CHAIN)], "title")
    titles = ["dominant, layers", "dominant skip connections, layers", "derived skip connections, layers"]
    assert row(text, "run")[4:7] == titles
    assert row(text, "fairdarts-seed0")[4:7] == ["2", "2", "2"]
    assert "Networks: 3 layers, on 224×224 pixels (s2)." in text
    assert "<li>no choice of layer 4 reaches 0.75 &lt;so&gt;, so it is removed</li>" in text
    assert 'alt="chain"' in text
    assert "layer 2 E6 K7" in [cells[0] for cells in rows(text)]
    assert "layers: layer, operation" in [cells[0] for cells in rows(text)]


def test_cells_have_no_notes():
    text = page([found("a", CELLS)], "title")
    assert "Notes of the derivation" not in headings(text)
    titles = ("dominant", "dominant skip connections", "derived skip connections")
    assert row(text, "run")[4:10] == [name for title in titles for name in (f"{title}, normal", "reduce")]
    assert row(text, "a")[4:10] == ["2", "2", "2", "2", "1", "0"]
    assert "Networks: 20 cells, 36 channels, on 32×32 pixels (s1)." in text


def test_two_chains_show_their_dominant_operations_beside_each_other():
    text = page([found("darts-seed0", CHAIN, 11), found("fairdarts-seed0", CHAIN, 13)], "title")
    start = headings(text).index("Comparison")
    assert headings(text)[start + 1 : start + 6] == [
        "Dominant operations of the chain, a panel a run",
        "Dominant skip connections of the chain, a line a run",
        "Derived skip connections of the chain, a line a run",
        "Gates at the end",
        "Methods",
    ]
    method = next(cells for cells in rows(text) if cells[0] == "darts" and len(cells) == 8)
    assert method[:4] == ["darts", "1", "11.0 (11.0–11.0)", "2.0 (2.0–2.0)"]
    assert rows(text)[4][0] == "darts-seed0"  # behind the summary: skip connections by epoch
    assert rows(text)[4][1:] == ["0", "11"]
    assert ["darts-seed0", "2", "2"] in rows(text)  # and those that are derived


def test_runs_of_both_kinds_are_not_mixed_where_their_numbers_do_not_compare():
    runs = [found(f"darts-seed{seed}", space, 3) for space, seed in ((CELLS, 0), (CELLS, 1), (CHAIN, 0), (CHAIN, 1))]
    text = page(runs, "title")
    assert row(text, "run")[4:7] == ["dominant, normal", "reduce", "layers"]
    counts = [cells[4:13] for cells in rows(text)[1:5]]
    dominant = [["3", "3", "–"] * 2] * 2 + [["–", "–", "3"] * 2] * 2
    derived = [["1", "0", "–"]] * 2 + [["–", "–", "2"]] * 2
    assert counts == [one + other for one, other in zip(dominant, derived, strict=True)]
    lines = [heading for heading in headings(text) if heading.endswith("a line a run")]
    assert [re.search("of the (.*),", line).group(1) for line in lines] == ["normal cell"] * 2 + ["chain"] * 2
    methods = [cells[2:9] for cells in rows(text) if cells[0] == "darts" and len(cells) == 12]
    same, none = "3.0 (3.0–3.0)", "0.0 (0.0–0.0)"
    derived = ["1.0 (1.0–1.0)", none, "–"], ["–", "–", "2.0 (2.0–2.0)"]
    assert methods == [[same, same, "–", *derived[0], "6.0 (6.0–6.0)"], ["–", "–", same, *derived[1], same]]


def test_one_run_of_a_kind_has_nothing_to_be_compared_with():
    text = page([found("cells", CELLS), found("chain", CHAIN)], "title")
    assert "Methods" in headings(text)
    assert not [heading for heading in headings(text) if "a line a run" in heading]


def test_boundary_epochs_are_listed_edge_by_edge():
    run = found("a", CELLS)
    last = {part: [list(row) for row in gates] for part, gates in run.records[1]["gates"].items()}
    last["normal"][1][CELLS.candidates.index("skip_connect")] = 0.75
    text = page([run._replace(records=[run.records[0], run.records[1] | {"gates": last}])], "t")
    normal, reduce = (cells[1:] for cells in rows(text) if cells[0] == "boundary epoch")
    assert (normal, reduce) == (["–", "1"], ["–", "–"])
    assert "stacked gates of the normal cell" in text


@pytest.mark.parametrize("count", [BESIDE, BESIDE + 1])
def test_of_many_runs_dominant_operations_are_shown_with_each_alone(count: int):
    text = page([found(f"m-seed{seed}", CELLS) for seed in range(count)], "title")
    assert ("Dominant operations of the normal cell, a panel a run" in headings(text)) == (count == BESIDE)
    assert headings(text).count("Dominant operations") == count


def test_the_sweep_is_one_of_each_kind():
    runs = [found(f"cells-{weight}", CELLS, weight=weight) for weight in (0, 1, 2)]
    runs += [found(f"chain-{weight}", CHAIN, weight=weight) for weight in (0, 1)]
    text = page(runs, "title")
    assert headings(text).count("Weight of the zero-one loss") == 1  # two weights make no sweep
    assert [cells for cells in rows(text) if len(cells) == 2 and cells[0] == "1"] == [["1", "4"]]


def test_what_an_epoch_did_not_measure_is_left_empty():
    run = found("warm", CELLS)
    trained = {"train_loss": 1.5, "train_accuracy": 0.5}
    records = [run.records[0], *({**record, **trained} for record in run.records[1:])]
    records.append({**records[-1], "epoch": 2, "valid_loss": 1.25, "valid_accuracy": 0.25})
    text = page([run._replace(records=records)], "t")
    assert "1.25" in text
    assert "<td>nan</td>" not in text
    assert "<td></td>" in text
