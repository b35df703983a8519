"""What attacks are asked for: plain text and numbers, as the command line states them. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from wrongkey.errors import BadInput
from wrongkey.evaluation.config import (
    ASKED,
    BLOCKS,
    Channels,
    Device,
    Media,
    Only,
    Recordings,
    SameGender,
    Sessions,
    Text,
)
from wrongkey.evaluation.settings import Flag, Group, check

AMOUNT = Group("how much")


@dataclass(frozen=True)
class AttackConfig:
    """Attacks as the command line states them.

    Every setting is a flag of ``wrongkey attack``, with the help text and the limits that stand at its field. Names
    that are not described here mean what they mean in `wrongkey.evaluation.config.SweepConfig`.

    Parameters
    ----------
    corpus : str
        Speech of the victims, and of the background speakers where `background` is None.
    model : str, optional
        None attacks waveforms alone, at 16 kHz: there is no task score then, and `block` must be given.
    task, scheme, blocks, block, seed, only, same_gender, text, channels, recordings, device, sessions, media
        As in `SweepConfig`.
    trials : int
        Secret keys, each with the next victim, at least 1.
    background : str, optional
        A corpus of background speakers, who are no victims; None takes every second speaker of `corpus`.
    background_only : str, optional
        File with the ids of the utterances of `background` to use, one a line.
    per_speaker : int, optional
        Utterances of each speaker in the task's score, at least 1; ciphertext is all that there is.
    seconds : tuple of float
        Seconds of ciphertext, above 0, in place of the attack's own; empty for its own.
    recogniser : str, optional
        A model that hears the decrypted waveforms, for their WER beside SNR and STOI.

    Raises
    ------
    BadInput
        For a value outside these limits, and for settings that contradict each other.
    """

    corpus: Annotated[
        str, Flag("speech of the victims; without --background, every second speaker is a background speaker")
    ]
    model: Annotated[str | None, Flag("see 'wrongkey models'; without one, waveforms at 16 kHz alone are attacked")] = (
        None
    )
    task: Annotated[str, Flag("what the model is scored at", choices=tuple(ASKED))] = "asv"
    scheme: Annotated[str, Flag("shuffling, flipping, rom or a registered one")] = "rom"
    blocks: Annotated[str | None, Flag("how keys cut a query (default: the model's)", choices=BLOCKS)] = None
    block: Annotated[int | None, Flag("block size (default: the model's)", metavar="M", least=1)] = None
    trials: Annotated[
        int,
        Flag(
            "secret keys, each with a victim (default 10; wrongkey compare asks for 29)",
            metavar="N",
            least=1,
        ),
        AMOUNT,
    ] = 10
    seed: Annotated[int, Flag("master seed of keys and attacks", least=0), AMOUNT] = 0
    only: Only = None
    background: Annotated[
        str | None,
        Flag(
            "speech of background speakers, who are no victims, in place of that split",
            metavar="CORPUS",
            aliases=("--others",),
        ),
    ] = None
    background_only: Annotated[
        str | None,
        Flag("only these utterances of --background", metavar="FILE", path=True, aliases=("--others-only",)),
    ] = None
    per_speaker: Annotated[int | None, Flag("utterances of each speaker in the task's score", metavar="N", least=1)] = (
        None
    )
    same_gender: SameGender = False
    text: Text = "basic"
    channels: Channels = "refuse"
    recordings: Recordings = None
    device: Annotated[Device, AMOUNT] = "auto"
    seconds: Annotated[
        tuple[float, ...],
        Flag("seconds of ciphertext, such as 5,10,25,inf (default: the attack's own)"),
        AMOUNT,
    ] = ()
    recogniser: Annotated[str | None, Flag("who hears decrypted waveforms, for their WER", metavar="MODEL"), AMOUNT] = (
        None
    )
    sessions: Sessions = "any"
    media: Annotated[Media, AMOUNT] = "synthetic"

    def __post_init__(self) -> None:
        check(self)
        if any(not seconds > 0 for seconds in self.seconds):
            raise BadInput("--seconds takes numbers above 0, such as 5,10,25, or inf for all there is.")
        if self.model is None and self.block is None:
            raise BadInput("Without --model an attack needs --block M: nothing else says the block size.")
        if self.model is None and self.blocks not in (None, "samples"):
            raise BadInput(f"--blocks {self.blocks} cuts spectrograms: name the --model that makes them.")
        if self.background is None and self.background_only is not None:
            raise BadInput("--background-only lists utterances of --background CORPUS: name that corpus too.")
