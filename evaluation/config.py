"""What a sweep is asked for: plain text and numbers, so that a worker elsewhere can prepare the same experiment.

Imports no torch: the command line makes its flags from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from wrongkey.errors import BadInput
from wrongkey.evaluation.memory import bytes_of
from wrongkey.evaluation.settings import Flag, Group, check
from wrongkey.keys.blocks import Blocks

ASKED = {"asv": "embed", "asr": "transcribe", "asc": "classify"}  # task -> the function of a model that answers it
# both: the unauthorised user enrols and tests under the same incorrect key; test: speakers were enrolled under the
# correct key (as the plain model hears them) and only the test side guesses. The paper does not say how its speakers
# were enrolled (IV-A); `both` is our reading of it.
# waveform: the model carries no key, and encrypted waveforms go into its front end (the paper's Table IV, Fig. 11).
VARIANTS = {"asv": ("both", "test", "waveform"), "asr": ("both", "waveform"), "asc": ("both", "waveform")}
SESSIONS = ("any", "disjoint")  # of generated same-speaker pairs
BLOCKS = tuple(map(str, Blocks))
PRECISIONS = ("float64", "float32", "tf32", "bfloat16", "float16")

MOST_ROWS = 2**20
MOST_REPLICATES = MOST_NONTARGETS = 10**6

SPEECH, RUNNING = Group("speech and trials"), Group("how it runs")
# Settings that mean the same in a sweep and in an attack.
Only = Annotated[
    str | None, Flag("only the utterances whose ids this file lists, one a line", metavar="FILE", path=True)
]
SameGender = Annotated[bool, Flag("(ASV) generated impostors have the same gender")]
Text = Annotated[str, Flag("(ASR) how transcripts are normalised: none, basic (default), whisper-english")]
Channels = Annotated[str, Flag("what to do with stereo", choices=("refuse", "mix"))]
Recordings = Annotated[
    str | None, Flag("what the corpus holds, where its layout does not tell", choices=("real", "synthetic"))
]
Sessions = Annotated[
    str,
    Flag(
        "(ASV) disjoint: generated same-speaker pairs are of two recording sessions, where the corpus knows them",
        choices=SESSIONS,
    ),
]
Device = Annotated[str, Flag("cpu, cuda, cuda:1 or auto (default), for the model")]
Media = Annotated[
    str,
    Flag(
        "short clips of speech, plain, encrypted and decrypted, that are kept for the report: of synthetic voices "
        "(default), also of real people (real), or none",
        choices=("synthetic", "real", "none"),
    ),
]


@dataclass(frozen=True)
class SweepConfig:
    """A sweep as the command line or a TOML file states it.

    Every setting is a flag of ``wrongkey sweep``, with the help text and the limits that stand at its field.

    Parameters
    ----------
    model : str
        What `open_model` understands: a bundled name, ``PREFIX:…`` or ``package.module:factory``.
    corpus : str
        What `open_corpus` understands.
    scheme : str
        A name of `wrongkey.keys.family.get_scheme`, such as ``rom`` or ``rom+turns=4``.
    task : {"asv", "asr", "asc"}
        Speaker verification, speech recognition, or classification of acoustic scenes or events.
    blocks : {"samples", "tiles", "frames"}, optional
        How the key cuts a query; None takes the model's usual way.
    block : int, optional
        Block size M, at least 1; None takes the model's, or a first layer's kernel where it equals its stride.
    keys : int
        Incorrect keys, at least 1. A scheme with fewer keys is enumerated.
    right : int
        Of several keys in turn, the number that is right in each incorrect key: from 0 to P - 1.
    seed : int
        Master seed of keys, generated trials and bootstrap, at least 0.
    variant : str
        One of ``VARIANTS[task]``.
    trials : str, optional
        (ASV) A list in VoxCeleb's or Kaldi's format, or ``corpus`` for the list of the corpus. None generates trials:
        every same-speaker pair, and `nontargets` times as many different-speaker pairs.
    same_gender : bool
        (ASV) Whether generated different-speaker pairs are of one gender.
    nontargets : int
        (ASV) Generated different-speaker pairs per same-speaker pair, at least 1.
    sessions : {"any", "disjoint"}
        (ASV) ``disjoint``: generated same-speaker pairs are of two recording sessions.
    text : str
        (ASR) The normalisation of reference and hypothesis, a name of `wrongkey.evaluation.tasks.text`.
    per_speaker : int, optional
        Use only the first `per_speaker` utterances of each speaker, at least 1; None uses all.
    only : str, optional
        File with the ids of the utterances to use, one a line; None uses all.
    channels : {"refuse", "mix"}
        What to do with recordings of more than one channel.
    recordings : {"real", "synthetic"}, optional
        What the corpus holds, where its layout does not tell; reports say which of the two is evidence.
    precision : {"float64", "float32", "tf32", "bfloat16", "float16"}
        Of the network; keys are always float64.
    device : str
        ``cpu``, ``cuda``, ``cuda:1`` or ``auto``.
    replicates : int
        Bootstrap replicates over speakers (ASV) or utterances for the interval of every key; 0 for no intervals.
    keep_outputs : bool
        Whether the trial scores, hypotheses or predictions of every key are kept.
    rows : int, optional
        Segments of a pass through the network, at least 1; None takes the fastest, measured at the start. A continued
        run keeps those it began with. Scores of other sizes differ by rounding.
    memory : str, optional
        Size, such as ``2GB``, above which the segments of the corpus lie in a temporary file that all processes of the
        machine map, and not in the memory of each; None chooses by what is free. It changes no score.
    media : {"synthetic", "real", "none"}
        Whose voices are kept as short clips, plain and decrypted (`wrongkey.evaluation.run_folder.media`).

    Raises
    ------
    BadInput
        For a value outside these limits, and for settings that contradict each other.

    Examples
    --------
    >>> SweepConfig("asv-raw3", "bundled", keys=200).scheme
    'rom'
    >>> SweepConfig("asv-raw3", "bundled", keys=0)
    Traceback (most recent call last):
        ...
    wrongkey.errors.BadInput: --keys must be at least 1, not 0.
    """

    model: Annotated[str, Flag("see 'wrongkey models'")]
    corpus: Annotated[str, Flag("bundled, DIR, or kaldi:, librispeech:, esc10:, … before a DIR (docs/corpora.md)")]
    scheme: Annotated[str, Flag("rom (default), flipping, rom+turns=4, …: see 'wrongkey schemes'")] = "rom"
    task: Annotated[
        str,
        Flag(
            "speaker verification (default), speech recognition, acoustic scene or event classification",
            choices=tuple(ASKED),
        ),
    ] = "asv"
    blocks: Annotated[
        str | None,
        Flag(
            "how keys cut a query: samples of a waveform, M x M tiles or M bins of each frame of a spectrogram "
            "(default: the model's)",
            choices=BLOCKS,
        ),
    ] = None
    block: Annotated[
        int | None, Flag("block size (default: the model's, or its first kernel)", metavar="M", least=1)
    ] = None
    keys: Annotated[int, Flag("incorrect keys", metavar="N", least=1)] = 1000
    right: Annotated[
        int, Flag("(schemes with +turns=P) of the P keys in turn, how many are right in each incorrect key", least=0)
    ] = 0
    seed: Annotated[int, Flag("master seed of keys, trials and intervals", least=0)] = 0
    variant: Annotated[
        str,
        Flag(
            "both: every query under the incorrect key (our reading of the paper, which does not say how speakers "
            "were enrolled); test: enrolled under the correct key, only the test side guesses (asv); waveform: "
            "encrypted waveforms into the plain model (Table IV, Fig. 11)",
            choices=VARIANTS["asv"],
        ),
    ] = "both"
    trials: Annotated[
        str | None,
        Flag("(ASV) see docs/corpora.md, or 'corpus' for the corpus's own list", metavar="FILE", path=True),
        SPEECH,
    ] = None
    same_gender: Annotated[SameGender, SPEECH] = False
    nontargets: Annotated[
        int, Flag("(ASV) impostor pairs per same-speaker pair", least=1, most=MOST_NONTARGETS), SPEECH
    ] = 1
    sessions: Annotated[Sessions, SPEECH] = "any"
    text: Text = "basic"
    per_speaker: Annotated[
        int | None, Flag("only the first N utterances of each speaker", metavar="N", least=1), SPEECH
    ] = None
    only: Annotated[Only, SPEECH] = None
    channels: Annotated[Channels, SPEECH] = "refuse"
    recordings: Annotated[Recordings, SPEECH] = None
    precision: Annotated[str, Flag("of the network; keys are always float64", choices=PRECISIONS), RUNNING] = "float32"
    device: Annotated[Device, RUNNING] = "auto"
    replicates: Annotated[
        int, Flag("bootstrap replicates per key, 0 for no intervals", least=0, most=MOST_REPLICATES), RUNNING
    ] = 200
    keep_outputs: Annotated[bool, Flag("keep every key's trial scores, texts or classes"), RUNNING] = False
    rows: Annotated[
        int | None,
        Flag(
            "segments of a pass through the network (default: the fastest, measured at the start); scores of other "
            "sizes differ by rounding",
            metavar="ROWS",
            least=1,
            most=MOST_ROWS,
        ),
        RUNNING,
    ] = None
    memory: Annotated[
        str | None,
        Flag(
            "segments of the corpus beyond this size, such as 2GB, lie in a temporary file that all processes share "
            "(default: by what is free)",
            metavar="SIZE",
        ),
        RUNNING,
    ] = None
    media: Annotated[Media, RUNNING] = "synthetic"

    def __post_init__(self) -> None:
        check(self)
        if self.memory is not None:
            bytes_of(self.memory)
        if self.variant not in VARIANTS[self.task]:
            known = " or ".join(VARIANTS[self.task])
            raise BadInput(f"--variant {self.variant} is none of task {self.task}: choose {known}.")
        if self.variant == "waveform" and self.blocks not in (None, "samples"):
            raise BadInput(f"--variant waveform encrypts waveforms: leave --blocks {self.blocks} out.")
        if self.task != "asv" and (self.trials or self.same_gender):
            raise BadInput("Trials are pairs of utterances for --task asv: leave --trials and --same-gender out.")
        if self.sessions != "any" and (self.task != "asv" or self.trials):
            why = "a list of trials says its pairs itself" if self.trials else "only --task asv compares speakers"
            raise BadInput(f"--sessions {self.sessions} makes pairs of utterances, and {why}: leave it out.")

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> SweepConfig:
        """The configuration of a TOML table or a manifest.

        Parameters
        ----------
        settings : mapping
            Values by the names of the fields; those left out keep their defaults.

        Raises
        ------
        BadInput
            For an unknown name, a missing `model` or `corpus`, and a value that no sweep can have.
        """
        known = cls.__dataclass_fields__
        if unknown := [name for name in settings if name not in known]:
            raise BadInput(f"Setting {unknown[0]!r} is unknown: known are {', '.join(known)}.")
        if missing := [name for name in ("model", "corpus") if name not in settings]:
            raise BadInput(f"A sweep needs --{missing[0]}.")
        return cls(**settings)
