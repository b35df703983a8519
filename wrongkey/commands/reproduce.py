"""``wrongkey reproduce``: a table or figure of the paper on your model and data, beside the published values."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from wrongkey.commands.sweep import A_SHARD
from wrongkey.errors import BadInput
from wrongkey.evaluation.config import BLOCKS, RUNNING, SweepConfig
from wrongkey.flags import Groups, add_flags, add_running, command_line, given
from wrongkey.reports.paper.experiments import EXPERIMENTS, PaperExperiment

# Settings of a sweep that the experiment decides, or that have flags of their own here.
OWN = ("model", "corpus", "task", "scheme", "keys", "blocks", "block", "variant", "nontargets")
Key = tuple[str | None, int | None]  # how a key cuts a query, and its block size; None: the model decides


def add(commands: Any) -> None:
    """Add the command to the parsers of the command line."""
    sizes = {name: ", ".join(map(str, experiment.block_sizes)) for name, experiment in EXPERIMENTS.items()}
    parser: argparse.ArgumentParser = commands.add_parser(
        "reproduce",
        help="a table or figure of the paper, yours beside the published",
        description="Run the sweeps that a table or figure of the paper needs, one run folder per scheme and block "
        "size, and write it with the published value in each cell. The same command again continues or extends it.",
        epilog="; ".join(f"{name}: {EXPERIMENTS[name].title} (M = {sizes[name]})" for name in EXPERIMENTS),
    )
    parser.add_argument("experiment", choices=list(EXPERIMENTS), metavar="EXPERIMENT", help=", ".join(EXPERIMENTS))
    groups = Groups(parser)
    what = groups["what is asked"]
    what.add_argument(
        "--model", nargs="+", required=True, help="see 'wrongkey models'; several, as in fig9, share the page"
    )
    what.add_argument("--corpus", required=True, help="as for sweep")
    what.add_argument("--scheme", default="all", help="all of the paper's (default), or some, as in rom,flipping")
    what.add_argument("--keys", type=int, metavar="N", help="incorrect keys (default: 5; fig9 1000, fig11 100)")
    what.add_argument("--blocks", choices=BLOCKS, help="default: the paper's, where it fits")
    what.add_argument(
        "--block", metavar="M[,M…]",
        help="block sizes (default: the paper's, unless the first layer's kernel = stride is another)",
    )  # fmt: skip
    what.add_argument(
        "--variant", metavar="V[,V]",
        help="(ASV) sides of a trial under the incorrect key, as for sweep: both (default), test, or both,test for a "
        "column each. The paper does not say how speakers were enrolled",
    )  # fmt: skip
    add_flags(groups, SweepConfig, "what is asked", leave_out=OWN)
    add_running(groups[RUNNING.title], "one per core, or one per GPU", A_SHARD)
    parser.add_argument("--out", type=Path, required=True, help="folder of the run folders, the page and the figures")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the sweeps of the experiment and write its page beside the published values."""
    from wrongkey.evaluation.experiment import Experiment
    from wrongkey.evaluation.processes.failures import each_to_its_end
    from wrongkey.evaluation.sweep import sweep
    from wrongkey.progress import progress
    from wrongkey.reports import load_run
    from wrongkey.reports.paper.reproduction import write_reproduction
    from wrongkey.terminal import conclude, note

    experiment = EXPERIMENTS[options.experiment]
    planned = list(_planned(experiment, options))  # all settings are checked before the first key is run
    runs = []
    prepared: Experiment | None = None
    with each_to_its_end() as one:
        for number, (config, folder) in enumerate(planned, start=1):
            note(f"{experiment.source}, run {number} of {len(planned)}: {folder}")
            prepared = prepared and prepared.with_keys_of(config)  # if not, it is freed before another model is loaded
            prepared = prepared or Experiment(config)
            with one():
                sweep(
                    config,
                    folder,
                    workers=options.workers,
                    timeout=options.timeout,
                    command=command_line("sweep", config, folder),
                    prepared=prepared,
                    progress=progress(),
                    report=note,
                )
            runs.append(load_run(folder))
        conclude(*write_reproduction(experiment, runs, options.out).splitlines())
        note(f"The page: {options.out / experiment.name}.md; everything: wrongkey report {options.out}")
    return 0


def block_sizes(text: str | None) -> list[int]:
    """The block sizes of a list such as ``5,10``, none for None. Raises BadInput for anything else."""
    if text is None:
        return []
    if not re.fullmatch(r"[1-9]\d*(,[1-9]\d*)*", text):
        raise BadInput(f"--block must be a block size, or several as in 5,10,20, not {text}.")
    return list(dict.fromkeys(int(size) for size in text.split(",")))


def variants_of(experiment: PaperExperiment, text: str | None) -> tuple[str, ...]:
    """The variants of a list such as ``both,test``, the experiment's own for None. Raises BadInput for others."""
    if text is None:
        return (experiment.variant,)
    if len(experiment.variants) == 1:
        raise BadInput(f"--variant says how speakers are enrolled, and {experiment.name} enrols none: leave it out.")
    asked = tuple(dict.fromkeys(text.split(",")))
    if unknown := [name for name in asked if name not in experiment.variants]:
        raise BadInput(f"--variant {unknown[0]} is unknown: give both, test, or both,test.")
    return asked


def short_names(models: Sequence[str]) -> dict[str, str]:
    """The name in each model's run folders: the end of its path or hub id where that tells the models apart."""
    ends = {model: re.split(r"[/\\]", model.rstrip("/\\"))[-1] for model in models}
    names = ends if len(set(ends.values())) == len(ends) else {model: model for model in ends}
    return {model: re.sub(r"[^\w.-]+", "-", name).strip("-") for model, name in names.items()}


def choose_keys(model: Any, experiment: PaperExperiment, blocks: str | None, sizes: Sequence[int]) -> list[Key]:
    """How keys cut the queries of a model, and their block sizes.

    The first of these that applies: what the user asks for; the kernel of a first layer with kernel = stride, as in
    the paper; those of the paper's block sizes that the layer can take; the model's own. Another kind of query than
    the paper's always takes the model's own.
    """
    from wrongkey.keys.blocks import Blocks
    from wrongkey.keys.compatibility import mismatch, why_not_keyed
    from wrongkey.keys.key_cut import KeyCut, default_blocks, natural_block
    from wrongkey.keys.model import first_layer

    layer = first_layer(model.network, model.first_layer)
    theirs = Blocks(experiment.blocks)
    own = model.blocks or default_blocks(layer)
    fits = (own == "samples") == (theirs == "samples")
    if sizes:
        return [(blocks or (theirs if fits else None), size) for size in sizes]
    if blocks not in (None, theirs):
        return [(blocks, None)]
    if not fits or why_not_keyed(layer):  # the sweep says what is wrong
        return [(blocks, None)]
    if theirs is not Blocks.FRAMES and (kernel := natural_block(layer, theirs)):
        return [(theirs, kernel)]
    possible: list[Key] = [(theirs, m) for m in experiment.block_sizes if mismatch(layer, KeyCut(theirs, m)) is None]
    return possible or [(blocks, None)]


def _planned(experiment: PaperExperiment, options: argparse.Namespace) -> Iterator[tuple[SweepConfig, Path]]:
    """Configuration and run folder of every sweep. Raises BadInput for what no sweep can do."""
    from wrongkey.evaluation.models.asking import answer_function
    from wrongkey.evaluation.models.registry import open_model
    from wrongkey.keys import get_scheme

    schemes = experiment.schemes if options.scheme == "all" else tuple(dict.fromkeys(options.scheme.split(",")))
    for scheme in schemes:
        get_scheme(scheme)
    sizes = block_sizes(options.block)
    variants = variants_of(experiment, options.variant)
    shared = {name: value for name, value in given(options, SweepConfig).items() if name not in OWN}
    for name, short in short_names(options.model).items():
        if experiment.variant == "waveform":  # the model carries no key, so its first layer does not matter
            keys: list[Key] = [(options.blocks, size) for size in sizes or experiment.block_sizes]
        else:
            model = open_model(name)
            answer_function(model, experiment.task)
            keys = choose_keys(model, experiment, options.blocks, sizes)
        for blocks, block in keys:
            for scheme, variant in product(schemes, variants):
                config = SweepConfig(
                    **shared,
                    model=name,
                    corpus=options.corpus,
                    task=experiment.task,
                    variant=variant,
                    scheme=scheme,
                    blocks=blocks,
                    block=block,
                    keys=experiment.keys if options.keys is None else options.keys,
                )
                parts = [experiment.name, short, scheme]
                parts += [variant] if variant != experiment.variant else []
                parts += [blocks] if blocks not in (None, experiment.blocks) else []
                yield config, options.out / "-".join(parts + ([f"m{block:03d}"] if block else []))
