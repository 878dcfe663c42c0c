"""Compare recipes over several seeds: `python examples/study.py`. Run again, it skips what is done."""

import fairdarts

study = {
    "name": "relaxations",
    "source": "an example",
    "seeds": [0, 1],
    "shared": {
        "epochs": 1,
        "supernet.cells": 3,
        "data.batch_size": 128,
        "derive.method": "argmax",
        "derive.threshold": None,
    },
    "runs": [
        {"name": "sigmoid", "config": "fairdarts-s1-digits"},
        {
            "name": "softmax",
            "config": "fairdarts-s1-digits",
            "changes": {"relaxation": "softmax", "zero_one.weight": 0},
        },
    ],
}
result = fairdarts.study(study)
for run in result.runs:
    print(run.path.name, run.state, f"{run.records[-1]['valid_accuracy']:.1%}")
print("a page that compares them:", result.report())
