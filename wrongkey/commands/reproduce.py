"""``wrongkey reproduce``: a table or figure of the paper on your model and data, beside the published values."""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from wrongkey.commands.sweep import A_SHARD
from wrongkey.errors import BadInput
from wrongkey.evaluation.config import BLOCKS, RUNNING, SweepConfig
from wrongkey.evaluation.settings import options_of
from wrongkey.flags import Groups, add_flags, add_running, command_line, given, scheme_names
from wrongkey.reports.paper.experiments import EXPERIMENTS, SPEECH, PaperExperiment, SpeechExperiment

# Settings of a sweep that the experiment decides, or that have flags of their own here.
OWN = ("model", "corpus", "task", "scheme", "keys", "blocks", "block", "variant", "nontargets")
ON_SPEECH = ("corpus", "only", "channels", "recordings", "seed")  # settings that figures of speech have too
UTTERANCES = 5  # that the numbers beside a figure of speech are medians over
FEWEST = 40  # keys that weak and strong ones can be told apart among
NAMES = sorted((*EXPERIMENTS, *SPEECH), key=lambda name: (name.startswith("fig"), int(re.sub(r"\D", "", name))))
Key = tuple[str | None, int | None]  # how a key cuts a query, and its block size; None: the model decides


def add(commands: Any) -> None:
    """Add the command to the parsers of the command line."""
    known = {name: EXPERIMENTS.get(name) or SPEECH[name] for name in NAMES}
    sizes = {name: ", ".join(map(str, experiment.block_sizes)) for name, experiment in known.items()}
    parser: argparse.ArgumentParser = commands.add_parser(
        "reproduce",
        help="a table or figure of the paper, yours beside the published",
        description="Run the sweeps that a table or figure of the paper needs, one run folder per scheme and block "
        "size, and write it with the published value in each cell. The same command again continues or extends it. "
        "Figs. 3 to 8 show speech of the corpus and need no model.",
        epilog="; ".join(f"{name}: {known[name].title} (M = {sizes[name]})" for name in NAMES),
    )
    parser.add_argument("experiment", choices=NAMES, metavar="EXPERIMENT", help=", ".join(NAMES))
    groups = Groups(parser)
    what = groups["what is asked"]
    what.add_argument(
        "--model", nargs="+", help="see 'wrongkey models'; several, as in fig9, share the page; none for fig3 to fig8"
    )
    what.add_argument("--corpus", help="as for sweep (default for fig3 to fig8: bundled)")
    what.add_argument(
        "--scheme", type=scheme_names, default="all", help="all of the paper's (default), or some, as in rom,flipping"
    )
    what.add_argument("--keys", type=int, metavar="N", help="incorrect keys (default: 5; fig9, fig10 1000, fig11 100)")
    what.add_argument(
        "--utterances", type=int, metavar="N",
        help=f"(fig3 to fig8) utterances that numbers are medians over (default {UTTERANCES}); the first one is drawn",
    )  # fmt: skip
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
    parser.add_argument(
        "--style",
        choices=("screen", "ieee"),
        default="screen",
        help="of figures: for a screen (default), or for a paper",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the run folders, the page and the figures")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run what the table or figure needs and write it beside the published values."""
    from wrongkey.reports.figures.style import styled
    from wrongkey.terminal import conclude, note

    name = options.experiment
    with styled(options.style):
        page = _of_speech(SPEECH[name], options) if name in SPEECH else _of_sweeps(EXPERIMENTS[name], options)
    conclude(*page.splitlines())
    note(f"The page: {options.out / name}.md; everything: {shlex.join(['wrongkey', 'report', str(options.out)])}")
    return 0


def _of_speech(experiment: SpeechExperiment, options: argparse.Namespace) -> str:
    """Encrypt speech as the figure shows it, and write the figure. Raises BadInput for flags that it does not have."""
    from wrongkey.attacks.analyses.folder import analyse
    from wrongkey.attacks.analyses.leaks.analysis import Leaks
    from wrongkey.attacks.analyses.phase.reconstruction import PhaseReconstruction
    from wrongkey.evaluation.corpora import open_corpus
    from wrongkey.progress import progress
    from wrongkey.reports.analyses import find_analyses
    from wrongkey.reports.paper.speech import write_figure
    from wrongkey.terminal import note

    _refuse_idle_flags(experiment, options)
    spec = options.corpus or "bundled"
    corpus = open_corpus(spec, options.recordings)
    for caution in corpus.cautions:
        note(f"caution: {caution}")
    shared: dict[str, Any] = {
        "corpus": corpus.only_listed(Path(options.only)) if options.only else corpus,
        "corpus_spec": spec,
        "schemes": experiment.schemes if options.scheme == "all" else tuple(options.scheme.split(",")),
        "block_sizes": block_sizes(options.block) or experiment.block_sizes,
        "utterances": UTTERANCES if options.utterances is None else options.utterances,
        "seed": options.seed,
        "channels": options.channels,
    }
    blocks = options.blocks or experiment.blocks
    analysis = (
        Leaks(**shared, blocks=(blocks,), linkability=False)
        if experiment.analysis == "leaks"
        else PhaseReconstruction(**shared, blocks=blocks)
    )
    folder = options.out / f"{experiment.name}-speech"
    note(f"{experiment.source}: {folder}")
    analyse(analysis, folder, command=shlex.join(["wrongkey", *sys.argv[1:]]), progress=progress())
    return write_figure(experiment, find_analyses([folder]), options.out)


def _refuse_idle_flags(experiment: SpeechExperiment, options: argparse.Namespace) -> None:
    """Raise BadInput for a flag of sweeps, which a figure of speech has no use for."""
    fields = SweepConfig.__dataclass_fields__
    idle = {
        option.spelling: getattr(options, name, None) not in (None, fields[name].default)
        for name, option in options_of(SweepConfig).items()
        if name not in (*ON_SPEECH, "scheme", "blocks", "block")
    }
    idle |= {"--workers": options.workers is not None, "--timeout": options.timeout is not None}
    if found := [flag for flag, given_here in idle.items() if given_here]:
        raise BadInput(f"{found[0]} has no effect on {experiment.name}, which shows speech alone: leave it out.")


def _of_sweeps(experiment: PaperExperiment, options: argparse.Namespace) -> str:
    """Run the sweeps of an experiment, and write it beside the published values."""
    from wrongkey.evaluation.experiment import Experiment
    from wrongkey.evaluation.processes.failures import each_to_its_end
    from wrongkey.evaluation.sweep import sweep
    from wrongkey.progress import progress
    from wrongkey.reports import load_run
    from wrongkey.reports.paper.reproduction import write_reproduction
    from wrongkey.terminal import note

    for flag in ("model", "corpus"):
        if getattr(options, flag) is None:
            raise BadInput(f"{experiment.name} needs --{flag}.")
    if options.utterances is not None:
        raise BadInput(f"--utterances has no effect on {experiment.name}, which is of a model: leave it out.")
    planned = list(_planned(experiment, options))  # all settings are checked before the first key is run
    folders = []
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
            folders.append(folder)
        if experiment.form == "distances":
            return _distances(experiment, planned, options.out)
        return write_reproduction(experiment, [load_run(folder) for folder in folders], options.out)


def _distances(experiment: PaperExperiment, planned: Sequence[tuple[SweepConfig, Path]], out: Path) -> str:
    """Measure the keys of finished sweeps, and write how those with low and with high error differ."""
    from wrongkey.attacks.analyses.folder import analyse
    from wrongkey.attacks.analyses.weak_keys import WeakKeys
    from wrongkey.progress import progress
    from wrongkey.reports.analyses import find_analyses
    from wrongkey.reports.paper.speech import write_figure
    from wrongkey.terminal import note

    for config, folder in planned:
        note(f"{experiment.source}, keys of {folder}")
        command = shlex.join(["wrongkey", "analyse", "keys", str(folder)])
        trusted = [config.model, config.corpus, config.scheme]  # the user has named them just now
        analyse(WeakKeys(trusted), folder, command=command, progress=progress())
    found = find_analyses([folder for _, folder in planned])
    return write_figure(experiment, [analysis for analysis in found if analysis.name == "keys"], out)


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
    if experiment.form == "distances" and options.keys is not None and options.keys < FEWEST:
        raise BadInput(f"{experiment.name} compares weak keys with strong ones: give --keys {FEWEST} or more.")
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
                parts = [experiment.sweeps or experiment.name, short, scheme]
                parts += [variant] if variant != experiment.variant else []
                parts += [blocks] if blocks not in (None, experiment.blocks) else []
                yield config, options.out / "-".join(parts + ([f"m{block:03d}"] if block else []))
