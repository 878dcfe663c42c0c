"""Searches laid over one another on one edge."""

import numpy as np

from fairdarts.plot import style
from fairdarts.plot.edge import draw_edge, edge_figure, edge_info
from fairdarts.plot.joined import edge_names
from fairdarts.spaces.space import load_space

S1 = load_space("s1").model_copy(update={"nodes": 2})


def records(start: float, epochs: int) -> list[dict]:
    """Gates [5, 7] that tell run, epoch, edge and candidate apart."""
    every = np.arange(35).reshape(5, 7) / 100
    return [
        {"epoch": epoch, "gates": {"normal": every + start + epoch / 100, "reduce": every}} for epoch in range(epochs)
    ]


def test_edges_and_layers_are_called_as_their_panels_are():
    assert list(edge_names(S1))[:3] == ["normal:2,0", "normal:2,1", "normal:3,0"]
    assert edge_names(S1)["reduce:3,2"] == ("reduce", 4)
    assert edge_names(load_space("nasbench201"))["edges:3,1"] == ("edges", 4)
    assert edge_names(load_space("s2"))["layers:18"] == ("layers", 18)


def test_the_gates_of_every_run_are_those_of_the_edge():
    info = edge_info({"a": records(0.1, 3), "b": records(0.3, 2)}, S1, "normal:3,0")
    assert info.title == "normal cell, edge (3, 0)"
    assert info.epochs == {"a": (0, 1, 2), "b": (0, 1)}
    np.testing.assert_allclose(info.gates["a"][:, 1], [0.25, 0.26, 0.27])  # row 2, column 1
    np.testing.assert_allclose(info.gates["b"][:, 1], [0.45, 0.46])


def test_a_candidate_has_a_colour_and_a_run_a_kind_of_line():
    figure = edge_figure(edge_info({"a": records(0.1, 3), "b": records(0.3, 2)}, S1, "normal:3,0"))
    lines = figure.axes[0].lines
    assert [line.get_linestyle() for line in lines] == ["-"] * 7 + ["--"] * 7
    assert [line.get_color() for line in lines] == [style.colour(op) for op in S1.candidates] * 2
    operations, runs = ([text.get_text() for text in legend.get_texts()] for legend in figure.legends)
    assert (operations[2], runs) == ("skip connect", ["a", "b"])


def test_the_file_is_called_as_the_edge(tmp_path):
    (path,) = draw_edge({"a": records(0.1, 2)}, S1, "reduce:3,2", tmp_path, ["svg"])
    assert path.name == "gates-edge-reduce-3-2.svg"
