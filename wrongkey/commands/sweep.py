"""``wrongkey sweep``: incorrect keys through an encrypted model, into a run folder."""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wrongkey.errors import BadInput

if TYPE_CHECKING:
    from wrongkey.evaluation.config import SweepConfig


def add(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "sweep",
        help="thousands of incorrect keys through an encrypted model",
        description="Run incorrect keys through an encrypted model. The same command again finishes a stopped run; "
        "a larger --keys extends it.",
    )
    add_flags(parser)
    parser.add_argument("--out", type=Path, help="run folder (made if missing)")
    parser.add_argument("--config", metavar="FILE", help="TOML file with any of these flags; flags given here win")
    parser.set_defaults(run=run, parser=parser)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Flags named after the fields of ``wrongkey.evaluation.config.SweepConfig``."""
    what = parser.add_argument_group("what is asked")
    what.add_argument(
        "--task", default="asv", choices=["asv", "asr", "asc"],
        help="speaker verification (default), speech recognition, acoustic scene or event classification",
    )  # fmt: skip
    what.add_argument("--model", help="see 'wrongkey models'")
    what.add_argument(
        "--corpus", help="bundled, DIR, or kaldi:, librispeech:, esc10:, … before a DIR (docs/corpora.md)"
    )
    what.add_argument("--scheme", default="rom", help="shuffling, flipping, rom (default) or a registered one")
    what.add_argument(
        "--blocks", choices=["samples", "tiles", "frames"],
        help="how keys cut a query: samples of a waveform, M x M tiles or M bins of each frame of a spectrogram "
        "(default: the model's)",
    )  # fmt: skip
    what.add_argument("--block", type=int, metavar="M", help="block size (default: the model's, or its first kernel)")
    what.add_argument("--keys", type=int, default=1000, metavar="N", help="incorrect keys (default 1000)")
    what.add_argument("--seed", type=int, default=0, help="master seed of keys, trials and intervals (default 0)")
    what.add_argument(
        "--variant", default="both", choices=["both", "test", "waveform"],
        help="both: every query under the incorrect key (our reading of the paper, which does not say how speakers "
        "were enrolled); test: enrolled under the correct key, only the test side guesses (asv); waveform: encrypted "
        "waveforms into the plain model (Table IV, Fig. 11)",
    )  # fmt: skip
    what.add_argument("--text", default="basic", help="how transcripts are normalised: none, basic, whisper-english")
    speech = parser.add_argument_group("speech and trials")
    speech.add_argument("--only", metavar="FILE", help="only the utterances whose ids this file lists, one a line")
    speech.add_argument("--trials", metavar="FILE", help="see docs/corpora.md, or 'corpus' for the corpus' own list")
    speech.add_argument("--same-gender", action="store_true", help="generated impostors have the same gender")
    speech.add_argument("--nontargets", type=int, default=1, help="impostor pairs per same-speaker pair (default 1)")
    speech.add_argument(
        "--sessions", default="any", choices=["any", "disjoint"],
        help="disjoint: generated same-speaker pairs are of two recording sessions, where the corpus knows them",
    )  # fmt: skip
    speech.add_argument("--per-speaker", type=int, metavar="N", help="only the first N utterances of each speaker")
    speech.add_argument(
        "--channels",
        default="refuse",
        choices=["refuse", "mix"],
        help="what to do with stereo (default: refuse)",
    )
    speech.add_argument(
        "--recordings", choices=["real", "synthetic"], help="what the corpus holds, where its layout does not tell"
    )
    how = parser.add_argument_group("how it runs")
    how.add_argument("--device", default="auto", help="cpu, cuda, cuda:1 or auto (default)")
    how.add_argument(
        "--precision", default="float32", choices=["float64", "float32", "tf32", "bfloat16", "float16"],
        help="of the network (default float32); keys are always float64",
    )  # fmt: skip
    how.add_argument("--workers", type=int, help="processes (default: one per core, or one per GPU)")
    how.add_argument(
        "--timeout", type=float, metavar="SECONDS",
        help="end the run where a shard of keys takes longer, some ten seconds of work each (default: wait for ever)",
    )  # fmt: skip
    how.add_argument("--backend", default="loky", choices=["loky", "dask"], help="this machine, or a Dask cluster")
    how.add_argument("--scheduler", metavar="ADDRESS", help="of the Dask scheduler, tcp://host:8786")
    how.add_argument("--replicates", type=int, default=200, help="bootstrap replicates per key, 0 for no intervals")
    how.add_argument("--keep-outputs", action="store_true", help="keep every key's trial scores, texts or classes")


def run(options: argparse.Namespace) -> int:
    from wrongkey.evaluation.config import SweepConfig
    from wrongkey.evaluation.sweep import sweep
    from wrongkey.progress import progress
    from wrongkey.terminal import conclude, note

    settings = {name: getattr(options, name) for name in SweepConfig.__dataclass_fields__}
    config = SweepConfig.of({name: value for name, value in settings.items() if value is not None})
    if options.out is None:
        raise BadInput("a sweep needs --out FOLDER for its results")
    folder = sweep(
        config,
        options.out,
        workers=options.workers,
        timeout=options.timeout,
        backend=options.backend,
        scheduler=options.scheduler,
        command=shlex.join(["wrongkey", *sys.argv[1:]]),
        progress=progress(),
        report=note,
    )
    where = f"{folder.path} is done; look at it with: wrongkey report {folder.path} --out report.html"
    conclude(_verdict(folder.path), where)
    return 0


def _verdict(folder: Path) -> str:
    """The sentence of the run's report: how incorrect keys do, by the metric that speaks for the task."""
    from wrongkey.reports.runs import load_run
    from wrongkey.reports.statistics.key_statistics import summarise
    from wrongkey.reports.verdicts import headline

    return headline(summarise(load_run(folder)))


def sweep_command(config: SweepConfig, out: Path) -> str:
    """The ``wrongkey sweep`` line that makes one of the runs again."""
    words = ["wrongkey", "sweep"]
    for field in fields(config):
        value = getattr(config, field.name)
        if value != field.default:
            words += [f"--{field.name.replace('_', '-')}"] + ([] if value is True else [str(value)])
    return shlex.join([*words, "--out", str(out)])
