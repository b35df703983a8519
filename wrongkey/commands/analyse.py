"""``wrongkey analyse``: what makes an incorrect key work, how near a key must be, and what encrypted speech shows."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from wrongkey.errors import BadInput
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.settings import options_of
from wrongkey.flags import (
    Groups,
    add_config_file,
    add_flags,
    add_json,
    given,
    report_hint,
    scheme_name,
    scheme_names,
)
from wrongkey.keys.labels import PAPER
from wrongkey.terminal import answer, conclude, note

if TYPE_CHECKING:
    from wrongkey.attacks.analyses.base import Analysis
    from wrongkey.attacks.analyses.leaks.analysis import Leaks
    from wrongkey.attacks.analyses.phase.reconstruction import PhaseReconstruction
    from wrongkey.evaluation.corpora import Corpus

ASKED = "what is analysed"
# Settings of a sweep that decryption has no use for: its keys are near ones, and its model is always encrypted.
SWEEPS_ONLY = ("keys", "variant", "replicates", "keep_outputs", "media")
FREE = ("device", "corpus", "scheme")  # flags that decryption may have beside a sweep's own settings
ON_SPEECH = ("corpus", "only", "channels", "recordings", "seed")  # settings of a sweep that speech alone has too


def add(commands: Any) -> None:
    """Add the command and its analyses to the command line."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "analyse",
        help="why incorrect keys work, decryption with near keys, phase reconstruction, leaks",
        description="The analyses of the paper's section IV-B and IV-C, and beyond. Results go into RUN/analyses, and "
        "wrongkey report shows them.",
    )
    analyses = parser.add_subparsers(title="analyses", metavar="ANALYSIS", required=True)
    _add_keys(analyses)
    _add_decryption(analyses)
    _add_phase(analyses)
    _add_leaks(analyses)


def _add_keys(analyses: Any) -> None:
    parser: argparse.ArgumentParser = analyses.add_parser(
        "keys",
        help="measure every incorrect key of a sweep and hold it against its score (Fig. 10)",
        description="Draw the incorrect keys of a finished sweep again, measure how each differs from the correct key, "
        "and say whether that predicts its score.",
    )
    parser.add_argument("out", metavar="RUN", type=Path, help="run folder of a finished sweep")
    parser.add_argument("--model", help="the sweep's, where that is your own code: the manifest alone does not run it")
    parser.add_argument("--corpus", help="the sweep's, where that is your own code")
    parser.add_argument("--scheme", type=scheme_name, help="the sweep's, where that is your own code")
    _add_trust(parser)
    add_json(parser)
    parser.set_defaults(run=run, analysis=_keys, unit="key")


def _add_decryption(analyses: Any) -> None:
    parser: argparse.ArgumentParser = analyses.add_parser(
        "decryption",
        help="decrypt with the correct key, near keys and incorrect keys (Fig. 7)",
        description="SNR, intelligibility and the encrypted model's score under keys near the correct one. Without "
        "--model, the model, speech and keys of the sweep in --out are taken.",
    )
    groups = Groups(parser)
    add_flags(groups, SweepConfig, ASKED, leave_out=SWEEPS_ONLY, optional=("model", "corpus"))
    parser.set_defaults(**dict.fromkeys(options_of(SweepConfig)))  # so that a flag beside a sweep's own is noticed
    groups[ASKED].add_argument("--draws", type=int, default=10, metavar="N", help="near keys of each kind (default 10)")
    _add_trust(parser)
    _add_out(parser)
    parser.set_defaults(run=run, analysis=_decryption, unit="key")


def _add_phase(analyses: Any) -> None:
    parser: argparse.ArgumentParser = analyses.add_parser(
        "phase",
        help="reconstruct waveforms from encrypted spectrograms (Fig. 8)",
        description="Phase reconstruction by PGHI and Griffin-Lim, on plain spectrograms and on encrypted ones.",
    )
    _add_encryption(parser)
    parser.set_defaults(run=run, analysis=_phase, unit="utterance")


def _add_leaks(analyses: Any) -> None:
    parser: argparse.ArgumentParser = analyses.add_parser(
        "leaks",
        help="what encrypted waveforms and spectrograms show without any key (Figs. 3-6)",
        description="Energy contour, speech activity, rhythm, and whether two ciphertexts are of one speaker.",
    )
    _add_encryption(parser)
    parser.set_defaults(run=run, analysis=_leaks, unit="step")


def _add_trust(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--trust", action="store_true", help="run the code that RUN names as its model, corpus or scheme"
    )


def _add_out(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, metavar="RUN", required=True, help="run folder, made if missing")
    add_json(parser)
    add_config_file(parser)


def _add_encryption(parser: argparse.ArgumentParser) -> None:
    """Flags of the analyses that encrypt speech under several schemes and block sizes."""
    groups = Groups(parser)
    add_flags(groups, SweepConfig, ASKED, leave_out=options_of(SweepConfig).keys() - ON_SPEECH)
    what, schemes = groups[ASKED], ",".join(PAPER)
    what.add_argument(
        "--scheme", type=scheme_names, default=schemes, help=f"schemes, comma-separated (default {schemes})"
    )
    what.add_argument("--block", metavar="M[,M…]", help="block sizes, as in 3,8,32 (default: the analysis's own)")
    what.add_argument("--utterances", type=int, default=20, metavar="N", help="how many, evenly spaced (default 20)")
    what.add_argument("--speaker-model", metavar="MODEL", help="a model that compares speakers: see 'wrongkey models'")
    what.add_argument("--recogniser", metavar="MODEL", help="a speech recogniser: see 'wrongkey models'")
    _add_out(parser)


def run(options: argparse.Namespace) -> int:
    """Run the analysis that was asked for, and say what was found and where it is."""
    note(f"Reading what is analysed, for {options.out} …")
    from wrongkey.attacks.analyses.folder import analyse

    analysis = options.analysis(options)
    with _watched(options.unit) as progress:
        folder = analyse(analysis, options.out, command=options.command, progress=progress)
    described = folder.path / "analyses" / f"{analysis.name}.json"
    if options.json:
        from wrongkey.evaluation.run_folder.schema import Analysis, read_json

        answer({"folder": folder.path, **read_json(described, Analysis)})
        return 0
    from wrongkey.analysis_summary import sentences
    from wrongkey.reports.analyses import read_analysis

    conclude(
        *sentences(read_analysis(described)),
        f"{described.with_suffix('.parquet')} is done; look at it with: {report_hint([options.out])}",
    )
    return 0


@contextmanager
def _watched(unit: str) -> Iterator[Callable[[int, int], None]]:
    """The progress of an analysis, with a line in the log whenever nothing was heard of it for a minute."""
    from wrongkey.evaluation.processes.watch import Watch
    from wrongkey.progress import progress

    show, state = progress(unit), "0"

    def step(done: int, total: int) -> None:
        nonlocal state
        state = f"{done:,} of {total:,} {unit}s"
        watch.heard()
        show(done, total)

    with Watch(unit, note, lambda: state) as watch:
        watch.busy = ["the analysis"]
        yield step


def _keys(options: argparse.Namespace) -> Analysis:
    from wrongkey.attacks.analyses.weak_keys import WeakKeys

    return WeakKeys(_trusted(options))


def _decryption(options: argparse.Namespace) -> Analysis:
    from wrongkey.attacks.analyses.near_keys import Decryption

    return Decryption(_sweep_config(options), options.draws)


def _phase(options: argparse.Namespace) -> Analysis:
    from wrongkey.attacks.analyses.phase.reconstruction import PhaseReconstruction

    return _of_speech(PhaseReconstruction, options)


def _leaks(options: argparse.Namespace) -> Analysis:
    from wrongkey.attacks.analyses.leaks.analysis import Leaks

    return _of_speech(Leaks, options)


def _of_speech(kind: type[PhaseReconstruction] | type[Leaks], options: argparse.Namespace) -> Analysis:
    """An analysis of encrypted speech with the options that all of these have."""
    from wrongkey.commands.reproduce import block_sizes

    return kind(
        corpus=_corpus(options),
        corpus_spec=options.corpus,
        schemes=list(dict.fromkeys(options.scheme.split(","))),
        block_sizes=[] if options.block is None else block_sizes(options.block),
        utterances=options.utterances,
        seed=options.seed,
        speaker_model=options.speaker_model,
        recogniser=options.recogniser,
        channels=options.channels,
    )


def _sweep_config(options: argparse.Namespace) -> SweepConfig:
    """What decryption is asked of: the flags, or the sweep in the folder where no model is named."""
    from wrongkey.attacks.analyses.folder import sweep_config
    from wrongkey.attacks.analyses.trust import refuse_code
    from wrongkey.evaluation.run_folder.folder import RunFolder

    settings = {name: value for name, value in given(options, SweepConfig).items() if value is not None}
    if options.model is None:
        folder = RunFolder(options.out)
        manifest = folder.manifest()
        if manifest is None:
            raise BadInput(f"{options.out} holds no sweep: name --model and --corpus, or a run folder with --out.")
        config = sweep_config(manifest["config"])
        refuse_code(config, folder.manifest_path, _trusted(options))
        if own := [options_of(SweepConfig)[name].spelling for name in settings if name not in FREE]:
            raise BadInput(
                f"{own[0]} has no effect on the sweep in {options.out}: leave it out, or name --model and --corpus to "
                "analyse other keys."
            )
        return replace(config, device=options.device or "auto", replicates=0, keep_outputs=False)
    return SweepConfig.of({**settings, "replicates": 0})


def _trusted(options: argparse.Namespace) -> list[str]:
    """What the user allows to be opened of a sweep; BadInput for a model, corpus or scheme that is not the sweep's."""
    from wrongkey.attacks.analyses.trust import EVERYTHING
    from wrongkey.evaluation.run_folder.folder import RunFolder

    kinds = ("model", "corpus", "scheme")
    named = {name: getattr(options, name) for name in kinds if getattr(options, name) is not None}
    config = (RunFolder(options.out).manifest() or {}).get("config", {})
    for name, spec in named.items():
        recorded = config.get(f"{name}_spec") or config.get(name)  # older manifests have a scheme's name alone
        if recorded not in (None, spec):
            raise BadInput(
                f"--{name} {spec} is not that of the sweep in {options.out}, which is {recorded}: leave it out."
            )
    return [*named.values(), *([EVERYTHING] if options.trust else [])]


def _corpus(options: argparse.Namespace) -> Corpus:
    from wrongkey.evaluation.corpora import Recordings, open_corpus

    corpus = open_corpus(options.corpus, cast("Recordings | None", options.recordings))
    for caution in corpus.cautions:
        note(f"caution: {caution}")
    return corpus.only_listed(Path(options.only)) if options.only else corpus
