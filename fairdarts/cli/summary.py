"""What `fairdarts search` says at its end: what was found, what it costs, where it lies, and how to go on."""

import shlex
from collections.abc import Callable, Mapping
from typing import Any

import torch

from fairdarts.cli.words import command, say
from fairdarts.config import UserError
from fairdarts.cost.cost import cost_text
from fairdarts.cost.count import count
from fairdarts.differentiable.stopping import kept_record, verdict
from fairdarts.evolution.objectives import Limit, amount
from fairdarts.genotype import CELLS, SKIP, CellGenotype, ChainGenotype, EdgeGenotype, Genotype, GraphGenotype, live
from fairdarts.networks.blueprint import build
from fairdarts.networks.sizes import as_searched, depth
from fairdarts.runs.result import Run


def summarize(run: Run) -> None:
    """What was found, what it costs, where it lies, and how to go on."""
    genotype, space, settings, shape = run.genotype, run.space, run.settings, run.shape
    records = run.directory.records()
    rule, judged = settings.derive, (settings.stopping, settings.architect.warmup)
    kept = kept_record(records, *judged)
    how = rule.method if rule.method == "argmax" or rule.threshold is None else f"{rule.method} {rule.threshold}"
    if "chosen" in kept:
        how = f"the best of {settings.choose.networks} drawn, {kept['chosen_accuracy']:.2f} % on held-out images"
    if ended := verdict(records, *judged):
        say(f"stopped    {ended.reason}")
    say(f"genotype   {genotype.name}: {TEXTS[type(genotype)](genotype)} ({how})")
    try:
        with torch.device("meta"):
            of = as_searched(settings.supernet.stem, space)
            network = build(genotype, space, of, shape.classes, shape.channels)
        say(f"network    {cost_text(count(network, shape.channels, shape.image), shape.image)}; {depth(space, of)}")
        then = [command("train", run.path)]
        if not settings.edges:  # shares of edges go with argmax alone
            again = ("argmax",) if rule.method != "argmax" else ("threshold", "--threshold", 0.2)
            then.append(command("derive", run.path, "--method", *again))
        if settings.cost:
            budget = Limit(settings.cost.quantity, "<=", settings.cost.target)
            then.append(command("derive", run.path, "--budget", str(budget)))
    except UserError as error:
        file = run.path / "genotypes" / "argmax.yaml"
        bound = ("--budget", str(Limit(settings.cost.quantity, "<=", settings.cost.target))) if settings.cost else ()
        then = [
            f"{command('derive', run.path, '--method', 'argmax', *bound)} > {shlex.quote(str(file))}",
            command("train", file),
        ]
        gates = records[-1]["gates"]
        strongest = ", ".join(f"{part} {max(map(max, gates[part])):.3f}" for part in space.parts)
        say(f"network    none, as {error}; strongest gates: {strongest}")
    say_cost(kept)
    say_truth(kept, "truth")
    say(f"run        {run.path}")
    say(f"figures    {run.directory.figures}")
    say(f"curves     tensorboard --logdir {run.path}")
    for number, line in enumerate(then):
        say(f"{'' if number else 'continue':<10} {line}")


def say_cost(record: Mapping[str, Any]) -> None:
    """What the found network costs, its target and what the gates let expect; nothing where no cost was asked for."""
    if (cost := record.get("cost")) is None:
        return
    quantity, derived = cost["quantity"], cost["derived"]
    found = "no network" if derived is None else amount(derived, quantity)
    target = f"target {amount(cost['target'], quantity)}, expected under the gates {amount(cost['expected'], quantity)}"
    say(f"cost       {found}; {target}")


def say_truth(record: Mapping[str, Any], title: str) -> None:
    """What is true of what a record found, by every column that the run was told; nothing where it was told none."""
    for column, accuracy in record.get("truth", {}).items():
        lacks = "" if accuracy is None else f", {record['regret'][column]:.2f} below the best of the space"
        say(f"{title:<10} {column} {'unknown' if accuracy is None else f'{accuracy:.2f} %'}{lacks}")
        title = ""


def _of_edges(genotype: EdgeGenotype) -> str:
    return f"{len(genotype.edges) - genotype.edges.count('none')} operations on {len(genotype.edges)} edges"


def _of_graph(genotype: GraphGenotype) -> str:
    return f"{len(genotype.operations)} operations, {sum(map(sum, genotype.matrix))} edges"


def _of_layers(genotype: ChainGenotype) -> str:
    layers = [set(layer) - {SKIP} for layer in genotype.layers]
    kept = sum(map(bool, layers))
    return f"{sum(map(len, layers))} blocks in {kept} layers, {len(layers) - kept} of {len(layers)} without a block"


def _of_cells(genotype: CellGenotype) -> str:
    counts = {cell: (len(getattr(genotype, cell)), len(live(getattr(genotype, cell))[0])) for cell in CELLS}
    text = ", ".join(f"{alive} {cell}" for cell, (_, alive) in counts.items()) + " operations"
    unfed = sum(every - alive for every, alive in counts.values())
    return text + (f"; {unfed} more read a node that nothing feeds, and are ignored" if unfed else "")


TEXTS: dict[type[Genotype], Callable[[Any], str]] = {
    CellGenotype: _of_cells,
    ChainGenotype: _of_layers,
    EdgeGenotype: _of_edges,
    GraphGenotype: _of_graph,
}
"""kind of genotype → what says how many operations it has"""
