"""Whether genotype, settings, data and machine fit together for a classifier."""

import pytest
from networks import settings_of

from fairdarts.config import UserError
from fairdarts.data.sources import open_source
from fairdarts.networks.zoo import load_genotype
from fairdarts.training.classify import blueprint_of, check_fit


@pytest.mark.parametrize(
    ("genotype", "overrides", "message"),
    [
        ("fairdarts-a", {"compute__compile": "default"}, "compute.compile: default: is for CUDA"),
        (
            "fairdarts-a",
            {"loss__auxiliary": 0.4},
            "32×32 pixels, not for 3 cells and images of 8×8; should be 0",
        ),
        ("fairnas-a", {"network__cells": "null", "network__channels": "null"}, "drop_path: 0.4: is for cells"),
        ("fairdarts-a", {"data__cutout": 8}, "data.cutout: 8: blanks images of 8×8 pixels whole; should be 4 or 0"),
        ("fairdarts-a", {"compute__accumulate": 3}, "data.batch_size: 4: is that of all processes"),
        ("fairdarts-a", {"data__batch_size": 16}, "data.batch_size: 16: should be at most 12, the training images"),
        ("fairdarts-a", {"network__se_ratio": 0.5}, "network.se_ratio: 0.5: is for chains"),
    ],
)
def test_what_does_not_fit_is_named(genotype: str, overrides: dict, message: str):
    settings = settings_of(**overrides)
    source = open_source(settings.data)
    with pytest.raises(UserError) as error:
        check_fit(settings, blueprint_of(settings, *load_genotype(genotype), source), source)
    assert message in str(error.value)
