"""``wrongkey analyse``: what makes an incorrect key work, how near a key must be, and what encrypted speech shows."""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from wrongkey.errors import BadInput
from wrongkey.flags import at_home
from wrongkey.terminal import conclude, note

if TYPE_CHECKING:
    from wrongkey.attacks.analyses.base import Analysis
    from wrongkey.attacks.analyses.leaks.analysis import Leaks
    from wrongkey.attacks.analyses.phase.reconstruction import PhaseReconstruction
    from wrongkey.evaluation.config import SweepConfig
    from wrongkey.evaluation.corpora import Corpus

SCHEMES = "shuffling,flipping,rom"
# What --config may set, beside what the command line says: fields of SweepConfig that decryption takes from its flags.
SWEPT = (
    "task",
    "scheme",
    "blocks",
    "block",
    "seed",
    "trials",
    "same_gender",
    "text",
    "per_speaker",
    "only",
    "channels",
)


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
    _add_trust(parser)
    parser.set_defaults(run=run, analysis=_keys, parser=parser)


def _add_decryption(analyses: Any) -> None:
    parser: argparse.ArgumentParser = analyses.add_parser(
        "decryption",
        help="decrypt with the correct key, near keys and incorrect keys (Fig. 7)",
        description="SNR, intelligibility and the encrypted model's score under keys near the correct one. Without "
        "--model, the model, speech and keys of the sweep in --out are taken.",
    )
    parser.add_argument("--model", help="see 'wrongkey models' (default: that of the sweep in --out)")
    parser.add_argument("--corpus", help="as for sweep")
    parser.add_argument("--task", default="asv", choices=["asv", "asr", "asc"], help="what the model is scored at")
    parser.add_argument("--scheme", default="rom", help="shuffling, flipping, rom (default) or a registered one")
    parser.add_argument(
        "--blocks", choices=["samples", "tiles", "frames"], help="how keys cut a query (default: the model's)"
    )
    parser.add_argument("--block", type=int, metavar="M", help="block size (default: the model's)")
    parser.add_argument(
        "--trials", metavar="FILE", type=at_home, help="see docs/corpora.md, or 'corpus' for the corpus' own list"
    )
    parser.add_argument("--same-gender", action="store_true", help="generated impostors have the same gender")
    parser.add_argument("--text", default="basic", help="how transcripts are normalised")
    parser.add_argument("--per-speaker", type=int, metavar="N", help="only the first N utterances of each speaker")
    _add_speech(parser)
    parser.add_argument("--draws", type=int, default=10, metavar="N", help="near keys of each kind (default 10)")
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1 or auto (default)")
    _add_trust(parser)
    parser.set_defaults(run=run, analysis=_decryption, parser=parser)


def _add_phase(analyses: Any) -> None:
    parser: argparse.ArgumentParser = analyses.add_parser(
        "phase",
        help="reconstruct waveforms from encrypted spectrograms (Fig. 8)",
        description="Phase reconstruction by PGHI and Griffin-Lim, on plain spectrograms and on encrypted ones.",
    )
    _add_encryption(parser)
    parser.set_defaults(run=run, analysis=_phase, parser=parser)


def _add_leaks(analyses: Any) -> None:
    parser: argparse.ArgumentParser = analyses.add_parser(
        "leaks",
        help="what encrypted waveforms and spectrograms show without any key (Figs. 3-6)",
        description="Energy contour, speech activity, rhythm, and whether two ciphertexts are of one speaker.",
    )
    _add_encryption(parser)
    parser.set_defaults(run=run, analysis=_leaks, parser=parser)


def _add_trust(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--trust", action="store_true", help="run the code that RUN names as its model or corpus")


def _add_speech(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--only", metavar="FILE", type=at_home, help="only the utterances whose ids this file lists, one a line"
    )
    parser.add_argument(
        "--recordings", choices=["real", "synthetic"], help="what the corpus holds, where its layout does not tell"
    )
    parser.add_argument("--channels", default="refuse", choices=["refuse", "mix"], help="what to do with stereo")
    parser.add_argument("--seed", type=int, default=0, help="of everything random (default 0)")
    parser.add_argument("--out", type=Path, metavar="RUN", help="run folder; made if missing")
    parser.add_argument("--config", metavar="FILE", help="TOML file with any of these flags; flags given here win")


def _add_encryption(parser: argparse.ArgumentParser) -> None:
    """Flags of the analyses that encrypt speech under several schemes and block sizes."""
    parser.add_argument("--corpus", help="as for sweep")
    parser.add_argument("--scheme", default=SCHEMES, help=f"schemes, comma-separated (default {SCHEMES})")
    parser.add_argument("--block", metavar="M", help="block sizes, as in 3,8,32 (default: the analysis' own)")
    parser.add_argument("--utterances", type=int, default=20, metavar="N", help="how many, evenly spaced (default 20)")
    parser.add_argument("--speaker-model", metavar="MODEL", help="a model that tells speakers: see 'wrongkey models'")
    parser.add_argument("--recogniser", metavar="MODEL", help="a speech recogniser: see 'wrongkey models'")
    _add_speech(parser)


def run(options: argparse.Namespace) -> int:
    """Run the analysis that was asked for, and say what was found and where it is."""
    from wrongkey.attacks.analyses.folder import analyse
    from wrongkey.progress import progress

    if options.out is None:
        raise BadInput("An analysis needs --out RUN for its results.")
    analysis = options.analysis(options)
    command = shlex.join(["wrongkey", *sys.argv[1:]])
    folder = analyse(analysis, options.out, command=command, progress=progress())
    rows = folder.path / "analyses" / f"{analysis.name}.parquet"
    conclude(
        *_sentences(rows.with_suffix(".json")),
        f"{rows} is done; look at it with: wrongkey report {options.out} --out report.html",
    )
    return 0


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
    )


def _sweep_config(options: argparse.Namespace) -> SweepConfig:
    """What decryption is asked of: the flags, or the sweep in the folder where no model is named."""
    from wrongkey.attacks.analyses.folder import sweep_config
    from wrongkey.attacks.analyses.trust import refuse_code
    from wrongkey.evaluation.config import SweepConfig
    from wrongkey.evaluation.run_folder.folder import RunFolder

    if options.model is None:
        folder = RunFolder(options.out)
        manifest = folder.manifest()
        if manifest is None:
            raise BadInput(f"{options.out} holds no sweep: name --model and --corpus, or a run folder with --out.")
        config = sweep_config(manifest["config"])
        refuse_code(config, folder.manifest_path, _trusted(options))
        return replace(config, device=options.device, replicates=0, keep_outputs=False)
    settings = {name: getattr(options, name) for name in (*SWEPT, "model", "corpus", "recordings", "device")}
    given = {name: value for name, value in settings.items() if value is not None}
    return SweepConfig.of({**given, "replicates": 0})


def _trusted(options: argparse.Namespace) -> list[str]:
    """What the user allows to be opened of a sweep; BadInput for a model or corpus that is not the sweep's."""
    from wrongkey.attacks.analyses.trust import EVERYTHING
    from wrongkey.evaluation.run_folder.folder import RunFolder

    named = {name: getattr(options, name) for name in ("model", "corpus") if getattr(options, name) is not None}
    config = (RunFolder(options.out).manifest() or {}).get("config", {})
    for name, spec in named.items():
        recorded = config.get(f"{name}_spec")
        if recorded not in (None, spec):
            raise BadInput(
                f"--{name} {spec} is not that of the sweep in {options.out}, which is {recorded}: leave it out."
            )
    return [*named.values(), *([EVERYTHING] if options.trust else [])]


def _corpus(options: argparse.Namespace) -> Corpus:
    from wrongkey.evaluation.corpora import Recordings, open_corpus

    if options.corpus is None:
        raise BadInput("This analysis needs --corpus.")
    corpus = open_corpus(options.corpus, cast("Recordings | None", options.recordings))
    for caution in corpus.cautions:
        note(f"caution: {caution}")
    return corpus.only_listed(Path(options.only)) if options.only else corpus


def _sentences(described: Path) -> list[str]:
    from wrongkey.evaluation.run_folder.schema import Analysis, read_json

    return read_json(described, Analysis).get("sentences") or []
