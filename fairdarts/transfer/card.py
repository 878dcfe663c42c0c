"""The model card: what a model's file is, in Markdown, for those who find it."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from fairdarts.cost.count import count
from fairdarts.genotype import to_yaml
from fairdarts.networks.published import TrainedModel
from fairdarts.runtime.shape import sides
from fairdarts.transfer.formats import Made
from fairdarts.transfer.int8 import Quantized

SPELT_OUT = 20  # of more classes only the first are named
SHARES = ("top1", "top5", "accuracy")
"""what numbers from 0 to 1 are called that people read as percent"""
WEIGHTS = {"ema": "the moving average of the training's weights", "raw": "the training's own"}


def card(model: TrainedModel, file: str, made: Sequence[Made] = ()) -> str:
    """The card of a model that is written to `file`, a .safetensors file beside it; of the files that were `made` with
    it, it tells what an int8 one is worth."""
    blueprint, about = model.blueprint, model.about
    genotype, space = blueprint.genotype, blueprint.space
    channels, (height, width) = len(blueprint.mean), sides(blueprint.image)
    cost = count(model.network, channels, blueprint.image)
    facts = [
        ("Parameters", f"{cost.params:,}"),
        ("Multiply-adds", f"{cost.madds / 1e6:,.1f} M for an image of {height}×{width} pixels"),
        ("Images", f"{channels}×{height}×{width}, values from 0 to 1, normalized: (x − mean) / std"),
        ("Mean", _numbers(blueprint.mean)),
        ("Std", _numbers(blueprint.std)),
        ("Classes", _classes(blueprint.classes)),
    ]
    network = blueprint.network.model_dump(exclude_defaults=True)
    if network:
        facts.append(("Network", _text(network)))
    facts += [("In int8", f"{one.path.name}: {_loss(one.quantized)}") for one in made if one.quantized]
    random = ["**Its weights are random**: it tells what the network costs, and recognizes nothing.", ""]
    lines = [
        f"# {file.removesuffix('.safetensors')}",
        "",
        f"A classifier of images: the network of the genotype `{genotype.name}` from the search space `{space.name}`.",
        f"The genotype's source: {genotype.source}",
        "",
        *(random if about.get("weights") == "random" else []),
        "```python",
        "import fairdarts, torch",
        f"network = fairdarts.load({json.dumps(file)})",
        f"logits = network(torch.zeros(1, {channels}, {height}, {width}))  # [batch, {len(blueprint.classes)}]",
        "```",
        "",
        "| | |",
        "|---|---|",
        *(f"| {key} | {_cell(value)} |" for key, value in facts),
        "",
        *_training(about),
        "## Genotype",
        "",
        "```yaml",
        to_yaml(genotype).rstrip(),
        "```",
        "",
    ]
    return "\n".join(lines)


def _training(about: dict[str, Any]) -> Iterator[str]:
    """The section of what is known of the weights; none where nothing is."""
    about = {key: value for key, value in about.items() if value not in (None, "", [], {})}
    if about.get("weights") == "random" or not about:
        return
    yield from ("## Weights", "")
    if about.get("weights") in WEIGHTS:
        about["weights"] = WEIGHTS[about["weights"]]
    for key, value in about.items():
        if key == "results":
            yield f"- results: {_line(_result(value))}"
        elif key == "deviations" and isinstance(value, list):
            yield from ("- deviations of the recipe:", *(f"  - {_line(item)}" for item in value))
        else:
            title = {"changes": "settings other than the recipe's"}.get(key, key)
            yield f"- {title}: {_line(_text(value))}"
    yield ""


def _result(result: Any) -> str:
    """What a finished training says of itself."""
    try:
        text = "top-1 {top1:.2%}, top-5 {top5:.2%} of {images:,} {on} images, loss {loss:.4g}".format(**result)
        if "best_by" not in result:
            return f"{text}; epoch {result['epoch']}, the last"
        chosen = "these very" if result["best_by"] == result["on"] else result["best_by"]
        return f"{text}; epoch {result['epoch']}, chosen by {chosen} images"
    except (KeyError, TypeError, ValueError):  # somebody else wrote it
        return _text(result)


def _loss(of: Quantized) -> str:
    """What an int8 file is worth."""
    calibrated = f"calibrated with {of.calibration:,} training images"
    alike = f"the same class for {of.alike:.2%} of {of.images:,} {of.on} images"
    return f"top-1 {of.after:.2%}, in float32 {of.before:.2%}, {alike}; {calibrated}"


def _text(value: Any, key: str = "") -> str:
    """A value of JSON as people read it."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(item, name)}" for name, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    if isinstance(value, float):
        return f"{value:.2%}" if key.endswith(SHARES) else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and key == "images" else str(value)


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _classes(names: tuple[str, ...]) -> str:
    if len(names) <= SPELT_OUT:
        return f"{len(names)}: {', '.join(names)}"
    return f"{len(names)}: {', '.join(names[:3])}, … {names[-1]}; all of them are in the file's metadata"


def _line(text: Any) -> str:
    return " ".join(str(text).split())


def _cell(text: str) -> str:
    return _line(text).replace("|", "\\|")
