"""What a record becomes in TensorBoard."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from torch.utils.tensorboard import SummaryWriter

from fairdarts.plot.tensorboard import log_epoch, log_generation, log_network, pixels
from fairdarts.spaces.space import load_space

SPACE = load_space("s1").model_copy(update={"nodes": 1})


class Recorder:
    """A writer that keeps what it is told: {tag: (value, step)} of each kind."""

    def __init__(self):
        self.scalars, self.histograms, self.images = {}, {}, {}

    def add_scalar(self, tag, value, step):
        self.scalars[tag] = value, step

    def add_histogram(self, tag, values, step):
        self.histograms[tag] = values, step

    def add_image(self, tag, image, step, dataformats):
        self.images[tag] = image, step, dataformats


@pytest.fixture
def record() -> dict:
    gates = np.linspace(0, 1, 14).reshape(SPACE.parts["normal"].shape)
    return {
        "epoch": 7,
        "train_loss": 1.5,
        "valid_accuracy": 0.75,
        "valid": 3,
        "lr_alpha": 0.1,
        "note": "text",
        "finished": True,
        "valid_loss": None,
        "gates": {"normal": gates.tolist(), "reduce": (1 - gates).tolist()},
        "dominant": {"normal": {"sep_conv_3x3": 2}, "reduce": {}},
    }


def test_numbers_become_scalars_in_groups(record):
    writer = Recorder()
    log_epoch(writer, record, SPACE)
    scalars = {tag: value for tag, value in writer.scalars.items() if not tag.startswith("dominant/")}
    assert scalars == {
        "train/loss": (1.5, 7),
        "valid/accuracy": (0.75, 7),
        "search/valid": (3, 7),
        "search/lr_alpha": (0.1, 7),
    }


def test_dominant_operations_are_counted_for_every_candidate(record):
    writer = Recorder()
    log_epoch(writer, record, SPACE)
    counts = {tag: value for tag, (value, _) in writer.scalars.items() if tag.startswith("dominant/")}
    assert len(counts) == 2 * len(SPACE.candidates)
    assert {tag for tag, count in counts.items() if count} == {"dominant/normal/sep_conv_3x3"}
    assert counts["dominant/normal/sep_conv_3x3"] == 2


@pytest.mark.parametrize("names", [["gates"], ["gates", "alphas"]])
def test_gates_and_alphas_become_histograms(record, names):
    writer = Recorder()
    record |= dict.fromkeys(names, record["gates"])
    log_epoch(writer, record, SPACE)
    assert set(writer.histograms) == {f"{name}/{cell}" for name in names for cell in ("normal", "reduce")}
    values, step = writer.histograms["gates/reduce"]
    np.testing.assert_array_equal(values, record["gates"]["reduce"])
    assert step == 7


def test_the_heatmap_becomes_an_image(record):
    writer = Recorder()
    log_epoch(writer, record, SPACE)
    image, step, dataformats = writer.images["gates/heatmap"]
    assert (step, dataformats, image.dtype, image.shape[2]) == (7, "HWC", np.uint8, 3)
    assert image.min() < 60  # dark squares
    assert image.max() == 255


def test_a_chain_is_logged_by_its_layers():
    space = load_space("s2")
    gates = np.linspace(0, 1, 19 * 7).reshape(space.parts["layers"].shape).tolist()
    writer = Recorder()
    log_epoch(writer, {"epoch": 3, "gates": {"layers": gates}, "dominant": {"layers": {"E6K7": 4}}}, space)
    counts = dict.fromkeys(space.candidates, 0) | {"E6K7": 4}
    assert writer.scalars == {f"dominant/layers/{op}": (count, 3) for op, count in counts.items()}
    assert set(writer.histograms) == {"gates/layers"}
    assert writer.images["gates/heatmap"][0].shape[1] > writer.images["gates/heatmap"][0].shape[0]  # it lies


def test_a_training_of_a_network_is_logged_by_its_numbers():
    writer = Recorder()
    log_network(writer, {"epoch": 2, "train_loss": 1.5, "valid_top1": 0.5, "lr": 0.1, "seconds": 3.0})
    expected = {"train/loss": (1.5, 2), "valid/top1": (0.5, 2), "training/lr": (0.1, 2), "training/seconds": (3.0, 2)}
    assert writer.scalars == expected


def test_what_is_true_of_an_epoch_or_a_generation_is_logged_where_it_is_known():
    writer, told = Recorder(), {"truth": {"test": 93.5, "valid": None}, "regret": {"test": 0.5, "valid": None}}
    log_network(writer, {"epoch": 2, **told})
    assert writer.scalars == {"truth/test": (93.5, 2), "regret/test": (0.5, 2)}
    front = {"known": 3, "mean": 90.0, "best": 94.0, "hypervolume": 0.75}
    within = {"truth_within": {"madds <= 3e7": {"test": 91.0}}, "front_truth": {"test": front}}
    record = {"evaluations": 64, "hypervolume": 0.5, "front": 4, "evaluations_per_second": 8.0, "best": {"": 40.0}}
    writer = Recorder()
    log_generation(writer, {"generation": 1, **record, **told, **within})
    expected = {"truth/test": 93.5, "regret/test": 0.5, "truth/madds <= 3e7/test": 91.0}
    expected |= {f"front_truth/test/{name}": number for name, number in front.items()}
    known = {tag: value for tag, (value, step) in writer.scalars.items() if "truth" in tag or "regret" in tag}
    assert known == expected
    assert {step for _, step in writer.scalars.values()} == {64}


def test_pixels_have_the_size_and_colour_of_the_figure():
    image = pixels(Figure(figsize=(3, 2), dpi=50, facecolor="#FF8000"))
    assert image.shape == (100, 150, 3)
    assert image[0, 0].tolist() == [255, 128, 0]


def test_the_real_writer_takes_it(record, tmp_path):
    with SummaryWriter(tmp_path) as writer:
        log_epoch(writer, record, SPACE)
    (events,) = tmp_path.iterdir()
    assert b"gates/heatmap" in events.read_bytes()
