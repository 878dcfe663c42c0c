"""When a search ends early, from records made by hand."""

import pytest

from fairdarts.differentiable.stopping import Eigenvalue, Never, Skips, kept_record, verdict


def skips(*counts: int) -> list[dict]:
    return [
        {"epoch": epoch, "dominant": {"normal": {"skip_connect": count}, "reduce": {"skip_connect": 9}}}
        for epoch, count in enumerate(counts)
    ]


def eigenvalues(*values: float) -> list[dict]:
    return [{"epoch": 0}, *({"epoch": epoch, "eigenvalue": value} for epoch, value in enumerate(values, start=1))]


def test_never():
    assert verdict(skips(8, 8, 8), Never(kind="never")) is None


@pytest.mark.parametrize(("counts", "stops"), [((5,), False), ((0, 1), False), ((0, 1, 2), True), ((0, 3), True)])
def test_many_skip_connections_in_the_normal_cell(counts: tuple[int, ...], stops: bool):
    """Epoch 0 is before training, when a tie decides what is dominant."""
    found = verdict(skips(*counts), Skips(kind="skips", limit=2))
    assert (found is not None) == stops
    if stops:
        assert found.epoch == len(counts) - 1
        assert f"{counts[-1]} skip connections" in found.reason


@pytest.mark.parametrize(
    ("dominant", "where"),
    [
        ({"layers": {"skip_connect": 3}}, "chain"),
        ({"layers-1": {"E3K3": 4}, "layers-2": {"skip_connect": 1}, "layers-3": {"skip_connect": 2}}, "chain"),
        ({"edges": {"skip_connect": 3}}, "cell"),
        ({"normal": {"skip_connect": 3}, "reduce": {}}, "normal cell"),
    ],
)
def test_skip_connections_of_all_layers_count(dominant: dict, where: str):
    records = [{"epoch": epoch, "dominant": dominant} for epoch in (0, 1)]
    found = verdict(records, Skips(kind="skips", limit=3))
    assert found.reason == f"3 skip connections are dominant in the {where} after epoch 1"
    assert verdict(records, Skips(kind="skips", limit=4)) is None


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        ((1, 1, 1), None),  # no two whole windows yet
        ((1, 1, 1.3, 1.3), None),  # 1 / 1.3 = 0.77
        ((1, 1, 1.4, 1.4), 2),  # 1 / 1.4 = 0.71
        ((9, 1, 1, 1.4, 1.4), 3),
        ((4, 4, 1, 1), None),  # it fell
        ((-1, -1, -0.2, -0.2), None),  # of no sharpness, no ratio speaks
        ((0.8, 1.2, 2.0, 0.8), 2),  # the mean, 1 / 1.4, not the last
    ],
)
def test_the_eigenvalue_grows_too_fast(values: tuple[float, ...], kept: int | None):
    found = verdict(eigenvalues(*values), Eigenvalue(kind="eigenvalue", window=2, ratio=0.75))
    assert (found and found.epoch) == kept
    if found:
        assert "1.4" in found.reason
        assert f"the genotype of epoch {kept} is kept" in found.reason


def test_epochs_in_which_alpha_was_not_trained_are_not_judged():
    rule = Skips(kind="skips", limit=2)
    assert verdict(skips(0, 5), rule).epoch == 1
    assert verdict(skips(0, 5), rule, warmup=1) is None
    assert verdict(skips(0, 5, 5), rule, warmup=2) is None
    assert verdict(skips(0, 5, 1), rule, warmup=1) is None
    assert verdict(skips(0, 5, 5), rule, warmup=1).epoch == 2
    rule = Eigenvalue(kind="eigenvalue", window=2, ratio=0.75)
    assert verdict(eigenvalues(1, 1, 9, 9), rule).epoch == 2
    assert verdict(eigenvalues(1, 1, 9, 9), rule, warmup=2) is None
    grows = eigenvalues(1, 1, 9, 9, 99, 99)
    assert verdict(grows, rule, warmup=2).epoch == 4
    assert kept_record(grows, rule, warmup=2) is grows[4]


def test_the_record_that_is_kept():
    grows = eigenvalues(1, 1, 1.4, 1.4)
    assert kept_record(grows, Eigenvalue(kind="eigenvalue", window=2, ratio=0.75)) is grows[2]
    assert kept_record(grows, Never(kind="never")) is grows[-1]
    assert kept_record(skips(0, 2), Skips(kind="skips", limit=2))["epoch"] == 1
