"""What a sweep is asked for: plain text and numbers, so that a worker elsewhere can prepare the same experiment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wrongkey.errors import BadInput
from wrongkey.evaluation.models.protocol import ASKED
from wrongkey.keys.blocks import Blocks

# both: the unauthorised user enrols and tests under the same incorrect key; test: speakers were enrolled under the
# correct key (as the plain model hears them) and only the test side guesses. The paper does not say how its speakers
# were enrolled (IV-A); `both` is our reading of it.
# waveform: the model carries no key, and encrypted waveforms go into its front end (the paper's Table IV, Fig. 11).
SESSIONS = ("any", "disjoint")  # of generated same-speaker pairs
VARIANTS = {"asv": ("both", "test", "waveform"), "asr": ("both", "waveform"), "asc": ("both", "waveform")}


@dataclass(frozen=True)
class SweepConfig:
    """A sweep as the command line or a TOML file states it.

    Parameters
    ----------
    model, corpus: what ``open_model`` and ``open_corpus`` understand.
    task: ``asv``, ``asr`` or ``asc``.
    scheme: ``shuffling``, ``flipping``, ``rom`` or a user's own.
    blocks: how the key cuts a query, ``samples``, ``tiles`` or ``frames``; None takes the model's usual way.
    block: block size M; None takes the model's, or a first layer's kernel where it equals its stride.
    keys: incorrect keys, at least 1; a scheme with fewer is enumerated.
    seed: master seed of keys, generated trials and bootstrap.
    variant: one of ``VARIANTS[task]``.
    trials: (ASV) a list in VoxCeleb's or Kaldi's format, ``corpus`` for the one that the corpus brings, or None to
        generate: every same-speaker pair and ``nontargets`` times as many different-speaker pairs (``same_gender`` or
        any).
    sessions: (ASV) ``any``, or ``disjoint`` where generated same-speaker pairs must be of two recording sessions.
    text: (ASR) the normalisation of reference and hypothesis, a name of ``wrongkey.evaluation.tasks.text``.
    per_speaker: only the first so many utterances of each speaker; None for all.
    only: file with the ids of the utterances to use, one a line; None for all.
    channels: ``refuse`` or ``mix`` recordings with more than one channel.
    recordings: ``real`` or ``synthetic`` where the corpus' layout does not tell; reports say which is evidence.
    replicates: bootstrap replicates, over speakers (ASV) or utterances, for the interval of every key; 0 for none.
    keep_outputs: whether every key's trial scores, hypotheses or predictions are kept.
    """

    model: str
    corpus: str
    scheme: str = "rom"
    task: str = "asv"
    blocks: str | None = None
    block: int | None = None
    keys: int = 1000
    seed: int = 0
    variant: str = "both"
    trials: str | None = None
    same_gender: bool = False
    nontargets: int = 1
    sessions: str = "any"
    text: str = "basic"
    per_speaker: int | None = None
    only: str | None = None
    channels: str = "refuse"
    recordings: str | None = None
    precision: str = "float32"
    device: str = "auto"
    replicates: int = 200
    keep_outputs: bool = False

    def __post_init__(self) -> None:
        if self.task not in ASKED:
            raise BadInput(f"task {self.task!r} is unknown: choose {', '.join(ASKED)}")
        if self.variant not in VARIANTS[self.task]:
            raise BadInput(
                f"variant {self.variant!r} is none of task {self.task}: choose {' or '.join(VARIANTS[self.task])}"
            )
        if self.blocks not in (None, *Blocks):
            raise BadInput(f"--blocks {self.blocks} is unknown: choose {', '.join(Blocks)}")
        if self.variant == "waveform" and self.blocks not in (None, "samples"):
            raise BadInput(f"--variant waveform encrypts waveforms: leave --blocks {self.blocks} out")
        if self.task != "asv" and (self.trials or self.same_gender):
            raise BadInput("trials are pairs of utterances for --task asv: leave --trials and --same-gender out")
        if self.sessions not in SESSIONS:
            raise BadInput(f"--sessions {self.sessions} is unknown: choose {' or '.join(SESSIONS)}")
        if self.sessions != "any" and (self.task != "asv" or self.trials):
            why = "a list of trials says its pairs itself" if self.trials else "only --task asv compares speakers"
            raise BadInput(f"--sessions {self.sessions} makes pairs of utterances, and {why}: leave it out")
        if self.keys < 1:
            raise BadInput(f"--keys {self.keys} makes no sweep: give 1 or more")
        least = {"--replicates": (self.replicates, 0), "--seed": (self.seed, 0), "--nontargets": (self.nontargets, 1)}
        for flag, value in (("--per-speaker", self.per_speaker), ("--block", self.block)):
            if value is not None:
                least[flag] = (value, 1)
        for flag, (value, minimum) in least.items():
            if value < minimum:
                raise BadInput(f"{flag} {value} makes no sense: give {minimum} or more")

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> SweepConfig:
        """From a TOML table or a manifest; an unknown name is BadInput."""
        known = cls.__dataclass_fields__
        if unknown := [name for name in settings if name not in known]:
            raise BadInput(f"unknown setting {unknown[0]!r}: known are {', '.join(known)}")
        if missing := [name for name in ("model", "corpus") if name not in settings]:
            raise BadInput(f"a sweep needs --{missing[0]}")
        return cls(**settings)
